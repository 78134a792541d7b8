/* SPDX-License-Identifier: MIT */
/* json_percpu.c - a replay of per-CPU objects, as JSON */
#include "replay/json_text.h"

#include <inttypes.h>

#define PAIRS_NR(pairs) (sizeof(pairs) / sizeof((pairs)[0]))

static void put_stat(FILE *file, const char *key, const struct quire_percpu_stat *stat)
{
	const struct json_pair pairs[] = {
		{ "populated_kB", stat->populated_kB },
		{ "populated_pages", stat->populated_pages },
		{ "first_pages", stat->first_pages },
		{ "empty_pages", stat->empty_pages },
		{ "isolated_pages", stat->isolated_pages },
		{ "metadata_kB", stat->metadata_bytes / 1024 },
		{ "objects", stat->objects },
		{ "cached_objects", stat->cached_objects },
		{ "chunks", stat->chunks },
		{ "chunks_created", stat->chunks_created },
		{ "chunks_destroyed", stat->chunks_destroyed },
		{ "chunks_isolated", stat->chunks_isolated },
		{ "chunks_sidelined", stat->chunks_sidelined },
		{ "chunks_reintegrated", stat->chunks_reintegrated },
		{ "flushes", stat->flushes },
		{ "flushed_pages", stat->flushed_pages },
		{ "pages_populated", stat->pages_populated },
		{ "pages_depopulated", stat->pages_depopulated },
		{ "refusals", stat->refusals },
		{ "atomic_refusals", stat->atomic_refusals },
	};

	fprintf(file, "\"%s\": ", key);
	json_put_pairs(file, pairs, PAIRS_NR(pairs));
}

static void put_kernel(FILE *file, const struct plan_kernel_percpu *kernel)
{
	const struct json_pair pairs[] = {
		{ "populated_kB", kernel->populated_kB },
		{ "metadata_kB", outcome_kernel_metadata_kB(kernel) },
		{ "objects", kernel->objects },
		{ "chunks", kernel->chunks },
		{ "chunks_created", kernel->chunks_created },
		{ "chunks_destroyed", kernel->chunks_destroyed },
		{ "empty_pages", kernel->empty_pages },
	};

	fprintf(file, "\"kernel\": ");
	json_put_pairs(file, pairs, PAIRS_NR(pairs));
}

static void put_mark(FILE *file, const struct outcome *outcome, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];
	static const char between[] = ",\n          ";

	fprintf(file, "        {");
	json_put_mark(file, mark);
	fprintf(file, "\"live_kB\": %" PRIu64 "%s", outcome_live_kB(outcome->plan, mark), between);
	put_kernel(file, &mark->kernel.percpu);
	fprintf(file, "%s", between);
	put_stat(file, "quire", &outcome->checked.marks[index].objects.percpu);
	if (outcome->has_kept) {
		fprintf(file, "%s", between);
		put_stat(file, "quire_depopulate_off", &outcome->kept.marks[index].objects.percpu);
	}
	fprintf(file, "}%s\n", index + 1 < outcome->plan->marks_nr ? "," : "");
}

void json_put_percpu(FILE *file, const struct outcome *outcome)
{
	static const char indent[] = "        ";

	fprintf(file, "      \"totals\": {\n");
	json_put_object_totals(file, indent, outcome->plan);
	fprintf(file, "%s", indent);
	put_stat(file, "quire", &outcome->checked.objects.percpu);
	fprintf(file, ",\n");
	json_put_checked(file, indent, outcome);
	fprintf(file, "      },\n      \"marks\": [\n");
	for (uint32_t i = 0; i < outcome->plan->marks_nr; i++)
		put_mark(file, outcome, i);
	fprintf(file, "      ]");
}
