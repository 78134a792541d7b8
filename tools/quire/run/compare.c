/* SPDX-License-Identifier: MIT */
/*
 * compare.c - a program's memory over time: without Quire, with it, and with other libraries
 *
 * One run after the other: side by side they would share the machine's caches and its free memory.  Nothing is
 * counted in the program, so it is as fast as it would be without this command; only /proc is read.
 */
#include "run/compare.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "run/child.h"
#include "run/figures_print.h"
#include "run/history.h"
#include "run/loadable.h"

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* The exit status of the program, or of what kept it from running; @how says what malloc() it ran on. */
static int run_once(struct child_request *request, const char *how, struct history *history)
{
	struct child_end end;
	struct child child;
	bool is_exec;
	int error;

	if (output_flush("quire run") != 0)
		return EXIT_UNWRITTEN;
	error = child_start(&child, request, &is_exec);
	if (error != 0) {
		fprintf(stderr, "quire run: %s: %s\n", request->path, strerror(error));
		return is_exec ? EXIT_NOT_EXECUTABLE : EXIT_FOUND;
	}
	history->pid = child.pid;
	history->begin_ns = child.begin_ns;
	child_watch(&child, history_sample, history, &end);
	history->seconds = (double)(end.end_ns - child.begin_ns) / 1e9;
	history->cpu_seconds = seconds(&end.usage.ru_utime) + seconds(&end.usage.ru_stime);
	if (end.status != 0)
		fprintf(stderr, "quire run: %s: its status was %d %s\n", request->path, end.status,
			how);
	return end.status;
}

static int run_on_quire(struct child_request *request, struct preload *preload,
			struct history *history)
{
	int error, status;

	/* A program that a script becomes is compared, too. */
	preload->children = true;
	error = preload_share(preload);
	if (error != 0) {
		fprintf(stderr, "quire run: cannot share memory: %s\n", strerror(-error));
		return EXIT_FOUND;
	}
	/* The library is to say that it is there, and to count nothing. */
	preload->header->parts_nr = 0;
	history->identity.owner = &preload->header->owner[0];
	request->preload = preload;
	status = run_once(request, "with Quire", history);
	request->preload = NULL;
	if (status != 0 ||
	    (history->identity.owner->images_nr != 0 && !identity_is_other(&history->identity)))
		return status;
	fprintf(stderr, "quire run: %s: Quire did not start in it\n", request->path);
	return EXIT_NOT_ALIVE;
}

#define NAME_BYTES 20
struct comparison {
	struct history histories[HISTORIES_MAX];
	char names[HISTORIES_MAX][NAME_BYTES];
	unsigned nr;
};

/* What serves malloc() is named after its library: "/x/libjemalloc.so.2" -> "jemalloc".  NULL or "": libc's. */
static const char *name_next(struct comparison *comparison, const char *library)
{
	char *name = comparison->names[comparison->nr];
	const char *base = library;
	size_t bytes;

	if (library == NULL || library[0] == '\0')
		return "glibc";
	for (const char *at = library; *at != '\0' && *at != ':' && *at != ' '; at++)
		if (*at == '/')
			base = at + 1;
	base += strncmp(base, "lib", 3) == 0 ? 3 : 0;
	bytes = strcspn(base, ".: ");
	snprintf(name, NAME_BYTES, "%.*s", bytes < NAME_BYTES ? (int)bytes : NAME_BYTES - 1, base);
	return name;
}

static struct history *add(struct comparison *comparison, const char *name)
{
	struct history *history = &comparison->histories[comparison->nr++];

	history->name = name;
	return history;
}

/* In the order in which they are printed. */
static int run_all(struct comparison *comparison, const struct program *program,
		   const struct run_options *options, struct preload *preload)
{
	struct child_request request = { .path = program->path,
					 .arguments = options->arguments,
					 .reads_nothing = true };
	int status = run_once(&request, "without Quire",
			      add(comparison, name_next(comparison, getenv("LD_PRELOAD"))));

	if (status == 0)
		status = run_on_quire(&request, preload, add(comparison, "Quire"));
	for (unsigned i = 0; i < options->others_nr && status == 0; i++) {
		const char *library = options->others[i];
		char how[PATH_MAX + 8];

		if (!loadable(program->path, options->arguments, library)) {
			fprintf(stderr, "quire run: %s cannot be preloaded, and is left out\n",
				library);
			continue;
		}
		snprintf(how, sizeof(how), "with %s", library);
		request.other = library;
		status = run_once(&request, how, add(comparison, name_next(comparison, library)));
	}
	return status;
}

static void print_line(const struct history *history)
{
	char peak[BYTES_TEXT], end[BYTES_TEXT];

	printf("%-20s %11s %12s %10.2f s %10.2f s\n", history->name,
	       bytes_text(peak, history->peak_bytes), bytes_text(end, history_end_bytes(history)),
	       history->cpu_seconds, history->seconds);
}

/* The arguments as one line; NULL without memory. */
static char *join(char *const *arguments)
{
	size_t bytes;
	char *line = NULL;
	FILE *file = open_memstream(&line, &bytes);

	if (file == NULL)
		return NULL;
	for (size_t i = 0; arguments[i] != NULL; i++)
		fprintf(file, "%s%s", i == 0 ? "" : " ", arguments[i]);
	if (fclose(file) != 0)
		return NULL;
	return line;
}

static int draw(const char *path, const char *line, const struct comparison *comparison)
{
	struct output output;
	int error;

	if (output_begin(&output) == NULL) {
		fprintf(stderr, "quire run: %s: %s\n", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	picture_print(output.file, line, comparison->histories, comparison->nr);
	error = output_end(&output, path);
	if (error != 0)
		fprintf(stderr, "quire run: %s: %s\n", path, strerror(-error));
	return error;
}

static void print(const struct comparison *comparison, const char *line)
{
	printf("%s: resident memory\n\n", line);
	printf("%-20s %11s %12s %12s %12s\n", "", "peak", "at the end", "CPU time", "time");
	for (unsigned i = 0; i < comparison->nr; i++)
		print_line(&comparison->histories[i]);
	printf("\n");
	chart_print(stdout, comparison->histories, comparison->nr);
}

enum exit_status compare(const struct program *program, const struct run_options *options,
			 struct preload *preload)
{
	struct comparison comparison = { .nr = 0 };
	char *joined = join(options->arguments);
	const char *line = joined != NULL ? joined : program->path;
	int status = run_all(&comparison, program, options, preload);

	if (status == 0) {
		print(&comparison, line);
		if (options->svg != NULL && draw(options->svg, line, &comparison) != 0)
			status = EXIT_UNWRITTEN;
	}
	for (unsigned i = 0; i < comparison.nr; i++)
		history_fini(&comparison.histories[i]);
	free(joined);
	return (enum exit_status)status;
}
