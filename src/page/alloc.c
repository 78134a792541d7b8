/* SPDX-License-Identifier: MIT */
/*
 * page/alloc.c - from quire_alloc_pages() to a frame
 *
 * The fast path is one sequence on this CPU's stack, two accesses to the state byte, and the
 * computation of the address.  Everything else is page_alloc_frame(), a list of attempts.
 */
#include "page/alloc.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "base/entry.h"
#include "base/errno.h"
#include "base/mem.h"
#include "instance/module.h"
#include "instance/shrinker.h"
#include "instance/worker.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/usdt.h"
#include "page/depot.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/grow.h"
#include "page/layout.h"
#include "page/limit.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/request.h"
#include "page/rmqueue.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/watch.h"

#define FLAGS_KNOWN                                                                                \
	(QUIRE_MOVABLE | QUIRE_RECLAIMABLE | QUIRE_ZERO | QUIRE_NOWAIT | QUIRE_ATOMIC |            \
	 QUIRE_NOLOCK | QUIRE_NORETRY | 0xff000000u)

int page_request_make(struct pages *p, struct page_request *request, unsigned order, unsigned flags)
{
	unsigned type = flags & (QUIRE_MOVABLE | QUIRE_RECLAIMABLE);
	unsigned node = flags >> 24; /* 0: none; else one more than its number */

	if (p->q.dead)
		return -EOWNERDEAD;
	if (order > QUIRE_ORDER_MAX || (flags & ~FLAGS_KNOWN) != 0 || type >= TYPES_NR ||
	    node > p->zones_nr)
		return -EINVAL;
	*request = (struct page_request){
		.order = order,
		.type = type,
		.zone = node != 0 ? node - 1 : page_home_zone(p),
		.zone_only = node != 0,
		.flags = flags,
	};
	return 0;
}

void *page_finish_alloc(struct pages *p, uint32_t frame, const struct page_request *request)
{
	unsigned order = request->order;
	unsigned state = page_state(p, frame);
	void *addr = page_addr(p, frame);

	CHECK_VALUES((state & ~STATE_ZERO) == (STATE_CACHED | order), frame, state);
	page_set_state(p, frame, STATE_ALLOCATED | order);
	if (UNLIKELY(p->q.watched))
		page_watch_alloc(p, addr, (size_t)1 << (order + p->page_shift), state);
	if ((request->flags & QUIRE_ZERO) && !(state & STATE_ZERO))
		memset(addr, 0, (size_t)1 << (order + p->page_shift));
	return addr;
}

/* Takes a run from the depot, this CPU's lists or the buddy, and refills the CPU's stack.  Sets *@had_lock
 * to false if the CPU's lock is taken; then only the depot was asked, and nothing is known about the zone. */
static uint32_t from_pcp(struct pages *p, const struct page_request *request, bool *had_lock)
{
	lock_token token;
	struct pcp *pcp = pcp_current_try(p, request->zone, &token);
	uint32_t frame;

	*had_lock = pcp != NULL;
	if (pcp == NULL)
		return depot_take_one(p, request);
	if (p->stacks.cpu.slots_nr != 0)
		frame = pcp_refill_stack_locked(p, pcp, request);
	else
		frame = pcp_alloc_locked(p, pcp, request);
	lock_release(&pcp->door.lock, token);
	return frame;
}

/*
 * Calls from_pcp(); if the zone had nothing, grows the zone and calls it again, so the CPU takes a whole
 * batch from the fresh blocks.  If it took a single page, the next one would go to another CPU, and the two
 * CPUs would write state bytes in one cache line.
 */
static uint32_t from_grown_pcp(struct pages *p, const struct page_request *request)
{
	uint32_t frame = FRAME_NONE;
	bool had_lock;

	if (!pcp_stacks_keep_order(p, request->order))
		return FRAME_NONE;
	frame = from_pcp(p, request, &had_lock);
	if (frame != FRAME_NONE || !had_lock || (request->flags & QUIRE_NOLOCK) ||
	    zone_grow(p, &p->zone[request->zone], request) != 0)
		return frame;
	return from_pcp(p, request, &had_lock);
}

/* Makes the other modules give up what they cache; the attempt then waits for memory that is being returned. */
static uint32_t after_shrink(struct pages *p, const struct page_request *request)
{
	modules_shrink(&p->q);
	return drain_and_take(p, request);
}

/* The buddy had nothing.  Drains all CPUs, depots and spares; if that does not help, takes what all modules
 * cache, then what a limit permits that was raised, then what the program's caches give up. */
static uint32_t after_drain(struct pages *p, const struct page_request *request)
{
	struct shrinkers_walk walk =
		shrinkers_walk_begin(&p->q, (size_t)1 << (request->order + p->page_shift));
	uint32_t raises = limit_raises(p);
	uint32_t frame;

	page_take_deferred(p);
	drain_everything(p);
	frame = rmqueue_direct(p, request);
	if (frame != FRAME_NONE)
		return frame;
	frame = after_shrink(p, request);
	if (frame == FRAME_NONE) {
		limit_follow_refused(p);
		if (limit_raises(p) != raises)
			frame = rmqueue_direct(p, request);
	}
	while (frame == FRAME_NONE && shrinkers_step(&p->q, &walk)) {
		page_take_deferred(p);
		frame = after_shrink(p, request);
	}
	return frame;
}

/* By how many pages each zone exceeds the most that it ever used; returns the sum. */
static uint64_t owed_by_zone(struct pages *p, uint64_t *owed)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < p->zones_nr; i++) {
		struct zone *zone = &p->zone[i];
		lock_token token;

		zone_lock_for(zone, 0, &token);
		owed[i] = zone_above_high_locked(zone, zone_available_locked(p, zone));
		zone_unlock(zone, token);
		sum += owed[i];
	}
	return sum;
}

/*
 * Pages have taken more than ever before: other modules give up as much of what they cache.  Only what they cannot
 * give raises the peak, so that growth is paid for as long as they have anything.  One caller at a time, or two
 * would pay the same debt.  If a module was busy the debt stays, and the next refill says so again.
 */
static __attribute__((noinline, cold)) void make_up(struct pages *p, unsigned flags)
{
	uint64_t owed[ZONES_MAX], pages;

	if ((flags & (FLAGS_NO_WAIT | QUIRE_NORETRY)) || exchange_acquire(&p->ceding, true))
		return;
	store_relaxed(&p->owes, false); /* before it is counted: a later refill sets it anew */
	pages = owed_by_zone(p, owed);
	if (pages >= PEAK_STEP_BYTES >> p->page_shift &&
	    modules_cede(&p->q, (size_t)pages << p->page_shift)) {
		for (unsigned i = 0; i < p->zones_nr; i++) {
			lock_token token;

			zone_lock_for(&p->zone[i], 0, &token);
			zone_raise_high_locked(p, &p->zone[i], owed[i]);
			zone_unlock(&p->zone[i], token);
		}
	}
	store_release(&p->ceding, false); /* pairs with the exchange: the debt is paid */
}

uint32_t page_alloc_frame(struct pages *p, const struct page_request *asked)
{
	struct page_request request = *asked;
	uint32_t frame;

	if (lock_nested())
		request.flags |= QUIRE_NOLOCK;
	else if (UNLIKELY(load_relaxed(&p->deferred) != FRAME_NONE) &&
		 !(request.flags & QUIRE_NOLOCK))
		page_take_deferred(p);
	frame = from_grown_pcp(p, &request);
	if (frame == FRAME_NONE && (request.flags & QUIRE_NOLOCK))
		frame = nested_alloc(p, &request);
	else if (frame == FRAME_NONE)
		frame = rmqueue_direct(p, &request);
	if (frame == FRAME_NONE && !(request.flags & (FLAGS_NO_WAIT | QUIRE_NORETRY)))
		frame = after_drain(p, &request);
	if (frame == FRAME_NONE)
		fetch_add_relaxed(&p->refusals, 1);
	if (UNLIKELY(load_relaxed(&p->owes))) /* a hint: pairs with rmqueue_bulk() */
		make_up(p, request.flags);
	giveback_kick(p);
	if (UNLIKELY(load_relaxed(&p->spares_wanted)) && !(request.flags & QUIRE_NOLOCK))
		nested_fill(p);
	giveback_ensure_worker(p, request.flags);
	USDT(mm_page_alloc, page_pfn(p, frame), request.order, request.flags, request.type);
	return frame;
}

/* Returns NULL and sets *@error if no attempt finds a run. */
static void *alloc_without_stack(struct pages *p, const struct page_request *request, int *error)
{
	uint32_t frame = page_alloc_frame(p, request);

	if (frame != FRAME_NONE)
		return page_finish_alloc(p, frame, request);
	*error = -ENOMEM;
	return NULL;
}

void *page_alloc_run(struct quire *q, unsigned order, unsigned flags, int *error)
{
	struct pages *p = pages_of(q);
	struct page_request request;
	uint32_t frame;

	*error = page_request_make(p, &request, order, flags);
	if (*error)
		return NULL;
	/* The fast path of other modules, and of the calls that quire_alloc_pages() does not serve itself:
	 * with QUIRE_ZERO, with a node or several zones, or with flags that matter only when the stack is
	 * empty. */
	frame = stack_pop(&p->stacks.cpu, page_request_class(&request));
	if (frame == STACK_NONE)
		return alloc_without_stack(p, &request, error);
	if (UNLIKELY(load_relaxed(&q->looks)))
		worker_look(q, flags);
	return page_finish_alloc(p, frame, &request);
}

/* The fast path does not serve these flags, or this order. */
static __attribute__((noinline, cold)) void *alloc_other(struct pages *p, unsigned order,
							 unsigned flags)
{
	int error;
	void *addr = page_alloc_run(&p->q, order, flags, &error);

	if (addr == NULL)
		process_set_errno(-error);
	return addr;
}

/* The fast path found the stack empty. */
static __attribute__((noinline, cold)) void *alloc_slow(struct pages *p, unsigned order,
							unsigned flags)
{
	struct page_request request;
	int error = page_request_make(p, &request, order, flags);
	void *addr = error ? NULL : alloc_without_stack(p, &request, &error);

	if (addr == NULL)
		process_set_errno(-error);
	return addr;
}

FAST_ENTRY(quire_alloc_pages);

void *quire_alloc_pages(struct quire *q, unsigned order, unsigned flags)
{
	struct pages *p = pages_of(q);
	uint32_t frame;
	uint8_t *state;

	if (UNLIKELY(flags >= load_relaxed(&p->fast_flags_end) || order > QUIRE_ORDER_MAX))
		return alloc_other(p, order, flags);
	frame = stack_pop(&p->stacks.cpu, STACK_CLASS(order, flags));
	if (UNLIKELY(frame == STACK_NONE))
		return alloc_slow(p, order, flags);
	/* Relaxed, as page_state(): the run is ours now.  CACHED and this order, whatever ZERO says. */
	state = &p->state[frame];
	CHECK_VALUES(((load_relaxed(state) ^ order ^ STATE_CACHED) & ~STATE_ZERO) == 0, frame,
		     order);
	store_relaxed(state, (uint8_t)(STATE_ALLOCATED | order));
	return p->base + ((size_t)frame << FAST_PAGE_SHIFT);
}

void *page_alloc_on(struct pages *p, unsigned slot, unsigned order, unsigned flags)
{
	struct page_request request;
	struct pcp *pcp;
	lock_token token;
	uint32_t frame;

	if (page_request_make(p, &request, order, flags) != 0)
		return NULL;
	pcp = pcp_lock_slot(p, request.zone, slot, &token);
	frame = pcp_alloc_locked(p, pcp, &request);
	lock_release(&pcp->door.lock, token);
	if (frame == FRAME_NONE)
		frame = rmqueue_direct(p, &request);
	if (frame == FRAME_NONE)
		frame = after_drain(p, &request);
	return frame == FRAME_NONE ? NULL : page_finish_alloc(p, frame, &request);
}

/* ---- exact sizes ---- */

/* Smallest order of at least that many pages: 1 -> 0, 3 -> 2, 4 -> 2. */
static unsigned pages_order(size_t pages)
{
	unsigned order = 0;

	while (order <= QUIRE_ORDER_MAX && (size_t)1 << order < pages)
		order++;
	return order;
}

static size_t bytes_pages(const struct pages *p, size_t bytes)
{
	return (bytes >> p->page_shift) + ((bytes & p->page_mask) != 0);
}

void *quire_alloc_pages_exact(struct quire *q, size_t bytes, unsigned flags)
{
	struct pages *p = pages_of(q);
	size_t pages = bytes_pages(p, bytes);
	unsigned order = pages_order(pages);
	char *addr;

	if (bytes == 0 || order > QUIRE_ORDER_MAX) {
		process_set_errno(EINVAL);
		return NULL;
	}
	addr = quire_alloc_pages(q, order, flags);
	if (addr == NULL)
		return NULL;
	quire_split_pages(q, addr, order);
	for (size_t i = pages; i < (size_t)1 << order; i++)
		quire_free_pages(q, addr + (i << p->page_shift), 0);
	return addr;
}

void quire_free_pages_exact(struct quire *q, void *addr, size_t bytes)
{
	struct pages *p = pages_of(q);

	if (addr == NULL)
		return;
	for (size_t i = 0; i < bytes_pages(p, bytes); i++)
		quire_free_pages(q, (char *)addr + (i << p->page_shift), 0);
}

void page_split_to(struct pages *p, void *addr, unsigned order, unsigned new_order)
{
	uint32_t frame = page_check_free(p, addr, order, "quire_split_pages");

	CHECK(new_order <= order);
	for (uint32_t i = 0; i < 1u << order; i += 1u << new_order)
		page_set_state(p, frame + i, STATE_ALLOCATED | new_order);
	if (UNLIKELY(p->q.annotated))
		annotate_split(addr, (size_t)1 << (order + p->page_shift),
			       (size_t)1 << (new_order + p->page_shift));
}

void quire_split_pages(struct quire *q, void *addr, unsigned order)
{
	struct pages *p = pages_of(q);

	if (!q->dead)
		page_split_to(p, addr, order, 0);
}
