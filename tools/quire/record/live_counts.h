/* SPDX-License-Identifier: MIT */
/* live_counts.h - what a recording has of each kind: allocated, freed, live, and the most that lived at a time */
#ifndef QUIRE_TOOL_LIVE_COUNTS_H
#define QUIRE_TOOL_LIVE_COUNTS_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/katr_writer.h"

struct live_counts {
	uint64_t allocs_nr, frees_nr, fails_nr, live_nr, live_bytes;
	uint64_t peak_nr, peak_bytes;
	uint64_t unpaired_nr; /* frees of what was allocated before the recording */
	uint64_t inferred_nr; /* of frees_nr: ends that nothing in the recording says */
};

void live_counts_alloc(struct live_counts *counts, uint64_t bytes);
void live_counts_free(struct live_counts *counts, uint64_t bytes, bool is_inferred);
/* One more lives: of two parts the whole had the bytes, and each is freed by itself. */
void live_counts_split(struct live_counts *counts);
/* @counts: of each kind.  Lines of the recording's information for those that it has. */
void live_counts_put_info(const struct live_counts *counts, struct katr_writer *writer);

#endif
