/* SPDX-License-Identifier: MIT */
/* probe.h - whether this process has sequences: asked once, for stacks and for per-CPU data */
#ifndef MACHINE_LINUX_PROBE_H
#define MACHINE_LINUX_PROBE_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PROBE_NOT_YET,
	PROBE_NO_SEQUENCES,
	PROBE_BY_CPU,	 /* the kernel fills cpu_id */
	PROBE_BY_MM_CID, /* and mm_cid */
};

/* One of the above except PROBE_NOT_YET; the answer holds for the life of the process. */
uint32_t probe_once(void);
/* The offset of struct rseq from the thread pointer; only for processes with sequences. */
intptr_t probe_rseq_offset(void);
/* Registers the calling thread for sequences; false if it is registered, or refused.  Pair: probe_unregister(). */
bool probe_register(void);
void probe_unregister(void);

#endif
