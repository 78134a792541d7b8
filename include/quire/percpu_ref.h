/* SPDX-License-Identifier: MIT */
/*
 * percpu_ref.h - a reference count without shared cache lines until it is killed
 *
 * While the count is alive, each CPU counts the references that are taken and dropped on it, and
 * the total is unknown.  Once killed, it is one atomic count, and dropping the last reference
 * calls release.  Switching takes one fence, since the sequence that counts also reads the mode.
 *
 *   mode        counted                   becomes
 *   per-CPU     on each CPU               atomic by kill() or switch_to_atomic()
 *   atomic      in one word               per-CPU by switch_to_percpu(), reinit(), resurrect()
 *
 * It starts with one reference, the owner's, which kill() drops.  get and put may run on different
 * CPUs and threads, in any order: the count of one CPU may be negative, or wrap around.  Without
 * sequences, or if the instance has fewer units than CPUs, the count is always atomic.
 *
 * get, put and tryget are legal anywhere, including signal handlers.  Calls that switch the mode
 * are not legal in signal handlers, and take about ten microseconds while other threads are
 * running.
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

/* Its content is the library's business; all zero is no reference: any call but init and exit is misuse. */
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
 * @release:	called each time the count becomes zero, by the thread that dropped the last reference
 * @flags:	QUIRE_PERCPU_REF_*
 *
 * Returns   0; with nothing changed -EINVAL for an unknown flag or without @release, or -ENOMEM or
 *           -ENOSPC as for quire_alloc_percpu().
 * Context   may wait; not from a signal handler.
 * Cost      as quire_alloc_percpu(): 8 bytes on each CPU.
 * Pair      quire_percpu_ref_exit().
 * Linux     percpu_ref_init() with PERCPU_REF_ALLOW_REINIT.
 */
int quire_percpu_ref_init(struct quire *q, struct quire_percpu_ref *ref,
			  quire_percpu_ref_fn release, unsigned flags);

/**
 * quire_percpu_ref_exit - free the slots
 * @ref:	which no thread uses any more; release() may call this
 *
 * Afterwards is_dying() is true, is_zero() is what it was, and init() may fill it again; all
 * other calls are misuse.  A second call, or one for a struct that is all zero, does nothing.
 *
 * Context   as quire_free_percpu(), so from release() in a signal handler too.
 * Cost      as quire_free_percpu().
 * Pair      quire_percpu_ref_init().
 * Linux     percpu_ref_exit().
 */
void quire_percpu_ref_exit(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_get - take a reference
 * @ref:	the caller must know that the count is not zero
 *
 * A reference that is taken at zero in atomic mode stops the process with one line.
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      per-CPU: one sequence, no line shared; atomic: one atomic addition to a shared word.
 * Pair      quire_percpu_ref_put().
 * Linux     percpu_ref_get().
 */
void quire_percpu_ref_get(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_put - drop a reference
 * @ref:	the caller, or a thread on whose behalf it acts, holds a reference
 *
 * Dropping the last one calls release(), which only happens in atomic mode.
 *
 * Context   anywhere that release() may be called from; never waits itself.
 * Cost      as quire_percpu_ref_get(), and release().
 * Pair      quire_percpu_ref_get() and the others that take one.
 * Linux     percpu_ref_put().
 */
void quire_percpu_ref_put(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_get_many - take many references at once
 * @ref:	the caller must know that the count is not zero
 * @count:	references
 *
 * Context   anywhere, signal handlers included; never waits.
 * Cost      as one quire_percpu_ref_get().
 * Pair      quire_percpu_ref_put_many(), or one by one.
 * Linux     percpu_ref_get_many().
 */
void quire_percpu_ref_get_many(struct quire_percpu_ref *ref, uint32_t count);

/**
 * quire_percpu_ref_put_many - drop many references at once
 * @ref:	of which the caller has so many
 * @count:	references
 *
 * Context   as quire_percpu_ref_put().
 * Cost      as one quire_percpu_ref_put().
 * Pair      quire_percpu_ref_get_many(), or one by one.
 * Linux     percpu_ref_put_many().
 */
void quire_percpu_ref_put_many(struct quire_percpu_ref *ref, uint32_t count);

/**
 * quire_percpu_ref_tryget - take a reference, unless the count is zero
 * @ref:	killed or not
 *
 * Returns   true with a reference; false if the count is zero, which is known in atomic mode only.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      per-CPU: one sequence; atomic: one compare-and-swap of a shared word.
 * Pair      quire_percpu_ref_put().
 * Linux     percpu_ref_tryget().
 */
bool quire_percpu_ref_tryget(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_tryget_many - take many references at once, unless the count is zero
 * @ref:	killed or not
 * @count:	references
 *
 * Returns   true with all of them, or false with none: as quire_percpu_ref_tryget().
 * Context   anywhere, signal handlers included; never waits.
 * Cost      as one quire_percpu_ref_tryget().
 * Pair      quire_percpu_ref_put_many(), or one by one.
 * Linux     percpu_ref_tryget_many().
 */
bool quire_percpu_ref_tryget_many(struct quire_percpu_ref *ref, uint32_t count);

/**
 * quire_percpu_ref_tryget_live - take a reference, unless it was killed
 * @ref:	killed or not
 *
 * Returns   true with a reference; false if it was killed, or the count is zero.  Always false once
 *           kill_and_confirm() has called back.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      as quire_percpu_ref_tryget().
 * Pair      quire_percpu_ref_put().
 * Linux     percpu_ref_tryget_live(), which may go on succeeding for a while after the kill.
 */
bool quire_percpu_ref_tryget_live(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_kill - switch to atomic mode, and drop the owner's reference
 * @ref:	alive; a second kill stops the process with one line
 *
 * Context   waits for other switches of the process; not from a signal handler.  Calls release() if
 *           the owner's reference was the last one.
 * Cost      one fence: about ten microseconds if other threads of the process are running.
 * Pair      quire_percpu_ref_reinit() or quire_percpu_ref_resurrect(), or none.
 * Linux     percpu_ref_kill(), which returns before the switch is over.
 */
void quire_percpu_ref_kill(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_kill_and_confirm - as quire_percpu_ref_kill(), with a call in between
 * @ref:	alive; a second kill stops the process with one line
 * @confirm:	NULL, or called when no tryget_live() can succeed any more, before the owner's
 *		reference is dropped, by the calling thread without a lock
 *
 * Context   as quire_percpu_ref_kill().
 * Cost      as quire_percpu_ref_kill().
 * Pair      as quire_percpu_ref_kill().
 * Linux     percpu_ref_kill_and_confirm(), which calls back later, from RCU.
 */
void quire_percpu_ref_kill_and_confirm(struct quire_percpu_ref *ref, quire_percpu_ref_fn confirm);

/**
 * quire_percpu_ref_switch_to_atomic - count in one word from here on
 * @ref:	in either mode; it stays atomic, also when alive again, until switch_to_percpu()
 *
 * On return the switch is over.
 *
 * Context   waits for other switches of the process; not from a signal handler.
 * Cost      one fence, as quire_percpu_ref_kill(); nothing if it is atomic already.
 * Pair      quire_percpu_ref_switch_to_percpu().
 * Linux     percpu_ref_switch_to_atomic_sync().
 */
void quire_percpu_ref_switch_to_atomic(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_switch_to_percpu - count on each CPU again
 * @ref:	in either mode; a killed one is switched when it is alive again
 *
 * Context   waits for other switches of the process; not from a signal handler.
 * Cost      one store on each CPU's slot.
 * Pair      quire_percpu_ref_switch_to_atomic().
 * Linux     percpu_ref_switch_to_percpu().
 */
void quire_percpu_ref_switch_to_percpu(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_reinit - alive again, with the owner's reference
 * @ref:	killed, its count zero; anything else stops the process with one line
 *
 * Context   waits for other switches of the process; not from a signal handler.
 * Cost      one store on each CPU's slot.
 * Pair      quire_percpu_ref_kill().
 * Linux     percpu_ref_reinit().
 */
void quire_percpu_ref_reinit(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_resurrect - alive again after kill(), with the owner's reference
 * @ref:	killed; anything else stops the process with one line
 *
 * The count may have reached zero; then release() was called.  If that frees what the reference is
 * in, the caller's own reference has to keep it from zero.
 *
 * Context   waits for other switches of the process; not from a signal handler.
 * Cost      one store on each CPU's slot.
 * Pair      quire_percpu_ref_kill().
 * Linux     percpu_ref_resurrect().
 */
void quire_percpu_ref_resurrect(struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_is_zero - whether the count is zero
 * @ref:	in use, or after exit()
 *
 * Returns   true if it is zero; false in per-CPU mode, where the total is unknown.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one load of a shared word.
 * Linux     percpu_ref_is_zero().
 */
bool quire_percpu_ref_is_zero(const struct quire_percpu_ref *ref);

/**
 * quire_percpu_ref_is_dying - whether it was killed
 * @ref:	in use, or after exit()
 *
 * Returns   true from kill() on, until it is alive again.
 * Context   anywhere, signal handlers included; never waits.
 * Cost      one load of a shared word.
 * Linux     percpu_ref_is_dying().
 */
bool quire_percpu_ref_is_dying(const struct quire_percpu_ref *ref);

#ifdef __cplusplus
}
#endif

#pragma GCC visibility pop
#endif
