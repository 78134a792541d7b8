/* SPDX-License-Identifier: MIT */
/*
 * vmap/frames.c - ranges that alias frames: the second memory model
 *
 * quire_vmalloc() allocates memory of its own in both models.  quire_vmap() and
 * quire_vm_map_ram() map aliases of pages that are allocated already, so such a range
 *
 *   - is taken from the free ranges only, and nothing is charged for it;
 *   - is filled by mapping frames over its memory, which is committed and untouched;
 *   - is freed onto a lazy list of its own, from which nothing is rescued;
 *   - is purged by unmapping, after which its addresses are committed memory like their neighbours.
 *
 * Only this file implements that; the rest of vmap knows the kind of a range, and its lazy list.
 * It needs backing:memfd; private memory cannot be mapped again.
 *
 * Unlike in the kernel, a freed alias remains accessible until the purge: removing it from the
 * page table at once would cost a system call and an interrupt each.  Addresses are reused only
 * after the purge (V5), which follows within a turn of the worker.  An alias that the system
 * refuses to unmap stays lazy.
 */
#include "vmap/frames.h"

#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "page/charge.h"
#include "page/page.h"
#include "vmap/alloc.h"
#include "vmap/class.h"
#include "vmap/decay.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/mapped.h"
#include "vmap/purge.h"
#include "vmap/ram.h"
#include "vmap/range.h"
#include "vmap/request.h"
#include "vmap/resort.h"
#include "vmap/vmap.h"

#define PURGE_RANGES 1024u

/* Not ZERO: what is mapped is somebody's. */
#define FLAGS_KNOWN                                                                                \
	(QUIRE_MOVABLE | QUIRE_RECLAIMABLE | FLAGS_NO_WAIT | QUIRE_NORETRY | 0xff000000u)

struct vmap *frames_get(struct quire *q, void *const *pages, size_t count, unsigned flags,
			int *error)
{
	struct vmap *v = NULL;

	*error = (flags & ~FLAGS_KNOWN) != 0 ? -EINVAL
		 : !q->shared		     ? -ENOTSUP
		 : count == 0		     ? -EINVAL
					     : 0;
	if (*error == 0)
		v = vmap_get(q, 0, flags, error);
	if (v == NULL)
		return NULL;
	/* If they cannot fit, do not even read the array. */
	if (*error == 0 && count > v->span_pages)
		*error = -ENOSPC;
	for (size_t i = 0; *error == 0 && i < count; i++) {
		if (!page_is_allocated(q, pages[i]))
			*error = -EINVAL;
	}
	return *error == 0 ? v : NULL;
}

/* ---- taking and filling ---- */

uint32_t frames_take(struct vmap *v, uint32_t pages, uint32_t align, enum quire_vmap_kind kind,
		     unsigned flags, int *error)
{
	struct vmap_request request = { .usable = pages,
					.pages = pages,
					.total = pages + (align == 1 ? v->guard_pages : 0),
					.align = align,
					.high = v->span_pages,
					.class = CLASS_NONE,
					.kind = (uint8_t)kind,
					.frames = true,
					.flags = flags,
					.asked_bytes = (uint64_t)pages << v->page_shift };

	return vmap_alloc_addresses(v, &request, error);
}

struct mapping {
	struct resort resort;
	char *addr;
	void *const *pages;
	size_t count;
	bool dirty; /* some of it is mapped */
};

static struct mapping *mapping_of(struct resort *resort)
{
	return (struct mapping *)(void *)((char *)resort - offsetof(struct mapping, resort));
}

/* Unmaps what an earlier attempt had mapped, since it holds mappings too. */
static void unmap_partly(struct vmap *v, struct mapping *mapping)
{
	struct mem_range one;
	struct gather gather;

	gather_begin(&gather, &one, 1);
	gather_unmap_frames(&gather, mapping->addr, mapping->count << v->page_shift);
	gather_finish(&gather);
	mapping->dirty = !gather_gave_back(&gather, mapping->addr);
	if (!mapping->dirty)
		mapped_forget(v, page_at(v, mapping->addr), (uint32_t)mapping->count);
}

static int map_attempt(struct vmap *v, struct resort *resort)
{
	struct mapping *mapping = mapping_of(resort);
	int error;

	if (mapping->dirty)
		unmap_partly(v, mapping);
	if (mapping->dirty ||
	    !mapped_take_frames(v, page_at(v, mapping->addr), mapping->pages, mapping->count))
		return -ENOMEM;
	error = mem_map_frames(mapping->addr, mapping->pages, mapping->count,
			       (size_t)1 << v->page_shift);
	if (error)
		unmap_partly(v, mapping);
	return error;
}

int frames_map(struct vmap *v, void *addr, void *const *pages, size_t count, unsigned flags)
{
	struct mapping mapping = { .resort = { .attempt = map_attempt,
					       .bytes = (uint64_t)count << v->page_shift,
					       .mappings = true },
				   .addr = addr,
				   .pages = pages,
				   .count = count };
	int error = map_attempt(v, &mapping.resort);

	if (error == 0 || (flags & (FLAGS_NO_WAIT | QUIRE_NORETRY)))
		return error;
	return resort_try_all(v, &mapping.resort);
}

void frames_give(struct vmap *v, uint32_t index)
{
	range_at(v, index)->next = RANGE_NONE;
	lazy_publish_chain(v, index);
	decay_kick_if_over(v);
	decay_ensure_worker_freed(v);
}

/* Frees the range of a refused mapping so that nothing stays mapped; a caller that may not wait
 * leaves the unmapping to the worker. */
static void give_refused(struct vmap *v, uint32_t index, unsigned flags)
{
	frames_give(v, index);
	if (flags & FLAGS_NO_WAIT) {
		if (!mutex_try(&v->purge_mutex))
			return;
	} else {
		mutex_acquire(&v->purge_mutex);
	}
	frames_purge(v);
	mutex_release(&v->purge_mutex);
}

void *frames_map_area(struct vmap *v, void *const *pages, size_t count, enum quire_vmap_kind kind,
		      unsigned flags, int *error)
{
	uint32_t index;
	void *addr;

	*error = -ENOSPC;
	if (count >= v->span_pages)
		return NULL;
	if (lock_nested())
		flags |= QUIRE_NOLOCK;
	index = frames_take(v, (uint32_t)count, 1, kind, flags, error);
	if (index == RANGE_NONE)
		return NULL;
	addr = range_addr(v, range_at(v, index));
	*error = frames_map(v, addr, pages, count, flags);
	if (*error == 0)
		return addr;
	give_refused(v, index, flags);
	fetch_add_relaxed(&v->refusals, 1);
	return NULL;
}

/* ---- the purge ---- */

/* Adds ranges of a sorted chain to a gather until it is full.  Returns the first range that is
 * left. */
static uint32_t collect_frames(struct vmap *v, struct gather *gather, uint32_t chain)
{
	for (; chain != RANGE_NONE && !gather_is_full(gather); chain = range_at(v, chain)->next) {
		const struct range *r = range_at(v, chain);

		range_set_state(range_at(v, chain), RANGE_PURGED);
		gather_unmap_frames(gather, range_addr(v, r), (size_t)r->pages << v->page_shift);
	}
	return chain;
}

/* Puts back what the system refused to unmap.  Returns the chain of the others, ended by @end. */
static uint32_t keep_refused(struct vmap *v, const struct gather *gather, uint32_t chain,
			     uint32_t end)
{
	uint32_t head = end, *link = &head;

	while (chain != end) {
		uint32_t index = chain;

		chain = range_at(v, index)->next;
		if (gather_gave_back(gather, range_addr(v, range_at(v, index)))) {
			mapped_forget(v, range_at(v, index)->start, range_at(v, index)->pages);
			*link = index;
			link = &range_at(v, index)->next;
		} else {
			lazy_put_back(v, index);
		}
	}
	*link = end;
	return head;
}

static void retire_blocks(struct vmap *v, uint32_t chain, uint32_t end)
{
	for (; chain != end; chain = range_at(v, chain)->next) {
		const struct range *r = range_at(v, chain);

		if (r->owner != RANGE_NONE)
			ram_retire(v, r->owner);
	}
}

uint64_t frames_purge(struct vmap *v)
{
	struct purge_extent extent = { .low = UINT32_MAX };
	uint32_t chain = lazy_splice_frames(v);
	uint64_t pages = 0;

	CHECK(mutex_is_held(&v->purge_mutex));
	if (chain != RANGE_NONE)
		fetch_add_relaxed(&v->purges, 1);
	for (chain = purge_sort(v, chain); chain != RANGE_NONE;) {
		struct gather gather;
		uint32_t end;

		gather_begin(&gather, v->ranges, PURGE_RANGES);
		gather_lend(&gather, v->vector, PURGE_RANGES);
		end = collect_frames(v, &gather, chain);
		gather_finish(&gather);
		fetch_add_relaxed(&v->flushes, 1);
		chain = keep_refused(v, &gather, chain, end);
		for (uint32_t i = chain; i != end; i = range_at(v, i)->next) {
			pages += range_at(v, i)->usable;
			purge_extend(&extent, range_at(v, i));
		}
		retire_blocks(v, chain, end);
		purge_return(v, chain, end);
		chain = end;
	}
	purge_say(v, &extent);
	return pages;
}
