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
#include "machine/linux/system.h"

/* Defined by glibc 2.35 and later; their addresses are NULL elsewhere. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

/* As libc registers: the area's first version, and the signature before abort labels. */
#define RSEQ_BYTES	32
#define RSEQ_UNREGISTER 1
#ifdef __aarch64__
#define RSEQ_SIGNATURE 0xd428bc00u
#else
#define RSEQ_SIGNATURE 0x53053053u
#endif
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

/* The fields of a registered thread that the kernel and libc maintain. */
struct area {
	uint32_t cpu_id_start;
	uint32_t cpu_id; /* above any CPU while it is not registered */
	uint64_t rseq_cs;
};

static struct area *this_area(void)
{
	return (struct area *)(void *)((char *)__builtin_thread_pointer() + probe_rseq_offset());
}

bool probe_register(void)
{
	struct area *area = this_area();

	if ((int32_t)load_relaxed(&area->cpu_id) >= 0)
		return false; /* it has a number, and the sequence was refused because of it */
	store_relaxed(&area->rseq_cs, 0); /* older kernels would read a stale value there */
	return SYSTEM_CALL(SYS_rseq, area, RSEQ_BYTES, 0, RSEQ_SIGNATURE) == 0;
}

/* Refused only if a filter has been installed meanwhile: then the thread stays registered. */
void probe_unregister(void)
{
	SYSTEM_CALL(SYS_rseq, this_area(), RSEQ_BYTES, RSEQ_UNREGISTER, RSEQ_SIGNATURE);
}
