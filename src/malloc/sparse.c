/* SPDX-License-Identifier: MIT */
/*
 * malloc/sparse.c - an array that is large in addresses and small in memory
 *
 * The reservation begins with a byte for each part.  Committing again what another thread has just committed is
 * harmless, so there is no lock, and a handler may do it.
 */
#include "malloc/sparse.h"

#include "base/errno.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/mem.h"

static size_t head_bytes(const struct sparse *array)
{
	return round_up(sparse_parts(array), mem_page_bytes());
}

struct sparse sparse_at(char *start, size_t bytes)
{
	struct sparse array = { .bytes = round_up(bytes, SPARSE_PART_BYTES) };

	if (start == NULL)
		return array;
	array.ready = (uint8_t *)start;
	array.base = start + head_bytes(&array);
	return array;
}

int sparse_init(struct sparse *array, size_t bytes, const char *name)
{
	struct sparse made = sparse_at(NULL, bytes);
	char *start = mem_reserve(head_bytes(&made) + made.bytes, mem_page_bytes(), name);

	if (start == NULL)
		return -ENOMEM;
	if (mem_commit_apart(start, head_bytes(&made)) != 0) {
		mem_release(start, head_bytes(&made) + made.bytes);
		return -ENOMEM;
	}
	made = sparse_at(start, bytes);
	*array = made;
	return 0;
}

void sparse_fini(struct sparse *array)
{
	mem_release(array->ready, head_bytes(array) + array->bytes);
	array->base = NULL;
}

bool sparse_is_ready(const struct sparse *array, size_t part)
{
	return load_acquire(&array->ready[part]) != 0; /* pairs with sparse_touch() */
}

bool sparse_touch(struct sparse *array, size_t from, size_t bytes)
{
	size_t part = from / SPARSE_PART_BYTES, last = (from + bytes - 1) / SPARSE_PART_BYTES;

	if (from + bytes > array->bytes)
		return false;
	for (; part <= last; part++) {
		if (sparse_is_ready(array, part))
			continue;
		if (mem_commit_apart(array->base + part * SPARSE_PART_BYTES, SPARSE_PART_BYTES) !=
		    0)
			return false;
		store_release(&array->ready[part], 1); /* pairs with sparse_is_ready() */
	}
	return true;
}
