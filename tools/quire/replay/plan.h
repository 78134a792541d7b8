/* SPDX-License-Identifier: MIT */
/*
 * plan.h - the steps of a replay, read from a trace in advance
 *
 * A trace is read completely, and refused if anything is wrong with it, before the first block is
 * allocated.  Everything that a replay needs is kept in arrays, so its passes measure the allocator
 * and not the decoding.
 *
 * A plan covers one kind of allocation: pages, areas of the vmalloc space, per-CPU objects, or slab objects.
 * Pages are requested by order.  The others are requested by size in bytes; each class of the
 * trace is one such request.
 *
 * Words
 *   step      an allocation, a free, a split, or a mark
 *   block     one id of the trace: a block that was allocated, or made by a split
 *   object    a block of a kind that has sizes in bytes
 *   root      the allocated block to which a block belongs: itself, or the block that was split
 *   batch     frees that the kernel made in one folio batch; they are replayed by the bulk free
 */
#ifndef QUIRE_TOOL_PLAN_H
#define QUIRE_TOOL_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/katr.h"
#include "trace/occupancy.h"

#define PLAN_ORDERS_NR	11
/* Sizes of objects by their rounded-up log2: at most 2^55 bytes, as the reader checks. */
#define PLAN_SIZES_NR	57
#define PLAN_SAMPLES_NR 256u

enum plan_op {
	PLAN_ALLOC,
	PLAN_FREE,
	PLAN_FREE_BATCHED, /* order 0 only: larger blocks of a batch are freed one by one */
	PLAN_SPLIT,
	PLAN_MARK, /* this and the next ones do not call the allocator */
	PLAN_TIME, /* objects: so much recorded time has passed */
	PLAN_SAMPLE, /* per-CPU objects: the kernel recorded how much it had populated; others: some time has passed */
};

struct plan_step {
	uint32_t id; /* MARK, SAMPLE: its index; TIME: milliseconds from the first record */
	union {
		uint32_t pieces;  /* SPLIT: first id of the pieces */
		uint32_t request; /* objects, ALLOC and FREE: index of the request */
	};
	uint16_t cpu;
	uint8_t op;
	uint8_t order; /* SPLIT: of each piece */
	uint8_t flags; /* ALLOC: QUIRE_* */
	/* The batch is given back after this step: the CPU's next record in the trace, of any kind,
	 * is not a batched free of a page, or a mark comes first. */
	bool ends_batch;
};

struct plan_block {
	union {
		uint32_t root;
		uint32_t request; /* objects */
	};
	uint16_t root_page; /* where in its root a piece begins */
	uint8_t order;
	uint8_t type; /* enum occupancy_type */
};

/* What an object needs. */
struct plan_request {
	size_t bytes;
	size_t align_bytes; /* a power of two */
	unsigned flags;	    /* QUIRE_* */
};

/* The kernel's areas at a mark: all that it had, the recorded ones among them. */
struct plan_kernel_vmap {
	uint64_t busy_areas, busy_bytes; /* vmallocinfo, all types in use */
	uint64_t lazy_areas, lazy_bytes; /* vmallocinfo, freed and not yet purged */
	uint64_t used_kB;		 /* pages of areas: meminfo, VmallocUsed */
	uint64_t purges, purged_areas;	 /* while recording */
};

/* The kernel's per-CPU memory at a mark: all that it had, the recorded objects among it. */
struct plan_kernel_percpu {
	uint64_t populated_kB; /* on all CPUs: meminfo, Percpu */
	uint64_t chunks, objects, empty_pages;
	uint64_t chunks_created, chunks_destroyed; /* while recording */
};

/* The kernel's own figures at a mark. */
struct plan_kernel {
	struct plan_kernel_vmap vmap;
	struct plan_kernel_percpu percpu;
	struct occupancy_summary occupancy; /* of the traced pages */
	uint64_t free_pages;		    /* in the buddies of all zones, from its own sample */
	uint64_t cached_pages;		    /* on the per-CPU lists */
	uint64_t blocks_taken;		    /* from the buddy under the zone lock, so far */
	uint64_t blocks_given;		    /* from per-CPU lists to the buddy, so far */
};

struct plan_mark {
	char name[64];
	double seconds;
	uint32_t ids_nr; /* given so far */
	uint64_t live_blocks;
	uint64_t live_bytes;   /* objects: as asked for */
	unsigned wait_seconds; /* N if its name ends with "+Ns": the workload did nothing so long */
	struct plan_kernel kernel;
};

/* Per-CPU objects: one of the figures that the kernel recorded several times a second.  Others: one of PLAN_SAMPLES_NR times, at equal
 * distances. */
struct plan_sample {
	double seconds;
	uint64_t live_bytes;   /* as asked for, on one CPU */
	uint64_t populated_kB; /* per-CPU objects */
};

struct plan_totals {
	uint64_t allocs[PLAN_ORDERS_NR][OCCUPANCY_TYPES_NR];
	uint64_t allocs_nr;
	uint64_t frees_nr;	   /* batched ones included */
	uint64_t frees_batched_nr; /* as recorded, of any order */
	uint64_t splits_nr;
	uint64_t fails_nr; /* refused by the kernel; not replayed */
	uint64_t live_blocks;
	uint64_t live_blocks_peak;
	uint64_t live_pages;
	uint64_t live_pages_peak;
	uint64_t sizes[PLAN_SIZES_NR];	      /* objects: allocations by size, (2^(i-1), 2^i] */
	uint64_t live_bytes, live_bytes_peak; /* objects */
	uint64_t records_nr;		      /* of the whole trace, END included */
	uint64_t ids_nr;
};

struct plan {
	const char *path;
	enum katr_kind kind;
	char name[64];
	char workload[256];
	char kernel[64];
	double seconds;
	uint64_t lost_nr; /* events that the recorder lost: the recording has gaps */
	unsigned page_shift;
	unsigned cpus_nr;
	struct plan_totals totals;

	struct plan_step *steps;
	size_t steps_nr, steps_room;
	struct plan_block *blocks; /* by id; those of other kinds are zero */
	uint32_t blocks_nr, blocks_room;
	struct plan_request *requests; /* objects: by class */
	struct plan_mark *marks;
	uint32_t marks_nr;
	struct plan_sample *samples;
	uint32_t samples_nr;
};

/* Which kinds a trace says it holds, a bit each: 0, or with one line in @error -1, or
 * -ENOMEM if memory ran out before that was known. */
int plan_read_kinds(const char *path, unsigned *kinds, char *error, size_t error_bytes);
/* The same as below for at most KATR_KINDS_NR plans of one trace, whose paths and kinds are set: reads it once. */
int plan_read_all(struct plan *plans, unsigned plans_nr, char *error, size_t error_bytes);
/*
 * Reads a trace's allocations of one kind, of which there may be none: 0, or with one line in
 * @error -1 if the file is refused, -ENOMEM if memory ran out.  Pair: plan_fini().
 */
int plan_read(struct plan *plan, const char *path, enum katr_kind kind, char *error,
	      size_t error_bytes);
void plan_fini(struct plan *plan);

/* Whether it calls the allocator. */
static inline bool plan_is_operation(const struct plan_step *step)
{
	return step->op < PLAN_MARK;
}

static inline uint64_t plan_operations(const struct plan *plan)
{
	return plan->totals.allocs_nr + plan->totals.frees_nr + plan->totals.splits_nr;
}

#endif
