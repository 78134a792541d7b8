/* SPDX-License-Identifier: MIT */
/*
 * ipi.c - asking other CPUs for something and waiting for their answers
 *
 * Each CPU has a count of what was asked of it, and a copy of that count as it was when the CPU last answered.  A
 * question raises the first and interrupts the CPU; it is answered when the second has caught up.  So any number of
 * askers share one answer, and none needs memory.
 *
 * An answer by hand, outside an interrupt, is as good: the CPU spins in C then, and the sequence that it may have
 * interrupted on the way there was sent back when the interrupt or the fault began (interrupts.c).
 */
#include "machine/bare/ipi.h"

#include "machine/atomic.h"
#include "machine/bare/cpus.h"
#include "machine/bare/spin.h"

void ipi_answer(void)
{
	struct cpu *cpu = cpus_here();
	uint32_t asked = load_acquire(&cpu->asked); /* these pair with ask() */
	uint32_t flushes = load_acquire(&cpu->flushes_asked);

	if (flushes != cpu->flushes_done) {
		translations_flush();
		cpu->flushes_done = flushes;
	}
	if (asked != cpu->answered)
		store_release(&cpu->answered, asked); /* pairs with await() */
}

void spin_wait(uint64_t flags)
{
	if ((flags & FLAG_INTERRUPTS) != 0) {
		interrupts_restore(flags);
		pause_briefly();
		(void)interrupts_mask();
	} else {
		ipi_answer();
		pause_briefly();
	}
}

/* Returns the count that the answer must reach.  The flush is asked for first: whoever sees the question sees it, too. */
static uint32_t ask(struct cpu *cpu, bool flush)
{
	uint32_t count;

	if (flush)
		fetch_add_acq_rel(&cpu->flushes_asked, UINT32_C(1));
	count = fetch_add_acq_rel(&cpu->asked, UINT32_C(1)) + 1;
	cpus_interrupt(cpu, VECTOR_ASK);
	return count;
}

static void await(const struct cpu *cpu, uint32_t count)
{
	/* By difference, since counts wrap.  Pairs with ipi_answer(). */
	while ((int32_t)(load_acquire(&cpu->answered) - count) < 0)
		spin_wait(0);
}

/* Interrupts are masked from the choice of the others to the end: on another CPU "the others" would be wrong. */
void ipi_all(bool flush)
{
	uint64_t flags = interrupts_mask();
	const struct cpu *here = cpus_here();
	uint32_t counts[CPUS_MAX];
	unsigned nr = cpus_nr();

	for (unsigned i = 0; i < nr; i++)
		if (&cpus[i] != here)
			counts[i] = ask(&cpus[i], flush);
	if (flush)
		translations_flush();
	for (unsigned i = 0; i < nr; i++)
		if (&cpus[i] != here)
			await(&cpus[i], counts[i]);
	interrupts_restore(flags);
}

void ipi_one(unsigned number)
{
	uint64_t flags = interrupts_mask();

	if (number < cpus_nr() && &cpus[number] != cpus_here())
		await(&cpus[number], ask(&cpus[number], false));
	interrupts_restore(flags);
}
