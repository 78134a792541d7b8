/* SPDX-License-Identifier: MIT */
/*
 * fence.h - end or restart the sequences in progress, on one CPU or on all
 *
 * membarrier(PRIVATE_EXPEDITED_RSEQ): on return every sequence of this process that had begun
 * has committed or will begin again.
 */
#ifndef MACHINE_LINUX_FENCE_H
#define MACHINE_LINUX_FENCE_H

#include <stdbool.h>

/* Registers this process with the kernel.  0, or -errno: then there can be no
 * sequences. */
int fence_enable(void);
/* Whether fence_cpu() works: asked once in a process, after the above.  Without it nobody may number slots
 * by CPU. */
bool fence_can_name_a_cpu(void);
/* All CPUs that run a thread of this process. */
void fence_all(void);
/* One CPU, which may be idle, offline or nonexistent. */
void fence_cpu(unsigned cpu);
/* In a child of fork, before anything else runs: registers the child, if its parent uses fences. */
void fence_fork_child(void);

#endif
