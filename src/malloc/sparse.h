/* SPDX-License-Identifier: MIT */
/* malloc/sparse.h - an array that is large in addresses and small in memory: parts are committed when they are touched */
#ifndef MALLOC_SPARSE_H
#define MALLOC_SPARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Committed at once.  Large enough that few calls commit, small against what a heap has of anything. */
#define SPARSE_PART_BYTES ((size_t)1 << 20)

struct sparse {
	char *base;	/* (c) */
	size_t bytes;	/* (c) */
	uint8_t *ready; /* atomic, by part: it may be used.  (c) the pointer */
};

/* The array reads zero.  0, or -ENOMEM: the system refused the addresses. */
int sparse_init(struct sparse *array, size_t bytes, const char *name);
/* The array whose reservation begins at @start, as sparse_init() made it for @bytes.  With @start NULL its base is NULL, too. */
struct sparse sparse_at(char *start, size_t bytes);
void sparse_fini(struct sparse *array);
/* Makes bytes [from, from + bytes) usable; any thread, and any handler.  False: the system refused. */
bool sparse_touch(struct sparse *array, size_t from, size_t bytes);
static inline size_t sparse_parts(const struct sparse *array)
{
	return (array->bytes + SPARSE_PART_BYTES - 1) / SPARSE_PART_BYTES;
}
bool sparse_is_ready(const struct sparse *array, size_t part);

#endif
