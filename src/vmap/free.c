/* SPDX-License-Identifier: MIT */
/*
 * vmap/free.c - from an address to the stack or list that keeps its range
 *
 * The fast path reads the map and the range, and pushes the range on this CPU's stack.  It makes
 * no system call; the slow path makes some only at the CPU's first use, and to wake or start the
 * worker.  If the stack is full, the slow path hands on the range and half of the stack (cpu.c):
 * small ranges to the lazy list, large ones to the pooled ranges.  A free never purges (R21).
 *
 * The next allocation of the size waits for the push.  Which stack that is depends on the range's class,
 * which is known last, after loads of the map and the range.  So if the class is the common one, the stack
 * follows from a comparison, which the processor predicts, and no longer from the range.  The common class
 * is a sample: that of the first free on any CPU since the worker's visit.
 */
#include "vmap/free.h"

#include <quire/vmap.h>

#include "base/check.h"
#include "base/entry.h"
#include "base/opaque.h"
#include "base/whole.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "vmap/commit.h"
#include "vmap/cpu.h"
#include "vmap/decay.h"
#include "vmap/heads.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

/* The range around an address in use, or RANGE_NONE. */
static uint32_t busy_around(struct vmap *v, const void *addr)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)v->base;
	uint32_t page = (uint32_t)(offset >> v->page_shift), head, index = RANGE_NONE;
	lock_token token;

	if (offset >= v->span_bytes)
		return RANGE_NONE;
	token = lock_acquire(&v->lock);
	head = heads_prev_locked(v, page);
	if (head != RANGE_NONE) {
		const struct range *r = range_at(v, v->map[head]);

		/* Its owner may be resizing it. */
		if (page - r->start < load_relaxed(&r->usable) && range_state(r) == RANGE_BUSY)
			index = v->map[head];
	}
	lock_release(&v->lock, token);
	return index;
}

static _Noreturn void free_misuse(struct vmap *v, const void *addr, unsigned kind,
				  const char *function)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)v->base;
	const struct range *r;

	if (offset >= v->span_bytes)
		misuse("foreign pointer", function, addr);
	if ((offset & (((uintptr_t)1 << v->page_shift) - 1)) != 0)
		misuse("not the start of a page", function, addr);
	r = range_at(v, load_relaxed(&v->map[offset >> v->page_shift]));
	if (r != range_at(v, 0) && range_state(r) != RANGE_BUSY)
		misuse_number("double free", function, addr, "pages", r->usable);
	if (r != range_at(v, 0))
		misuse_number("wrong kind of area", function, addr, "kind expected", kind);
	if (!lock_nested() && busy_around(v, addr) != RANGE_NONE)
		misuse("the middle of an area", function, addr);
	misuse("no area", function, addr);
}

uint32_t vmap_check_free(struct vmap *v, const void *addr, unsigned kind, const char *function)
{
	uintptr_t offset = (uintptr_t)addr - (uintptr_t)v->base;
	uint32_t page = (uint32_t)(offset >> v->page_shift), index;
	const struct range *r;

	if (offset >= v->span_bytes || (offset & (((uintptr_t)1 << v->page_shift) - 1)) != 0)
		free_misuse(v, addr, kind, function);
	index = load_relaxed(&v->map[page]); /* only its owner changes it while it is busy */
	r = range_at(v, index);
	if (r->start != page || range_state(r) != RANGE_BUSY || r->kind != kind)
		free_misuse(v, addr, kind, function);
	return index;
}

void vmap_free_range(struct vmap *v, uint32_t index)
{
	vmap_forbid(v, range_at(v, index));
	if (!v->guard_freed && !lock_nested() && cpu_put(v, index)) {
		decay_check_over(v); /* areas that were on the stack may have been handed on */
		decay_ensure_worker_freed(v);
		return;
	}
	range_at(v, index)->next = RANGE_NONE;
	lazy_publish_chain(v, index);
	decay_kick_if_over(v);
	decay_ensure_worker_freed(v);
}

static __attribute__((noinline, cold)) void vfree_odd(struct quire *q, void *addr)
{
	struct vmap *v = load_acquire(&q->vmap);

	if (addr == NULL || q->dead)
		return;
	if (v == NULL)
		misuse("foreign pointer", "quire_vfree", addr);
	vmap_check_free(v, addr, QUIRE_VMAP_ALLOC, "quire_vfree");
}

static __attribute__((noinline, cold)) void vfree_slow(struct vmap *v, uint32_t index)
{
	const struct range *r = range_at(v, index);

	if (UNLIKELY(v->q->annotated))
		annotate_free(range_addr(v, r), load_relaxed(&r->asked_bytes));
	vmap_free_range(v, index);
}

FAST_ENTRY(quire_vfree);

void quire_vfree(struct quire *q, void *addr)
{
	struct vmap *v = load_acquire(&q->vmap); /* pairs with its making in vmap_get() */
	uint32_t index, class;
	struct range *r;
	size_t page;

	if (UNLIKELY(v == NULL)) {
		vfree_odd(q, addr);
		return;
	}
	page = whole_index((uintptr_t)addr - (uintptr_t)v->base, v->page_shift);
	if (UNLIKELY(page >= v->pages_nr)) {
		vfree_odd(v->q, addr); /* not @q, which would have to be kept */
		return;
	}
	/* Record 0 is not used: its state is never BUSY. */
	index = load_relaxed(&v->map[page]);
	r = range_at(v, index);
	if (UNLIKELY(r->start != (uint32_t)page || range_state(r) != RANGE_BUSY ||
		     r->kind != QUIRE_VMAP_ALLOC)) {
		vfree_odd(v->q, addr);
		return;
	}
	range_set_state(r, RANGE_CACHED);
	/* Each opaque() keeps the compiler from replacing the branch by what is equal or by a choice. */
	class = opaque(load_relaxed(&v->common_class)); /* pairs with put_locked() */
	if (r->class != (uint8_t) class)
		class = opaque(r->class);
	if (UNLIKELY(!stack_push(&v->stacks.cpu, class, index, &v->push_allowed, 1)))
		vfree_slow(v, index);
}

/* ---- questions ---- */

static struct range *asked_about(const struct quire *q, const void *addr, struct vmap **v)
{
	uint32_t index;

	*v = load_acquire(&q->vmap);
	index = *v != NULL ? busy_around(*v, addr) : RANGE_NONE;
	return index != RANGE_NONE ? range_at(*v, index) : NULL;
}

size_t quire_vmalloc_size(const struct quire *q, const void *addr)
{
	struct vmap *v;
	const struct range *r = asked_about(q, addr, &v);

	return r != NULL ? load_relaxed(&r->asked_bytes) : 0; /* its owner may resize it */
}

void *quire_vmalloc_start(const struct quire *q, const void *addr)
{
	struct vmap *v;
	const struct range *r = asked_about(q, addr, &v);

	return r != NULL ? range_addr(v, r) : NULL;
}
