/* SPDX-License-Identifier: MIT */
/* clock.h - monotonic time in nanoseconds; legal in a signal handler */
#ifndef MACHINE_CLOCK_H
#define MACHINE_CLOCK_H

#include <stdint.h>

uint64_t clock_now_ns(void);

#endif
