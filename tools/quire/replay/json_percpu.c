/* SPDX-License-Identifier: MIT */
/* json_percpu.c - a replay of per-CPU objects, as JSON */
#include "replay/json_text.h"

#include <inttypes.h>

static void put_stat(FILE *file, const struct object_stat *objects)
{
	const struct quire_percpu_stat *stat = &objects->percpu;
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

	json_put_pairs(file, pairs, PAIRS_NR(pairs));
}

static void put_mark(FILE *file, const struct outcome *outcome, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];

	fprintf(file, "\"live_kB\": %" PRIu64 ",\n          \"kernel\": ",
		outcome_live_kB(outcome->plan, mark));
	put_kernel(file, &mark->kernel.percpu);
	fprintf(file, ",\n          \"quire\": ");
	put_stat(file, &outcome->checked.marks[index].objects);
	if (outcome->has_kept) {
		fprintf(file, ",\n          \"quire_depopulate_off\": ");
		put_stat(file, &outcome->kept.marks[index].objects);
	}
}

void json_put_percpu(FILE *file, const struct outcome *outcome)
{
	json_put_objects(file, outcome, put_stat, put_mark);
}
