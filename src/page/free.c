/* SPDX-License-Identifier: MIT */
/*
 * page/free.c - from quire_free_pages() to a stack, a list, the buddy, or the deferred list
 *
 * The fast path checks the state byte (so that a double free, the middle of a block, a wrong order
 * or a foreign pointer stops here), reads the block's tag, and pushes on this CPU's stack of that
 * type in one sequence, which reads the tag once more inside: a block that is being isolated gets
 * no page on a stack after the fence.
 *
 * Pages of blocks that are emptying, isolated or highatomic bypass the stacks, and so do orders
 * without a stack.  If a try of the current CPU's lists fails, the page goes to the buddy.  If
 * that fails too, in a signal handler that interrupted a holder, the page goes to the deferred
 * list, linked through struct page, which the next ordinary slow path processes.
 *
 * Fork.  A page may be deferred while the kernel copies memory page by page, and a child could have the head of after
 * the push and the link of before it.  So the child begins with an empty list: what was on it when the fork began is in
 * the buddy by then, and what was deferred later is lost there, as are other runs that other threads had in their hands.
 * Until the fork is done nobody takes anything off: in the child, a handler that runs before would read a torn list.  Nested
 * allocations of other threads do without meanwhile.
 */
#include "page/free.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "base/entry.h"
#include "base/opaque.h"
#include "base/whole.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "machine/usdt.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/charge.h"
#include "page/depot.h"
#include "page/emptying.h"
#include "page/giveback.h"
#include "page/layout.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/watch.h"
#include "page/zone.h"

/* ---- misuse ---- */

/* Head of the run that holds @frame, or @frame itself if no head of a large enough run is found. */
static uint32_t enclosing_head(const struct pages *p, uint32_t frame)
{
	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++) {
		uint32_t head = frame & ~((1u << order) - 1);

		if (page_state(p, head) != STATE_TAIL &&
		    (page_state(p, head) & STATE_ORDER) >= order)
			return head;
	}
	return frame;
}

bool page_is_allocated(const struct quire *q, const void *addr)
{
	const struct pages *p = pages_of_const(q);
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;

	return offset < p->span_bytes && (offset & p->page_mask) == 0 &&
	       (page_state(p, enclosing_head(p, page_frame(p, addr))) & STATE_KIND) ==
		       STATE_ALLOCATED;
}

static _Noreturn void free_misuse(const struct pages *p, const void *addr, unsigned order,
				  const char *function)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;
	uint32_t frame = page_frame(p, addr), head;

	if (offset >= p->span_bytes)
		misuse_number("foreign pointer", function, addr, "order", order);
	if (offset & p->page_mask)
		misuse_number("not the start of a page", function, addr, "order", order);
	head = enclosing_head(p, frame);
	if ((page_state(p, head) & STATE_KIND) == STATE_ALLOCATED) {
		if (head == frame)
			misuse_number("wrong order", function, addr, "order", order);
		misuse_number("the middle of a block", function, addr, "order", order);
	}
	if (page_state(p, head) == STATE_TAIL)
		misuse_number("never allocated", function, addr, "order", order);
	misuse_number("double free", function, addr, "order", order);
}

uint32_t page_check_free(struct pages *p, const void *addr, unsigned order, const char *function)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;
	uint32_t frame = page_frame(p, addr);

	if (UNLIKELY(offset >= p->span_bytes || (offset & p->page_mask) != 0 ||
		     page_state(p, frame) != (uint64_t)STATE_ALLOCATED + order))
		free_misuse(p, addr, order, function);
	return frame;
}

/* ---- slow paths ---- */

/* Lock-free push; the order is in the state byte. */
static void deferred_push(struct pages *p, uint32_t frame)
{
	uint32_t head = load_relaxed(&p->deferred);

	do {
		page_of(p, frame)->next = head;
		/* Pairs with the exchanges that take the list: they see what was written before, and
		 * giveback_kick() sees what the visit did that had taken the list before. */
	} while (!cas_acq_rel(&p->deferred, &head, frame));
}

static void defer(struct pages *p, uint32_t frame)
{
	page_set_state(p, frame, STATE_DEFERRED | (page_state(p, frame) & STATE_ORDER));
	deferred_push(p, frame);
	fetch_add_relaxed(&p->deferred_total, 1);
}

/* The whole list, so no ABA. */
static uint32_t deferred_splice(struct pages *p)
{
	if (UNLIKELY(load_relaxed(&p->forking))) /* a hint for others than its thread */
		return FRAME_NONE;
	return exchange_acq_rel(&p->deferred, FRAME_NONE); /* pairs with deferred_push() */
}

uint32_t page_take_deferred_one(struct pages *p, unsigned order)
{
	uint32_t frame = deferred_splice(p), chosen = FRAME_NONE;

	while (frame != FRAME_NONE) {
		uint32_t next = page_of(p, frame)->next;

		/* A run of an isolated or reserved block is not handed out again. */
		if (chosen == FRAME_NONE && (page_state(p, frame) & STATE_ORDER) >= order &&
		    load_relaxed(&p->tag[page_block(p, frame)]) < TAG_ISOLATE)
			chosen = frame;
		else
			deferred_push(p, frame);
		frame = next;
	}
	if (chosen != FRAME_NONE)
		page_set_state(p, chosen, STATE_CACHED | (page_state(p, chosen) & STATE_ORDER));
	return chosen;
}

/* Gives one run (state CACHED) to its block's lists.  False: the flags allow only a try. */
static bool to_buddy(struct pages *p, uint32_t frame, unsigned flags)
{
	struct zone *zone = page_zone(p, frame);
	unsigned state = page_state(p, frame);
	uint8_t *tag = &p->tag[page_block(p, frame)];
	lock_token token;

	if (!zone_lock_for(zone, flags, &token))
		return false;
	count_add(zone->buddy_frees, 1);
	if (*tag & TAG_EMPTYING)
		zone->emptying_frees++;
	buddy_free_locked(p, zone, frame, state & STATE_ORDER, state & STATE_ZERO);
	emptying_choose_locked(p, zone);
	zone_unlock(zone, token);
	return true;
}

void page_take_deferred(struct pages *p)
{
	uint32_t frame = deferred_splice(p);

	while (frame != FRAME_NONE) {
		uint32_t next = page_of(p, frame)->next;

		page_set_state(p, frame, STATE_CACHED | (page_state(p, frame) & STATE_ORDER));
		to_buddy(p, frame, 0);
		frame = next;
	}
}

void page_fork_prepare_deferred(struct pages *p)
{
	page_take_deferred(p);
	store_relaxed(&p->forking, true);
}

void page_fork_done_deferred(struct pages *p, bool child)
{
	if (child)
		store_relaxed(&p->deferred, FRAME_NONE);
	store_relaxed(&p->forking, false);
}

void page_free_direct(struct pages *p, uint32_t frame)
{
	if (!to_buddy(p, frame, lock_nested() ? QUIRE_NOLOCK : 0))
		defer(p, frame);
}

/* Puts a run away on the current CPU.  False: its block is special by now, or no list keeps it. */
static bool put_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order)
{
	DCHECK(lock_is_held(&pcp->door.lock));
	/* Under the lock the tag is firm: isolation sets it, then takes every pcp lock. */
	uint8_t tag = load_relaxed(&p->tag[page_block(p, frame)]);
	bool listed = pcp_lists_keep_order(p, order);

	if (tag >= TAG_SPECIAL)
		return false;
	if (p->stacks.cpu.slots_nr != 0)
		pcp_spill_stack_locked(p, pcp, frame, order, tag & TAG_TYPE);
	else if (listed)
		pcp_free_locked(p, pcp, frame, order, tag & TAG_TYPE);
	return p->stacks.cpu.slots_nr != 0 || listed;
}

/* A nested call only links the run into a list: spilling could wait for the zone lock. */
static bool put_nested_locked(struct pages *p, struct pcp *pcp, uint32_t frame, unsigned order)
{
	uint8_t tag = load_relaxed(&p->tag[page_block(p, frame)]);

	DCHECK(lock_is_held(&pcp->door.lock));
	if (tag >= TAG_SPECIAL || !pcp_lists_keep_order(p, order) || pcp->count >= pcp->high)
		return false;
	pcp_list_put_locked(p, pcp, frame, order, tag & TAG_TYPE);
	return true;
}

void page_put_frame(struct pages *p, uint32_t frame, unsigned order, unsigned flags)
{
	uint8_t tag = load_relaxed(&p->tag[page_block(p, frame)]);
	struct pcp *pcp = NULL;
	lock_token token;
	bool put = false;

	if (tag < TAG_SPECIAL && pcp_stacks_keep_order(p, order)) {
		pcp = pcp_current_try(p, tag >> TAG_ZONE_SHIFT, &token);
		if (pcp == NULL && !(flags & QUIRE_NOLOCK))
			put = depot_put_one(p, frame, order);
	}
	if (pcp != NULL) {
		put = flags & QUIRE_NOLOCK ? put_nested_locked(p, pcp, frame, order)
					   : put_locked(p, pcp, frame, order);
		lock_release(&pcp->door.lock, token);
	}
	if (!put && !to_buddy(p, frame, flags))
		defer(p, frame);
}

void page_free_frame(struct pages *p, uint32_t frame, unsigned order)
{
	bool nested = lock_nested();

	page_put_frame(p, frame, order, nested ? QUIRE_NOLOCK : 0);
	if (!nested && UNLIKELY(load_relaxed(&p->deferred) != FRAME_NONE))
		page_take_deferred(p);
	if (!nested && UNLIKELY(load_relaxed(&p->spares_wanted)))
		nested_fill(p);
	giveback_kick(p);
	if (!nested)
		giveback_ensure_worker_freed(p);
}

/* The order is in the state byte again: one register less to keep over the sequence. */
static __attribute__((noinline, cold)) void free_slow(struct pages *p, uint32_t frame)
{
	unsigned order = page_state(p, frame) & STATE_ORDER;

	USDT(mm_page_free, page_pfn(p, frame), order);
	if (UNLIKELY(p->q.watched))
		page_watch_free(p, page_addr(p, frame), (size_t)1 << (order + p->page_shift));
	page_free_frame(p, frame, order);
}

/*
 * Pushes a run of any type.  Where the stack is depends on the tag, which is known late, and the next
 * allocation waits for the push.  So the class comes from comparisons, which the processor predicts; it is
 * computed from the tag only with several zones.
 */
static __attribute__((noinline)) void free_typed(struct pages *p, uint32_t frame, unsigned order,
						 const uint8_t *guard)
{
	uint8_t tag = load_relaxed(guard); /* as in quire_free_pages() */
	unsigned class = STACK_CLASS(order, tag);

	if (LIKELY(tag == TYPE_MOVABLE))
		class = opaque(STACK_CLASS(order, TYPE_MOVABLE));
	else if (tag == TYPE_RECLAIMABLE)
		class = opaque(STACK_CLASS(order, TYPE_RECLAIMABLE));
	if (UNLIKELY(tag >= TAG_SPECIAL) ||
	    UNLIKELY(!stack_push(&p->stacks.cpu, class, frame, guard, tag)))
		free_slow(p, frame);
}

/* Pages of another size than the fast path's, NULL, and misuse. */
static __attribute__((noinline, cold)) void free_odd(struct pages *p, void *addr, unsigned order)
{
	uint32_t frame;

	if (addr == NULL || p->q.dead)
		return;
	frame = page_check_free(p, addr, order, "quire_free_pages");
	page_set_state(p, frame, STATE_CACHED | order);
	free_typed(p, frame, order, &p->tag[page_block(p, frame)]);
}

FAST_ENTRY(quire_free_pages);

void quire_free_pages(struct quire *q, void *addr, unsigned order)
{
	struct pages *p = pages_of(q);
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)p->base;
	size_t frame = whole_index(offset, FAST_PAGE_SHIFT);
	const uint8_t *guard;

	/* Relaxed, as page_state(): ours while it says ALLOCATED. */
	if (UNLIKELY(frame >= p->fast_frames) ||
	    UNLIKELY(load_relaxed(&p->state[frame]) != (uint64_t)STATE_ALLOCATED + order)) {
		free_odd(p, addr, order);
		return;
	}
	store_relaxed(&p->state[frame], (uint8_t)(STATE_CACHED | order));
	guard = &p->tag[frame >> (BLOCK_SHIFT - FAST_PAGE_SHIFT)];
	/* Pairs with block_set_tag_locked(); the guard is read again inside the sequence. */
	if (load_relaxed(guard) != TYPE_UNMOVABLE)
		free_typed(p, (uint32_t)frame, order, guard);
	else if (UNLIKELY(!stack_push(&p->stacks.cpu, STACK_CLASS(order, TYPE_UNMOVABLE),
				      (uint32_t)frame, guard, TYPE_UNMOVABLE)))
		free_slow(p, (uint32_t)frame);
}

void page_free_on(struct pages *p, unsigned slot, void *addr, unsigned order)
{
	uint32_t frame = page_check_free(p, addr, order, "page_free_on");
	uint8_t tag = load_relaxed(&p->tag[page_block(p, frame)]);
	struct pcp *pcp;
	lock_token token;

	page_set_state(p, frame, STATE_CACHED | order);
	if (tag >= TAG_SPECIAL || !pcp_lists_keep_order(p, order)) {
		page_free_direct(p, frame);
		return;
	}
	pcp = pcp_lock_slot(p, tag >> TAG_ZONE_SHIFT, slot, &token);
	pcp_free_locked(p, pcp, frame, order, tag & TAG_TYPE);
	lock_release(&pcp->door.lock, token);
}
