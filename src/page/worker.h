/* SPDX-License-Identifier: MIT */
/* page/worker.h - whether a thread does the due work, or allocations have to check for it */
#ifndef PAGE_WORKER_H
#define PAGE_WORKER_H

#include <stdint.h>

struct quire;

/* What is due, at the worker's request, in @arg, a struct quire: its pages, if they are due, and its modules.
 * Returns when it wants to be called again, WORK_IDLE or WORK_EXIT. */
uint64_t worker_run(void *arg, uint64_t now_ns);
/* Whether the worker needs its callers may have changed: q->looks follows. */
void worker_follow(struct quire *q);
/* In a child of fork, with no lock held: what other threads had stopped may start. */
void worker_fork_child(struct quire *q);

#endif
