/* SPDX-License-Identifier: MIT */
/*
 * malloc/hardened.c - hardened:on
 *
 * Small blocks are objects of slab/hardened.h: of the class that has room for the block and a canary.  All others are areas, also
 * blocks that are to lie at a multiple of a page.
 *
 *   an area         | lead | block                    | tail | guard
 *   is              0..4 KiB  as many bytes as asked   0..15   a page on which every access faults
 *
 * The block ends at the guard as far as its alignment permits, so a read or a write behind it faults at once, or
 * within 15 bytes.  Lead and tail are zero, and a free checks that they are.  The range's record knows how many
 * bytes were asked for, and its mark the alignment and whether the block was freed.
 *
 * A freed area loses its memory, and every access to it faults from then on.  Up to WAIT_BYTES it waits: it takes a random
 * place of `chosen`, what was there goes to `queue`, and what has been there for WAIT_AREAS frees to the areas that
 * can be handed out, where another purge comes first (guard:freed).  A refused allocation takes all that wait.
 * Exchanges are atomic, and no lock is needed, in handlers neither.
 *
 * Areas are never resized: realloc() copies unless the block stays within the same 16 bytes.
 */
#include "malloc/hardened.h"

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
#include "machine/mem.h"
#include "malloc/boot.h"
#include "malloc/counted.h"
#include "malloc/heap.h"
#include "slab/class.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "base/poison.h"
#include "slab/slab.h"
#include "vmap/commit.h"
#include "vmap/free.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

#ifndef WAIT_AREAS
#define WAIT_AREAS 32u
#endif
#define WAIT_BYTES ((size_t)1 << 20) /* of an area; they count as in use */

/* Of a range's mark. */
#define MARK_FREED	 1u
#define MARK_ALIGN_SHIFT 8u /* log2 */

static struct {
	void *chosen[WAIT_AREAS], *queue[WAIT_AREAS]; /* atomic: blocks' areas; NULL: none */
	uint32_t oldest;			      /* atomic: of the queue, modulo its size */
} waiting;

/* ---- small ---- */

static bool is_small(size_t bytes, size_t align)
{
	return bytes <= MALLOC_SMALL_MAX - HARDENED_CANARY_BYTES && align < MALLOC_PAGE_BYTES;
}

static unsigned class_for(size_t bytes, size_t align)
{
	return malloc_class_aligned(malloc_class_for(bytes + HARDENED_CANARY_BYTES), align);
}

static void *class_alloc(unsigned class, size_t bytes, unsigned flags, const char *function)
{
	if (!malloc_class_made(class, flags))
		return NULL;
	return hardened_alloc(malloc_heap.slabs, class, (uint32_t)bytes, flags, function);
}

/* In a handler that interrupted a lock's holder: of a class above, or the boot arena's. */
static void *nested_alloc(unsigned class, size_t bytes, size_t align, const char *function)
{
	for (unsigned i = 0; class != 0 && i < MALLOC_NESTED_CLASSES; i++) {
		void *block = malloc_class_bytes(class) % align == 0
				      ? class_alloc(class, bytes, QUIRE_NOLOCK, function)
				      : NULL;

		if (block != NULL)
			return block;
		class = malloc_class_above(class);
	}
	return boot_alloc(bytes, align);
}

static void *small_alloc(size_t bytes, size_t align, const char *function)
{
	unsigned class = class_for(bytes, align);
	void *block = lock_nested() ? nested_alloc(class, bytes, align, function)
				    : class_alloc(class, bytes, 0, function);

	malloc_tell_small(block, true);
	return block;
}

static void small_free(void *block, unsigned class, const char *function)
{
	if ((uintptr_t)block % MALLOC_ALIGN != 0)
		objects_misuse(malloc_heap.slabs, "not the start of a block", function, block,
			       class);
	hardened_free(malloc_heap.slabs, block, function);
	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED))
		malloc_counted_free(class, malloc_class_bytes(class), true);
}

/* ---- large: where a block lies in its area ---- */

static struct vmap *areas(void)
{
	return load_acquire(&malloc_heap.q->vmap); /* pairs with vmap_get() */
}

static size_t area_bytes(const struct vmap *v, const struct range *r)
{
	return (size_t)r->usable << v->page_shift;
}

/* What a block takes of its area, with its tail; @align is a page at most.  One of no bytes has an address, too. */
static size_t taken_for(size_t bytes, size_t align)
{
	return round_up(bytes != 0 ? bytes : 1, align);
}

static size_t taken_bytes(const struct range *r)
{
	return taken_for(r->asked_bytes, (size_t)1 << (load_relaxed(&r->mark) >>
						       MARK_ALIGN_SHIFT)); /* the owner's */
}

static char *block_of(const struct vmap *v, const struct range *r)
{
	return (char *)range_addr(v, r) + area_bytes(v, r) - taken_bytes(r);
}

/* No block begins at @block. */
static _Noreturn void no_large(const struct vmap *v, const void *block, const char *function)
{
	const struct range *r = range_at(v, load_relaxed(&v->map[page_at(v, block)]));

	if (r != range_at(v, 0) && range_state(r) != RANGE_BUSY)
		misuse_number("double free", function, block, "pages", r->usable);
	if (!lock_nested() && quire_vmalloc_start(malloc_heap.q, block) != NULL)
		misuse("the middle of an area", function, block);
	misuse("no area", function, block);
}

/* The range of a block in use.  Stops the process if there is none at this address. */
static struct range *large_at(struct vmap **areas_of, const void *block, const char *function)
{
	struct vmap *v = areas();
	struct range *r;

	*areas_of = v;
	if (v == NULL || (uintptr_t)block - (uintptr_t)v->base >= v->span_bytes) {
		(void)malloc_large_bytes(block, function); /* stops, as there is no block */
		misuse("no block", function, block);
	}
	r = range_at(v, load_relaxed(&v->map[page_at(v, block)])); /* its owner's */
	if (r == range_at(v, 0) || r->start != page_at(v, block) || range_state(r) != RANGE_BUSY ||
	    block_of(v, r) != block)
		no_large(v, block, function);
	if (load_relaxed(&r->mark) & MARK_FREED) /* pairs with large_free() */
		misuse_number("double free", function, block, "pages", r->usable);
	return r;
}

static void check_around(const struct vmap *v, const struct range *r, const void *addr,
			 const char *function)
{
	const uint8_t *block = addr, *end = block + taken_bytes(r);
	const uint8_t *found = poison_other(block + r->asked_bytes, end, 0);

	if (found != end)
		misuse_number("written behind an object", function, block, "offset",
			      (uint64_t)(found - block));
	found = poison_other(range_addr(v, r), block, 0);
	if (found != block)
		misuse_number("written in front of an object", function, block, "bytes before",
			      (uint64_t)(block - found));
}

/* ---- large: quarantine ---- */

static void let_go(struct vmap *v, void *addr)
{
	struct range *r = range_at(v, load_relaxed(&v->map[page_at(v, addr)])); /* ours */

	store_relaxed(&r->mark, 0u);
	quire_vfree(malloc_heap.q, addr);
}

/* Takes what waits.  True if anything did. */
static bool release_waiting(void)
{
	bool any = false;

	for (unsigned i = 0; i < WAIT_AREAS; i++) {
		/* Pair with those of wait_or_go(). */
		void *one = exchange_acquire(&waiting.chosen[i], (void *)NULL);
		void *other = exchange_acquire(&waiting.queue[i], (void *)NULL);

		any = any || one != NULL || other != NULL;
		if (one != NULL)
			let_go(areas(), one);
		if (other != NULL)
			let_go(areas(), other);
	}
	return any;
}

static void wait_or_go(struct vmap *v, const struct range *r)
{
	void *addr = range_addr(v, r);
	uint32_t place = (uint32_t)hardened_draw(malloc_heap.slabs) % WAIT_AREAS;

	if (area_bytes(v, r) <= WAIT_BYTES) {
		/* Each pairs with those of other frees: an area has one owner. */
		addr = exchange_acq_rel(&waiting.chosen[place], addr);
		place = fetch_add_relaxed(&waiting.oldest, 1) % WAIT_AREAS;
		if (addr != NULL)
			addr = exchange_acq_rel(&waiting.queue[place], addr);
	}
	if (addr != NULL)
		let_go(v, addr);
}

/* ---- large ---- */

static void *area_alloc(size_t bytes, size_t align, unsigned flags)
{
	size_t page = quire_page_bytes(malloc_heap.q);
	struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.flags = flags, .align_bytes = align > page ? align : 0);

	return quire_vmalloc_with(malloc_heap.q, taken_for(bytes, align < page ? align : page),
				  &options);
}

/* What was freed, and cleared, cannot be written to since. */
static bool stays_zero(void)
{
	return malloc_heap.q->options.guard == QUIRE_GUARD_FREED && mem_guard_works() &&
	       !mem_commits_lock();
}

static void *large_alloc(size_t bytes, size_t align, unsigned flags)
{
	struct vmap *v;
	struct range *r;
	char *addr;

	if (bytes > PTRDIFF_MAX)
		return NULL;
	if (stays_zero())
		flags &= ~QUIRE_ZERO;
	addr = area_alloc(bytes, align, flags);
	if (addr == NULL && release_waiting())
		addr = area_alloc(bytes, align, flags);
	if (addr == NULL)
		return NULL;
	v = areas();
	r = range_at(v, load_relaxed(&v->map[page_at(v, addr)])); /* ours */
	if (align > quire_page_bytes(malloc_heap.q))
		align = quire_page_bytes(malloc_heap.q);
	store_relaxed(&r->mark, (uint32_t)__builtin_ctzll(align) << MARK_ALIGN_SHIFT);
	store_relaxed(&r->asked_bytes, bytes); /* walks read it */
	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED))
		malloc_counted_alloc(0, area_bytes(v, r), true);
	return block_of(v, r);
}

/* Takes the memory of an area, so that it reads zero. */
static void clear_area(char *addr, size_t bytes)
{
	if (gather_unback_one(addr, bytes) == 0)
		memset(addr, 0, bytes);
}

static void large_free(void *block, const char *function)
{
	struct vmap *v;
	struct range *r = large_at(&v, block, function);
	uint32_t mark = load_relaxed(&r->mark);

	/* Of two frees at once the later one finds the mark. */
	if ((mark & MARK_FREED) || !cas_relaxed(&r->mark, &mark, mark | MARK_FREED))
		misuse_number("double free", function, block, "pages", r->usable);
	check_around(v, r, block, function);
	if (UNLIKELY(malloc_heap.modes & MALLOC_COUNTED))
		malloc_counted_free(0, area_bytes(v, r), true);
	clear_area(range_addr(v, r), area_bytes(v, r));
	vmap_forbid(v, r);
	wait_or_go(v, r);
}

/* ---- the layer ---- */

static void *hardened_layer_alloc(size_t bytes, size_t align, unsigned flags,
				  const struct malloc_call *call)
{
	return is_small(bytes, align) ? small_alloc(bytes, align, call->function)
				      : large_alloc(bytes, align, flags);
}

static void hardened_layer_free(void *block, const struct malloc_call *call)
{
	unsigned class = malloc_class_at(block);

	if (class != 0)
		small_free(block, class, call->function);
	else
		large_free(block, call->function);
}

static size_t hardened_layer_usable(const void *block, const struct malloc_call *call)
{
	struct vmap *v;

	if (malloc_class_at(block) != 0)
		return hardened_bytes(malloc_heap.slabs, block, call->function);
	return large_at(&v, block, call->function)->asked_bytes;
}

/* True if the block has the new size where it is. */
static bool resize_in_place(void *block, size_t usable, size_t bytes,
			    const struct malloc_call *call)
{
	unsigned class = malloc_class_at(block);
	struct vmap *v;
	struct range *r;
	size_t before;

	if (class != 0) {
		if (bytes + HARDENED_CANARY_BYTES > malloc_class_bytes(class) || bytes < usable / 2)
			return false;
		hardened_set_bytes(malloc_heap.slabs, block, (uint32_t)bytes);
		return true;
	}
	r = large_at(&v, block, call->function);
	check_around(v, r, block, call->function);
	before = taken_bytes(r);
	if (round_up(bytes, MALLOC_ALIGN) != round_up(usable, MALLOC_ALIGN) || bytes > before)
		return false;
	if (bytes < usable)
		memset((char *)block + bytes, 0, usable - bytes);
	store_relaxed(&r->asked_bytes, bytes); /* walks read it */
	return true;
}

/* A small block has as many bytes as it was shrunk to.  A large one would begin elsewhere; malloc_check_bytes() knows. */
static void note_refused_shrink(void *block, size_t bytes)
{
	if (malloc_class_at(block) != 0)
		hardened_set_bytes(malloc_heap.slabs, block, (uint32_t)bytes);
	else
		store_relaxed(&malloc_heap.shrink_refused, true); /* for good */
}

static void *hardened_layer_resize(void *block, size_t bytes, const struct malloc_call *call)
{
	size_t usable = hardened_layer_usable(block, call);
	void *to;

	if (bytes <= PTRDIFF_MAX && resize_in_place(block, usable, bytes, call))
		return block;
	to = hardened_layer_alloc(bytes, MALLOC_ALIGN, 0, call);
	if (to == NULL && bytes <= usable) {
		note_refused_shrink(block, bytes);
		return block;
	}
	if (to == NULL)
		return NULL;
	memcpy(to, block, usable < bytes ? usable : bytes);
	hardened_layer_free(block, call);
	return to;
}

/* Small blocks that wait are given up where slabs are shrunk. */
static void hardened_layer_flush(const struct malloc_call *call)
{
	(void)call;
	(void)release_waiting();
}

const struct malloc_layer malloc_hardened = {
	.alloc = hardened_layer_alloc,
	.free = hardened_layer_free,
	.usable = hardened_layer_usable,
	.resize = hardened_layer_resize,
	.flush = hardened_layer_flush,
	.exact = true,
};
