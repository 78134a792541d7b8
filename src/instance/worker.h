/* SPDX-License-Identifier: MIT */
/* instance/worker.h - whether a thread does the due work, or allocations have to check for it */
#ifndef INSTANCE_WORKER_H
#define INSTANCE_WORKER_H

#include <stdint.h>

struct quire;

/* The worker shall come to the modules at @due_ns or before.  Legal anywhere; starts no thread. */
void module_kick(struct quire *q, uint64_t due_ns);
/* For slow paths, with no lock held: makes sure that there is somebody, or does it. */
void module_start_worker(struct quire *q, unsigned flags);
/* The same for a free, which may be a signal handler's. */
void module_start_worker_freed(struct quire *q);
/* While q->looks: an allocation that was served looks whether something is due. */
void module_look(struct quire *q, unsigned flags);

/*
 * Between the two the worker visits no part of the instance.  It is no thread of the program's, so
 * whoever looks at all of an instance keeps it out: what it moves from one place to another would be
 * seen in both or in neither.  May wait for a visit; ordinary context, with no lock held.
 *
 * A query takes a const instance, since its caller sees no change, but it takes locks inside.  So the
 * first returns the instance without const: no other place casts that away.
 */
struct quire *worker_still_begin(const struct quire *q);
void worker_still_end(struct quire *q);

/* What is due, at the worker's request, in @arg, a struct quire: its modules' visits.  Returns when it
 * wants to be called again, WORK_IDLE or WORK_EXIT. */
uint64_t worker_run(void *arg, uint64_t now_ns);
/* Whether the worker needs its callers may have changed: q->looks follows. */
void worker_follow(struct quire *q);
/* In a child of fork, with no lock held: what other threads had stopped may start. */
void worker_fork_child(struct quire *q);

#endif
