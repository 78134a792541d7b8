/* SPDX-License-Identifier: MIT */
/* cpus.h - the CPUs: each one's own words, how they start, and what they ask of each other */
#ifndef MACHINE_BARE_CPUS_H
#define MACHINE_BARE_CPUS_H

#include <stdbool.h>
#include <stdint.h>

#define CPUS_MAX 16u

/* Of a local APIC's interrupts; the exceptions have the numbers below. */
enum vector {
	VECTOR_TIMER = 32,
	VECTOR_ASK,  /* ipi.c: another CPU waits for this one's answer */
	VECTOR_LOOK, /* there is a thread to run, or a signal for the one that runs */
	VECTOR_SPURIOUS = 63,
	VECTORS_NR,
};

struct thread;

struct cpu {
	struct cpu *self; /* at %gs:0 */
	unsigned number;
	uint32_t apic_id;
	struct thread *current, *idle;
	bool resched; /* this CPU's own: the timer has ticked */
	/* Atomic: counts of what was asked of this CPU, and of what it has answered. */
	uint32_t asked, answered;
	/* Atomic: those that want the translations flushed, as asked counts them. */
	uint32_t flushes_asked, flushes_done;
};

extern struct cpu cpus[CPUS_MAX];

/* The running CPU; it may be another one at once unless interrupts are masked. */
static inline struct cpu *cpus_here(void)
{
	struct cpu *cpu;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
	return cpu;
}

/* On the first CPU: its own words, then the clock and the timer, then @nr - 1 others. */
void cpus_begin(void);
void cpus_start_others(unsigned nr);
unsigned cpus_nr(void);
/* How long the system has been running. */
uint64_t cpus_now_ns(void);

/* Sends interrupt @vector to another CPU. */
void cpus_interrupt(const struct cpu *cpu, enum vector vector);
/* An interrupt of the local APIC has been seen to. */
void cpus_end_of_interrupt(void);

#endif
