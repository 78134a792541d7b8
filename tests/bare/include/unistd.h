/* SPDX-License-Identifier: MIT */
/* unistd.h - naps, and the end */
#ifndef BARE_UNISTD_H
#define BARE_UNISTD_H

#include "machine/bare/threads.h"
#include "machine/clock.h"

static inline void usleep(unsigned us)
{
	static const uint32_t never;

	thread_wait(&never, 0, clock_now_ns() + us * UINT64_C(1000));
}

_Noreturn void _exit(int status);

#endif
