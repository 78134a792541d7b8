/* SPDX-License-Identifier: MIT */
/*
 * compare.c - a program's memory over time, without Quire and with it
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

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* The exit status of the program, or of what kept it from running. */
static int run_once(const struct program *program, const struct run_options *options,
		    const struct preload *preload, struct history *history)
{
	struct child_request request = { .path = program->path,
					 .arguments = options->arguments,
					 .preload = preload,
					 .reads_nothing = true };
	struct child_end end;
	struct child child;
	bool is_exec;
	int error;

	if (output_flush("quire run") != 0)
		return EXIT_UNWRITTEN;
	error = child_start(&child, &request, &is_exec);
	if (error != 0) {
		fprintf(stderr, "quire run: %s: %s\n", program->path, strerror(error));
		return is_exec ? EXIT_NOT_EXECUTABLE : EXIT_FOUND;
	}
	history->pid = child.pid;
	history->begin_ns = child.begin_ns;
	child_watch(&child, history_sample, history, &end);
	history->seconds = (double)(end.end_ns - child.begin_ns) / 1e9;
	history->cpu_seconds = seconds(&end.usage.ru_utime) + seconds(&end.usage.ru_stime);
	if (end.status != 0)
		fprintf(stderr, "quire run: %s: its status was %d %s Quire\n", program->path,
			end.status, preload != NULL ? "with" : "without");
	return end.status;
}

static int run_both(const struct program *program, const struct run_options *options,
		    struct preload *preload, struct history *histories)
{
	int error, status = run_once(program, options, NULL, &histories[0]);

	if (status != 0)
		return status;
	/* A program that a script becomes is compared, too. */
	preload->children = true;
	error = preload_share(preload);
	if (error != 0) {
		fprintf(stderr, "quire run: cannot share memory: %s\n", strerror(-error));
		return EXIT_FOUND;
	}
	/* The library is to say that it is there, and to count nothing. */
	preload->header->parts_nr = 0;
	histories[1].identity.owner = &preload->header->owner[0];
	status = run_once(program, options, preload, &histories[1]);
	if (status != 0 || (histories[1].identity.owner->images_nr != 0 &&
			    !identity_is_other(&histories[1].identity)))
		return status;
	fprintf(stderr, "quire run: %s: Quire did not start in it\n", program->path);
	return EXIT_NOT_ALIVE;
}

/* What serves malloc() without Quire: libc's, or a library that the user preloads: "/x/libjemalloc.so.2" ->
 * "jemalloc". */
#define NAME_BYTES 16
static const char *name_of_other(char name[NAME_BYTES])
{
	const char *preload = getenv("LD_PRELOAD");
	const char *base = preload;
	size_t bytes;

	if (preload == NULL || preload[0] == '\0')
		return "glibc";
	for (const char *at = preload; *at != '\0' && *at != ':' && *at != ' '; at++)
		if (*at == '/')
			base = at + 1;
	base += strncmp(base, "lib", 3) == 0 ? 3 : 0;
	bytes = strcspn(base, ".: ");
	snprintf(name, NAME_BYTES, "%.*s", bytes < NAME_BYTES ? (int)bytes : NAME_BYTES - 1, base);
	return name;
}

static void print_line(const struct history *history)
{
	char peak[BYTES_TEXT], end[BYTES_TEXT];

	printf("%-16s %11s %12s %10.2f s %10.2f s\n", history->name,
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

static int draw(const char *path, const char *line, const struct history *histories)
{
	struct output output;
	int error;

	if (output_begin(&output) == NULL) {
		fprintf(stderr, "quire run: %s: %s\n", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	picture_print(output.file, line, histories, 2);
	error = output_end(&output, path);
	if (error != 0)
		fprintf(stderr, "quire run: %s: %s\n", path, strerror(-error));
	return error;
}

enum exit_status compare(const struct program *program, const struct run_options *options,
			 struct preload *preload)
{
	char name[NAME_BYTES];
	struct history histories[HISTORIES_MAX] = { { .name = name_of_other(name) },
						    { .name = "Quire" } };
	char *line = join(options->arguments);
	int status = run_both(program, options, preload, histories);

	if (status == 0) {
		printf("%s: resident memory\n\n", line != NULL ? line : program->path);
		printf("%-16s %11s %12s %12s %12s\n", "", "peak", "at the end", "CPU time", "time");
		print_line(&histories[0]);
		print_line(&histories[1]);
		printf("\n");
		chart_print(stdout, histories, 2);
		if (options->svg != NULL &&
		    draw(options->svg, line != NULL ? line : program->path, histories) != 0)
			status = EXIT_UNWRITTEN;
	}
	for (unsigned i = 0; i < HISTORIES_MAX; i++)
		history_fini(&histories[i]);
	free(line);
	return (enum exit_status)status;
}
