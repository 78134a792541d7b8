/* SPDX-License-Identifier: MIT */
/* json_slab.c - a replay of kmalloc() or malloc(), as JSON */
#include "replay/json_text.h"

#define PAIRS_NR(pairs) (sizeof(pairs) / sizeof((pairs)[0]))

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

	fprintf(file, "        {");
	json_put_mark(file, mark);
	fprintf(file, "\"live_bytes\": %llu,\n          \"quire\": ",
		(unsigned long long)mark->live_bytes);
	put_stat(file, &outcome->checked.marks[index].objects);
	fprintf(file, "}%s\n", index + 1 < outcome->plan->marks_nr ? "," : "");
}

void json_put_slab(FILE *file, const struct outcome *outcome)
{
	static const char indent[] = "        ";

	fprintf(file, "      \"totals\": {\n");
	json_put_object_totals(file, indent, outcome->plan);
	fprintf(file, "%s\"quire\": ", indent);
	put_stat(file, &outcome->checked.objects);
	fprintf(file, ",\n");
	json_put_checked(file, indent, outcome);
	fprintf(file, "      },\n      \"marks\": [\n");
	for (uint32_t i = 0; i < outcome->plan->marks_nr; i++)
		put_mark(file, outcome, i);
	fprintf(file, "      ]");
}
