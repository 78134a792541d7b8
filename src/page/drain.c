/* SPDX-License-Identifier: MIT */
/*
 * page/drain.c - emptying CPUs' stacks and lists from anywhere, and switching them off
 *
 * To drain a CPU, a thread takes the CPU's lock, closes its stacks, drops the lock, and issues
 * one fence.  Then it takes the pages, a bounded number per hold, and reopens the stacks.  This
 * works for busy, idle and offline CPUs alike: nothing has to run there.  When the call returns,
 * all pages that were on the CPU's lists before the call are in the buddy; count is read under
 * the lock, since a refill in progress holds it (R12).
 *
 * Several CPUs share one fence, and their stacks stay closed until all of them are drained.  So a
 * refill that began on one CPU and pushes on another, because its thread migrated, finds a closed
 * stack and leaves its pages on the list whose lock it holds, and that list is drained
 * afterwards.  Isolation needs this.
 *
 * Disabled (pcp_disable): high 0, batch 1 under each lock, stacks kept closed, everything
 * drained.  high and batch are read only under the lock, so the drain waits for a holder that
 * read old values, and later holders see the new ones (R13).
 */
#include "page/drain.h"

#include <quire/page.h>

#include "base/check.h"
#include "base/mem.h"
#include "instance/holders.h"
#include "machine/atomic.h"
#include "machine/batch.h"
#include "machine/lock.h"
#include "page/depot.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/rmqueue.h"
#include "page/stacks.h"
#include "page/state.h"
#include "stacks/stacks.h"

/* ---- one door ---- */

enum drain_which {
	DRAIN_ANY,  /* every door that was ever used */
	DRAIN_IDLE, /* doors unused since the worker's last visit; their stacks become cold */
};

/* The worker's look at a door: idle if neither a slow path nor a stack's top moved since the last
 * one.  Lists in use decay. */
static bool is_idle_locked(struct pages *p, struct pcp *pcp)
{
	uint32_t tops = pcp_stacks_pages(p, pcp);
	bool idle = pcp->activity == pcp->activity_seen && tops == pcp->tops_seen;

	DCHECK(lock_is_held(&pcp->door.lock));
	pcp->activity_seen = pcp->activity;
	pcp->tops_seen = tops;
	if (!idle)
		pcp_decay_locked(p, pcp);
	else
		stacks_cool_locked(&p->stacks, &pcp->door);
	return idle && tops + pcp->count != 0;
}

/* Closes a CPU's stacks in one zone.  A door never used holds nothing and is passed over. */
static bool close_door(struct pages *p, unsigned zone, unsigned slot, enum drain_which which)
{
	struct pcp *pcp = page_pcp(p, zone, slot);
	lock_token token = lock_acquire(&pcp->door.lock);
	bool chosen = pcp->door.ready && (which == DRAIN_ANY || is_idle_locked(p, pcp));

	if (chosen) {
		pcp->draining_nr++;
		stacks_close_locked(&p->stacks, &pcp->door);
	}
	lock_release(&pcp->door.lock, token);
	return chosen;
}

static void open_door(struct pages *p, unsigned zone, unsigned slot)
{
	struct pcp *pcp = page_pcp(p, zone, slot);
	lock_token token = lock_acquire(&pcp->door.lock);

	pcp->draining_nr--;
	/* The slow paths after a drain are no sign of churn.  So the CPU begins to keep little again;
	 * otherwise each of several drains would find more than the one before. */
	pcp->alloc_factor = 0;
	stacks_cool_locked(&p->stacks, &pcp->door);
	stacks_open_locked(&p->stacks, &pcp->door);
	lock_release(&pcp->door.lock, token);
}

/*
 * One bounded hold: up to MOVE_MAX entries of the closed stacks, and a batch-scaled part of the
 * lists.  Sets @emptied when both are empty at its end: then all that was there before is in the
 * buddy, and what the CPU's users free from now on is not ours to wait for.  Returns pages moved.
 */
static size_t drain_hold(struct pages *p, struct pcp *pcp, bool *emptied)
{
	uint32_t frames[MOVE_MAX];
	unsigned most = batch_most(MOVE_MAX);
	lock_token token = lock_acquire(&pcp->door.lock);
	unsigned n = pcp_stacks_take_locked(p, pcp, frames, most);
	size_t pages = pcp_frames_to_buddy(p, &p->zone[pcp->zone], frames, n);

	if (n < most)
		pages += pcp_spill_locked(p, pcp, pcp->count);
	*emptied = n < most && pcp->count == 0;
	lock_release(&pcp->door.lock, token);
	return pages;
}

static size_t drain_door(struct pages *p, unsigned zone, unsigned slot)
{
	struct pcp *pcp = page_pcp(p, zone, slot);
	bool emptied = false;
	size_t pages = 0;

	while (!emptied)
		pages += drain_hold(p, pcp, &emptied);
	fetch_add_relaxed(&p->drains, 1);
	return pages;
}

/* ---- a range of CPUs ---- */

/* A door's bit, for remembering which were closed: those that were ready at that moment. */
struct door_set {
	uint64_t *bits;
};

/* A set for this many CPUs takes 512 bytes of the C stack; only a machine with more CPUs needs a larger
 * one. */
#define DOORS_FEW 512u

static bool door_is_in(const struct door_set *set, unsigned zone, unsigned slot)
{
	unsigned bit = slot * ZONES_MAX + zone;

	return (set->bits[bit / 64] >> bit % 64 & 1) != 0;
}

/* Closes the stacks of CPUs [first, end) in all zones; one fence.  Returns whether any was open. */
static bool close_doors(struct pages *p, unsigned first, unsigned end, enum drain_which which,
			struct door_set *set)
{
	bool any = false;

	memset(set->bits, 0, (end * ZONES_MAX + 63) / 64 * sizeof(set->bits[0]));
	for (unsigned slot = first; slot < end; slot++) {
		for (unsigned zone = 0; zone < p->zones_nr; zone++) {
			unsigned bit = slot * ZONES_MAX + zone;

			if (!close_door(p, zone, slot, which))
				continue;
			set->bits[bit / 64] |= (uint64_t)1 << bit % 64;
			any = true;
		}
	}
	if (any && end - first == 1)
		stacks_fence_slot(&p->stacks, first);
	else if (any)
		stacks_fence_all(&p->stacks);
	return any;
}

static size_t drain_doors(struct pages *p, unsigned first, unsigned end, const struct door_set *set)
{
	size_t pages = 0;

	for (unsigned slot = first; slot < end; slot++)
		for (unsigned zone = 0; zone < p->zones_nr; zone++)
			if (door_is_in(set, zone, slot))
				pages += drain_door(p, zone, slot);
	return pages;
}

static void open_doors(struct pages *p, unsigned first, unsigned end, const struct door_set *set)
{
	for (unsigned slot = first; slot < end; slot++)
		for (unsigned zone = 0; zone < p->zones_nr; zone++)
			if (door_is_in(set, zone, slot))
				open_door(p, zone, slot);
}

static size_t drain_set(struct pages *p, unsigned first, unsigned end, enum drain_which which,
			uint64_t *bits)
{
	struct door_set set = { .bits = bits };
	size_t pages;

	if (!close_doors(p, first, end, which, &set))
		return 0;
	pages = drain_doors(p, first, end, &set);
	open_doors(p, first, end, &set);
	return pages;
}

/* 4 KiB, beyond what a frame may have elsewhere (meson.build). */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wframe-larger-than="
static __attribute__((noinline)) size_t drain_many(struct pages *p, unsigned first, unsigned end,
						   enum drain_which which)
{
	uint64_t bits[SLOTS_MAX * ZONES_MAX / 64];

	return drain_set(p, first, end, which, bits);
}
#pragma GCC diagnostic pop

static size_t drain_range(struct pages *p, unsigned first, unsigned end, enum drain_which which)
{
	uint64_t bits[DOORS_FEW * ZONES_MAX / 64];

	if (end > DOORS_FEW)
		return drain_many(p, first, end, which);
	return drain_set(p, first, end, which, bits);
}

size_t drain_slots(struct pages *p, unsigned first, unsigned end)
{
	return drain_range(p, first, end, DRAIN_ANY);
}

size_t drain_idle(struct pages *p)
{
	size_t pages = drain_range(p, 0, p->stacks.cpu.all_slots_nr, DRAIN_IDLE);

	for (unsigned zone = 0; zone < p->zones_nr; zone++) {
		struct depot *depot = &p->zone[zone].depot;

		/* moves_seen is the worker's own; moves is a hint. */
		if (load_relaxed(&depot->moves) == depot->moves_seen)
			pages += depot_drain(p, &p->zone[zone]);
		depot->moves_seen = load_relaxed(&depot->moves);
	}
	/* Pairs with from_spares(); a hint. */
	if (!load_relaxed(&p->spares_used))
		pages += nested_drain(p);
	store_relaxed(&p->spares_used, false);
	return pages;
}

size_t drain_everything(struct pages *p)
{
	size_t pages = drain_slots(p, 0, p->stacks.cpu.all_slots_nr);

	for (unsigned zone = 0; zone < p->zones_nr; zone++)
		pages += depot_drain(p, &p->zone[zone]);
	return pages + nested_drain(p);
}

/* ---- public ---- */

size_t quire_drain_slot(struct quire *q, unsigned slot)
{
	struct pages *p = pages_of(q);
	size_t pages;

	if (q->dead || slot >= p->stacks.cpu.all_slots_nr)
		return 0;
	page_take_deferred(p);
	pages = drain_slots(p, slot, slot + 1);
	giveback_call_worker(p); /* the frees that left pages on lists may not have been able to */
	return pages;
}

static size_t drain_all(struct pages *p)
{
	if (p->q.dead)
		return 0;
	page_take_deferred(p);
	return drain_everything(p);
}

size_t quire_drain_all(struct quire *q)
{
	struct pages *p = pages_of(q);
	size_t pages = drain_all(p);

	if (!q->dead)
		giveback_call_worker(p); /* as above */
	return pages;
}

static void set_limits(struct pages *p, bool enabled)
{
	for (unsigned zone = 0; zone < p->zones_nr; zone++) {
		for (unsigned slot = 0; slot < p->stacks.cpu.all_slots_nr; slot++) {
			lock_token token;
			struct pcp *pcp = pcp_lock_unopened(p, zone, slot, &token);

			pcp->high = enabled ? load_relaxed(&p->zone[zone].pcp_high_min) : 0;
			pcp->batch = enabled ? load_relaxed(&p->zone[zone].pcp_batch) : 1;
			if (enabled)
				stacks_open_locked(&p->stacks, &pcp->door);
			else
				stacks_close_locked(&p->stacks, &pcp->door);
			lock_release(&pcp->door.lock, token);
		}
	}
}

static void set_depots(struct pages *p, bool enabled)
{
	for (unsigned zone = 0; zone < p->zones_nr; zone++) {
		struct depot *depot = &p->zone[zone].depot;
		lock_token token = lock_acquire(&depot->lock);

		depot->disabled = !enabled;
		lock_release(&depot->lock, token);
	}
}

static void set_lists(struct pages *p, bool enabled)
{
	if (enabled)
		set_depots(p, true);
	set_limits(p, enabled);
	if (!enabled)
		set_depots(p, false);
}

void quire_pcp_disable(struct quire *q)
{
	struct pages *p = pages_of(q);

	mutex_acquire(&p->pcp_disable_mutex);
	if (holders_add(&p->pcp_disabled)) {
		set_lists(p, false);
		drain_all(p);
	}
	mutex_release(&p->pcp_disable_mutex);
}

void quire_pcp_enable(struct quire *q)
{
	struct pages *p = pages_of(q);

	mutex_acquire(&p->pcp_disable_mutex);
	if (holders_drop(&p->pcp_disabled, q, "quire_pcp_enable"))
		set_lists(p, true);
	mutex_release(&p->pcp_disable_mutex);
}

void drain_fork_child(struct pages *p)
{
	mutex_acquire(&p->pcp_disable_mutex);
	if (holders_fork_child(&p->pcp_disabled))
		set_lists(p, true);
	mutex_release(&p->pcp_disable_mutex);
}

/*
 * Lists are switched off and drained, then on again, in one hold of the mutex: a child of fork
 * never finds them off for a thread that it lacks.
 */
static void disable_begin_locked(struct pages *p)
{
	DCHECK(mutex_is_held(&p->pcp_disable_mutex));
	if (p->pcp_disabled.nr == 0)
		set_lists(p, false);
	drain_all(p);
}

static void disable_end_locked(struct pages *p)
{
	DCHECK(mutex_is_held(&p->pcp_disable_mutex));
	if (p->pcp_disabled.nr == 0)
		set_lists(p, true);
}

void drain_disabled_locked(struct pages *p)
{
	DCHECK(mutex_is_held(&p->pcp_disable_mutex));
	disable_begin_locked(p);
	disable_end_locked(p);
}

void drain_disabled(struct pages *p)
{
	mutex_acquire(&p->pcp_disable_mutex);
	drain_disabled_locked(p);
	mutex_release(&p->pcp_disable_mutex);
}

uint32_t drain_and_take(struct pages *p, const struct page_request *request)
{
	uint32_t frame;

	mutex_acquire(&p->pcp_disable_mutex);
	disable_begin_locked(p);
	/* Nothing is on its way back meanwhile; what a release had begun has arrived. */
	mutex_acquire(&p->giveback_mutex);
	frame = rmqueue_direct(p, request);
	mutex_release(&p->giveback_mutex);
	disable_end_locked(p);
	mutex_release(&p->pcp_disable_mutex);
	return frame;
}

/* ---- holding a CPU, for benches and tests ---- */

struct pcp *page_pcp_hold(struct pages *p, unsigned slot)
{
	lock_token token;
	struct pcp *pcp = pcp_lock_slot(p, 0, slot, &token);

	pcp->door.kept = token;
	stacks_close_locked(&p->stacks, &pcp->door);
	stacks_fence_slot(&p->stacks, slot);
	return pcp;
}

void page_pcp_unhold(struct pages *p, struct pcp *pcp)
{
	stacks_open_locked(&p->stacks, &pcp->door);
	lock_release(&pcp->door.lock, pcp->door.kept);
}
