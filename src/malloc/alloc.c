/* SPDX-License-Identifier: MIT */
/*
 * malloc/alloc.c - the cold path of malloc(), and blocks that are aligned, zeroed, or large
 *
 * Context.  A handler that interrupted a holder of one of the instance's locks only tries locks
 * (QUIRE_NOLOCK).  If that finds nothing, a class above may have what this one has not, and at last the boot
 * arena serves it.
 *
 * A refusal is ENOMEM, whatever its reason, as C programmers expect.  Otherwise errno is as it was.
 */
#include "malloc/heap.h"

#include <quire/page.h>
#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/round.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "malloc/boot.h"
#include "malloc/countdown.h"
#include "malloc/counted.h"
#include "malloc/layer.h"
#include "page/alloc.h"
#include "slab/class.h"
#include "slab/fast.h"
#include "slab/sheaf.h"
#include "slab/slab.h"

/* Large blocks that are runs of pages before there are areas: the buffers of opendir() (32 KiB and a header), of stdio
 * with larger blocks, of cat (128 KiB); so many that a program with a few files open has no area. */
#define FIRST_BYTES_MAX ((size_t)128 << 10)
#define FIRST_RUNS	8u

static void *refused(void)
{
	if (malloc_is_bound())
		process_set_errno(ENOMEM);
	return NULL;
}

/* ---- small blocks ---- */

/* A block of class @class, which is made if it is not there.  No sheaf had one. */
static void *class_alloc(struct slabs *s, unsigned class, unsigned flags)
{
	int error = 0;

	return malloc_class_made(class, flags) ? sheaf_alloc_slow(s, class, flags, &error) : NULL;
}

/* What can be had of some classes, from @class on, without waiting. */
static void *try_from(struct slabs *s, unsigned class, size_t align)
{
	for (unsigned i = 0; class != 0 && i < MALLOC_NESTED_CLASSES; i++) {
		void *block = NULL;

		if (malloc_class_bytes(class) % align == 0)
			block = class_alloc(s, class, QUIRE_NOLOCK);
		if (block != NULL)
			return block;
		class = malloc_class_above(class);
	}
	return NULL;
}

/* In a handler that interrupted a lock's holder. */
static void *nested_alloc(struct slabs *s, unsigned class, size_t align)
{
	void *block = try_from(s, class, align);

	return block != NULL ? block : boot_alloc(malloc_class_bytes(class), align);
}

/* A class that would grow may open another, unless that has not the alignment. */
static unsigned class_to_grow(unsigned class, size_t place, size_t align)
{
	if (LIKELY(!malloc_coarse_is_used_up(&malloc_heap.coarse, class)) ||
	    malloc_table_bytes(malloc_table_class(place)) % align != 0)
		return class;
	/* One that was learnt has the size, and perhaps not the alignment. */
	return malloc_class_aligned(malloc_coarse_grows(&malloc_heap.coarse, class, place), align);
}

/* Outside of such handlers.  What a class grows for is what may deserve a class of its own.  At the limit, classes that served the
 * size before its own was opened may have free blocks. */
static void *ordinary_alloc(struct slabs *s, unsigned class, size_t place, size_t align)
{
	uint64_t before, after;
	void *block;

	class = class_to_grow(class, place, align);
	before = malloc_learn_slabs(&malloc_heap.learn, class);
	block = class_alloc(s, class, 0);
	after = malloc_learn_slabs(&malloc_heap.learn, class);
	if (UNLIKELY(after > before)) {
		malloc_coarse_grown(&malloc_heap.coarse, class, place);
		malloc_learn_grown(&malloc_heap.learn, class, place, after - before);
	}
	return LIKELY(block != NULL) ? block : try_from(s, malloc_class_above(class), align);
}

void malloc_tell_small(const void *block, bool slow)
{
	unsigned class;

	if (LIKELY((malloc_heap.modes & MALLOC_COUNTED) == 0) || block == NULL || boot_has(block))
		return;
	class = malloc_class_at(block); /* a handler's may be of a class above */
	malloc_counted_alloc(class, malloc_class_bytes(class), slow);
}

static void *small_alloc(size_t bytes, size_t align)
{
	struct slabs *s = malloc_heap.slabs;
	unsigned class = malloc_class_aligned(malloc_class_for(bytes), align);
	void *block = slab_alloc_fast(s, class);
	bool slow = block == NULL;

	if (slow)
		block = lock_nested() ? nested_alloc(s, class, align)
				      : ordinary_alloc(s, class,
						       table_place(round_up(bytes, align)), align);
	malloc_tell_small(block, slow);
	return block;
}

/* ---- large ones ---- */

/* Also where areas have no addresses left: theirs are a part, and pages may have more. */
static void *run_alloc(size_t bytes, size_t align, unsigned flags)
{
	size_t least = bytes > align ? bytes : align;
	unsigned order = 0;
	void *block;
	int error;

	while (order <= QUIRE_ORDER_MAX && (MALLOC_PAGE_BYTES << order) < least)
		order++;
	if (order > QUIRE_ORDER_MAX)
		return NULL;
	if (lock_nested())
		flags |= QUIRE_NOLOCK;
	block = page_alloc_run(malloc_heap.q, order, flags, &error);
	if (block != NULL) {
		fetch_add_relaxed(&malloc_heap.run_blocks, 1u); /* for mallinfo() */
		fetch_add_relaxed(&malloc_heap.run_bytes, (uint64_t)MALLOC_PAGE_BYTES << order);
	}
	return block;
}

static void *area_alloc(size_t bytes, size_t align, unsigned flags)
{
	struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.flags = flags, .align_bytes = align);

	bytes = malloc_area_bytes(bytes);
	if (align <= MALLOC_PAGE_BYTES)
		return quire_vmalloc(malloc_heap.q, bytes, flags);
	return quire_vmalloc_with(malloc_heap.q, bytes, &options);
}

/*
 * The first area costs an instance 45 system calls and a dozen pages.  Many a program has one or two buffers
 * that are large, as that of opendir(), and ends: these are runs of pages.
 */
static void *first_alloc(size_t bytes, size_t align, unsigned flags)
{
	struct malloc_heap *h = &malloc_heap;

	/* Hints: at worst a few more blocks are runs. */
	if (bytes > FIRST_BYTES_MAX || align > FIRST_BYTES_MAX ||
	    load_relaxed(&h->first_runs) >= FIRST_RUNS || load_relaxed(&h->q->vmap) != NULL)
		return NULL;
	fetch_add_relaxed(&h->first_runs, 1u);
	return run_alloc(bytes, align, flags);
}

static void *large_alloc(size_t bytes, size_t align, unsigned flags)
{
	void *block;

	if (bytes > PTRDIFF_MAX)
		return NULL;
	block = first_alloc(bytes, align, flags);
	if (block == NULL)
		block = area_alloc(bytes != 0 ? bytes : 1, align, flags);
	if (block == NULL)
		block = run_alloc(bytes, align, flags);
	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED) && block != NULL)
		malloc_counted_alloc(0, malloc_large_bytes(block, __func__), true);
	return block;
}

void *plain_alloc_apart(size_t bytes, size_t align, unsigned flags)
{
	void *block = run_alloc(bytes, align, flags);

	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED) && block != NULL)
		malloc_counted_alloc(0, malloc_large_bytes(block, __func__), true);
	return block;
}

/* ---- together ---- */

void *plain_alloc(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call)
{
	void *block;

	(void)call;
	if (bytes <= MALLOC_SMALL_MAX && align <= MALLOC_PAGE_BYTES) {
		block = small_alloc(bytes, align);
		if (block != NULL && (flags & QUIRE_ZERO))
			memset(block, 0, bytes);
	} else {
		block = large_alloc(bytes, align, flags);
	}
	return block;
}

/* Whatever of these made errno change, it is as it was unless this refuses. */
static void *alloc(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call)
{
	int error = process_errno();
	const struct malloc_layer *layer =
		load_acquire(&malloc_heap.layer); /* pairs with publish() */
	void *block = layer->alloc(bytes, align, flags, call);

	if (block == NULL)
		return refused();
	process_set_errno(error);
	return block;
}

/* What the heap cannot serve yet.  Large requests wait for it. */
static void *early_alloc(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call)
{
	void *block = boot_alloc(bytes, align);

	if (block != NULL)
		return block;
	return malloc_begin_waiting() ? alloc(bytes, align, flags, call) : refused();
}

static __attribute__((noinline)) void *uncounted(size_t bytes)
{
	if (UNLIKELY(!malloc_begin()))
		return early_alloc(bytes, MALLOC_ALIGN, 0, MALLOC_CALL("malloc"));
	return alloc(bytes, MALLOC_ALIGN, 0, MALLOC_CALL("malloc"));
}

void *malloc_cold(size_t bytes)
{
	if (bytes < load_relaxed(&malloc_countdown.end)) { /* pairs with malloc_open_fast_paths() */
		void *block = countdown_pop(bytes);

		if (LIKELY(block != NULL))
			return block;
	}
	return uncounted(bytes);
}

static void *alloc_aligned(size_t align, size_t bytes, const struct malloc_call *call)
{
	if (UNLIKELY(!malloc_begin()))
		return early_alloc(bytes, align, 0, call);
	return alloc(bytes, align, 0, call);
}

void *malloc_aligned(size_t align, size_t bytes)
{
	return alloc_aligned(align, bytes, MALLOC_CALL("aligned_alloc"));
}

int malloc_aligned_into(void **out, size_t align, size_t bytes)
{
	int error = process_errno();
	void *block = alloc_aligned(align, bytes, MALLOC_CALL("posix_memalign"));

	if (block == NULL) {
		process_set_errno(error);
		return ENOMEM;
	}
	*out = block;
	return 0;
}

static __attribute__((noinline)) void *uncounted_zeroed(size_t bytes)
{
	if (UNLIKELY(!malloc_begin()))
		return early_alloc(bytes, MALLOC_ALIGN, QUIRE_ZERO, MALLOC_CALL("calloc"));
	return alloc(bytes, MALLOC_ALIGN, QUIRE_ZERO, MALLOC_CALL("calloc"));
}

void *malloc_zeroed(size_t bytes)
{
	if (bytes < load_relaxed(&malloc_countdown.end)) { /* as above */
		void *block = countdown_pop(bytes);

		if (LIKELY(block != NULL))
			return memset(block, 0, bytes);
	}
	return uncounted_zeroed(bytes);
}
