/* SPDX-License-Identifier: MIT */
/*
 * json.c - what a replay found, for machines
 *
 * Keys that end in _ns or contain ns_per are times; all others of a one-thread replay are the same
 * each time.  The file appears whole or not at all: it is written beside its place and renamed.
 */
#include "outcome.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quire/quire.h>

static const char *const type_keys[OCCUPANCY_TYPES_NR] = { "unmovable", "movable", "reclaimable" };

/* Strings of a trace are printable ASCII, a path is anything. */
static void put_string(FILE *file, const char *string)
{
	fputc('"', file);
	for (; *string != '\0'; string++) {
		unsigned char c = (unsigned char)*string;

		if (c == '"' || c == '\\')
			fprintf(file, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			fprintf(file, "\\u%04x", c);
		else
			fputc(c, file);
	}
	fputc('"', file);
}

static void put_key_string(FILE *file, const char *key, const char *string)
{
	fprintf(file, "\"%s\": ", key);
	put_string(file, string);
}

static void put_u64(FILE *file, const char *indent, const char *key, uint64_t value)
{
	fprintf(file, "%s\"%s\": %" PRIu64 ",\n", indent, key, value);
}

/* ---- totals ---------------------------------------------------------------------------------- */

static void put_allocs(FILE *file, const struct plan *plan)
{
	fprintf(file, "        \"allocs_by_order_and_type\": [\n");
	for (unsigned order = 0; order < PLAN_ORDERS_NR; order++) {
		fprintf(file, "          {\"order\": %u", order);
		for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
			fprintf(file, ", \"%s\": %" PRIu64, type_keys[type],
				plan->totals.allocs[order][type]);
		fprintf(file, "}%s\n", order + 1 < PLAN_ORDERS_NR ? "," : "");
	}
	fprintf(file, "        ],\n");
}

static void put_served(FILE *file, const char *key, struct served served)
{
	fprintf(file,
		"        \"%s\": {\"total\": %" PRIu64 ", \"stacks\": %" PRIu64
		", \"lists\": %" PRIu64 ", \"buddy\": %" PRIu64 "},\n",
		key, served.total, served.stacks, served.lists, served.buddy);
}

static void put_stat(FILE *file, const struct quire_page_stat *stat)
{
	static const char indent[] = "        ";

	put_u64(file, indent, "zone_lock_acquisitions", stat->zone_lock_acquisitions);
	put_u64(file, indent, "drains", stat->drains);
	put_u64(file, indent, "refills", stat->refills);
	put_u64(file, indent, "spills", stat->spills);
	put_u64(file, indent, "depot_moves", stat->depot_moves);
	put_u64(file, indent, "fallback_claims", stat->fallback_claims);
	put_u64(file, indent, "fallback_steals", stat->fallback_steals);
	put_u64(file, indent, "emptying_frees", stat->emptying_frees);
	put_u64(file, indent, "metadata_bytes", stat->metadata_bytes);
}

static void put_totals(FILE *file, const struct outcome *outcome)
{
	const struct plan_totals *totals = &outcome->plan->totals;
	static const char indent[] = "        ";

	fprintf(file, "      \"totals\": {\n");
	put_u64(file, indent, "records", totals->records_nr);
	put_u64(file, indent, "ids", totals->ids_nr);
	put_u64(file, indent, "operations", plan_operations(outcome->plan));
	put_u64(file, indent, "allocs", totals->allocs_nr);
	put_u64(file, indent, "frees", totals->frees_nr);
	put_u64(file, indent, "frees_batched", totals->frees_batched_nr);
	put_u64(file, indent, "splits", totals->splits_nr);
	put_u64(file, indent, "kernel_fails", totals->fails_nr);
	put_allocs(file, outcome->plan);
	put_u64(file, indent, "peak_pages", totals->live_pages_peak);
	put_u64(file, indent, "final_pages", totals->live_pages);
	put_u64(file, indent, "peak_blocks", totals->live_blocks_peak);
	put_u64(file, indent, "final_blocks", totals->live_blocks);
	put_served(file, "served_allocs", outcome_served_allocs(outcome));
	put_served(file, "served_frees", outcome_served_frees(outcome));
	put_stat(file, &outcome->checked.stat);
	fprintf(file, "        \"zone_locks_per_1000_operations\": %.4f,\n",
		outcome_zone_locks_per_1000(outcome));
	fprintf(file, "        \"ns_per_operation\": %.2f,\n", outcome->ns_per_operation);
	fprintf(file, "        \"loop_ns_per_operation\": %.2f,\n", outcome->loop_ns_per_operation);
	put_u64(file, indent, "blocks_checked", outcome->checked.blocks_checked);
	fprintf(file, "        \"bytes_checked\": %" PRIu64 "\n", outcome->checked.bytes_checked);
	fprintf(file, "      },\n");
}

/* ---- marks ----------------------------------------------------------------------------------- */

static void put_side(FILE *file, const char *side, const struct occupancy_summary *summary,
		     uint64_t free_pages, uint64_t cached_pages)
{
	fprintf(file, "          \"%s\": {\"live_pages\": %" PRIu64 ", \"blocks_pinned\": %" PRIu64,
		side, summary->live_pages, summary->blocks_pinned);
	for (unsigned type = 0; type < OCCUPANCY_TYPES_NR; type++)
		fprintf(file, ", \"blocks_%s\": %" PRIu64, type_keys[type],
			summary->blocks_of_type[type]);
	fprintf(file,
		", \"blocks_mixed\": %" PRIu64 ", \"free_pages\": %" PRIu64
		", \"cached_pages\": %" PRIu64 "}",
		summary->blocks_mixed, free_pages, cached_pages);
}

static void put_mark(FILE *file, const struct outcome *outcome, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];
	const struct engine_mark *measured = &outcome->checked.marks[index];

	fprintf(file, "        {");
	put_key_string(file, "name", mark->name);
	fprintf(file, ", \"seconds\": %.6f, \"live_blocks\": %" PRIu64, mark->seconds,
		mark->live_blocks);
	fprintf(file, ", \"blocks_at_best\": %" PRIu64 ",\n",
		outcome_blocks_at_best(outcome, mark->kernel.occupancy.live_pages));
	put_side(file, "kernel", &mark->kernel.occupancy, mark->kernel.free_pages,
		 mark->kernel.cached_pages);
	fprintf(file, ",\n");
	put_side(file, "quire", &measured->occupancy, measured->stat.free_pages,
		 measured->stat.cached_pages);
	fprintf(file, "}%s\n", index + 1 < outcome->plan->marks_nr ? "," : "");
}

static void put_outcome(FILE *file, const struct outcome *outcome)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "    {\n      ");
	put_key_string(file, "file", plan->path);
	fprintf(file, ",\n      ");
	put_key_string(file, "name", plan->name);
	fprintf(file, ",\n      ");
	put_key_string(file, "workload", plan->workload);
	fprintf(file, ",\n      ");
	put_key_string(file, "kernel", plan->kernel);
	fprintf(file, ",\n      \"kind\": \"page\", \"cpus\": %u, \"seconds\": %.6f,\n",
		plan->cpus_nr, plan->seconds);
	put_totals(file, outcome);
	fprintf(file, "      \"marks\": [\n");
	for (uint32_t i = 0; i < plan->marks_nr; i++)
		put_mark(file, outcome, i);
	fprintf(file, "      ]\n    }");
}

/* ---- the file -------------------------------------------------------------------------------- */

static void put_file(FILE *file, const struct outcome *outcomes, unsigned outcomes_nr)
{
	fprintf(file, "{\n  \"version\": 1,\n  \"quire\": \"%d.%d\",\n  \"mode\": \"%s\",\n",
		QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR,
		outcomes[0].threads ? "threads" : "one-thread");
	fprintf(file, "  \"traces\": [\n");
	for (unsigned i = 0; i < outcomes_nr; i++) {
		put_outcome(file, &outcomes[i]);
		fprintf(file, "%s\n", i + 1 < outcomes_nr ? "," : "");
	}
	fprintf(file, "  ]\n}\n");
}

/* Closes @file whatever happens: 0, or the first error of writing, syncing or closing. */
static int finish_file(FILE *file)
{
	int result = 0;

	if (fflush(file) != 0 || ferror(file))
		result = -EIO;
	if (fclose(file) != 0)
		result = -errno;
	return result;
}

int json_write(const char *path, const struct outcome *outcomes, unsigned outcomes_nr)
{
	size_t bytes = strlen(path) + sizeof(".XXXXXX");
	char *temporary = malloc(bytes);
	FILE *file = NULL;
	int result = 0;
	int fd;

	if (temporary == NULL)
		return -ENOMEM;
	snprintf(temporary, bytes, "%s.XXXXXX", path);
	fd = mkstemp(temporary);
	if (fd >= 0)
		file = fdopen(fd, "w");
	if (file == NULL) {
		result = -errno;
	} else {
		put_file(file, outcomes, outcomes_nr);
		result = finish_file(file);
	}
	if (result == 0 && rename(temporary, path) != 0)
		result = -errno;
	if (result != 0 && fd >= 0)
		unlink(temporary);
	free(temporary);
	return result;
}
