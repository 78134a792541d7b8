/* SPDX-License-Identifier: MIT */
/*
 * vmap/realloc.c - changing an area's size, and memory of any size
 *
 * An area records its requested size and its capacity.  A new size within the capacity moves the
 * guard; if more than a quarter would be unused, the tail is returned.  A larger size grows into
 * free or pooled addresses after the area; otherwise the area moves: its memory does, if it is large,
 * else a copy.  If QUIRE_ZERO is given at every call, the bytes between the old and the new size read
 * zero: they are cleared as the area grows, since the area may have been larger before.
 */
#include <quire/page.h>
#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "huge/huge.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "page/alloc.h"
#include "vmap/alloc.h"
#include "vmap/class.h"
#include "vmap/commit.h"
#include "vmap/cpu.h"
#include "vmap/decay.h"
#include "vmap/dense.h"
#include "vmap/free.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/meta.h"
#include "vmap/purge.h"
#include "vmap/range.h"
#include "vmap/records.h"
#include "vmap/request.h"
#include "vmap/space.h"
#include "vmap/vmap.h"

#define RESCUE_SOME    32u
#define KV_PAGES_BYTES ((size_t)64 << 10)
/* A move takes mappings of the process, 20 us, and the flush of all CPUs; copying as much takes 0.2 ms. */
#define MOVE_BYTES     ((size_t)2 << 20)

static size_t usable_bytes(const struct vmap *v, const struct range *r)
{
	return (size_t)r->usable << v->page_shift;
}

static void clear_from(struct vmap *v, struct range *r, size_t from, size_t to)
{
	if (to > from)
		memset((char *)range_addr(v, r) + from, 0, to - from);
}

/* Gives back the pages that the smaller request does not need.  They stay if no record is spare, or
 * if the lock may only be tried and is taken. */
static void give_tail(struct vmap *v, uint32_t index, const struct vmap_request *request)
{
	struct range *r = range_at(v, index);
	struct vmap_request guard = { .guard_due = v->guard_pages != 0, .flags = request->flags };
	uint32_t old_usable = r->usable, tail;
	lock_token token;

	if (request->total >= r->pages || space_lock_for(v, request->flags, &token) != 0)
		return;
	tail = space_cut_locked(v, index, request->total);
	/* At least one page, since lazy ranges are counted by pages. */
	range_at(v, tail)->usable = old_usable > request->usable ? old_usable - request->usable : 1;
	if (range_at(v, tail)->usable > range_at(v, tail)->pages)
		range_at(v, tail)->usable = range_at(v, tail)->pages;
	store_relaxed(&r->usable, request->usable); /* pairs with busy_around() */
	if (r->backed > request->pages) {
		range_at(v, tail)->backed += r->backed - request->pages;
		r->backed = request->pages;
	}
	if (range_at(v, tail)->backed > range_at(v, tail)->pages) {
		r->backed += range_at(v, tail)->backed - range_at(v, tail)->pages;
		range_at(v, tail)->backed = range_at(v, tail)->pages;
	}
	range_set_state(range_at(v, tail), RANGE_CACHED); /* walks do not show it */
	lock_release(&v->lock, token);
	/* The guard after the old end is in the tail; the new guard replaces a page that belonged
	 * to the user.  If it is refused, the area is still usable. */
	(void)vmap_prepare(v, r, &guard);
	vmap_forbid(v, range_at(v, tail));
	range_at(v, tail)->next = RANGE_NONE;
	lazy_publish_chain(v, tail);
	decay_kick_if_over(v);
	decay_ensure_worker(v, request->flags);
}

/* Notes in @wanted whether the added pages are fresh. */
static bool grow_in_place(struct vmap *v, uint32_t index, struct vmap_request *wanted)
{
	struct range *r = range_at(v, index);
	struct vmap_request request = *wanted;
	uint32_t old_usable = r->usable, old_pages = r->pages, old_backed = r->backed;
	lock_token token;
	bool grown;

	if (vmap_asked_pages(v, wanted->asked_bytes) + v->guard_pages <= r->pages) {
		if (request.pages > r->pages - v->guard_pages)
			request.pages = r->pages - v->guard_pages; /* a class is only a wish */
		request.total = r->pages;
	}
	if (request.total > v->span_pages - r->start ||
	    meta_ready(v, r->start, r->start + request.total, request.flags) != 0 ||
	    space_lock_for(v, request.flags, &token) != 0)
		return false;
	grown = space_grow_locked(v, index, request.total, &request);
	if (grown)
		store_relaxed(&r->usable, request.usable); /* pairs with busy_around() */
	lock_release(&v->lock, token);
	if (!grown)
		return false;
	wanted->fresh = request.fresh;
	request.kept = old_pages;
	/* Asks the system, so only where the answer matters. */
	request.grown_and_full = request.fresh && dense_is_full(v, r, old_pages, old_usable);
	if (vmap_commit(v, r, &request) == 0 && vmap_prepare(v, r, &request) == 0)
		return true;
	/* The system refused: the added pages are not usable and are returned, and the old guard is
	 * set again. */
	store_relaxed(&r->usable,
		      old_usable); /* pairs with busy_around(), if the tail has to stay */
	request = (struct vmap_request){ .usable = old_usable,
					 .pages = old_backed,
					 .total = old_pages,
					 .flags = wanted->flags };
	give_tail(v, index, &request);
	return false;
}

/* What follows may be a freed area that this CPU or the lazy list still holds. */
static bool grow_after_merge(struct vmap *v, uint32_t index, struct vmap_request *wanted)
{
	if (!v->cache || (wanted->flags & QUIRE_NOLOCK))
		return false;
	cpu_pool_own(v);
	purge_rescue(v, RESCUE_SOME);
	wanted->merged = true;
	return grow_in_place(v, index, wanted);
}

/* Sections keep the advice that is noted for them; what was moved brought its own. */
static void advise_moved(const struct vmap *v, char *to, size_t bytes)
{
	uint32_t first = (uint32_t)((size_t)(to - v->base) >> SECTION_SHIFT);
	uint32_t end = first + (uint32_t)((bytes - 1) >> SECTION_SHIFT) + 1;

	for (uint32_t run = first, next; run < end; run = next) {
		enum huge_kind kind = huge_kind(&v->advice, run);
		size_t from = (size_t)(run - first) << SECTION_SHIFT, to_bytes;

		for (next = run + 1; next < end && huge_kind(&v->advice, next) == kind; next++)
			;
		to_bytes = (size_t)(next - first) << SECTION_SHIFT;
		mem_advise_huge(to + from, (to_bytes < bytes ? to_bytes : bytes) - from,
				kind == HUGE_ADVISED);
	}
}

/* Large areas begin at multiples of 2 MiB, so whole page tables move.  0, or -EBUSY: @to cannot be used. */
static int take_content(struct vmap *v, const struct range *r, char *to, size_t bytes)
{
	size_t usable = usable_bytes(v, r);
	int error = -ENOTSUP;

	if (bytes >= MOVE_BYTES && usable >= MOVE_BYTES && usable <= bytes && !v->q->annotated)
		error = mem_move(range_addr(v, r), to, usable);
	if (error == 0)
		advise_moved(v, to, usable);
	else if (error != -EBUSY)
		memcpy(to, range_addr(v, r), r->asked_bytes < bytes ? r->asked_bytes : bytes);
	return error == -EBUSY ? error : 0;
}

/* To memory that is cached, if the request is for no other. */
static void *move(struct quire *q, const struct range *r, const struct vmap_request *request,
		  int *error)
{
	void *addr = range_addr(q->vmap, r), *to;
	size_t old_bytes = r->asked_bytes, bytes = request->asked_bytes;
	unsigned flags = request->flags & ~QUIRE_ZERO;

	to = request->cached ? vmap_alloc_cached(q, bytes, flags)
			     : vmap_alloc_area(q, bytes, flags, error);
	if (to == NULL)
		return NULL;
	if (take_content(q->vmap, r, to, bytes) != 0) {
		*error = -ENOMEM; /* the addresses stay with an area that nobody has */
		return NULL;
	}
	if ((request->flags & QUIRE_ZERO) && bytes > old_bytes)
		memset((char *)to + old_bytes, 0, bytes - old_bytes);
	quire_vfree(q, addr);
	return to;
}

/* Pages that an area may grow to by moving its guard: those of its class, all of which are charged, or else those that are. */
static uint32_t pages_had(const struct vmap *v, const struct range *r)
{
	uint32_t most = r->pages - v->guard_pages;

	if (r->class != CLASS_NONE)
		return class_pages(r->class);
	return r->backed < most ? r->backed : most;
}

static bool grow_within(struct vmap *v, struct range *r, const struct vmap_request *wanted)
{
	return wanted->usable <= pages_had(v, r) && vmap_reshape(v, r, wanted->usable) == 0;
}

/*
 * Where fresh pages would raise the peak, an area below MOVE_BYTES is copied into freed memory instead, if there is
 * any: copying a page costs as much as the fault of a fresh one.  Otherwise areas that grow one after the other
 * each extend what is in use at its end, beside ten times as much that is cached.
 *
 * Returns where the area is then, @addr or elsewhere, or NULL with *@error set.
 */
static void *grow(struct quire *q, uint32_t index, struct vmap_request *request, int *error)
{
	struct vmap *v = load_relaxed(&q->vmap); /* of which the caller has an area */
	struct range *r = range_at(v, index);
	void *addr = range_addr(v, r), *to;

	if (grow_within(v, r, request))
		return addr;
	request->cached = v->cache && request->asked_bytes < MOVE_BYTES;
	if (grow_in_place(v, index, request) || grow_after_merge(v, index, request))
		return addr;
	if (request->cached) {
		to = move(q, r, request, error);
		if (to != NULL)
			return to;
		request->cached = false;
		if (grow_in_place(v, index, request))
			return addr;
	}
	to = move(q, r, request, error);
	/* Before a refusal everything was purged, including whatever followed the area. */
	return to == NULL && grow_in_place(v, index, request) ? addr : to;
}

static void *resize(struct quire *q, struct vmap *v, void *addr, size_t bytes, unsigned flags)
{
	uint32_t index = vmap_check_free(v, addr, QUIRE_VMAP_ALLOC, "quire_vrealloc");
	struct range *r = range_at(v, index);
	size_t old_bytes = r->asked_bytes, old_end = (size_t)r->pages << v->page_shift;
	struct vmap_request request;
	uint32_t had;
	int error = vmap_request_make(v, &request, bytes, flags);

	if (error) {
		process_set_errno(-error);
		return NULL;
	}
	if (bytes > usable_bytes(v, r)) {
		void *to = grow(q, index, &request, &error);

		if (to == NULL)
			process_set_errno(-error);
		if (to != addr)
			return to;
	}
	if (UNLIKELY(q->annotated))
		annotate_resize(addr, old_bytes, bytes);
	had = pages_had(v, r);
	if (request.pages < had - had / 4)
		give_tail(v, index, &request);
	/* If this is refused, the end stays where it was. */
	if (request.usable < r->usable)
		(void)vmap_reshape(v, r, request.usable);
	if (flags & QUIRE_ZERO)
		clear_from(v, r, old_bytes, request.fresh && old_end < bytes ? old_end : bytes);
	store_relaxed(&r->asked_bytes, bytes); /* looked at by walks */
	return addr;
}

void *quire_vrealloc(struct quire *q, void *addr, size_t bytes, unsigned flags)
{
	int error = 0;
	struct vmap *v;

	if (lock_nested())
		flags |= QUIRE_NOLOCK;
	if (addr == NULL)
		return quire_vmalloc(q, bytes, flags);
	if (bytes == 0) {
		quire_vfree(q, addr);
		return NULL;
	}
	v = vmap_get(q, bytes, flags, &error);
	if (v == NULL) {
		process_set_errno(-error);
		return NULL;
	}
	return resize(q, v, addr, bytes, flags);
}

/* ---- memory of any size ---- */

/* The smallest order with at least @bytes: 1 -> 0, 4096 -> 0, 4097 -> 1 for pages of 4 KiB. */
static unsigned bytes_order(const struct quire *q, size_t bytes)
{
	unsigned order = 0;

	while (((size_t)1 << (order + q->page_shift)) < bytes)
		order++;
	return order;
}

void *quire_kvmalloc(struct quire *q, size_t bytes, unsigned flags)
{
	void *addr;
	int error;

	if (bytes == 0 || bytes > KV_PAGES_BYTES)
		return quire_vmalloc(q, bytes, flags);
	addr = page_alloc_run(q, bytes_order(q, bytes),
			      (flags & ~(QUIRE_HUGE | QUIRE_NOHUGE)) | QUIRE_NORETRY, &error);
	/* Free pages may be too scattered for a run, and still be enough for an area. */
	return addr != NULL ? addr : quire_vmalloc(q, bytes, flags);
}

void quire_kvfree(struct quire *q, void *addr)
{
	int order;

	if (addr == NULL)
		return;
	if (quire_page_address(q, addr) == NULL) {
		quire_vfree(q, addr);
		return;
	}
	order = quire_block_order(q, addr);
	quire_free_pages(q, addr, order < 0 ? 0 : (unsigned)order);
}
