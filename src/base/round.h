/* SPDX-License-Identifier: MIT */
/* round.h - sizes in whole units */
#ifndef BASE_ROUND_H
#define BASE_ROUND_H

#include <stddef.h>

/* The least multiple of @to that is at least @x.  10, 4 -> 12; 8, 4 -> 8. */
static inline size_t round_up(size_t x, size_t to)
{
	return (x + to - 1) / to * to;
}

#endif
