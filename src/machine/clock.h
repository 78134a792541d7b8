/* SPDX-License-Identifier: MIT */
/* clock.h - monotonic time in nanoseconds; legal in a signal handler */
#ifndef MACHINE_CLOCK_H
#define MACHINE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);

/* The CPU's own counter, for what clock_now_ns() is too slow for: x86's time stamp counter, read after all loads before it. 0 where there
 * is none.  Whether it is the same on all CPUs, and never stops, only the system knows: it is its clock source then. */
#if defined(__x86_64__)
static inline uint64_t clock_ticks(void)
{
	__asm__ volatile("lfence" ::: "memory");
	return __builtin_ia32_rdtsc();
}

/* The same without waiting for loads: it may have been read while one of them was still on its way.  What orders two
 * readings of one thread is the locked operation that puts an event into its ring. */
static inline uint64_t clock_ticks_early(void)
{
	return __builtin_ia32_rdtsc();
}
#else
static inline uint64_t clock_ticks(void)
{
	return 0;
}

static inline uint64_t clock_ticks_early(void)
{
	return 0;
}
#endif

#endif
