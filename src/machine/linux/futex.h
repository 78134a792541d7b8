/* SPDX-License-Identifier: MIT */
/* futex.h - waiting on a 32-bit word, between the threads of one process */
#ifndef MACHINE_LINUX_FUTEX_H
#define MACHINE_LINUX_FUTEX_H

#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <time.h>

#include "machine/linux/system.h"

#define FUTEX_NS_PER_S UINT64_C(1000000000)

/* Sleeps while the word is @value; may return spuriously, so callers loop. */
static inline void futex_wait(uint32_t *word, uint32_t value)
{
	SYSTEM_CALL(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

/* The same until the monotonic time @until_ns at the latest. */
static inline void futex_wait_until(uint32_t *word, uint32_t value, uint64_t until_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(until_ns / FUTEX_NS_PER_S),
		.tv_nsec = (long)(until_ns % FUTEX_NS_PER_S),
	};

	SYSTEM_CALL(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, value, &until, NULL,
		    FUTEX_BITSET_MATCH_ANY);
}

static inline void futex_wake_one(uint32_t *word)
{
	SYSTEM_CALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static inline void futex_wake_all(uint32_t *word)
{
	SYSTEM_CALL(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

#endif
