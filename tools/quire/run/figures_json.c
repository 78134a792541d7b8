/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <quire/quire.h>

#include "common/json.h"
#include "common/output.h"
#include "run/figures_print.h"

static void put_pair(FILE *file, const char *key, int64_t peak, int64_t end)
{
	fprintf(file, "  \"%s\": {\"peak\": %" PRId64 ", \"end\": %" PRId64 "},\n", key,
		peak > 0 ? peak : 0, end > 0 ? end : 0);
}

static void put_arguments(FILE *file, char *const *arguments)
{
	fprintf(file, "  \"program\": [");
	for (size_t i = 0; arguments[i] != NULL; i++) {
		fprintf(file, "%s", i == 0 ? "" : ", ");
		json_put_text(file, arguments[i]);
	}
	fprintf(file, "],\n");
}

static double seconds(const struct timeval *time)
{
	return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

/* All rows with anything in them at the peak, smallest blocks first. */
static void put_sizes(FILE *file, const struct figures *figures)
{
	const char *before = "";

	fprintf(file, "  \"sizes_at_peak\": [");
	for (unsigned row = 0; row < REPORT_ROWS_NR; row++) {
		uint64_t least = row < REPORT_CLASSES_NR ? figures->class_bytes[row]
							 : (uint64_t)1 << (row - REPORT_CLASSES_NR);

		if (figures->peak.row_bytes[row] <= 0)
			continue;
		fprintf(file,
			"%s\n    {\"bytes\": %" PRIu64
			", \"and_more\": %s, \"held_bytes\": %" PRId64 "}",
			before, least, row < REPORT_CLASSES_NR ? "false" : "true",
			figures->peak.row_bytes[row]);
		before = ",";
	}
	fprintf(file, "\n  ]\n");
}

int figures_write_json(const char *path, const struct figures *figures, char *const *arguments,
		       const struct child *child, const struct child_end *end)
{
	struct output output;
	FILE *file = output_begin(&output);

	if (file == NULL)
		return -ENOMEM;
	fprintf(file, "{\n  \"version\": 1,\n  \"quire\": \"%d.%d\",\n", QUIRE_VERSION_MAJOR,
		QUIRE_VERSION_MINOR);
	put_arguments(file, arguments);
	fprintf(file, "  \"status\": %d,\n  \"signal\": %d,\n", end->status, end->signal);
	fprintf(file, "  \"seconds\": %.6f,\n  \"cpu_seconds\": %.6f,\n",
		(double)(end->end_ns - child->begin_ns) / 1e9,
		seconds(&end->usage.ru_utime) + seconds(&end->usage.ru_stime));
	put_pair(file, "in_use_bytes", figures->peak.bytes, figures->used.bytes);
	put_pair(file, "resident_bytes", (int64_t)figures->resident_peak_bytes,
		 (int64_t)figures->resident_bytes);
	json_put_u64(file, "  ", "calls", figures->calls_nr);
	json_put_u64(file, "  ", "slow_calls", figures->slow_nr);
	json_put_u64(file, "  ", "given_back_bytes", figures->given_back_bytes);
	json_put_u64(file, "  ", "processes", figures->processes_nr);
	json_put_u64(file, "  ", "uncounted_processes", figures->uncounted_nr);
	put_sizes(file, figures);
	fprintf(file, "}\n");
	return output_end(&output, path);
}
