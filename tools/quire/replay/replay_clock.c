/* SPDX-License-Identifier: MIT */
#include "replay/replay_clock.h"

#include <stdatomic.h>

#include "machine/clock.h"
#include "common/progress.h"

/* Process-wide, as the clock that it stands for; 0: the system's time. */
static _Atomic uint64_t recorded_ns;

void replay_clock_set(uint64_t ns)
{
	atomic_store_explicit(&recorded_ns, ns, memory_order_relaxed);
}

void replay_clock_release(void)
{
	replay_clock_set(0);
}

uint64_t clock_now_ns(void)
{
	uint64_t ns = atomic_load_explicit(&recorded_ns, memory_order_relaxed);

	return ns != 0 ? ns : progress_now_ns();
}
