/* SPDX-License-Identifier: MIT */
/*
 * probe.c - whether this process can use sequences
 *
 * Sequences need an architecture for which they are written; rseq registered by libc (Quire never
 * registers a thread permanently: a thread can have only one registration); and membarrier's rseq
 * fence of all CPUs, without which no stack could be closed and no reference could leave its per-CPU mode.
 * Each process checks this once, so no word is ever used by sequences in one place and by atomics
 * in another.
 */
#include "machine/linux/probe.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/auxv.h>

#include <quire/arch/this_cpu.h>

#include "machine/atomic.h"
#include "machine/linux/fence.h"

/* Defined by glibc 2.35 and later; their addresses are NULL elsewhere. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

#define RSEQ_MM_CID_END 28

#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#endif

static uint32_t probe_answer; /* atomic; PROBE_* */

static bool kernel_fills_mm_cid(void)
{
	int errno_before = errno;
	unsigned long feature_bytes = getauxval(AT_RSEQ_FEATURE_SIZE);

	errno = errno_before;
	return feature_bytes >= RSEQ_MM_CID_END;
}

static uint32_t probe(void)
{
	if (!QUIRE_THIS_CPU_SEQUENCES || &__rseq_size == NULL || &__rseq_offset == NULL ||
	    __rseq_size == 0)
		return PROBE_NO_SEQUENCES;
	if (fence_enable() != 0)
		return PROBE_NO_SEQUENCES;
	return kernel_fills_mm_cid() ? PROBE_BY_MM_CID : PROBE_BY_CPU;
}

/* If two threads probe at once, both use the first answer. */
uint32_t probe_once(void)
{
	uint32_t answer = load_acquire(&probe_answer);
	uint32_t found = PROBE_NOT_YET;

	if (answer != PROBE_NOT_YET)
		return answer;
	answer = probe();
	return cas_acq_rel(&probe_answer, &found, answer) ? answer : found;
}

intptr_t probe_rseq_offset(void)
{
	return __rseq_offset;
}
