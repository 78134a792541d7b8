/* SPDX-License-Identifier: MIT */
/*
 * percpu_ref.h - a reference count without shared cache lines until it is killed
 *
 * While the count is alive, each CPU counts the references that are taken and dropped on it, and the
 * total is unknown.  Once killed, it is one atomic count, and dropping the last reference calls
 * release.  Switching takes one fence: a sequence reads the mode in the section in which it adds.
 *
 *   mode        counted                   becomes
 *   per-CPU     on each CPU               atomic by kill() or switch_to_atomic()
 *   atomic      in one word               per-CPU by switch_to_percpu(), reinit(), resurrect()
 *
 * It starts with one reference, the owner's, which kill() drops.  get and put may run on different
 * CPUs and threads, in any order: the count of one CPU may be negative, or wrap around.  Without
 * sequences, or if the instance has fewer units than CPUs, the count is always atomic.
 *
 * get, put and tryget are legal anywhere, including signal handlers.  Calls that switch the mode are
 * not legal in signal handlers, and take about ten microseconds while other threads are running.
 */
#ifndef QUIRE_PERCPU_REF_H
#define QUIRE_PERCPU_REF_H

#include <stdbool.h>
#include <stdint.h>
#include <quire/quire.h>

#pragma GCC visibility push(default)

#ifdef __cplusplus
extern "C" {
#endif

/* Its content is the library's business. */
struct quire_percpu_ref {
	uint64_t private_words[6];
};

typedef void (*quire_percpu_ref_fn)(struct quire_percpu_ref *ref);

#define QUIRE_PERCPU_REF_ATOMIC (1u << 0) /* begins atomic: stays so until switch_to_percpu() */
#define QUIRE_PERCPU_REF_DEAD	(1u << 1) /* begins killed, with no reference: for reinit() */

/**
 * quire_percpu_ref_init - make a reference count of one
 * @q:		instance that its slots are allocated from
 * @ref:	to be filled; embedded in what it counts for, and not moved
 * @release:	called once the count is zero, by who made it so
 * @flags:	QUIRE_PERCPU_REF_*
 *
 * Returns   0; -EINVAL for an unknown flag; -ENOMEM.
 * Context   may wait.
 * Pair      quire_percpu_ref_exit().
 * Linux     percpu_ref_init() with ALLOW_REINIT.
 */
int quire_percpu_ref_init(struct quire *q, struct quire_percpu_ref *ref,
			  quire_percpu_ref_fn release, unsigned flags);

/**
 * quire_percpu_ref_exit - free the slots; nobody may be using it; release() may call this
 *
 * Afterwards is_dying() says true, is_zero() what it said before, and init() may fill it again; all
 * other calls are misuse.  Once more, or for what is all zero, it does nothing.
 *
 * Context   as quire_free_percpu(), so from release() in a signal handler too.
 * Cost      as quire_free_percpu().
 * Pair      quire_percpu_ref_init().
 */
void quire_percpu_ref_exit(struct quire_percpu_ref *ref);

/** quire_percpu_ref_get - take a reference; the caller must know that the count is not zero */
void quire_percpu_ref_get(struct quire_percpu_ref *ref);

/** quire_percpu_ref_put - drop a reference; dropping the last one calls release() */
void quire_percpu_ref_put(struct quire_percpu_ref *ref);

/** quire_percpu_ref_get_many - take @count references at the cost of one */
void quire_percpu_ref_get_many(struct quire_percpu_ref *ref, uint32_t count);

/** quire_percpu_ref_put_many - drop @count references at the cost of one */
void quire_percpu_ref_put_many(struct quire_percpu_ref *ref, uint32_t count);

/** quire_percpu_ref_tryget - take a reference, unless the count is known to be zero */
bool quire_percpu_ref_tryget(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_tryget_live - take a reference, unless it was killed
 *
 * Returns   false, always, once kill_and_confirm() has called back.
 */
bool quire_percpu_ref_tryget_live(struct quire_percpu_ref *ref);

/** quire_percpu_ref_kill - switch to atomic and drop the owner's reference; once */
void quire_percpu_ref_kill(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_kill_and_confirm - the same
 * @confirm:	NULL, or called when no tryget_live() can succeed any more, before the owner's
 *		reference is dropped
 */
void quire_percpu_ref_kill_and_confirm(struct quire_percpu_ref *ref, quire_percpu_ref_fn confirm);

/** quire_percpu_ref_switch_to_atomic - count in one word from here on; returns when that is so */
void quire_percpu_ref_switch_to_atomic(struct quire_percpu_ref *ref);

/** quire_percpu_ref_switch_to_percpu - count on each CPU again; if killed, once it is alive again */
void quire_percpu_ref_switch_to_percpu(struct quire_percpu_ref *ref);

/** quire_percpu_ref_reinit - alive again, with the owner's reference; only where it is zero */
void quire_percpu_ref_reinit(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_resurrect - alive again after kill(), with the owner's reference
 *
 * The count may have reached zero; then release() was called.  If that frees what the reference is
 * in, the caller's own reference has to keep it from zero.
 *
 * Context   may wait; not from a signal handler.
 * Cost      the lock that all switches of the process share.
 * Pair      quire_percpu_ref_kill().
 */
void quire_percpu_ref_resurrect(struct quire_percpu_ref *ref);

/** quire_percpu_ref_is_zero - whether the count is zero; false while it is per-CPU */
bool quire_percpu_ref_is_zero(const struct quire_percpu_ref *ref);

/** quire_percpu_ref_is_dying - whether it was killed */
bool quire_percpu_ref_is_dying(const struct quire_percpu_ref *ref);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
