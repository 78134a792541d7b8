/* SPDX-License-Identifier: MIT */
/* malloc/table.h - the sizes of malloc's classes that are always there, and the class of a size: table.c */
#ifndef MALLOC_TABLE_H
#define MALLOC_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MALLOC_SMALL_MAX  ((size_t)32768) /* larger blocks are areas */
#define MALLOC_CLASSES_NR 110u
#define MALLOC_ALIGN	  ((size_t)16)	 /* of every block: what max_align_t needs */
#define MALLOC_PAGE_BYTES ((size_t)4096) /* the largest alignment of a small block */
#define TABLE_ENTRIES	  (MALLOC_SMALL_MAX / MALLOC_ALIGN + 1)

/* Where the class of @bytes (at most MALLOC_SMALL_MAX) stands: 0 -> 0, 1 -> 1, 16 -> 1, 17 -> 2. */
static inline size_t table_place(size_t bytes)
{
	return (bytes + MALLOC_ALIGN - 1) / MALLOC_ALIGN;
}

/* Fills in, by place, the smallest class that is large enough: of all, or of those that are open at first (coarse.c). */
void malloc_table_fill(uint8_t table[TABLE_ENTRIES], bool all);
/* Bytes of a block of class @class, 1..MALLOC_CLASSES_NR. */
uint32_t malloc_table_bytes(unsigned class);
/* Of all these classes the smallest that is large enough for the sizes of @place. */
unsigned malloc_table_class(size_t place);

/* ---- the table as it is now, which threads read while it is written ---- */

/* The first place of the stretch that ends at @place or contains it. */
size_t malloc_table_first(const uint8_t *table, size_t place);
/* From the start of its stretch up to @place, the place of its own size, the table has @class from now on.  Whoever else
 * writes the table is kept out. */
void malloc_table_open(uint8_t *table, size_t place, unsigned class);

#endif
