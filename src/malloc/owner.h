/* SPDX-License-Identifier: MIT */
/*
 * malloc/owner.h - whose a part of memory is that several processes share (report.h, recording.h)
 *
 * A pid is given out again once its process has ended, so it names a process only together with the moment at which that
 * began.
 */
#ifndef MALLOC_OWNER_H
#define MALLOC_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#define OWNER_PID_BITS 22u /* Linux has no pid above */

/* @start_ticks: observed_start_ticks(), which is 0 where it cannot be told.  0 is nobody. */
static inline uint64_t owner_word(uint32_t pid, uint64_t start_ticks)
{
	return start_ticks << OWNER_PID_BITS | pid;
}

static inline uint32_t owner_pid(uint64_t who)
{
	return (uint32_t)(who & ((UINT64_C(1) << OWNER_PID_BITS) - 1));
}

static inline uint64_t owner_start_ticks(uint64_t who)
{
	return who >> OWNER_PID_BITS;
}

/* True if both are one process.  Where the beginning of one is not known, the pid has to do. */
static inline bool owner_is(uint64_t who, uint64_t other)
{
	return who == other || (owner_pid(who) == owner_pid(other) &&
				(owner_start_ticks(who) == 0 || owner_start_ticks(other) == 0));
}

#endif
