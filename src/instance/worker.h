/* SPDX-License-Identifier: MIT */
/* instance/worker.h - whether a thread does the due work, or allocations have to check for it */
#ifndef INSTANCE_WORKER_H
#define INSTANCE_WORKER_H

#include <stdint.h>

struct quire;

/* Makes the worker visit the modules at @due_ns or before.  Legal anywhere; starts no thread. */
void worker_kick(struct quire *q, uint64_t due_ns);
/* For slow paths, with no lock held: makes sure that there is a thread for due work, or does the work
 * if there can be none. */
void worker_ensure(struct quire *q, unsigned flags);
/* The same for a free, which may be a signal handler's. */
void worker_ensure_freed(struct quire *q);
/* While q->looks is set, each allocation calls this once it has its memory: it does work that is due. */
void worker_look(struct quire *q, unsigned flags);

/*
 * Between the two the worker visits no part of the instance.  A call that examines a whole instance
 * excludes the worker, which may run although no other thread of the program uses the instance: memory
 * that a visit moves would be counted twice or not at all.  May wait for a visit; ordinary context, with
 * no lock held.
 *
 * A query takes a const instance, since its caller sees no change, but it takes locks inside.  So the
 * first returns the instance without const: no other place casts that away.
 */
struct quire *worker_exclude_begin(const struct quire *q);
void worker_exclude_end(struct quire *q);

/* The worker's function: makes all modules' visits to @arg, a struct quire.  Returns when it is to be
 * called again, or WORK_IDLE, or WORK_EXIT. */
uint64_t worker_run(void *arg, uint64_t now_ns);
/* Stops and joins the worker's thread, and leaves its work to callers for good, or until a fork: for a process
 * that ends when its last thread does.  Nothing if the thread is being held. */
void worker_retire(struct quire *q);
/* Brings q->looks up to date, after work_needs_callers() may have changed. */
void worker_follow(struct quire *q);
/* In a child of fork, with no lock held: a worker that other threads had stopped may start. */
void worker_fork_child(struct quire *q);

#endif
