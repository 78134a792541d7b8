/* SPDX-License-Identifier: MIT */
/*
 * page/door.c - taking a CPU's lock, and the first use of its lists and stacks
 *
 * pcp->door is the door of a CPU's lists and of its stacks in one zone.  Whoever wants its own CPU's
 * only tries it; who drains or switches off waits for any.  Nothing is made ready before its first use,
 * so that a machine of many CPUs costs what the CPUs in use cost.
 */
#include "page/page.h"

static void pcp_init_locked(struct quire *q, struct pcp *pcp)
{
	const struct zone *zone = &q->zone[pcp->zone];

	DCHECK(lock_is_held(&pcp->door.lock));
	for (unsigned i = 0; i < LISTS_NR; i++)
		pcp->lists[i] = FRAME_NONE;
	pcp->high = zone->pcp_high_min;
	pcp->batch = zone->pcp_batch;
}

static void pcp_begin_locked(struct quire *q, struct pcp *pcp)
{
	int error;

	DCHECK(lock_is_held(&pcp->door.lock));
	pcp_init_locked(q, pcp);
	error = stacks_begin_locked(&q->stacks, &pcp->door);
	CHECK(error == 0); /* the regions were committed when the instance was made */
}

/* Locks a CPU's lists; at their first use the stacks stay as they were made, which refuses.  The
 * caller closes them, and fences before anybody opens them. */
struct pcp *pcp_lock_unopened(struct quire *q, unsigned zone, unsigned slot, lock_token *token)
{
	struct pcp *pcp = page_pcp(q, zone, slot);
	int error = 0;

	*token = lock_acquire(&pcp->door.lock);
	if (!pcp->door.ready) {
		pcp_init_locked(q, pcp);
		error = stacks_begin_unopened_locked(&q->stacks, &pcp->door);
	}
	CHECK(error == 0); /* as above */
	return pcp;
}

/* Locks a CPU's lists whoever uses them, and makes them ready at first use. */
struct pcp *pcp_lock_slot(struct quire *q, unsigned zone, unsigned slot, lock_token *token)
{
	struct pcp *pcp = page_pcp(q, zone, slot);

	*token = lock_acquire(&pcp->door.lock);
	if (UNLIKELY(!pcp->door.ready))
		pcp_begin_locked(q, pcp);
	return pcp;
}

/* Tries the current CPU's lists; NULL if refused.  The CPU is a hint, the lock is what counts. */
struct pcp *pcp_current_try(struct quire *q, unsigned zone, lock_token *token)
{
	struct pcp *pcp = page_pcp(q, zone, (unsigned)stack_slot(&q->stacks.cpu));

	if (!lock_try(&pcp->door.lock, token))
		return NULL;
	if (UNLIKELY(!pcp->door.ready))
		pcp_begin_locked(q, pcp);
	return pcp;
}
