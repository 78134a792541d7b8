/* SPDX-License-Identifier: MIT */
/* live_counts.c - see live_counts.h */
#include "record/live_counts.h"

#include <inttypes.h>
#include <stdio.h>

static void raise_peaks(struct live_counts *counts)
{
	if (counts->live_nr > counts->peak_nr)
		counts->peak_nr = counts->live_nr;
	if (counts->live_bytes > counts->peak_bytes)
		counts->peak_bytes = counts->live_bytes;
}

void live_counts_alloc(struct live_counts *counts, uint64_t bytes)
{
	counts->allocs_nr++;
	counts->live_nr++;
	counts->live_bytes += bytes;
	raise_peaks(counts);
}

void live_counts_free(struct live_counts *counts, uint64_t bytes, bool is_inferred)
{
	counts->frees_nr++;
	counts->inferred_nr += is_inferred;
	counts->live_nr--;
	counts->live_bytes -= bytes;
}

void live_counts_split(struct live_counts *counts)
{
	counts->live_nr++;
	raise_peaks(counts);
}

static void put_kind(const struct live_counts *counts, enum katr_kind kind,
		     struct katr_writer *writer)
{
	const struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "allocs", counts->allocs_nr },
		{ "frees", counts->frees_nr },
		{ "fails", counts->fails_nr },
		{ "unpaired_frees_dropped", counts->unpaired_nr },
		{ "inferred_frees", counts->inferred_nr },
		{ "live_at_end", counts->live_nr },
		{ "live_bytes_at_end", counts->live_bytes },
		{ "peak_live", counts->peak_nr },
		{ "peak_live_bytes", counts->peak_bytes },
	};
	char key[64];

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(key, sizeof(key), "%s.%s", katr_kind_name(kind), lines[i].name);
		katr_writer_info(writer, key, "%" PRIu64, lines[i].value);
	}
}

void live_counts_put_info(const struct live_counts *counts, struct katr_writer *writer)
{
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++)
		if (writer->kinds >> kind & 1)
			put_kind(&counts[kind], (enum katr_kind)kind, writer);
}
