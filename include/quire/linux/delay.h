/* SPDX-License-Identifier: MIT */
/* linux/delay.h - waiting, and jiffies: thousandths of a second */
#ifndef QUIRE_LINUX_DELAY_H
#define QUIRE_LINUX_DELAY_H

#include <linux/kernel.h>
#include <linux/ktime.h> /* as the kernel's does, by way of others */

#include <time.h>
#include <unistd.h>

#define HZ 1000

static inline void msleep(unsigned ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

#define usleep_range(least, most) ((void)(most), (void)usleep((useconds_t)(least)))
#define udelay(us)		  ((void)usleep((useconds_t)(us)))
#define mdelay(ms)		  msleep(ms)
#define ssleep(seconds)		  msleep((seconds)*1000u)

/* Ticks of a clock since some time. */
static inline uint64_t quire_linux_ticks_(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * HZ + (uint64_t)now.tv_nsec / (1000000000 / HZ);
}

#define jiffies ((unsigned long)quire_linux_ticks_(CLOCK_MONOTONIC))

static inline unsigned long msecs_to_jiffies(unsigned ms)
{
	return ms * (HZ / 1000);
}

/* The moment so many ticks from now, of the monotonic clock. */
static inline struct timespec quire_linux_end_(unsigned long ticks)
{
	uint64_t end = quire_linux_ticks_(CLOCK_MONOTONIC) + ticks;

	return (struct timespec){ .tv_sec = (time_t)(end / HZ),
				  .tv_nsec = (long)(end % HZ) * (1000000000 / HZ) };
}

/* Ticks until @end; 0 once it has passed. */
static inline unsigned long quire_linux_left_(const struct timespec *end)
{
	uint64_t now = quire_linux_ticks_(CLOCK_MONOTONIC);
	uint64_t then = (uint64_t)end->tv_sec * HZ + (uint64_t)end->tv_nsec / (1000000000 / HZ);

	return then > now ? then - now : 0;
}

#endif
