/* SPDX-License-Identifier: MIT */
/*
 * sequences.c - this machine's half of restartable sequences
 *
 * The sequences themselves are those of machine/linux, unchanged: what they need of a kernel is a struct rseq for
 * each thread, whose cpu_id is the CPU, and that an interrupt sends a sequence back to its beginning (interrupts.c).
 * Every thread has one from its birth, so none ever registers.
 */
#include "machine/bare/ipi.h"
#include "machine/bare/threads.h"
#include "machine/linux/fence.h"
#include "machine/linux/probe.h"

uint32_t probe_once(void)
{
	return PROBE_BY_CPU;
}

intptr_t probe_rseq_offset(void)
{
	return thread_rseq_offset();
}

bool probe_register(void)
{
	return false;
}

void probe_unregister(void)
{
}

bool fence_can_name_a_cpu(void)
{
	return true;
}

void fence_all(void)
{
	ipi_all(false);
}

void fence_cpu(unsigned cpu)
{
	ipi_one(cpu);
}
