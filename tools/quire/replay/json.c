/* SPDX-License-Identifier: MIT */
/*
 * json.c - the result of a replay as JSON
 *
 * Keys that end in _ns or contain ns_per are times; all other values of a one-thread replay are the
 * same each time.  The file is written completely or not at all (output.h).
 */
#include "replay/json_text.h"
#include "common/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <quire/quire.h>

void json_put_string(FILE *file, const char *key, const char *string)
{
	fprintf(file, "\"%s\": ", key);
	json_put_text(file, string);
}

void json_put_pairs(FILE *file, const struct json_pair *pairs, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		fprintf(file, "%s\"%s\": %" PRIu64, i == 0 ? "{" : ", ", pairs[i].key,
			pairs[i].value);
	fprintf(file, "}");
}

/* ---- what the kinds share -------------------------------------------------------------------- */

/* The first of the totals of areas and objects; @indent before each line. */
static void put_object_totals(FILE *file, const char *indent, const struct plan *plan)
{
	const struct plan_totals *totals = &plan->totals;
	const char *before = "";

	json_put_u64(file, indent, "records", totals->records_nr);
	json_put_u64(file, indent, "ids", totals->ids_nr);
	json_put_u64(file, indent, "operations", plan_operations(plan));
	json_put_u64(file, indent, "allocs", totals->allocs_nr);
	json_put_u64(file, indent, "frees", totals->frees_nr);
	json_put_u64(file, indent, "kernel_fails", totals->fails_nr);
	fprintf(file, "%s\"allocs_by_size\": [", indent);
	for (unsigned i = 0; i < PLAN_SIZES_NR; i++) {
		if (totals->sizes[i] == 0)
			continue;
		fprintf(file, "%s{\"bytes_max\": %" PRIu64 ", \"allocs\": %" PRIu64 "}", before,
			(uint64_t)1 << i, totals->sizes[i]);
		before = ", ";
	}
	fprintf(file, "],\n");
	json_put_u64(file, indent, "peak_blocks", totals->live_blocks_peak);
	json_put_u64(file, indent, "final_blocks", totals->live_blocks);
	json_put_u64(file, indent, "peak_bytes", totals->live_bytes_peak);
	json_put_u64(file, indent, "final_bytes", totals->live_bytes);
}

void json_put_checked(FILE *file, const char *indent, const struct outcome *outcome)
{
	fprintf(file, "%s\"ns_per_operation\": %.2f,\n", indent, outcome->ns_per_operation);
	fprintf(file, "%s\"loop_ns_per_operation\": %.2f,\n", indent,
		outcome->loop_ns_per_operation);
	json_put_u64(file, indent, "blocks_checked", outcome->checked.blocks_checked);
	fprintf(file, "%s\"bytes_checked\": %" PRIu64 "\n", indent, outcome->checked.bytes_checked);
}

void json_put_marks(FILE *file, const struct outcome *outcome, json_put_mark_fn put_mark)
{
	const struct plan *plan = outcome->plan;

	fprintf(file, "      \"marks\": [\n");
	for (uint32_t i = 0; i < plan->marks_nr; i++) {
		fprintf(file, "        {");
		json_put_string(file, "name", plan->marks[i].name);
		fprintf(file, ", \"seconds\": %.6f, \"live_blocks\": %" PRIu64 ", ",
			plan->marks[i].seconds, plan->marks[i].live_blocks);
		put_mark(file, outcome, i);
		fprintf(file, "}%s\n", i + 1 < plan->marks_nr ? "," : "");
	}
	fprintf(file, "      ]");
}

void json_put_objects(FILE *file, const struct outcome *outcome, json_put_stat_fn put_stat,
		      json_put_mark_fn put_mark)
{
	static const char indent[] = "        ";

	fprintf(file, "      \"totals\": {\n");
	put_object_totals(file, indent, outcome->plan);
	fprintf(file, "%s\"quire\": ", indent);
	put_stat(file, &outcome->checked.objects);
	fprintf(file, ",\n");
	json_put_checked(file, indent, outcome);
	fprintf(file, "      },\n");
	json_put_marks(file, outcome, put_mark);
}

/* ---- a trace --------------------------------------------------------------------------------- */

static void put_kind(FILE *file, const struct outcome *outcome)
{
	const struct plan *plan = outcome->plan;

	fprintf(file,
		"\"kind\": \"%s\", \"cpus\": %u, \"seconds\": %.6f, \"lost_events\": %" PRIu64
		",\n",
		katr_kind_name(plan->kind), plan->cpus_nr, plan->seconds, plan->lost_nr);
	if (plan->kind == KATR_PAGE)
		json_put_pages(file, outcome);
	else if (plan->kind == KATR_VMAP)
		json_put_vmap(file, outcome);
	else if (plan->kind == KATR_SLAB)
		json_put_slab(file, outcome);
	else
		json_put_percpu(file, outcome);
}

/* A trace, with the further kinds that it holds.  Returns how many outcomes those are, all told. */
static unsigned put_trace(FILE *file, const struct outcome *outcomes, unsigned outcomes_nr)
{
	const struct plan *plan = outcomes[0].plan;
	unsigned nr = 1;

	fprintf(file, "    {\n      ");
	json_put_string(file, "file", plan->path);
	fprintf(file, ",\n      ");
	json_put_string(file, "name", plan->name);
	fprintf(file, ",\n      ");
	json_put_string(file, "workload", plan->workload);
	fprintf(file, ",\n      ");
	json_put_string(file, "kernel", plan->kernel);
	fprintf(file, ",\n      ");
	put_kind(file, &outcomes[0]);
	fprintf(file, ",\n      \"also\": [");
	for (; nr < outcomes_nr && outcomes[nr].is_further; nr++) {
		fprintf(file, "%s{\n      ", nr > 1 ? ", " : "");
		put_kind(file, &outcomes[nr]);
		fprintf(file, "}");
	}
	fprintf(file, "]\n    }");
	return nr;
}

/* ---- the file -------------------------------------------------------------------------------- */

static void put_file(FILE *file, const struct outcome *outcomes, unsigned outcomes_nr)
{
	fprintf(file, "{\n  \"version\": 1,\n  \"quire\": \"%d.%d\",\n  \"mode\": \"%s\",\n",
		QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR,
		outcomes[0].threads ? "threads" : "one-thread");
	fprintf(file, "  \"traces\": [\n");
	for (unsigned i = 0; i < outcomes_nr;) {
		i += put_trace(file, outcomes + i, outcomes_nr - i);
		fprintf(file, "%s\n", i < outcomes_nr ? "," : "");
	}
	fprintf(file, "  ]\n}\n");
}

int json_write(const char *path, const struct outcome *outcomes, unsigned outcomes_nr)
{
	struct output output;

	if (output_begin(&output) == NULL)
		return -ENOMEM;
	put_file(output.file, outcomes, outcomes_nr);
	return output_end(&output, path);
}
