/* SPDX-License-Identifier: MIT */
/*
 * kernel_convert.h - the kernel's events as records of a KATRACE recording
 *
 * Pairs each free with its allocation (traces/FORMAT.md, Pairing rules), counts, and writes the
 * kernel's own figures where they belong in time.
 */
#ifndef QUIRE_TOOL_KERNEL_CONVERT_H
#define QUIRE_TOOL_KERNEL_CONVERT_H

#include <stdbool.h>
#include <stdint.h>

#include "record/kernel_samples.h"
#include "record/kernel_stream.h"
#include "record/live_counts.h"
#include "record/live_map.h"
#include "record/page_map.h"
#include "record/symbols.h"
#include "trace/katr_writer.h"

/* Begins the text of a mark that `quire record --mark` writes to the trace. */
#define KERNEL_MARK_PREFIX "quire-mark: "

/* Columns of event_counters after those by kind. */
enum {
	COUNT_TAKEN_LISTS,
	COUNT_TAKEN_OTHER,
	COUNT_GIVEN,
	COUNT_FALLBACK,
	COUNT_FALLBACK_FRAGMENTING,
	COUNT_FALLBACK_STEALS,
	COUNT_CHUNKS_CREATED,
	COUNT_CHUNKS_DESTROYED,
	COUNT_PURGES,
	COUNT_PURGED_AREAS,
	COUNTS_NR,
};

/* Events that a CPU lost. */
struct kernel_loss {
	uint64_t nr; /* KERNEL_LOST_UNKNOWN */
	uint64_t from_ns, to_ns;
	uint32_t cpu;
};

struct kernel_cpu {
	uint64_t last_pfn;
	uint64_t last_ns; /* of its last event */
	uint32_t context; /* as last written, + 1 */
};

struct kernel_convert {
	struct katr_writer *writer;
	const struct kernel_formats *formats;
	struct kernel_stream *stream;
	const struct kernel_samples *samples;
	const struct symbols *symbols;
	const int32_t *own_pids; /* the recorder's threads: what they allocate is left out */
	size_t own_pids_nr;
	const char *proc;

	size_t samples_done_nr;
	uint32_t counters_table;
	struct page_map pages;
	struct live_map objects[KATR_KINDS_NR]; /* by address; pages are not here */
	struct live_map tasks;			/* by pid */
	struct live_map chunks;			/* by address */
	struct live_map sites;			/* by address: their strings */
	uint32_t chunks_nr;
	struct kernel_cpu *cpus;
	int64_t vmap_last;
	uint64_t vmap_start, vmap_pages; /* of the vmalloc space, the longest range */
	struct live_counts counts[KATR_KINDS_NR];
	uint64_t counters[COUNTS_NR];
	uint64_t own_nr; /* allocations left out */
	uint64_t mismatches_nr, partial_frees_nr, splits_nr;
	uint64_t begin_ns;
	struct kernel_loss *losses;
	size_t losses_nr, losses_room;
	uint64_t lost_nr; /* known ones */
	bool has_unknown_loss;
	int error; /* the first */
};

/* All but the fields down to @proc is zero.  0 or a negative errno.  Pair: kernel_convert_fini(), always. */
int kernel_convert_init(struct kernel_convert *convert);
/* Writes one event, and what came before it; false after the last one, or after a failure, which is
 * kept in `error`. */
bool kernel_convert_step(struct kernel_convert *convert);
void kernel_convert_fini(struct kernel_convert *convert);

/* ---- between its files ------------------------------------------------------------------------ */
void kernel_convert_fail(struct kernel_convert *convert, int error);
/* CTX, if the CPU's context is another than before. */
void kernel_convert_context(struct kernel_convert *convert, const struct kernel_event *event);
bool kernel_convert_is_own(const struct kernel_convert *convert, const struct kernel_event *event);
uint32_t kernel_convert_site(struct kernel_convert *convert, uint64_t address);
struct katr_moment kernel_convert_moment(const struct kernel_convert *convert,
					 const struct kernel_event *event);
void kernel_convert_page(struct kernel_convert *convert, const struct kernel_event *event);
void kernel_convert_object(struct kernel_convert *convert, const struct kernel_event *event);

#endif
