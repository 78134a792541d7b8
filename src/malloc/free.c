/* SPDX-License-Identifier: MIT */
/*
 * malloc/free.c - the cold path of free(), and what is known of a block by its address
 *
 * An address is of one of three kinds: in the boot arena; among the pages, where the frame's byte names a class;
 * or among the areas.  Where the byte is 0, a run of pages can be a block (alloc.c).  Anything else was never
 * handed out, and stops the process with one line.
 *
 * A sheaf refuses only the object that is its newest already, and takes any other.  That a block is free already, or
 * that none begins at its address, is found when the sheaf spills, or at once where a call looks at the block
 * anyhow (realloc(), malloc_usable_size(), sized frees, areas).
 */
#include "malloc/heap.h"

#include <quire/page.h>
#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "malloc/boot.h"
#include "malloc/counted.h"
#include "malloc/layer.h"
#include "malloc/sampled.h"
#include "slab/fast.h"
#include "slab/objects.h"
#include "slab/sheaf.h"
#include "slab/slab.h"
#include "vmap/free.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

/* The byte of the block's frame: 0 if no slab is there. */
static unsigned byte_of(const struct slabs *s, const void *block)
{
	size_t offset = (uintptr_t)block - (uintptr_t)s->base;

	return offset < s->span_bytes ? load_relaxed(&s->byte[offset >> s->page_shift]) : 0;
}

unsigned malloc_class_at(const void *block)
{
	return byte_of(malloc_heap.slabs, block) & ~BYTE_EMPTYING;
}

/* The areas, if @block is among their addresses. */
static struct vmap *areas_around(const void *block)
{
	struct vmap *v = load_acquire(&malloc_heap.q->vmap); /* pairs with vmap_get() */

	if (v == NULL || (uintptr_t)block - (uintptr_t)v->base >= v->span_bytes)
		return NULL;
	return v;
}

bool malloc_is_area(const void *block)
{
	return areas_around(block) != NULL;
}

/* No block is at this address.  Among the pages its slab may have been given back since it was freed. */
static _Noreturn void no_block(const void *block, const char *function)
{
	struct slabs *s = malloc_heap.slabs;

	if (s != NULL && (uintptr_t)block - (uintptr_t)s->base < s->span_bytes)
		misuse("no block", function, block);
	misuse("foreign pointer", function, block);
}

static void early_free(void *block, const char *function)
{
	if (boot_usable(block) == 0)
		misuse("no block", function, block);
	boot_free(block);
}

static void small_free(struct slabs *s, void *block, unsigned byte, const char *function)
{
	bool slow;

	if ((uintptr_t)block % MALLOC_ALIGN != 0)
		objects_misuse(s, "not the start of a block", function, block,
			       byte & ~BYTE_EMPTYING);
	slow = !slab_free_fast(s, block, byte);
	if (slow)
		sheaf_free_slow(s, block, byte);
	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED))
		malloc_counted_free(byte & ~BYTE_EMPTYING, s->class[byte & ~BYTE_EMPTYING].size,
				    slow);
}

size_t malloc_large_bytes(const void *block, const char *function)
{
	struct vmap *v = areas_around(block);
	int order;

	if (v != NULL)
		return (size_t)range_at(v, vmap_check_free(v, block, QUIRE_VMAP_ALLOC, function))
			       ->usable
		       << v->page_shift;
	order = quire_block_order(malloc_heap.q, block);
	if (order < 0)
		no_block(block, function);
	return quire_page_bytes(malloc_heap.q) << order;
}

static void large_free(void *block, const char *function)
{
	size_t bytes = malloc_large_bytes(block, function);

	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED))
		malloc_counted_free(0, bytes, true);
	if (malloc_is_area(block)) {
		quire_vfree(malloc_heap.q, block);
		return;
	}
	fetch_sub_relaxed(&malloc_heap.run_blocks, 1u); /* for mallinfo() */
	fetch_sub_relaxed(&malloc_heap.run_bytes, (uint64_t)bytes);
	quire_free_pages(malloc_heap.q, block, (unsigned)quire_block_order(malloc_heap.q, block));
}

void plain_free(void *block, const struct malloc_call *call)
{
	struct slabs *s = malloc_heap.slabs;
	unsigned byte = byte_of(s, block);

	if (byte != 0)
		small_free(s, block, byte, call->function);
	else
		large_free(block, call->function);
}

void malloc_free_cold(void *block, const char *function)
{
	const struct malloc_layer *layer;
	int error;

	if (block == NULL)
		return;
	if (UNLIKELY(boot_has(block))) {
		early_free(block, function);
		return;
	}
	layer = load_acquire(&malloc_heap.layer); /* pairs with publish() */
	if (UNLIKELY(layer == NULL))
		no_block(block, function);
	error = process_errno();
	layer->free(block, MALLOC_CALL(function));
	process_set_errno(error);
}

size_t plain_usable(const void *block, const struct malloc_call *call)
{
	struct slabs *s = malloc_heap.slabs;

	if (byte_of(s, block) != 0)
		return s->class[objects_check(s, block, call->function)].size;
	return malloc_large_bytes(block, call->function);
}

size_t malloc_usable(const void *block, const char *function)
{
	const struct malloc_layer *layer;
	size_t bytes;

	if (UNLIKELY(boot_has(block))) {
		bytes = boot_usable(block);
		if (bytes == 0)
			misuse("no block", function, block);
		return bytes;
	}
	layer = load_acquire(&malloc_heap.layer); /* pairs with publish() */
	if (UNLIKELY(layer == NULL))
		no_block(block, function);
	return layer->usable(block, MALLOC_CALL(function));
}

/* Is this what a fresh block of @bytes has?  Areas are whole pages, and runs powers of two of them. */
static bool is_fresh(size_t usable, size_t align, size_t bytes)
{
	size_t page = (size_t)1 << malloc_heap.slabs->page_shift;

	if (bytes <= MALLOC_SMALL_MAX && align <= MALLOC_PAGE_BYTES)
		return usable ==
		       malloc_class_bytes(malloc_class_aligned(malloc_class_for(bytes), align));
	return usable == ((bytes + page - 1) & ~(page - 1)) || (bytes == 0 && usable == page) ||
	       (usable & (usable - 1)) == 0;
}

/*
 * A block is as large as a fresh one of its size, or at most twice as large as its size: because realloc() has left
 * it where it was, or because it is older than the class that was learnt for its size (learn.c).  It is larger only if a
 * smaller one was refused.  A fresh block of more than twice its size has the size of its alignment, whatever
 * was learnt: powers of two are always classes, and no class below has that alignment.  A layer that is exact knows the
 * size, but hardened:on's not that of a large block whose shrinking was refused.
 */
static bool may_be_larger(const void *block, size_t usable, size_t align, size_t bytes)
{
	const struct malloc_layer *layer;

	if (boot_has(block) || load_relaxed(&malloc_heap.shrink_refused)) /* plain_resize() */
		return true;
	layer = load_relaxed(&malloc_heap.layer); /* what it says of itself is constant */
	return !layer->exact && (bytes >= usable / 2 || is_fresh(usable, align, bytes));
}

void malloc_check_bytes(const void *block, size_t align, size_t bytes, const char *function)
{
	size_t usable = malloc_usable(block, function);

	if (bytes == usable)
		return;
	if (bytes < usable && !sampled_has(block) && may_be_larger(block, usable, align, bytes))
		return;
	misuse_number("wrong size", function, block, "bytes of the block", usable);
}
