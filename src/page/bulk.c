/* SPDX-License-Identifier: MIT */
/*
 * page/bulk.c - many single pages at a time
 *
 * A bulk free works in two passes, as in Linux.  The first pass checks every page and sends pages
 * of special blocks straight to the buddy.  It may leave no page at all, so the second pass must
 * not read a first entry without checking (R11).  The second pass frees runs of pages of one zone
 * and type under one lock, at most GROUP_MAX at a time.
 */
#include "page/free.h"

#include <quire/page.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "page/alloc.h"
#include "page/giveback.h"
#include "page/instance.h"
#include "page/layout.h"
#include "page/module.h"
#include "page/page.h"
#include "page/pcp.h"
#include "page/state.h"
#include "page/zone.h"

/* Linux unlocks after SWAP_CLUSTER_MAX = 32; twice that is one cache line's worth of state bytes.
 */
#define GROUP_MAX 64u

/* Empty slots among the next GROUP_MAX: what is popped at once is also used. */
static unsigned empty_ahead(void *const *pages, size_t left)
{
	unsigned empty = 0;

	for (size_t i = 0; i < left && i < GROUP_MAX; i++)
		empty += pages[i] == NULL;
	return empty;
}

size_t quire_alloc_pages_bulk(struct quire *q, void **pages, size_t count, unsigned flags)
{
	bool refused = q->dead || !page_flags_valid(q, 0, flags);
	uint32_t frames[GROUP_MAX];
	size_t present = 0;
	unsigned held = 0;

	if (refused)
		process_set_errno(q->dead ? EOWNERDEAD : EINVAL);
	for (size_t i = 0; i < count; i++) {
		uint32_t frame;

		if (pages[i] == NULL && !refused) {
			if (held == 0)
				held = stack_pop_n(&q->stacks.cpu, page_stack_class(q, 0, flags),
						   frames, empty_ahead(pages + i, count - i));
			frame = held != 0 ? frames[--held] : page_alloc_frame(q, 0, flags);
			if (frame != FRAME_NONE)
				pages[i] = page_finish_alloc(q, frame, 0, flags);
			else
				process_set_errno(ENOMEM);
			refused = frame == FRAME_NONE;
		}
		present += pages[i] != NULL;
	}
	if (UNLIKELY(load_relaxed(&q->looks)) && !refused)
		module_look(q, flags);
	return present;
}

/* ---- free ---------------------------------------------------------------------------------------
 */

struct group {
	uint32_t frames[GROUP_MAX];
	unsigned nr;
	uint8_t tag;
};

/* Under the door's lock tags are firm: what has become special since goes the slow way. */
static unsigned group_keep_ordinary(struct quire *q, struct group *group)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < group->nr; i++) {
		uint32_t frame = group->frames[i];

		if (load_relaxed(&q->tag[page_block(q, frame)]) == group->tag) {
			group->frames[i] = group->frames[kept];
			group->frames[kept++] = frame;
		}
	}
	return kept;
}

static void group_put_away(struct quire *q, struct group *group)
{
	struct zone *zone = &q->zone[group->tag >> TAG_ZONE_SHIFT];
	unsigned kept = 0, pushed = 0;
	lock_token token;
	struct pcp *pcp;

	if (group->nr == 0)
		return;
	/* A nested call puts its pages away one by one, by the rules for nested calls. */
	pcp = lock_nested() ? NULL : pcp_current_try(q, zone->index, &token);
	if (pcp != NULL) {
		kept = group_keep_ordinary(q, group);
		pushed = stack_push_n(&q->stacks.cpu, STACK_CLASS(0, group->tag), group->frames,
				      kept);
		for (unsigned i = pushed; i < kept && q->stacks.cpu.slots_nr == 0; i++, pushed++)
			pcp_free_locked(q, pcp, group->frames[i], 0, group->tag & TAG_TYPE);
		if (pushed < kept) {
			pcp_spill_stack_locked(q, pcp, group->frames[pushed++], 0,
					       group->tag & TAG_TYPE);
			pushed += stack_push_n(&q->stacks.cpu, STACK_CLASS(0, group->tag),
					       group->frames + pushed, kept - pushed);
		}
		lock_release(&pcp->door.lock, token);
	}
	for (unsigned i = pushed; i < group->nr; i++)
		page_free_frame(q, group->frames[i], 0);
	group->nr = 0;
}

/*
 * Checks the page in a slot, marks it freed and empties the slot.  A page of a special block goes
 * at once.  FRAME_NONE: nothing is left of it, or the slot was empty; otherwise its block's tag,
 * read once, is in @tag.
 */
static uint32_t prepare(struct quire *q, void **slot, uint8_t *tag)
{
	uint32_t frame;

	if (*slot == NULL)
		return FRAME_NONE;
	frame = page_check_free(q, *slot, 0, "quire_free_pages_bulk");
	if (UNLIKELY(q->annotated))
		annotate_free(*slot, (size_t)1 << q->page_shift);
	*slot = NULL;
	page_set_state(q, frame, STATE_CACHED);
	*tag = load_relaxed(&q->tag[page_block(q, frame)]);
	if (*tag < TAG_SPECIAL)
		return frame;
	page_free_direct(q, frame);
	return FRAME_NONE;
}

void quire_free_pages_bulk(struct quire *q, void **pages, size_t count)
{
	struct group group = { .nr = 0 };

	if (q->dead)
		return;
	for (size_t i = 0; i < count; i++) {
		uint8_t tag;
		uint32_t frame = prepare(q, &pages[i], &tag);

		if (frame == FRAME_NONE)
			continue;
		if (group.nr == GROUP_MAX || (group.nr != 0 && tag != group.tag))
			group_put_away(q, &group);
		group.tag = tag;
		group.frames[group.nr++] = frame;
	}
	group_put_away(q, &group);
	giveback_kick(q);
	module_start_worker_freed(q);
}

void page_free_bulk_on(struct quire *q, unsigned slot, size_t count, void **pages)
{
	struct pcp *pcp = NULL;
	lock_token token = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t tag;
		uint32_t frame = prepare(q, &pages[i], &tag);

		if (frame == FRAME_NONE)
			continue;
		if (pcp != NULL && pcp->zone != tag >> TAG_ZONE_SHIFT) {
			lock_release(&pcp->door.lock, token);
			pcp = NULL;
		}
		if (pcp == NULL)
			pcp = pcp_lock_slot(q, tag >> TAG_ZONE_SHIFT, slot, &token);
		pcp_free_locked(q, pcp, frame, 0, tag & TAG_TYPE);
	}
	if (pcp != NULL)
		lock_release(&pcp->door.lock, token);
}
