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
#include "base/mem.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "page/alloc.h"
#include "page/giveback.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/request.h"
#include "page/state.h"
#include "page/watch.h"
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
	struct pages *p = pages_of(q);
	struct page_request request;
	int error = page_request_make(p, &request, 0, flags);
	bool refused = error != 0;
	uint32_t frames[GROUP_MAX];
	size_t present = 0;
	unsigned held = 0;

	if (refused)
		process_set_errno(-error);
	for (size_t i = 0; i < count; i++) {
		uint32_t frame;

		if (pages[i] == NULL && !refused) {
			/* The thread may be on another node by now. */
			if (held == 0 && !request.zone_only)
				request.zone = page_home_zone(p);
			if (held == 0)
				held = stack_pop_n(&p->stacks.cpu, page_request_class(&request),
						   frames, empty_ahead(pages + i, count - i));
			frame = held != 0 ? frames[--held] : page_alloc_frame(p, &request);
			if (frame != FRAME_NONE)
				pages[i] = page_finish_alloc(p, frame, &request);
			else
				process_set_errno(ENOMEM);
			refused = frame == FRAME_NONE;
		}
		present += pages[i] != NULL;
	}
	if (UNLIKELY(load_relaxed(&q->looks)) && !refused)
		worker_look(q, flags);
	return present;
}

/* ---- free ---- */

struct group {
	uint32_t frames[GROUP_MAX];
	unsigned nr;
	uint8_t tag;
};

/* Under the door's lock tags are firm: what has become special since goes the slow way. */
static unsigned group_keep_ordinary(struct pages *p, struct group *group)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < group->nr; i++) {
		uint32_t frame = group->frames[i];

		if (load_relaxed(&p->tag[page_block(p, frame)]) == group->tag) {
			group->frames[i] = group->frames[kept];
			group->frames[kept++] = frame;
		}
	}
	return kept;
}

static void group_put_away(struct pages *p, struct group *group)
{
	struct zone *zone = &p->zone[group->tag >> TAG_ZONE_SHIFT];
	unsigned kept = 0, pushed = 0;
	lock_token token;
	struct pcp *pcp;

	if (group->nr == 0)
		return;
	/* A nested call puts its pages away one by one, by the rules for nested calls. */
	pcp = lock_nested() ? NULL : pcp_current_try(p, zone->index, &token);
	if (pcp != NULL) {
		kept = group_keep_ordinary(p, group);
		pushed = stack_push_n(&p->stacks.cpu, STACK_CLASS(0, group->tag), group->frames,
				      kept);
		for (unsigned i = pushed; i < kept && p->stacks.cpu.slots_nr == 0; i++, pushed++)
			pcp_free_locked(p, pcp, group->frames[i], 0, group->tag & TAG_TYPE);
		if (pushed < kept) {
			pcp_spill_stack_locked(p, pcp, group->frames[pushed++], 0,
					       group->tag & TAG_TYPE);
			pushed += stack_push_n(&p->stacks.cpu, STACK_CLASS(0, group->tag),
					       group->frames + pushed, kept - pushed);
		}
		lock_release(&pcp->door.lock, token);
	}
	for (unsigned i = pushed; i < group->nr; i++)
		page_free_frame(p, group->frames[i], 0);
	group->nr = 0;
}

/*
 * Checks the page in a slot, marks it freed and empties the slot.  A page of a special block goes
 * at once.  FRAME_NONE: nothing is left of it, or the slot was empty; otherwise its block's tag,
 * read once, is in @tag.
 */
static uint32_t prepare(struct pages *p, void **slot, uint8_t *tag)
{
	uint32_t frame;

	if (*slot == NULL)
		return FRAME_NONE;
	frame = page_check_free(p, *slot, 0, "quire_free_pages_bulk");
	if (UNLIKELY(p->q.watched))
		page_watch_free(p, *slot, (size_t)1 << p->page_shift);
	*slot = NULL;
	page_set_state(p, frame, STATE_CACHED);
	*tag = load_relaxed(&p->tag[page_block(p, frame)]);
	if (*tag < TAG_SPECIAL)
		return frame;
	page_free_direct(p, frame);
	return FRAME_NONE;
}

void quire_free_pages_bulk(struct quire *q, void **pages, size_t count)
{
	struct pages *p = pages_of(q);
	struct group group = { .nr = 0 };

	if (q->dead) {
		if (count != 0)
			memset(pages, 0, count * sizeof(*pages));
		return;
	}
	for (size_t i = 0; i < count; i++) {
		uint8_t tag;
		uint32_t frame = prepare(p, &pages[i], &tag);

		if (frame == FRAME_NONE)
			continue;
		if (group.nr == GROUP_MAX || (group.nr != 0 && tag != group.tag))
			group_put_away(p, &group);
		group.tag = tag;
		group.frames[group.nr++] = frame;
	}
	group_put_away(p, &group);
	giveback_kick(p);
	giveback_ensure_worker_freed(p);
}

void page_free_bulk_on(struct pages *p, unsigned slot, size_t count, void **pages)
{
	struct pcp *pcp = NULL;
	lock_token token = 0;

	for (size_t i = 0; i < count; i++) {
		uint8_t tag;
		uint32_t frame = prepare(p, &pages[i], &tag);

		if (frame == FRAME_NONE)
			continue;
		if (pcp != NULL && pcp->zone != tag >> TAG_ZONE_SHIFT) {
			lock_release(&pcp->door.lock, token);
			pcp = NULL;
		}
		if (pcp == NULL)
			pcp = pcp_lock_slot(p, tag >> TAG_ZONE_SHIFT, slot, &token);
		pcp_free_locked(p, pcp, frame, 0, tag & TAG_TYPE);
	}
	if (pcp != NULL)
		lock_release(&pcp->door.lock, token);
}
