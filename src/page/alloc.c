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
#include "base/errno.h"
#include "base/mem.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/grow.h"
#include "page/instance.h"
#include "page/layout.h"
#include "page/module.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pcp.h"
#include "page/rmqueue.h"
#include "page/stacks.h"
#include "page/state.h"

#define FLAGS_KNOWN                                                                                \
	(QUIRE_MOVABLE | QUIRE_RECLAIMABLE | QUIRE_ZERO | QUIRE_NOWAIT | QUIRE_ATOMIC |            \
	 QUIRE_NOLOCK | QUIRE_NORETRY | 0xff000000u)

unsigned page_flags_type(unsigned flags)
{
	return flags & (QUIRE_MOVABLE | QUIRE_RECLAIMABLE);
}

bool page_flags_valid(const struct quire *q, unsigned order, unsigned flags)
{
	return order <= QUIRE_ORDER_MAX && (flags & ~FLAGS_KNOWN) == 0 &&
	       page_flags_type(flags) < TYPES_NR && flags >> 24 <= q->zones_nr;
}

void *page_finish_alloc(struct quire *q, uint32_t frame, unsigned order, unsigned flags)
{
	unsigned state = page_state(q, frame);
	void *addr = page_addr(q, frame);

	CHECK_VALUES((state & ~STATE_ZERO) == (STATE_CACHED | order), frame, state);
	page_set_state(q, frame, STATE_ALLOCATED | order);
	if (UNLIKELY(q->annotated))
		annotate_alloc(addr, (size_t)1 << (order + q->page_shift), state & STATE_ZERO);
	if ((flags & QUIRE_ZERO) && !(state & STATE_ZERO))
		memset(addr, 0, (size_t)1 << (order + q->page_shift));
	return addr;
}

static unsigned home_zone(struct quire *q, unsigned flags)
{
	unsigned node = flags >> 24;

	return node != 0 ? node - 1 : page_home_zone(q);
}

unsigned page_stack_class(struct quire *q, unsigned order, unsigned flags)
{
	return STACK_CLASS(order, home_zone(q, flags) << TAG_ZONE_SHIFT | page_flags_type(flags));
}

/* A run from this CPU's lists, depot or buddy; its stack is refilled on the way.  *@had_lock: false if the
 * CPU's lock was refused, so that nothing is known about the zone. */
static uint32_t from_pcp(struct quire *q, unsigned order, unsigned flags, bool *had_lock)
{
	unsigned type = page_flags_type(flags);
	lock_token token;
	struct pcp *pcp = pcp_current_try(q, home_zone(q, flags), &token);
	uint32_t frame;

	*had_lock = pcp != NULL;
	if (pcp == NULL)
		return FRAME_NONE;
	if (q->stacks.cpu.slots_nr != 0)
		frame = pcp_refill_stack_locked(q, pcp, order, type, flags);
	else
		frame = pcp_alloc_locked(q, pcp, order, type, flags);
	lock_release(&pcp->door.lock, token);
	return frame;
}

/*
 * The same; and if the zone had nothing, once more after growing it.  So the CPU takes a batch from the
 * fresh blocks.  If it took a single page, the next one would go to another CPU, and the two CPUs would
 * write state bytes in one cache line.
 */
static uint32_t from_grown_pcp(struct quire *q, unsigned order, unsigned flags)
{
	uint32_t frame = FRAME_NONE;
	bool had_lock;

	if (!stack_keeps(q, order))
		return FRAME_NONE;
	frame = from_pcp(q, order, flags, &had_lock);
	if (frame != FRAME_NONE || !had_lock || (flags & QUIRE_NOLOCK) ||
	    zone_grow(q, &q->zone[home_zone(q, flags)], flags, order) != 0)
		return frame;
	return from_pcp(q, order, flags, &had_lock);
}

/* When the buddy has nothing: takes what all CPUs, depots and spares hold, then waits for memory that is
 * being returned, and makes other modules give up what they cache. */
static uint32_t after_drain(struct quire *q, unsigned order, unsigned flags)
{
	uint32_t frame;

	page_take_deferred(q);
	drain_everything(q);
	frame = rmqueue_direct(q, order, flags);
	if (frame != FRAME_NONE)
		return frame;
	giveback_wait(q);
	modules_shrink(q);
	return drain_and_take(q, order, flags);
}

uint32_t page_alloc_frame(struct quire *q, unsigned order, unsigned flags)
{
	uint32_t frame;

	if (lock_nested())
		flags |= QUIRE_NOLOCK;
	else if (UNLIKELY(load_relaxed(&q->deferred) != FRAME_NONE) && !(flags & QUIRE_NOLOCK))
		page_take_deferred(q);
	frame = from_grown_pcp(q, order, flags);
	if (frame == FRAME_NONE && (flags & QUIRE_NOLOCK))
		frame = nested_alloc(q, home_zone(q, flags), order, flags);
	else if (frame == FRAME_NONE)
		frame = rmqueue_direct(q, order, flags);
	if (frame == FRAME_NONE && !(flags & (FLAGS_NO_WAIT | QUIRE_NORETRY)))
		frame = after_drain(q, order, flags);
	if (frame == FRAME_NONE)
		fetch_add_relaxed(&q->refusals, 1);
	giveback_kick(q);
	if (UNLIKELY(load_relaxed(&q->spares_wanted)) && !(flags & QUIRE_NOLOCK))
		nested_fill(q);
	module_start_worker(q, flags);
	return frame;
}

void *page_alloc_run(struct quire *q, unsigned order, unsigned flags, int *error)
{
	uint32_t frame;

	if (q->dead || !page_flags_valid(q, order, flags)) {
		*error = q->dead ? -EOWNERDEAD : -EINVAL;
		return NULL;
	}
	/* The fast path of calls that quire_alloc_pages() does not serve itself: with QUIRE_ZERO, with a
	 * node or several zones, or with flags that matter only when the stack is empty. */
	frame = stack_pop(&q->stacks.cpu, page_stack_class(q, order, flags));
	if (frame == STACK_NONE)
		frame = page_alloc_frame(q, order, flags);
	else if (UNLIKELY(load_relaxed(&q->looks)))
		module_look(q, flags);
	if (frame == FRAME_NONE) {
		*error = -ENOMEM;
		return NULL;
	}
	return page_finish_alloc(q, frame, order, flags);
}

static __attribute__((noinline, cold)) void *alloc_slow(struct quire *q, unsigned order,
							unsigned flags)
{
	int error = 0;
	void *addr = page_alloc_run(q, order, flags, &error);

	if (addr == NULL)
		process_set_errno(-error);
	return addr;
}

void *quire_alloc_pages(struct quire *q, unsigned order, unsigned flags)
{
	uint32_t frame;
	uint8_t *state;

	if (UNLIKELY(flags >= load_relaxed(&q->fast_flags_end) || order > QUIRE_ORDER_MAX))
		return alloc_slow(q, order, flags);
	frame = stack_pop(&q->stacks.cpu, STACK_CLASS(order, flags));
	if (UNLIKELY(frame == STACK_NONE))
		return alloc_slow(q, order, flags);
	/* Relaxed, as page_state(): the run is ours now.  CACHED and this order, whatever ZERO says. */
	state = &q->state[frame];
	CHECK_VALUES(((load_relaxed(state) ^ order ^ STATE_CACHED) & ~STATE_ZERO) == 0, frame,
		     order);
	store_relaxed(state, (uint8_t)(STATE_ALLOCATED | order));
	return page_addr(q, frame);
}

void *page_alloc_on(struct quire *q, unsigned slot, unsigned order, unsigned flags)
{
	lock_token token;
	struct pcp *pcp = pcp_lock_slot(q, home_zone(q, flags), slot, &token);
	uint32_t frame = pcp_alloc_locked(q, pcp, order, page_flags_type(flags), flags);

	lock_release(&pcp->door.lock, token);
	if (frame == FRAME_NONE)
		frame = rmqueue_direct(q, order, flags);
	if (frame == FRAME_NONE)
		frame = after_drain(q, order, flags);
	return frame == FRAME_NONE ? NULL : page_finish_alloc(q, frame, order, flags);
}

/* ---- exact sizes --------------------------------------------------------------------------------
 */

/* Smallest order of at least that many pages: 1 -> 0, 3 -> 2, 4 -> 2. */
static unsigned pages_order(size_t pages)
{
	unsigned order = 0;

	while (order <= QUIRE_ORDER_MAX && (size_t)1 << order < pages)
		order++;
	return order;
}

static size_t bytes_pages(const struct quire *q, size_t bytes)
{
	return (bytes >> q->page_shift) +
	       ((bytes & (quire_page_bytes((void *)(uintptr_t)q) - 1)) != 0);
}

void *quire_alloc_pages_exact(struct quire *q, size_t bytes, unsigned flags)
{
	size_t pages = bytes_pages(q, bytes);
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
		quire_free_pages(q, addr + (i << q->page_shift), 0);
	return addr;
}

void quire_free_pages_exact(struct quire *q, void *addr, size_t bytes)
{
	if (addr == NULL)
		return;
	for (size_t i = 0; i < bytes_pages(q, bytes); i++)
		quire_free_pages(q, (char *)addr + (i << q->page_shift), 0);
}

void page_split_to(struct quire *q, void *addr, unsigned order, unsigned new_order)
{
	uint32_t frame = page_check_free(q, addr, order, "quire_split_pages");

	CHECK(new_order <= order);
	for (uint32_t i = 0; i < 1u << order; i += 1u << new_order)
		page_set_state(q, frame + i, STATE_ALLOCATED | new_order);
	if (UNLIKELY(q->annotated))
		annotate_split(addr, (size_t)1 << (order + q->page_shift),
			       (size_t)1 << (new_order + q->page_shift));
}

void quire_split_pages(struct quire *q, void *addr, unsigned order)
{
	if (!q->dead)
		page_split_to(q, addr, order, 0);
}
