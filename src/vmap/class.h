/* SPDX-License-Identifier: MIT */
/* vmap/class.h - sizes of areas that stacks keep */
#ifndef VMAP_CLASS_H
#define VMAP_CLASS_H

#include <stdint.h>

/* Sizes: 1..8 pages, then 4 an octave up to 2^18 pages (1 GiB of 4 KiB pages). */
#define CLASSES_EXACT	8u
#define CLASSES_NR	68u
#define CLASS_PAGES_MAX (1u << 18)
#define CLASS_NONE	CLASSES_NR /* its stack's header stays zero, which refuses */

/* 1 -> 0, 8 -> 7, 9 -> 8, 10 -> 8, 11 -> 9, 16 -> 11, 17 -> 12. */
static inline unsigned class_of(uint32_t pages)
{
	uint32_t below = pages - 1;
	unsigned octave;

	if (below < CLASSES_EXACT)
		return below;
	octave = 31u - (unsigned)__builtin_clz(below);
	return CLASSES_EXACT + (octave - 3) * 4 + (below >> (octave - 2)) - 4;
}
/* Usable pages of a class: 0 -> 1, 7 -> 8, 8 -> 10, 11 -> 16, 12 -> 20. */
uint32_t class_pages(unsigned class);
/* Room of a class's stack: a burst of small areas; a few large ones. */
uint32_t class_entries_max(unsigned class);

#endif
