/* SPDX-License-Identifier: MIT */
/* time.h - seconds since the start */
#ifndef BARE_TIME_H
#define BARE_TIME_H

#include <stdint.h>

#include "machine/clock.h"

static inline int64_t time(int64_t *at)
{
	(void)at;
	return (int64_t)(clock_now_ns() / 1000000000u);
}

#endif
