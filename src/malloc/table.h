/* SPDX-License-Identifier: MIT */
/* malloc/table.h - the sizes of malloc's classes that are always there, and the class of a size: table.c */
#ifndef MALLOC_TABLE_H
#define MALLOC_TABLE_H

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

/* Fills in the smallest class that is large enough, by place. */
void malloc_table_fill(uint8_t table[TABLE_ENTRIES]);
/* Bytes of a block of class @class, 1..MALLOC_CLASSES_NR. */
uint32_t malloc_table_bytes(unsigned class);

#endif
