/* SPDX-License-Identifier: MIT */
/* whole.h - which unit of an array begins at an offset, and whether one does, in one comparison */
#ifndef BASE_WHOLE_H
#define BASE_WHOLE_H

#include <stddef.h>
#include <stdint.h>

/*
 * The index of the unit of 2^shift bytes that begins at @offset.  If none begins there, or the offset is
 * negative, a number larger than every index that fits: the bits inside a unit become the highest ones.
 * 0 < @shift < 64.  One rotation.
 */
static inline size_t whole_index(uintptr_t offset, unsigned shift)
{
	return offset >> shift | offset << (64 - shift);
}

#endif
