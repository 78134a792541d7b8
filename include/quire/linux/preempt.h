/* SPDX-License-Identifier: MIT */
/*
 * linux/preempt.h - sections on one CPU
 *
 * preempt_disable() keeps the thread on its CPU, by its affinity, and takes a lock that the sections of this
 * CPU share; they nest.  Until preempt_enable():
 *
 *   - smp_processor_id(), this_cpu_ptr() and all this_cpu operations are of the same CPU
 *   - no other thread of this program or library is in a section of this CPU
 *
 * What it does not promise, since a program cannot stop the scheduler: other threads run on this CPU meanwhile,
 * and their this_cpu operations take effect between two of this thread's.  Data that is changed in sections alone,
 * or by operations alone, needs nothing else.  A section may wait; then others wait for it.  It costs three
 * system calls, about a microsecond.  Not from a signal handler.
 */
#ifndef QUIRE_LINUX_PREEMPT_H
#define QUIRE_LINUX_PREEMPT_H

#include <linux/compiler.h>

#include <pthread.h>
#include <quire/percpu.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

/* CPUs whose numbers differ by a multiple of it share a lock. */
#define QUIRE_LINUX_SECTIONS_ 64u

struct quire_linux_section {
	unsigned depth; /* sections that the thread is in */
	unsigned cpu;	/* whose copies it uses, if it is in any */
	bool is_pinned; /* then what it may run on otherwise is: */
	cpu_set_t before;
	void (*at_end)(void); /* called when the thread is in none any more, or NULL */
};

extern __thread struct quire_linux_section quire_linux_section;
QUIRE_LINUX_SHARED_ __thread struct quire_linux_section quire_linux_section;

extern pthread_mutex_t quire_linux_section_locks[QUIRE_LINUX_SECTIONS_];
QUIRE_LINUX_SHARED_ pthread_mutex_t
	quire_linux_section_locks[QUIRE_LINUX_SECTIONS_]; /* zero: not held */

/* Where the system refuses, or has more CPUs than the mask, the lock alone is left. */
static inline bool quire_linux_pin_(unsigned cpu, cpu_set_t *before)
{
	cpu_set_t only;

	CPU_ZERO(&only);
	CPU_SET(cpu, &only);
	return sched_getaffinity(0, sizeof(*before), before) == 0 &&
	       sched_setaffinity(0, sizeof(only), &only) == 0;
}

/* The number of a CPU's copies; beyond the option units CPUs share them, and so are one CPU here. */
static inline unsigned quire_linux_unit_(unsigned cpu)
{
	return cpu % quire_percpu_units(quire_default());
}

/* The CPU that the thread runs on: a hint. */
static inline unsigned quire_linux_running_on_(void)
{
	int cpu = sched_getcpu();

	return cpu < 0 ? 0 : (unsigned)cpu;
}

static inline void preempt_disable(void)
{
	struct quire_linux_section *section = &quire_linux_section;
	unsigned cpu;

	if (section->depth++ != 0)
		return;
	cpu = quire_linux_running_on_();
	section->cpu = quire_linux_unit_(cpu);
	section->is_pinned = quire_linux_pin_(cpu, &section->before);
	(void)pthread_mutex_lock(&quire_linux_section_locks[section->cpu % QUIRE_LINUX_SECTIONS_]);
}

static inline void preempt_enable(void)
{
	struct quire_linux_section *section = &quire_linux_section;

	if (--section->depth != 0)
		return;
	(void)pthread_mutex_unlock(
		&quire_linux_section_locks[section->cpu % QUIRE_LINUX_SECTIONS_]);
	if (section->is_pinned)
		(void)sched_setaffinity(0, sizeof(section->before), &section->before);
	if (section->at_end != NULL)
		section->at_end();
}

#define preempt_count()		    ((int)quire_linux_section.depth)
#define in_atomic()		    (preempt_count() != 0)
#define preempt_enable_no_resched() preempt_enable()
#define migrate_disable()	    preempt_disable()
#define migrate_enable()	    preempt_enable()

#endif
