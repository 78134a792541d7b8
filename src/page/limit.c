/* SPDX-License-Identifier: MIT */
/*
 * page/limit.c - the limit of an instance that was given none
 *
 * It is the machine's memory, or that of the process's memory cgroup if that is less.  The machine says so
 * in one call; the cgroup's limits stand in files, some twenty calls.  A small program never comes near
 * them.  So an instance begins with the machine's memory, and learns the limit before it exceeds
 * LEARN_BYTES, and when somebody asks for it.
 *
 * Lowering.  Each zone's limit is lowered under its lock, not below what is in use; then the limit is
 * marked as known.  Two threads that come at once both read and both lower: neither goes on before the
 * zones have the limit that it read.  A caller that holds a lock (a signal handler, a module that charges
 * under its own) learns nothing, and the next one does.
 */
#include "page/limit.h"

#include "machine/lock.h"
#include "machine/mem.h"
#include "page/zone.h"

/* A tenth of a millisecond of reading, against 4,096 first touches of 1 us. */
#define LEARN_BYTES ((uint64_t)16 << 20)

void limit_init(struct pages *p, bool given)
{
	p->limit_known = given;
	p->learn_pages = LEARN_BYTES >> p->page_shift;
}

void limit_learn(struct pages *p)
{
	uint64_t limit, sum = 0;

	if (load_acquire(&p->limit_known)) /* with the release below */
		return;
	limit = mem_total_bytes() >> p->page_shift;
	for (unsigned i = 0; i < p->zones_nr; i++)
		sum += zone_lower_limit(p, &p->zone[i],
					limit / p->zones_nr + (i < limit % p->zones_nr));
	store_relaxed(&p->q.limit_pages, sum); /* read as a hint */
	store_release(&p->limit_known, true);
}

void limit_learn_before(struct pages *p, uint64_t more)
{
	if (lock_nested())
		return;
	/* Hints: what grows at once elsewhere looks by itself. */
	for (unsigned i = 0; i < p->zones_nr; i++)
		more += load_relaxed(&p->zone[i].online_pages) +
			load_relaxed(&p->zone[i].charged_pages);
	if (more > p->learn_pages)
		limit_learn(p);
}
