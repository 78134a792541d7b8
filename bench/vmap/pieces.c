/* SPDX-License-Identifier: MIT */
/*
 * pieces.c - what comes back, and how many mappings are there, when memory goes back in pieces?
 *
 * Method  "memory": a process writes 64 MiB of pages and releases 63 of 64, then sleeps 40 s, in which the
 *         system's thread visits it four times by default.  "mappings": a process takes 285,000 areas of
 *         500,000 bytes, frees every other half of 2 MiB in sixteenths, and then all in sixteenths, and
 *         purges after each, with thp:on, the worst case.
 * Read    MiB of resident memory beyond the beginning, of which one is in use.  Lines of /proc/self/maps.
 * Refused The memory, where the system gives no huge pages: nothing could come back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "harness/bench.h"
#include "harness/proc.h"

#define MIB(n)	   ((size_t)(n) << 20)
#define PAGES_NR   (MIB(64) / 4096)
#define KEPT_EACH  64u
#define WAIT_MS	   40000u
#define AREAS_NR   285000u
#define AREA_BYTES 500000u
#define SIXTEENTH  (AREAS_NR / 16 + 1)

/* What a child found: two values, or the reason for none. */
struct found {
	double value[2];
	char refused[64];
};

/* Runs @measure in a process of its own. */
static bool apart(void (*measure)(struct found *found), struct found *found)
{
	bool got = false;
	int ends[2];
	pid_t child;

	if (pipe(ends) != 0)
		return false;
	fflush(NULL);
	child = fork();
	if (child == 0) {
		*found = (struct found){ .refused = "" };
		measure(found);
		_exit(write(ends[1], found, sizeof(*found)) == sizeof(*found) ? 0 : 1);
	}
	close(ends[1]);
	if (child > 0) {
		got = read(ends[0], found, sizeof(*found)) == sizeof(*found);
		waitpid(child, NULL, 0);
	}
	close(ends[0]);
	return got;
}

static bool has_huge_pages(void)
{
	FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "re");
	char text[64] = "";
	bool has = file && fgets(text, sizeof(text), file) && !strstr(text, "[never]");

	if (file)
		fclose(file);
	return has;
}

static double beyond_mib(uint64_t before_kib)
{
	return ((double)proc_rss_kib() - (double)before_kib) / 1024;
}

/* Takes and writes @nr pages, and releases all but one of KEPT_EACH.  NULL: something was refused. */
static struct quire *leave_few(unsigned nr)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256));
	static char *page[PAGES_NR];
	struct quire *q;

	if (quire_create(&options, &q) != 0)
		return NULL;
	for (unsigned i = 0; i < nr; i++) {
		page[i] = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
		if (!page[i])
			return NULL;
		*page[i] = 1;
	}
	for (unsigned i = 0; i < nr; i++)
		if (i % KEPT_EACH != 0)
			quire_free_pages(q, page[i], 0);
	quire_release(q);
	memset(page, 1, sizeof(page)); /* so that it is part of the beginning */
	return q;
}

static void measure_memory(struct found *found)
{
	uint64_t before_kib;

	if (!has_huge_pages()) {
		strcpy(found->refused, "the system gives no huge pages");
		return;
	}
	/* So that the beginning has the pages of the program itself. */
	if (leave_few(PAGES_NR / 16))
		proc_rss_kib();
	before_kib = proc_rss_kib();
	if (!leave_few(PAGES_NR)) {
		strcpy(found->refused, "an allocation was refused");
		return;
	}
	found->value[0] = beyond_mib(before_kib);
	proc_sleep_ms(WAIT_MS);
	found->value[1] = beyond_mib(before_kib);
}

static void note_mappings(double *most)
{
	unsigned mappings = proc_mappings();

	if (mappings > *most)
		*most = mappings;
}

/* The second half of each block of 2 MiB of two. */
static bool is_in_pattern(const char *area)
{
	return ((uintptr_t)area >> 21 & 1) == 0 && ((uintptr_t)area >> 20 & 1) != 0;
}

static void free_sixteenth(struct quire *q, char **area, unsigned first, bool all, double *most)
{
	for (unsigned i = first; i < AREAS_NR && i < first + SIXTEENTH; i++) {
		if (!all && !is_in_pattern(area[i]))
			continue;
		quire_vfree(q, area[i]);
		area[i] = NULL;
	}
	note_mappings(most);
	quire_vmap_purge(q);
	note_mappings(most);
}

static void measure_mappings(struct found *found)
{
	/* Nothing is written, so it is addresses that are needed. */
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (size_t)256 << 30, .guard = QUIRE_GUARD_OFF,
				   .thp = QUIRE_ON);
	static char *area[AREAS_NR];
	struct quire *q;
	double left = 0;

	if (quire_create(&options, &q) != 0) {
		strcpy(found->refused, "no instance");
		return;
	}
	for (unsigned i = 0; i < AREAS_NR; i++) {
		area[i] = quire_vmalloc(q, AREA_BYTES, 0);
		if (!area[i]) {
			strcpy(found->refused, "an allocation was refused");
			return;
		}
	}
	note_mappings(&found->value[0]);
	for (unsigned i = 0; i < AREAS_NR; i += SIXTEENTH)
		free_sixteenth(q, area, i, false, &found->value[0]);
	for (unsigned i = 0; i < AREAS_NR; i += SIXTEENTH)
		free_sixteenth(q, area, i, true, &found->value[0]);
	note_mappings(&left);
	found->value[1] = left;
}

static void figures(const struct options *options, void (*measure)(struct found *found),
		    const char *const what[2], const char *unit, const struct target *target)
{
	struct found found;

	for (unsigned i = 0; i < 2; i++) {
		if (i == 0 && !apart(measure, &found)) {
			report_refused(options, what[0], "the process died");
			return;
		}
		if (*found.refused)
			report_refused(options, what[i], found.refused);
		else
			report_figure(options,
				      &(struct figure){ .what = what[i],
							.value = found.value[i],
							.unit = unit },
				      target);
	}
}

void bench_pieces(const struct options *options)
{
	static const char *const memory[2] = { "63 of 64 pages of 64 MiB released",
					       "the same, 40 s later" };
	static const char *const mappings[2] = {
		"285,000 areas, thp:on, a pattern freed, then all: most",
		"the same, when all are freed"
	};

	report_figures_begin("given back in pieces: memory left, mappings");
	figures(options, measure_memory, memory, "MiB", &target_pieces_mib);
	figures(options, measure_mappings, mappings, "mappings", &target_pieces_mappings);
}
