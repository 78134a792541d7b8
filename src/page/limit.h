/* SPDX-License-Identifier: MIT */
/* page/limit.h - the limit of an instance that was given none: limit.c */
#ifndef PAGE_LIMIT_H
#define PAGE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "page/pages.h"

/* When the instance is created.  @given: its options have a limit, which stays. */
void limit_init(struct pages *p, bool given);
/* Learns the limit now, if it is not known.  Reads files; no spin lock may be held. */
void limit_learn(struct pages *p);
/* The same, if with @more pages the instance has so many that it matters, and no lock is held. */
void limit_learn_before(struct pages *p, uint64_t more);

/* To call where an instance gets larger. */
static inline void limit_look(struct pages *p, uint64_t more)
{
	/* Pairs with limit_learn(): whoever sees it known finds the zones' new limits. */
	if (UNLIKELY(!load_acquire(&p->limit_known)))
		limit_learn_before(p, more);
}

#endif
