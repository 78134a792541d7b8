/* SPDX-License-Identifier: MIT */
/* json_slab.c - a replay of kmalloc() or malloc(), as JSON */
#include "replay/json_text.h"

static void put_stat(FILE *file, const struct object_stat *stat)
{
	const struct quire_slab_stat *slab = &stat->slab;
	const struct json_pair pairs[] = {
		{ "slabs", slab->slabs },
		{ "slab_bytes", slab->slab_bytes },
		{ "objects", slab->objects },
		{ "used", slab->used },
		{ "used_bytes", slab->used_bytes },
		{ "cached", slab->cached },
		{ "cached_bytes", slab->cached_bytes },
		{ "free_bytes", slab->free_bytes },
		{ "refills", slab->refills },
		{ "spills", slab->spills },
		{ "metadata_bytes", slab->metadata_bytes },
		{ "large_bytes", stat->large_bytes },
	};

	json_put_pairs(file, pairs, PAIRS_NR(pairs));
}

static void put_mark(FILE *file, const struct outcome *outcome, uint32_t index)
{
	const struct plan_mark *mark = &outcome->plan->marks[index];

	fprintf(file, "\"live_bytes\": %llu,\n          \"quire\": ",
		(unsigned long long)mark->live_bytes);
	put_stat(file, &outcome->checked.marks[index].objects);
}

void json_put_slab(FILE *file, const struct outcome *outcome)
{
	json_put_objects(file, outcome, put_stat, put_mark);
}
