/* SPDX-License-Identifier: MIT */
/* opaque.h - hiding a value's origin from the compiler */
#ifndef BASE_OPAQUE_H
#define BASE_OPAQUE_H

#include <stdint.h>

/*
 * Returns @value; the compiler does not know that.  A branch that chooses between values of which one is
 * opaque stays a branch.  The processor predicts a branch, but a value that is computed has to wait for
 * what it is computed from.
 */
static inline uint32_t opaque(uint32_t value)
{
	__asm__ volatile("" : "+r"(value));
	return value;
}

#endif
