/* SPDX-License-Identifier: MIT */
/*
 * build.c - how many 2 MiB blocks do the pages of a recorded compile pin, compared with the kernel?
 *
 * Method  `quire replay --json` of traces/pages-build.katr.zst by one thread.  Placement is the same in
 *         each run, so one run is enough.
 * Read    Blocks with at least one live page at two marks: after the build has ended, and after its
 *         tree was removed.  The kernel's number comes from the recording.
 * Refused A replay that fails, or that does not name the marks.
 * Not     Time, since the replay fills and checks every block.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness/bench.h"

#define TRACE	   "traces/pages-build.katr.zst"
#define JSON_BYTES ((size_t)1 << 20)
#define PAGES	   512u /* in a block of 2 MiB */

struct mark {
	double live_pages;
	double pinned;
	double mixed;
	double kernel_pinned;
};

/* The number that follows "@key" at or after @at, or -1. */
static double json_number(const char *at, const char *key)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	at = at ? strstr(at, quoted) : NULL;
	if (!at)
		return -1;
	at += strlen(quoted);
	at += strspn(at, ": \t\n");
	return strtod(at, NULL);
}

/* Reads the mark @name: the numbers of "kernel" and "quire" that follow its name. */
static bool mark_find(const char *json, const char *name, struct mark *mark)
{
	const char *at = strstr(json, "\"marks\""), *kernel, *quire;
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\"", name);
	at = at ? strstr(at, quoted) : NULL;
	kernel = at ? strstr(at, "\"kernel\"") : NULL;
	quire = at ? strstr(at, "\"quire\"") : NULL;
	mark->kernel_pinned = json_number(kernel, "blocks_pinned");
	mark->live_pages = json_number(quire, "live_pages");
	mark->pinned = json_number(quire, "blocks_pinned");
	mark->mixed = json_number(quire, "blocks_mixed");
	return mark->live_pages >= 0 && mark->pinned >= 0 && mark->mixed >= 0;
}

/* Reads the whole file into @json; false if it cannot be read or is empty. */
static bool json_read(const char *path, char *json)
{
	FILE *file = fopen(path, "re");
	size_t n = file ? fread(json, 1, JSON_BYTES - 1, file) : 0;

	if (file)
		fclose(file);
	json[n] = '\0';
	return n > 0;
}

/* Fills @json with the replay's output.  On failure returns false and sets @reason. */
static bool replay(char *json, const char **reason)
{
	char directory[] = "/tmp/quire-bench-XXXXXX";
	char path[64], reply[64];
	const struct child_order order = { .program = "../quire",
					   .argv = { "replay", "--json", path, TRACE } };
	bool done;

	*reason = "no " TRACE " in the current directory";
	if (access(TRACE, R_OK) != 0)
		return false;
	*reason = "quire replay failed";
	if (!mkdtemp(directory)) /* the file appears by a rename */
		return false;
	snprintf(path, sizeof(path), "%s/replay.json", directory);
	done = child_run(&order, reply, sizeof(reply)) && json_read(path, json);
	unlink(path);
	rmdir(directory);
	return done;
}

static void mark_report(const struct options *options, const char *what, const struct mark *mark,
			const struct target *target)
{
	char note[96];

	snprintf(note, sizeof(note), "%.1f blocks' worth live; the kernel %.0f",
		 mark->live_pages / PAGES, mark->kernel_pinned);
	report_figure(options,
		      &(struct figure){
			      .what = what, .value = mark->pinned, .unit = "blocks", .note = note },
		      target);
}

static void marks_report(const struct options *options, const char *json)
{
	struct mark end, removed;
	struct target build_end = target_build_end;
	char wanted[96];

	if (!mark_find(json, "build-end", &end) || !mark_find(json, "removed", &removed)) {
		report_refused(options, "pages-build", "the replay does not name the marks");
		return;
	}
	/* 1.5 x the blocks that the live pages would fill, and 8. */
	build_end.limit += 1.5 * (double)(((uint64_t)end.live_pages + PAGES - 1) / PAGES);
	snprintf(wanted, sizeof(wanted), "%s: %.0f", target_build_end.wanted, build_end.limit);
	build_end.wanted = wanted;
	mark_report(options, "2 MiB blocks pinned at build-end", &end, &build_end);
	mark_report(options, "2 MiB blocks pinned at removed", &removed, &target_build_removed);
	report_figure(
		options,
		&(struct figure){ .what = "blocks of mixed type",
				  .value = end.mixed > removed.mixed ? end.mixed : removed.mixed,
				  .unit = "blocks" },
		&target_build_mixed);
}

void bench_build(const struct options *options)
{
	static char json[JSON_BYTES];
	const char *reason;

	report_figures_begin("pages-build, a recorded compile");
	if (replay(json, &reason))
		marks_report(options, json);
	else
		report_refused(options, "pages-build", reason);
}
