/* SPDX-License-Identifier: MIT */
/*
 * lost_threads.h - is this process a child of one that had other threads?
 *
 * Threads that a fork did not copy may have held locks of libc's, which libc does not free in the child:
 * pthread_create(), dl_iterate_phdr(), dladdr() and dlopen() may wait for ever there.  Quire calls none
 * of them in such a child: it starts no worker, callers do the work.  The workers of this copy of
 * Quire do not count: they take none of these locks.
 */
#ifndef MACHINE_LINUX_LOST_THREADS_H
#define MACHINE_LINUX_LOST_THREADS_H

#include <stdbool.h>

/* In this process, or in a parent of it, threads were lost, as far as can be told; where it cannot, they were. */
bool lost_threads(void);
/* By a worker's starter once its thread is made, and by that thread at its end.  Never counted before it is there: its
 * starter, in libc, is one of the threads that can be lost. */
void lost_threads_worker_begun(void);
void lost_threads_worker_ends(void);
/* In the handlers of fork.  Costs a system call. */
void lost_threads_fork_prepare(void);
void lost_threads_fork_child(void);
/* In a child that a worker forked. */
void lost_threads_say(void);

#endif
