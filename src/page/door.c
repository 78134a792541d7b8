/* SPDX-License-Identifier: MIT */
/*
 * page/door.c - taking a CPU's lock, and the first use of its lists and stacks
 *
 * pcp->lock is the door of a CPU's lists and of its stacks in one zone.  Whoever wants its own CPU's
 * only tries it; who drains or switches off waits for any.  Nothing is made ready before its first use,
 * so that a machine of many CPUs costs what the CPUs in use cost.
 */
#include "page/page.h"

static void pcp_init_locked(struct quire *q, struct pcp *pcp)
{
	const struct zone *zone = &q->zone[pcp->zone];

	DCHECK(lock_is_held(&pcp->lock));
	for (unsigned i = 0; i < LISTS_NR; i++)
		pcp->lists[i] = FRAME_NONE;
	pcp->high = zone->pcp_high_min;
	pcp->batch = zone->pcp_batch;
	store_relaxed(&pcp->ready, true);
}

static void pcp_ready_locked(struct quire *q, struct pcp *pcp)
{
	DCHECK(lock_is_held(&pcp->lock));
	pcp_init_locked(q, pcp);
	/* An all-zero header refuses too, but not while top is being written: low is still 0 then.  So
	 * the first use is a close, a fence and an open like any other. */
	stacks_close_locked(q, pcp);
	if (q->stacks.slots_nr != 0 && !stacks_are_isolated(q, pcp->slot))
		stacks_fence_slot(&q->stacks, pcp->slot);
	if (!lock_kept()) /* else the fork opens it, like those that it has closed */
		stacks_open_locked(q, pcp);
}

/* Locks a CPU's lists; at their first use the stacks stay as they were made, which refuses.  The
 * caller closes them, and fences before anybody opens them. */
struct pcp *pcp_lock_unopened(struct quire *q, unsigned zone, unsigned slot, lock_token *token)
{
	struct pcp *pcp = page_pcp(q, zone, slot);

	*token = lock_acquire(&pcp->lock);
	if (!pcp->ready) {
		pcp_init_locked(q, pcp);
		if (lock_kept()) /* the fork opens it, like those that it has closed */
			stacks_close_locked(q, pcp);
	}
	return pcp;
}

/* Locks a CPU's lists whoever uses them, and makes them ready at first use. */
struct pcp *pcp_lock_slot(struct quire *q, unsigned zone, unsigned slot, lock_token *token)
{
	struct pcp *pcp = page_pcp(q, zone, slot);

	*token = lock_acquire(&pcp->lock);
	if (UNLIKELY(!pcp->ready))
		pcp_ready_locked(q, pcp);
	return pcp;
}

/* Tries the current CPU's lists; NULL if refused.  The CPU is a hint, the lock is what counts. */
struct pcp *pcp_current_try(struct quire *q, unsigned zone, lock_token *token)
{
	struct pcp *pcp = page_pcp(q, zone, (unsigned)stack_slot(&q->stacks));

	if (!lock_try(&pcp->lock, token))
		return NULL;
	if (UNLIKELY(!pcp->ready))
		pcp_ready_locked(q, pcp);
	return pcp;
}
