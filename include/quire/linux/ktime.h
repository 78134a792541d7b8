/* SPDX-License-Identifier: MIT */
/* linux/ktime.h - time in nanoseconds, and cycles: nanoseconds too, as a program has no other counter everywhere */
#ifndef QUIRE_LINUX_KTIME_H
#define QUIRE_LINUX_KTIME_H

#include <linux/types.h>

#include <time.h>

typedef s64 ktime_t;

static inline ktime_t ktime_get(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (s64)now.tv_sec * 1000000000 + now.tv_nsec;
}

#define ktime_get_ns()		       ((u64)ktime_get())
#define ktime_sub(later, earlier)      ((ktime_t)((later) - (earlier)))
#define ktime_to_ns(time)	       ((s64)(time))
#define ktime_to_us(time)	       ((s64)(time) / 1000)
#define ktime_to_ms(time)	       ((s64)(time) / 1000000)
#define ktime_us_delta(later, earlier) ktime_to_us(ktime_sub(later, earlier))
#define ktime_ms_delta(later, earlier) ktime_to_ms(ktime_sub(later, earlier))

typedef unsigned long cycles_t;
#define get_cycles() ((cycles_t)ktime_get())

#endif
