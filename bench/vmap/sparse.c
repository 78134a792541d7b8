/* SPDX-License-Identifier: MIT */
/*
 * sparse.c - what do large blocks take that are hardly written, and those that are written whole?
 *
 * Method  sparse_child.c: 16 live blocks of random sizes, of which a random one is replaced again and
 *         again, counted from the fill on.  Each sample in a process of its own, contenders in turn.
 * Read    ns of CPU time a replacement, all threads together; MiB of resident memory at its peak, beyond the beginning.  16 blocks of which
 *         one page each is written have 64 KiB; of 1 to 16 MiB and written whole, 77 MiB on the average.
 * Refused A sample from which other processes took more than 2 % of its time, or that was refused memory.
 * Not     Memory that is left after blocks were freed: after.c.
 */
#include "harness/measure.h"
#include "vmap/targets.h"

static void sparse_lines(const struct options *options, const struct sparse_row *row,
			 const struct table *table)
{
	struct line first = { .value = 1, .wanted = NULL };
	struct line all = { .value = 2, .peer_max = row->peer_max, .wanted = row->wanted[0] };
	struct line peak = {
		.value = 3, .scale = 1.0 / 1024, .max = row->mib_max, .wanted = row->wanted[1]
	};
	const char *how = row->written ? "written" : "one page written";

	snprintf(first.name, sizeof(first.name), "sparse/%u/first", row->written);
	snprintf(first.what, sizeof(first.what), "%s: ns, of the first %s", how, row->first_nr);
	line_print(options, &first, table);
	snprintf(all.name, sizeof(all.name), "sparse/%u/ns", row->written);
	snprintf(all.what, sizeof(all.what), "%s: ns, of %s", how, row->nr);
	line_print(options, &all, table);
	snprintf(peak.name, sizeof(peak.name), "sparse/%u/peak", row->written);
	snprintf(peak.what, sizeof(peak.what), "%s: MiB, peak", how);
	line_print(options, &peak, table);
}

void bench_sparse(const struct options *options)
{
	static struct table table;
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	table_head("16 live blocks of 1 to 16 MiB, random sizes, replaced", BIT(CONTENDER_FLOOR),
		   FLOOR_NONE);
	for (unsigned i = 0; i < sparse_rows_nr; i++) {
		const struct sparse_row *row = &sparse_rows[i];
		char bytes[24], written[8], name[48];
		struct ask ask = { .argv = { "area_sparse", bytes, row->first_nr, row->nr,
					     written },
				   .has_stolen = true,
				   .values_nr = 4,
				   .memory_bytes = 2 * AREAS_LIVE * row->bytes,
				   .reps = row->reps,
				   .left_out = BIT(CONTENDER_FLOOR) };

		snprintf(bytes, sizeof(bytes), "%zu", row->bytes);
		snprintf(written, sizeof(written), "%u", row->written);
		snprintf(name, sizeof(name), "sparse/%u", row->written);
		if (!row_chosen(options, name))
			continue;
		measure(options, &ask, there, &table);
		sparse_lines(options, row, &table);
	}
}
