/* SPDX-License-Identifier: MIT */
/*
 * malloc/beside.h - arrays of what is known of blocks, by their addresses: beside.c
 *
 * Two arrays: one with an element for each unit of the pages' addresses, one with an element for each page of the areas'.
 * So a lookup is one load, no lock is needed, and nothing has to be put right after a fork.
 */
#ifndef MALLOC_BESIDE_H
#define MALLOC_BESIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/sparse.h"

struct beside {
	struct sparse of_pages; /* (c) once the heap is ready */
	/* Atomic: where the array of areas' elements begins; NULL until the first area has one.  One word says all of it: fork
	 * copies page after page while other threads store, so a child could find a pointer and not what it points to. */
	char *of_areas;
	unsigned unit_shift;  /* (c) of pages' addresses */
	size_t element_bytes; /* (c) a power of two */
	const char *name;     /* (c) */
};

/* 0, or -ENOMEM.  Elements read zero. */
int beside_init(struct beside *beside, unsigned unit_shift, size_t element_bytes, const char *name);
/* The element of the unit in which @addr is.  beside_at() is NULL if none near it was ever asked for, beside_make() if the system
 * refused memory; both if it is no address of the heap's. */
void *beside_at(struct beside *beside, const void *addr);
void *beside_make(struct beside *beside, const void *addr);
/* All that memory is there for, while others may change. */
void beside_each(struct beside *beside, void (*call)(const void *element, void *arg), void *arg);

#endif
