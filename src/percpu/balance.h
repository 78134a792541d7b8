/* SPDX-License-Identifier: MIT */
/* percpu/balance.h - when memory is given back, and the reserve of empty pages: balance.c */
#ifndef PERCPU_BALANCE_H
#define PERCPU_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;
struct quire_module;

/* Linux's reserve for callers that cannot wait: an object of at most a page can straddle two pages,
 * and one pass should provide for two such objects. */
#define EMPTY_LOW  2u
#define EMPTY_HIGH 4u

/* Makes one pass.  With @all, keeps nothing but the first chunk.  Requires alloc_mutex.  Returns
 * the number of page offsets given back. */
size_t balance(struct percpu *pc, bool all);
/* Gives back all that is unused, for a caller that holds no lock and may wait.  Returns bytes. */
size_t balance_all(struct percpu *pc);
/* The same on behalf of any module, but does nothing if alloc_mutex is taken. */
size_t balance_shrink(struct quire_module *module);
/* The worker's visit.  Returns the time of the next. */
uint64_t balance_tick(struct quire_module *module, uint64_t now_ns);
/* An allocation has left fewer than EMPTY_LOW empty pages.  With @may_wait and while there need be no worker,
 * fills the reserve from memory that is committed; else makes a visit of the worker due. */
void balance_reserve_low(struct percpu *pc, bool may_wait);
/* For slow paths, with no lock held: worker_ensure() and worker_ensure_freed(), once a worker is worth its
 * thread, or the reserve is wanted. */
void balance_ensure_worker(struct percpu *pc, unsigned flags);
void balance_ensure_worker_freed(struct percpu *pc);
/* Makes a visit of the worker due at @due_ns, or soon if that is 0.  Legal anywhere. */
void balance_kick(struct percpu *pc, uint64_t due_ns);
/* After the decay time, for pages that became empty and stacks that were opened: frees to a stack call nobody, so the worker
 * visits until it finds the CPU idle. */
void balance_kick_later(struct percpu *pc);

#endif
