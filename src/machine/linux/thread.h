/* SPDX-License-Identifier: MIT */
/*
 * thread.h - Quire's thread-local data: 16 bytes
 *
 * initial-exec, so reading it never allocates and is legal in a signal handler.  A library loaded
 * by dlopen gets its 16 bytes from the reserve that libc keeps for this purpose.
 */
#ifndef MACHINE_LINUX_THREAD_H
#define MACHINE_LINUX_THREAD_H

#include <stdint.h>

struct machine_thread {
	uint32_t locks_held_nr; /* locks held or being tried: see lock.h */
	uint32_t locks_kept_nr; /* of a fork, which lends them to this thread's calls */
	/* Sequences write rseq_cs here if there is no rseq; it is never read. */
	uint64_t no_rseq_cs;
};

extern _Thread_local struct machine_thread machine_thread
	__attribute__((tls_model("initial-exec"), visibility("hidden")));

#endif
