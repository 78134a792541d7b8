/* SPDX-License-Identifier: MIT */
/*
 * page/door.c - taking a CPU's lock, and the first use of its lists and stacks
 *
 * pcp->door is the door of a CPU's lists and of its stacks in one zone.  A thread only tries the door of
 * the CPU on which it runs; a thread that drains a CPU, or switches it off, waits for the door.  A door is
 * made ready at its first use, so unused CPUs cost nothing; that of the instance's maker is ready from the
 * start.
 */
#include "page/pcp.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/state.h"
#include "page/zone.h"
#include "stacks/stacks.h"

static void pcp_init_locked(struct pages *p, struct pcp *pcp)
{
	const struct zone *zone = &p->zone[pcp->zone];

	DCHECK(lock_is_held(&pcp->door.lock));
	for (unsigned i = 0; i < LISTS_NR; i++)
		pcp->lists[i] = FRAME_NONE;
	pcp->high = load_relaxed(&zone->pcp_high_min);
	pcp->batch = load_relaxed(&zone->pcp_batch);
}

static void pcp_begin_locked(struct pages *p, struct pcp *pcp)
{
	int error;

	DCHECK(lock_is_held(&pcp->door.lock));
	pcp_init_locked(p, pcp);
	error = stacks_begin_locked(&p->stacks, &pcp->door);
	CHECK(error == 0); /* the regions were committed when the instance was created */
}

/* Fences cost a system call and interrupt the process's other CPUs; here none is needed. */
void pcp_begin_home(struct pages *p)
{
	unsigned slot = (unsigned)stack_slot(&p->stacks.cpu);
	struct pcp *pcp = page_pcp(p, page_home_zone(p), slot);
	lock_token token = lock_acquire(&pcp->door.lock);
	int error;

	pcp_init_locked(p, pcp);
	error = stacks_begin_alone_locked(&p->stacks, &pcp->door);
	lock_release(&pcp->door.lock, token);
	CHECK(error == 0); /* as above */
}

struct pcp *pcp_lock_unopened(struct pages *p, unsigned zone, unsigned slot, lock_token *token)
{
	struct pcp *pcp = page_pcp(p, zone, slot);
	int error = 0;

	*token = lock_acquire(&pcp->door.lock);
	if (!pcp->door.ready) {
		pcp_init_locked(p, pcp);
		error = stacks_begin_unopened_locked(&p->stacks, &pcp->door);
	}
	CHECK(error == 0); /* as above */
	return pcp;
}

struct pcp *pcp_lock_slot(struct pages *p, unsigned zone, unsigned slot, lock_token *token)
{
	struct pcp *pcp = page_pcp(p, zone, slot);

	*token = lock_acquire(&pcp->door.lock);
	if (UNLIKELY(!pcp->door.ready))
		pcp_begin_locked(p, pcp);
	return pcp;
}

struct pcp *pcp_current_try(struct pages *p, unsigned zone, lock_token *token)
{
	struct pcp *pcp = page_pcp(p, zone, (unsigned)stack_slot(&p->stacks.cpu));

	if (!lock_try(&pcp->door.lock, token))
		return NULL;
	if (UNLIKELY(!pcp->door.ready))
		pcp_begin_locked(p, pcp);
	return pcp;
}
