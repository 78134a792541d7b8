/* SPDX-License-Identifier: MIT */
/*
 * atomic.h - the only door to atomic accesses
 *
 * Each use carries a comment that names the access it pairs with.  These are the compiler's
 * builtins, so the simulator's instrumentation sees all of them.
 */
#ifndef MACHINE_ATOMIC_H
#define MACHINE_ATOMIC_H

#define load_relaxed(p)		__atomic_load_n(p, __ATOMIC_RELAXED)
#define load_acquire(p)		__atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_relaxed(p, v)	__atomic_store_n(p, v, __ATOMIC_RELAXED)
#define store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)
#define fetch_add_relaxed(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)
#define fetch_sub_relaxed(p, v) __atomic_fetch_sub(p, v, __ATOMIC_RELAXED)
#define fetch_and_relaxed(p, v) __atomic_fetch_and(p, v, __ATOMIC_RELAXED)
#define fetch_or_relaxed(p, v)	__atomic_fetch_or(p, v, __ATOMIC_RELAXED)
#define fetch_add_release(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELEASE)
#define fetch_add_acq_rel(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
#define fetch_sub_acq_rel(p, v) __atomic_fetch_sub(p, v, __ATOMIC_ACQ_REL)
#define fetch_and_release(p, v) __atomic_fetch_and(p, v, __ATOMIC_RELEASE)
#define fetch_and_acq_rel(p, v) __atomic_fetch_and(p, v, __ATOMIC_ACQ_REL)
#define fetch_or_acq_rel(p, v)	__atomic_fetch_or(p, v, __ATOMIC_ACQ_REL)
#define fetch_and_acquire(p, v) __atomic_fetch_and(p, v, __ATOMIC_ACQUIRE)
#define exchange_relaxed(p, v)	__atomic_exchange_n(p, v, __ATOMIC_RELAXED)
#define exchange_acquire(p, v)	__atomic_exchange_n(p, v, __ATOMIC_ACQUIRE)
#define exchange_release(p, v)	__atomic_exchange_n(p, v, __ATOMIC_RELEASE)
#define exchange_acq_rel(p, v)	__atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
/* True if *p was *expected and is now v; otherwise *expected is what was found. */
#define cas_relaxed(p, expected, v)                                                                \
	__atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define cas_acquire(p, expected, v)                                                                \
	__atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define cas_release(p, expected, v)                                                                \
	__atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define cas_acq_rel(p, expected, v)                                                                \
	__atomic_compare_exchange_n(p, expected, v, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
/* A counter that its lock's holder writes and that others read without it, as a hint. */
#define count_add(counter, n) store_relaxed(&(counter), (counter) + (n))
#define fence_seq_cst()	      __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
