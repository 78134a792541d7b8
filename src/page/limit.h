/* SPDX-License-Identifier: MIT */
/* page/limit.h - the limit of an instance that was given none: limit.c */
#ifndef PAGE_LIMIT_H
#define PAGE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "page/pages.h"

struct relief;

/* When the instance is created.  @given: its options have a limit, which stays. */
void limit_init(struct pages *p, bool given);
/* Reads the limit, unless it was given or is less than a second old.  Reads files; the caller may wait, and
 * holds no lock but the worker's visit. */
void limit_learn(struct pages *p);
/* Learns the limit if it is not known and with @more pages the instance has so many that it matters, unless
 * the flags forbid to wait or a lock is held. */
void limit_learn_before(struct pages *p, uint64_t more, unsigned flags);
/* For the worker: reads the limit again, if it matters, and says what is short. */
void limit_look_for_relief(struct pages *p, struct relief *relief);
/* Counts the CPUs that the process can keep busy, at most once a second.  Reads files; under visit_mutex. */
void limit_count_cpus(struct pages *p);
/* For a caller that may wait and is about to be refused: reads the limit again.  Does nothing if a lock is
 * held. */
void limit_follow_refused(struct pages *p);

/* To call where an instance gets larger. */
static inline void limit_look(struct pages *p, uint64_t more, unsigned flags)
{
	/* Pairs with read_again(): whoever sees it known finds the zones' new limits. */
	if (UNLIKELY(!load_acquire(&p->limit_known)))
		limit_learn_before(p, more, flags);
}

/* Changes when the limit is raised.  A caller that reads it before its last attempt, and finds it changed
 * after limit_follow_refused(), tries again. */
static inline uint32_t limit_raises(const struct pages *p)
{
	return load_acquire(&p->limit_raises); /* with the increment in limit.c */
}

#endif
