/* SPDX-License-Identifier: MIT */
/*
 * page/pcp.h - what one CPU has in one zone: its lists, and the door of its stacks
 *
 * The lock is the door: its holder may use the lists and close the stacks.  A thread only tries
 * the door of its own CPU; a thread that drains a CPU or switches it off waits for the door, from
 * any CPU.
 */
#ifndef PAGE_PCP_H
#define PAGE_PCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "page/pages.h"
#include "page/state.h"
#include "stacks/stacks.h"

/* Linux's bound: one hold of a lock moves at most batch << 5 pages. */
#define BATCH_SCALE_MAX 5

struct page_request;

/*
 * Keys: (l) under lock; (r) written under lock, load_relaxed() gives a hint; (c) constant once
 * ready.
 */
struct pcp {
	struct stacks_door door; /* RANK_PCP: protects the lists, too */
	uint32_t count;		 /* (r) pages on the lists: B2 */
	uint32_t high;		 /* (l) spill at or above */
	uint32_t batch;		 /* (l) pages moved at a time */
	uint32_t free_count;	 /* (l) pages freed in a row, for tuning */
	uint8_t zone;		 /* (c) */
	uint8_t home;		 /* (c) the zone that is this CPU's node's */
	uint8_t alloc_factor;	 /* (l) 0..BATCH_SCALE_MAX */
	uint16_t draining_nr;	 /* (l) drains in progress, which keep the stacks closed: a child of
				 * fork has none */
	uint32_t activity;	 /* (l) slow paths taken */
	uint32_t activity_seen;	 /* (l) the worker's */
	uint64_t list_allocs, list_frees; /* (r) */
	uint64_t refills, spills;	  /* (r) */
	uint32_t lists[LISTS_NR];	  /* (l) head frames */
	uint32_t tops_seen;		  /* (l) the worker's: sum of tops at its last visit */
} __attribute__((aligned(64)));

static inline struct pcp *page_pcp(struct pages *p, unsigned zone, unsigned slot)
{
	return &p->pcp[(size_t)zone * p->stacks.cpu.all_slots_nr + slot];
}

/* The zone that a thread on the current CPU takes from first. */
static inline unsigned page_home_zone(struct pages *p)
{
	if (LIKELY(p->zones_nr == 1))
		return 0;
	return page_pcp(p, 0, (unsigned)stack_slot(&p->stacks.cpu))->home;
}

/* ---- door.c: locking a CPU's lists; all but _unopened make them ready at first use ---- */

/* While the instance is made, and no other thread knows it: the first use of the current CPU's lists. */
void pcp_begin_home(struct pages *p);
/* Tries the current CPU's lists; NULL if refused.  The CPU is a hint, the lock is what counts. */
struct pcp *pcp_current_try(struct pages *p, unsigned zone, lock_token *token);
/* Locks the lists of any slot; waits for the lock. */
struct pcp *pcp_lock_slot(struct pages *p, unsigned zone, unsigned slot, lock_token *token);
/* As pcp_lock_slot(), but at the first use the stacks stay as they were made, and refuse.  The caller closes
 * them, and fences before they are opened. */
struct pcp *pcp_lock_unopened(struct pages *p, unsigned zone, unsigned slot, lock_token *token);

/* ---- pcp.c: one run at a time, for callers without sequences and for a CPU given by number ---- */

/* A run (state CACHED) from the lists, refilled if need be; FRAME_NONE if neither had one. */
uint32_t pcp_alloc_locked(struct pages *p, struct pcp *pcp, const struct page_request *request);
/* A run (state CACHED) of at least @order of any type that is on the lists now, or FRAME_NONE. */
uint32_t pcp_take_any_locked(struct pages *p, struct pcp *pcp, unsigned order);
/* Takes in one run (state CACHED) of an order that lists keep; spills if that is too much. */
void pcp_free_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order,
		     unsigned type);

/* ---- pcp.c: refilling and spilling stacks ---- */

/*
 * The current CPU's stack of a class was empty: fetches a batch, keeps one run for the caller and
 * pushes the rest.
 */
uint32_t pcp_refill_stack_locked(struct pages *p, struct pcp *pcp,
				 const struct page_request *request);
/* The current CPU's stack of a class was full, cold or closed: makes room, and puts a run away. */
void pcp_spill_stack_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order,
			    unsigned type);
/* Least runs of a refill, for tuning: a batch's pages and one more, at least two runs. */
unsigned pcp_refill_least(unsigned batch, unsigned order);

/* ---- pcp.c: lists and the buddy ---- */

/* Puts a run (state CACHED) on a list, and spills nothing; the order must be one that lists keep. */
void pcp_list_put_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order,
			 unsigned type);
/*
 * Moves at least @pages from the lists to the buddy if there are that many, list by list, at most
 * batch << BATCH_SCALE_MAX in this call.  Returns pages moved.
 */
unsigned pcp_spill_locked(struct pages *p, struct pcp *pcp, unsigned pages);
/* The worker's visit to lists in use: lowers high by an eighth, and spills what is over it.  Returns pages. */
unsigned pcp_decay_locked(struct pages *p, struct pcp *pcp);
/* Frees runs (state CACHED) to the buddy, a few in each hold of the zone lock.  Returns pages. */
size_t pcp_frames_to_buddy(struct pages *p, struct zone *zone, const uint32_t *frames, unsigned n);

#endif
