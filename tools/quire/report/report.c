/* SPDX-License-Identifier: MIT */
/*
 * report.c - quire report: recordings and statistics as one page
 *
 * All inputs are read, and refused if need be, before anything is written.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <quire/quire.h>

#include "base/text.h"
#include "common/output.h"
#include "common/spool.h"
#include "report/draw.h"
#include "report/report.h"

#define PAGE_BYTES_MAX ((size_t)2000 * 1000)
#define COARSE_MAX     5u

/* ---- reading ---------------------------------------------------------------------------------- */

/* Statistics begin as JSON does; all else is for the reader of recordings to refuse. */
static int is_statistics(const char *path, bool *answer)
{
	FILE *file = spool_open(path);
	int byte;

	if (file == NULL)
		return -errno;
	do
		byte = fgetc(file);
	while (byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r');
	*answer = byte == '{';
	fclose(file);
	return 0;
}

static int compare_holders(const void *a, const void *b)
{
	const struct holder *x = a, *y = b;

	return (x->peak_bytes < y->peak_bytes) - (x->peak_bytes > y->peak_bytes);
}

/* Those that only asked in vain are left out. */
static void sort_holders(struct source *source)
{
	if (source->holders_nr == 0) /* and there is no array */
		return;
	qsort(source->holders, source->holders_nr, sizeof(source->holders[0]), compare_holders);
	while (source->holders_nr > 0 && source->holders[source->holders_nr - 1].peak_bytes == 0)
		source->holders_nr--;
}

static int read_source(const struct report_request *request, struct source *source, char *error,
		       size_t error_bytes)
{
	bool reads_statistics = false;
	int result = is_statistics(source->path, &reads_statistics);

	if (result != 0) {
		snprintf(error, error_bytes, "%s: %s", source->path, strerror(-result));
		return result == -ENOMEM ? result : -1;
	}
	if (reads_statistics && source->conf != NULL) {
		snprintf(error, error_bytes, "%s: these are statistics: nothing to replay",
			 source->path);
		return -1;
	}
	if (reads_statistics)
		return source_read_statistics(source, error, error_bytes);
	result = source_read_recording(source, error, error_bytes);
	if (result == 0 && !request->skips_replay)
		result = source_replay(source, error, error_bytes);
	sort_holders(source);
	return result;
}

static void tell_machine(struct source *source)
{
	struct utsname name;

	source_made(source, "report by", "quire %d.%d.%d", QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR,
		    QUIRE_VERSION_PATCH);
	if (source->conf != NULL)
		source_made(source, "replayed with", "%s", source->conf);
	if (uname(&name) == 0)
		source_made(source, "report made on", "%s %s %s, %ld CPUs", name.sysname,
			    name.release, name.machine, sysconf(_SC_NPROCESSORS_ONLN));
}

static enum exit_status read_sources(const struct report_request *request, struct report *report)
{
	char error[512];

	for (unsigned i = 0; i < report->sources_nr; i++) {
		struct source *source = &report->sources[i];
		int result;

		source->letter = (char)('A' + i);
		source->path = request->paths[request->a != NULL ? 0 : i];
		source->conf = i == 0 ? request->a : request->b;
		result = read_source(request, source, error, sizeof(error));
		if (result != 0) {
			fprintf(stderr, "quire report: %s\n", error);
			return result == -ENOMEM ? EXIT_FOUND : EXIT_USAGE;
		}
		tell_machine(source);
		source_write_sentences(source);
		if (source->seconds > report->seconds)
			report->seconds = source->seconds;
		if (source->is_indexed != report->sources[0].is_indexed) {
			fprintf(stderr,
				"quire report: %s and %s: one has times, the other only an order\n",
				report->sources[0].path, source->path);
			return EXIT_USAGE;
		}
	}
	if (report->seconds <= 0) /* of one moment: times are drawn as shares of this */
		report->seconds = 1;
	return EXIT_OK;
}

/* ---- writing ---------------------------------------------------------------------------------- */

typedef void writer(FILE *file, const struct report *report);

/* To standard output if there is no path.  0 or -errno; a failure of standard output is main()'s to see. */
static int write_output(const char *path, writer *write, const struct report *report)
{
	struct output output;

	if (path == NULL) {
		write(stdout, report);
		return 0;
	}
	if (output_begin(&output) == NULL)
		return -ENOMEM;
	write(output.file, report);
	return output_end(&output, path);
}

/* The page's size with the detail that is set; 0 without memory. */
static size_t page_bytes(const struct report *report)
{
	struct output output;
	size_t bytes;

	if (output_begin(&output) == NULL)
		return 0;
	report_write_page(output.file, report);
	bytes = fclose(output.file) == 0 ? output.bytes : 0;
	free(output.text);
	return bytes;
}

/*
 * As many levels of detail as there is room for, then less detail in the last one.  At COARSE_MAX a line has 32 points and a
 * map's row 8 cells: eight inputs with all figures are then below 1 MB, of which most are names of holders.
 */
static int choose_detail(struct report *report)
{
	size_t bytes;

	for (report->levels_nr = LEVELS_MAX;; report->levels_nr--) {
		bytes = page_bytes(report);
		if (bytes == 0)
			return -ENOMEM;
		if (bytes <= PAGE_BYTES_MAX)
			return 0;
		if (report->levels_nr == 1)
			break;
	}
	while (bytes > PAGE_BYTES_MAX && report->coarse < COARSE_MAX) {
		report->coarse++;
		bytes = page_bytes(report);
	}
	return bytes != 0 ? 0 : -ENOMEM;
}

static enum exit_status write_all(const struct report_request *request, struct report *report)
{
	const struct {
		const char *path;
		writer *write;
		bool wanted;
	} outputs[] = {
		{ request->page, report_write_page, true },
		{ request->json, report_write_json, request->json != NULL },
		{ request->perfetto, report_write_perfetto, request->perfetto != NULL },
	};
	int result = choose_detail(report);

	if (result != 0) {
		fprintf(stderr, "quire report: %s\n", strerror(-result));
		return EXIT_FOUND;
	}
	for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]) && result == 0; i++) {
		if (!outputs[i].wanted)
			continue;
		result = write_output(outputs[i].path, outputs[i].write, report);
		if (result != 0)
			fprintf(stderr, "quire report: %s: %s\n", outputs[i].path,
				strerror(-result));
	}
	return result == 0 ? EXIT_OK : EXIT_UNWRITTEN;
}

/* ---- the command ------------------------------------------------------------------------------ */

/* A word as the shell takes it. */
static void put_word(struct text *text, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "%+,-./:=@_";

	if (word[0] != '\0' && word[strspn(word, plain)] == '\0') {
		text_put(text, word);
		return;
	}
	text_put(text, "'");
	for (; *word != '\0'; word++)
		if (*word == '\'')
			text_put(text, "'\\''");
		else
			text_put_bytes(text, word, 1);
	text_put(text, "'");
}

/* For whoever wants to make the page again. */
static void keep_command(struct report *report, int argc, char **argv)
{
	struct text text;

	text_init(&text, report->command, sizeof(report->command));
	text_put(&text, "quire");
	for (int i = 0; i < argc; i++) {
		text_put(&text, " ");
		put_word(&text, argv[i]);
	}
}

static enum exit_status run(int argc, char **argv)
{
	struct report_request request;
	struct report report = { .sources_nr = 0 };
	enum exit_status status;

	keep_command(&report, argc, argv);
	if (!report_parse(&request, argc, argv, &status))
		return status;
	report.sources_nr = request.a != NULL ? 2 : request.paths_nr;
	report.sources = calloc(report.sources_nr, sizeof(report.sources[0]));
	if (report.sources == NULL)
		return command_no_memory("report");
	status = read_sources(&request, &report);
	if (status == EXIT_OK)
		status = write_all(&request, &report);
	for (unsigned i = 0; i < report.sources_nr; i++) {
		if (status == EXIT_OK && report.sources[i].trouble[0] != '\0')
			status = EXIT_FOUND;
		source_fini(&report.sources[i]);
	}
	free(report.sources);
	return status;
}

const struct command command_report = {
	.name = "report",
	.summary = "recordings and figures as one page that opens without a network",
	.synopsis = "quire report [-o FILE] [--json FILE] [--perfetto FILE] [--no-replay]\n"
		    "             TRACE|STATS...\n"
		    "quire report -a STRING -b STRING [-o FILE] TRACE",
	.about = "Writes one HTML page of at most 2 MB: what happened, memory over time, free\n"
		 "blocks, the address space, sizes, lifetimes, latencies.  TRACE is a recording;\n"
		 "it is replayed, and Quire's lines stand beside the kernel's.  STATS is what\n"
		 "`quire stats --json` prints, of several calls, or `quire top --json`.  Several\n"
		 "inputs share the axes.  Either may be a pipe, or -.",
	.options = report_rows,
	.exit_statuses =
		"Exit status: 0; 1 Quire refused a block, which the page says, or there was no\n"
		"memory; 2 wrong arguments or input; 3 some output could not be written.",
	.run = run,
};
