/* SPDX-License-Identifier: MIT */
/*
 * page/pcp.c - one CPU's lists, and how they and its stacks are filled and emptied
 *
 * As in Linux 6.x, each CPU's lists have a spin lock.  The owner only tries it, and falls back to
 * the depot and then the buddy.  Any thread may lock another CPU's lists and drain them, so draining needs no work on
 * that CPU; only its stacks need a fence.  By the time a thread holds the lock it may run on another
 * CPU; the lock, not the CPU, protects the lists.
 *
 * Order of sources for a stack's refill: depot, own list, buddy; for its spill: depot, own list
 * up to high, buddy.  Lists are singly linked through struct page: the stacks in front hold the
 * warm pages, so a list's end is no colder than its head.
 *
 * Tuning.  high starts at high_min = max(low watermark / CPUs, 4 x batch); a burst of frees that
 * reaches it raises it to what was freed in a row plus a batch, at most high_max; when the zone
 * is below its high watermark it falls; the worker lowers it by an eighth a visit.  A refill takes
 * batch << alloc_factor pages; the factor grows by one per refill and halves when a page is freed.
 *
 * Invariants
 *   B2  count is the sum over lists of length << order whenever the lock is free
 *   B7  after a free, count < high or a spill was made
 *   B8  a spill of more than count ends
 *   B9  a page that leaves a list goes to the lists of its block, by the type that the block has then
 *   B12 one hold of a zone lock here moves at most SPILL_RUNS runs, one of a pcp lock MOVE_MAX and
 *       batch << BATCH_SCALE_MAX pages of lists
 */
#include "page/pcp.h"

#include <quire/quire.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/batch.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "machine/usdt.h"
#include "page/buddy.h"
#include "page/depot.h"
#include "page/emptying.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/request.h"
#include "page/rmqueue.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"

#define SPILL_RUNS 32u

/* ---- lists ---- */

/* Index of the list for an order and type; LISTS_NR or more if no list keeps the order. */
static unsigned list_of(const struct pages *p, unsigned order, unsigned type)
{
	return list_order_index(p, order) * TYPES_NR + type;
}

static unsigned list_order(const struct pages *p, unsigned list)
{
	return pcp_kept_order(p, list / TYPES_NR, LIST_ORDERS_NR);
}

static void count_set(struct pcp *pcp, uint32_t count)
{
	store_relaxed(&pcp->count, count); /* pairs with the hints of statistics */
}

static void list_put_locked(struct pages *p, struct pcp *pcp, unsigned list, const uint32_t *frames,
			    unsigned n)
{
	uint32_t *head = &pcp->lists[list];

	DCHECK(lock_is_held(&pcp->door.lock));
	CHECK(list < LISTS_NR);
	for (unsigned i = 0; i < n; i++) {
		page_of(p, frames[i])->next = *head;
		*head = frames[i];
	}
	count_set(pcp, pcp->count + (n << list_order(p, list)));
}

void pcp_list_put_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order,
			 unsigned type)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	list_put_locked(p, pcp, list_of(p, order, type), &frame, 1);
}

static unsigned list_take_locked(struct pages *p, struct pcp *pcp, unsigned list, uint32_t *frames,
				 unsigned n)
{
	uint32_t *head = &pcp->lists[list];
	unsigned taken = 0;

	DCHECK(lock_is_held(&pcp->door.lock));
	while (taken < n && *head != FRAME_NONE) {
		frames[taken++] = *head;
		*head = page_of(p, *head)->next;
	}
	count_set(pcp, pcp->count - (taken << list_order(p, list)));
	return taken;
}

/* ---- to the buddy ---- */

/* One hold of the zone lock. */
static size_t some_to_buddy(struct pages *p, struct zone *zone, const uint32_t *frames, unsigned n)
{
	lock_token token;
	size_t pages = 0;

	zone_lock_for(zone, 0, &token);
	for (unsigned i = 0; i < n; i++) {
		unsigned state = page_state(p, frames[i]);

		CHECK_VALUES((state & STATE_KIND) == STATE_CACHED, frames[i], state);
		buddy_free_locked(p, zone, frames[i], state & STATE_ORDER, state & STATE_ZERO);
		USDT(mm_page_pcpu_drain, page_pfn(p, frames[i]), state & STATE_ORDER,
		     load_relaxed(&p->tag[page_block(p, frames[i])]) & TAG_TYPE);
		pages += (size_t)1 << (state & STATE_ORDER);
	}
	emptying_choose_locked(p, zone);
	store_relaxed(&zone->below_high, zone_available_locked(p, zone) < zone->mark_high);
	zone_unlock(zone, token);
	return pages;
}

/* SPILL_RUNS runs hold the lock for about a microsecond, which is what another CPU spins before it
 * sleeps. */
size_t pcp_frames_to_buddy(struct pages *p, struct zone *zone, const uint32_t *frames, unsigned n)
{
	unsigned most = batch_most(SPILL_RUNS);
	size_t pages = 0;

	while (n != 0) {
		unsigned some = n < most ? n : most;

		pages += some_to_buddy(p, zone, frames, some);
		frames += some;
		n -= some;
	}
	return pages;
}

unsigned pcp_spill_locked(struct pages *p, struct pcp *pcp, unsigned pages)
{
	struct zone *zone = &p->zone[pcp->zone];
	unsigned most = batch_most(load_relaxed(&zone->pcp_batch) << BATCH_SCALE_MAX);
	unsigned moved = 0;

	DCHECK(lock_is_held(&pcp->door.lock));
	if (pages > pcp->count)
		pages = pcp->count;
	if (pages > most)
		pages = most;
	for (unsigned i = 0; i < LISTS_NR && moved < pages; i++) {
		uint32_t frames[MOVE_MAX];
		unsigned order = list_order(p, i);
		unsigned n = (pages - moved + (1u << order) - 1) >> order;
		unsigned got = list_take_locked(p, pcp, i, frames, n < MOVE_MAX ? n : MOVE_MAX);

		moved += (unsigned)pcp_frames_to_buddy(p, zone, frames, got);
		if (got == MOVE_MAX)
			i--; /* this list may have more; moved grew, so the loop ends */
	}
	count_add(pcp->spills, moved != 0);
	return moved;
}

/* ---- tuning ---- */

/* Pages to spill when count has reached high, as Linux's nr_pcp_free has it: as many as were freed in a row, but
 * at least a batch, and a batch stays.  All of them if the lists are off. */
static unsigned pages_over_high(const struct pcp *pcp)
{
	unsigned pages = pcp->free_count;

	if (pcp->high < pcp->batch)
		return pcp->count;
	if (pages < pcp->batch)
		pages = pcp->batch;
	if (pages > pcp->high - pcp->batch)
		pages = pcp->high > pcp->batch ? pcp->high - pcp->batch : pcp->batch;
	return pages;
}

static void tune_after_free_locked(struct pages *p, struct pcp *pcp, unsigned pages)
{
	const struct zone *zone = &p->zone[pcp->zone];
	unsigned most = pcp->batch << BATCH_SCALE_MAX;

	DCHECK(lock_is_held(&pcp->door.lock));
	pcp->alloc_factor /= 2;
	pcp->free_count = pcp->free_count + pages < most ? pcp->free_count + pages : most;
	if (pcp->high == 0 || pcp->count < pcp->high)
		return;
	if (load_relaxed(&zone->below_high)) { /* pairs with rmqueue's store; a hint */
		pcp->high = pcp->high - pcp->high / 4 > load_relaxed(&zone->pcp_high_min)
				    ? pcp->high - pcp->high / 4
				    : load_relaxed(&zone->pcp_high_min);
	} else if (pcp->free_count + pcp->batch > pcp->high) {
		pcp->high = pcp->free_count + pcp->batch < load_relaxed(&zone->pcp_high_max)
				    ? pcp->free_count + pcp->batch
				    : load_relaxed(&zone->pcp_high_max);
	}
}

static void spill_if_over_locked(struct pages *p, struct pcp *pcp)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	if (pcp->count >= pcp->high)
		pcp_spill_locked(p, pcp, pages_over_high(pcp));
}

/*
 * One run more than a batch, for the caller.  A batch is 63 pages, so a refill takes 64, and their state
 * bytes are one cache line: two CPUs that refill in turn from one block do not share a line.  (A LIFO pair
 * took 12 ns on each of two CPUs that did, 3.5 otherwise.)
 */
unsigned pcp_refill_least(unsigned batch, unsigned order)
{
	unsigned runs = (batch + 1) >> order;

	return runs > 2 ? runs : 2;
}

/* Number of runs for a refill: the least, doubled with each refill in a row. */
static unsigned refill_runs_locked(struct pcp *pcp, unsigned order)
{
	unsigned runs = pcp_refill_least(pcp->batch, order);

	DCHECK(lock_is_held(&pcp->door.lock));
	if (pcp->high == 0)
		return 1;
	runs <<= pcp->alloc_factor;
	if (pcp->alloc_factor < BATCH_SCALE_MAX)
		pcp->alloc_factor++;
	return runs < MOVE_MAX ? runs : MOVE_MAX;
}

/* Number of runs for a stack's refill: at most half of what the stack keeps.  For runs between a page and a
 * block at most an eighth, since those on a stack are holes in blocks. */
static unsigned refill_stack_runs_locked(const struct pages *p, struct pcp *pcp,
					 const struct page_request *request)
{
	unsigned order = request->order;
	unsigned runs = refill_runs_locked(pcp, order);
	unsigned share = order == 0 || order == p->pageblock_order ? 2 : 8;
	unsigned most = pcp_stack_keeps_locked(p, pcp, order, request->type) / share;
	unsigned least = pcp_refill_least(pcp->batch, order);

	DCHECK(lock_is_held(&pcp->door.lock));
	if (most < least)
		most = least;
	if (most > MOVE_MAX >> (order < 3 ? order : 3))
		most = MOVE_MAX >> (order < 3 ? order : 3); /* larger runs take longer each */
	return runs < most ? runs : most;
}

/* ---- one run at a time: without sequences, and for a CPU given by number ---- */

/* Number of runs for a list's refill: beyond the least, only as many as high has room for. */
static unsigned list_refill_runs_locked(struct pcp *pcp, unsigned order)
{
	unsigned least = pcp_refill_least(pcp->batch, order);
	unsigned room = (pcp->high > pcp->count ? pcp->high - pcp->count : 0) >> order;
	unsigned runs = refill_runs_locked(pcp, order);

	DCHECK(lock_is_held(&pcp->door.lock));
	if (room < least)
		room = least;
	return runs < room ? runs : room;
}

static void reverse(uint32_t *frames, unsigned n)
{
	for (unsigned i = 0; i < n / 2; i++) {
		uint32_t other = frames[n - 1 - i];

		frames[n - 1 - i] = frames[i];
		frames[i] = other;
	}
}

uint32_t pcp_alloc_locked(struct pages *p, struct pcp *pcp, const struct page_request *request)
{
	unsigned list = list_of(p, request->order, request->type);
	uint32_t frames[MOVE_MAX];
	unsigned n;

	DCHECK(lock_is_held(&pcp->door.lock));
	count_add(pcp->activity, 1);
	pcp->free_count /= 2;
	if (list >= LISTS_NR)
		return FRAME_NONE;
	if (list_take_locked(p, pcp, list, frames, 1) == 1) {
		count_add(pcp->list_allocs, 1);
		return frames[0];
	}
	n = rmqueue_bulk(p, &p->zone[pcp->zone], request, frames,
			 list_refill_runs_locked(pcp, request->order));
	if (n == 0)
		return FRAME_NONE;
	count_add(pcp->refills, 1);
	count_add(pcp->list_allocs, 1);
	reverse(frames + 1, n - 1); /* so that the list gives out rising addresses */
	list_put_locked(p, pcp, list, frames + 1, n - 1);
	return frames[0];
}

uint32_t pcp_take_any_locked(struct pages *p, struct pcp *pcp, unsigned order)
{
	uint32_t frame;

	DCHECK(lock_is_held(&pcp->door.lock));
	for (unsigned i = 0; i < LISTS_NR; i++)
		if (list_order(p, i) >= order && list_take_locked(p, pcp, i, &frame, 1) == 1)
			return frame;
	return FRAME_NONE;
}

void pcp_free_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order,
		     unsigned type)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	count_add(pcp->activity, 1);
	count_add(pcp->list_frees, 1);
	pcp_list_put_locked(p, pcp, frame, order, type);
	tune_after_free_locked(p, pcp, 1u << order);
	spill_if_over_locked(p, pcp);
}

/* ---- refilling and spilling stacks ---- */

static unsigned class_of(const struct pcp *pcp, unsigned order, unsigned type)
{
	return STACK_CLASS(order, (unsigned)pcp->zone << TAG_ZONE_SHIFT | type);
}

/* Takes up to @n runs from the first source that has any: depot, list, buddy.  Returns how many. */
static unsigned collect_locked(struct pages *p, struct pcp *pcp, const struct page_request *request,
			       uint32_t *frames, unsigned n)
{
	struct zone *zone = &p->zone[pcp->zone];
	unsigned list = list_of(p, request->order, request->type);
	unsigned got = depot_take(zone, request->order, request->type, frames, n);

	DCHECK(lock_is_held(&pcp->door.lock));
	if (got == 0 && list < LISTS_NR)
		got = list_take_locked(p, pcp, list, frames, n);
	if (got != 0)
		return got;
	got = rmqueue_bulk(p, zone, request, frames, n);
	count_add(pcp->refills, got != 0);
	reverse(frames, got); /* a stack gives out its last entry first: rising addresses */
	return got;
}

/* Puts what no stack took on a list, if one keeps the order and has room, or into the buddy. */
static void stow_locked(struct pages *p, struct pcp *pcp, unsigned list, const uint32_t *frames,
			unsigned n)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	if (n == 0)
		return;
	if (list < LISTS_NR && pcp->count + (n << list_order(p, list)) <= pcp->high) {
		list_put_locked(p, pcp, list, frames, n);
		return;
	}
	count_add(pcp->spills, 1);
	pcp_frames_to_buddy(p, &p->zone[pcp->zone], frames, n);
}

/* A nested call may not wait for the zone lock to spill: its pages stay on a list over high, and
 * the next ordinary call spills them (B7). */
static void stow_nested_locked(struct pages *p, struct pcp *pcp, unsigned list,
			       const uint32_t *frames, unsigned n)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	if (n != 0)
		list_put_locked(p, pcp, list, frames, n);
}

/* The push goes to the CPU on which the thread runs by then, which may be another one.  As this door is
 * held until the end, a thread that closes all doors cannot finish meanwhile.  Isolation relies on that. */
uint32_t pcp_refill_stack_locked(struct pages *p, struct pcp *pcp,
				 const struct page_request *request)
{
	unsigned order = request->order, type = request->type;
	unsigned list = list_of(p, order, type);
	bool nested = (request->flags & QUIRE_NOLOCK) != 0;
	uint32_t frames[MOVE_MAX];
	unsigned n, pushed;

	DCHECK(lock_is_held(&pcp->door.lock));
	CHECK(pcp_stacks_keep_order(p, order));
	count_add(pcp->activity, 1);
	pcp->free_count /= 2;
	pcp_stack_tune_locked(p, pcp, order, type);
	n = refill_stack_runs_locked(p, pcp, request);
	if (nested && list >= LISTS_NR)
		n = 1; /* what is not pushed could not be stowed without waiting */
	n = collect_locked(p, pcp, request, frames, n);
	if (n == 0)
		return FRAME_NONE;
	count_add(pcp->list_allocs, 1);
	n--;
	pushed = stack_push_n(&p->stacks.cpu, class_of(pcp, order, type), frames, n);
	if (nested)
		stow_nested_locked(p, pcp, list, frames + pushed, n - pushed);
	else
		stow_locked(p, pcp, list, frames + pushed, n - pushed);
	return frames[n];
}

void pcp_spill_stack_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order,
			    unsigned type)
{
	unsigned class = class_of(pcp, order, type), list = list_of(p, order, type);
	uint32_t frames[MOVE_MAX];
	unsigned half, n, kept, put;

	DCHECK(lock_is_held(&pcp->door.lock));
	CHECK(pcp_stacks_keep_order(p, order));
	half = pcp_stack_keeps_locked(p, pcp, order, type) / 2u;
	count_add(pcp->activity, 1);
	count_add(pcp->list_frees, 1);
	tune_after_free_locked(p, pcp, 1u << order);
	pcp_stack_tune_locked(p, pcp, order, type);
	if (stack_push_n(&p->stacks.cpu, class, &frame, 1) == 1)
		return;
	n = stack_pop_n(&p->stacks.cpu, class, frames, half < MOVE_MAX ? half : MOVE_MAX);
	kept = stack_push_n(&p->stacks.cpu, class, &frame, 1);
	put = depot_put(&p->zone[pcp->zone], order, type, frames, n);
	stow_locked(p, pcp, list, frames + put, n - put);
	stow_locked(p, pcp, list, &frame, 1 - kept);
	spill_if_over_locked(p, pcp);
}

/* ---- idle ---- */

unsigned pcp_decay_locked(struct pages *p, struct pcp *pcp)
{
	const struct zone *zone = &p->zone[pcp->zone];
	unsigned high = pcp->high - (pcp->high + 7) / 8; /* rounded up, or 7 would stay 7 */

	DCHECK(lock_is_held(&pcp->door.lock));
	if (pcp->high == 0)
		return 0;
	pcp->high =
		high > load_relaxed(&zone->pcp_high_min) ? high : load_relaxed(&zone->pcp_high_min);
	return pcp->count > pcp->high ? pcp_spill_locked(p, pcp, pcp->count - pcp->high) : 0;
}
