/* SPDX-License-Identifier: MIT */
/* base/entry.h - where fast paths begin */
#ifndef BASE_ENTRY_H
#define BASE_ENTRY_H

/* In front of a fast path's definition: it begins with a cache line, so how many it takes is not left to its
 * neighbours.  A pair of malloc() and free() took a tenth longer with one line more. */
#define FAST_ENTRY(function) extern __typeof__(function) function __attribute__((aligned(64)))

#endif
