/* SPDX-License-Identifier: MIT */
/*
 * vmap/alloc.c - from quire_vmalloc() to a range
 *
 * The fast path is one sequence on this CPU's stack of the size's class.  Everything else is
 * vmap_alloc_range(), a list of attempts, cheapest first: areas freed on this CPU, pooled ranges, a
 * part of a larger area freed on this CPU, the contents of this CPU's stacks and of the lazy list
 * after merging, and then fresh addresses.
 *
 * Merging twenty areas takes 4 us, and as many later allocations cut their areas out of pooled ranges,
 * 0.4 us each, because the stacks are empty.  So a CPU merges at most once per MERGE_NS, which bounds
 * the cost to an eighth of its time (MERGE_SMALL_NS for small areas, which have few pages to save), or
 * when the program would otherwise hold more than ever before, or exceed the limit of cached memory.  The first write to a page costs
 * 150 to 1,300 ns, so a program that writes its areas merges whenever it needs fresh memory; a program
 * that does not write them is served by the classes.  resort.c is the last resort.
 */
#include "vmap/alloc.h"

#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/entry.h"
#include "base/errno.h"
#include "base/mem.h"
#include "base/sized.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/usdt.h"
#include "page/charge.h"
#include "page/page.h"
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
#include "vmap/resort.h"
#include "vmap/space.h"
#include "vmap/vmap.h"

#define MERGE_NS       100000u
#define MERGE_SMALL_NS 500000u
#define RESCUE_SOME    32u
#define LARGER_CLASSES 16u /* 16 times as large: cutting larger areas would soon leave none */
#define MIDDLE_BYTES   ((size_t)64 << 10)
#define LARGE_BYTES    ((size_t)2 << 20)
/*
 * Clearing costs 30 us a MiB if the memory is there.  Taking it away costs half of that, and the faults of who
 * writes all of it again four times as much, or as much with huge pages; but who writes little of it has waited for
 * nothing, and holds nothing.  From two huge pages on the difference in memory is what a program would notice.
 */
#define UNBACK_BYTES   ((size_t)4 << 20)
#define SPREAD_SMALL   ((size_t)64 << 20)
#define SPREAD_LARGE   ((size_t)1 << 30)
#define FLAGS_KNOWN                                                                                \
	(QUIRE_MOVABLE | QUIRE_RECLAIMABLE | QUIRE_ZERO | FLAGS_NO_WAIT | QUIRE_NORETRY |          \
	 QUIRE_HUGE | QUIRE_NOHUGE | 0xff000000u)

/* ---- the request ---- */

static enum region region_for(const struct vmap *v, uint32_t pages)
{
	size_t bytes = (size_t)pages << v->page_shift;

	if (v->region_start[REGION_MIDDLE] == v->span_pages)
		return REGION_SMALL;
	return bytes < MIDDLE_BYTES  ? REGION_SMALL
	       : bytes < LARGE_BYTES ? REGION_MIDDLE
				     : REGION_LARGE;
}

/* A hardened instance has each area look for a place from a random page on, within a part of the region that is
 * large enough to be guessed in, and so small that what is committed of it is soon one mapping. */
static uint32_t random_pages(const struct vmap *v, enum region region, uint32_t most)
{
	uint32_t pages =
		(uint32_t)((region == REGION_LARGE ? SPREAD_LARGE : SPREAD_SMALL) >> v->page_shift);
	uint32_t random;

	process_random(&random, sizeof(random));
	return random % (pages < most ? pages : most);
}

/* Chooses where the range is to lie; the request's sizes are set. */
static void place(const struct vmap *v, struct vmap_request *request)
{
	enum region region = region_for(v, request->pages);

	request->total = request->pages + v->guard_pages;
	request->align = request->align_least = 1;
	request->low = v->region_start[region];
	request->high = v->region_start[region + 1];
	request->anywhere = true;
	if (UNLIKELY(load_relaxed(&v->q->hardened))) /* set_hardened() */
		request->low += random_pages(v, region, (request->high - request->low) / 2 + 1);
	if (region == REGION_LARGE) {
		request->align = v->block_pages;
		request->total = (request->total + v->block_pages - 1) & ~(v->block_pages - 1);
	}
}

uint32_t vmap_asked_pages(const struct vmap *v, uint64_t bytes)
{
	return (uint32_t)((bytes + ((uint64_t)1 << v->page_shift) - 1) >> v->page_shift);
}

int vmap_request_make(const struct vmap *v, struct vmap_request *request, size_t bytes,
		      unsigned flags)
{
	size_t pages =
		(bytes >> v->page_shift) + ((bytes & (((size_t)1 << v->page_shift) - 1)) != 0);

	*request = (struct vmap_request){
		.flags = flags, .kind = QUIRE_VMAP_ALLOC, .class = CLASS_NONE, .asked_bytes = bytes
	};
	if (bytes == 0 || (flags & ~FLAGS_KNOWN) != 0 ||
	    (flags & (QUIRE_MOVABLE | QUIRE_RECLAIMABLE)) == (QUIRE_MOVABLE | QUIRE_RECLAIMABLE) ||
	    (flags & (QUIRE_HUGE | QUIRE_NOHUGE)) == (QUIRE_HUGE | QUIRE_NOHUGE) ||
	    flags >> 24 > v->q->nodes_nr)
		return -EINVAL;
	if (pages > v->span_pages - v->guard_pages)
		return -ENOSPC;
	request->usable = request->pages = (uint32_t)pages;
	if (v->cache && pages <= CLASS_PAGES_MAX) {
		unsigned class = class_of(request->pages);

		/* In a tiny span the rounding may be what does not fit. */
		if (class_pages(class) < v->span_pages / 4) {
			request->class = (uint8_t) class;
			request->pages = class_pages(class);
		}
	}
	place(v, request);
	return 0;
}

/* ---- attempts ---- */

static bool hand_out_cached(struct vmap *v, struct range *r, const struct vmap_request *request)
{
	CHECK_VALUES(range_state(r) == RANGE_CACHED, r->start, range_state(r));
	if (vmap_reshape(v, r, request->usable) != 0)
		return false;
	store_relaxed(&r->asked_bytes, request->asked_bytes); /* looked at by walks */
	range_set_state(r, RANGE_BUSY);
	return true;
}

/* Publishes on the lazy list a range that could not be made usable for this request; another
 * request may be able to use it. */
static void put_aside(struct vmap *v, uint32_t index)
{
	range_at(v, index)->next = RANGE_NONE;
	lazy_publish_chain(v, index);
	decay_kick(v);
}

/* Takes an area of the class that was freed on this CPU, or of the next larger class. */
static uint32_t from_classes(struct vmap *v, struct vmap_request *request)
{
	uint32_t least = (uint32_t)((request->asked_bytes - 1) >> v->page_shift) + 1;
	uint32_t index;

	if (request->class == CLASS_NONE)
		return RANGE_NONE;
	index = request->class_looked ? RANGE_NONE
				      : cpu_take(v, request->class, request->align_least);
	/* At most a quarter more than was asked for. */
	if (index == RANGE_NONE && request->class >= CLASSES_EXACT &&
	    request->class + 1u < CLASSES_NR && request->align_least == 1 &&
	    class_pages(request->class + 1u) <= least + least / 4)
		index = cpu_take(v, request->class + 1u, 1);
	if (index != RANGE_NONE && !hand_out_cached(v, range_at(v, index), request)) {
		put_aside(v, index);
		return RANGE_NONE;
	}
	return index;
}

static uint32_t from_pooled(struct vmap *v, struct vmap_request *request)
{
	uint32_t index;
	lock_token token;

	/* A hint, which saves the lock if nothing is pooled. */
	if (load_relaxed(&v->pooled.nr) == 0 || space_lock_for(v, request->flags, &token) != 0)
		return RANGE_NONE;
	index = space_take_pooled_locked(v, request);
	lock_release(&v->lock, token);
	return index;
}

/* The first class of areas that are too large for a region. */
static unsigned classes_end(const struct vmap *v, enum region region)
{
	size_t bytes = region == REGION_SMALL ? MIDDLE_BYTES : LARGE_BYTES;

	if (region == REGION_LARGE || v->region_start[REGION_MIDDLE] == v->span_pages)
		return CLASSES_NR;
	return class_of((uint32_t)(bytes >> v->page_shift));
}

/* Cuts a larger area that was freed on this CPU; the rest is pooled. */
static uint32_t from_larger(struct vmap *v, struct vmap_request *request)
{
	unsigned first = request->class + 1u, end = first + LARGER_CLASSES, most;

	if (request->class == CLASS_NONE || (request->flags & QUIRE_NOLOCK))
		return RANGE_NONE;
	most = classes_end(v, region_for(v, request->pages));
	if (!cpu_pool_larger(v, first, end < most ? end : most))
		return RANGE_NONE;
	return from_pooled(v, request);
}

/*
 * Tries three times: as requested; anywhere in the span; and without any rounding, since a class or
 * a region only prefers its sizes and alignment.
 */
static uint32_t take_free_locked(struct vmap *v, struct vmap_request *request, int *error)
{
	uint32_t index = space_take_free_locked(v, request, error);
	struct vmap_request wide = *request;

	CHECK(lock_is_held(&v->lock));
	if (index != RANGE_NONE || *error == -EAGAIN || !request->anywhere)
		return index;
	wide.low = 0;
	wide.high = v->span_pages;
	index = space_take_free_locked(v, &wide, error);
	if (index == RANGE_NONE && *error != -EAGAIN) {
		wide.pages = request->usable;
		wide.total = wide.pages + v->guard_pages;
		wide.align = request->align_least;
		wide.class = CLASS_NONE;
		index = space_take_free_locked(v, &wide, error);
	}
	if (index != RANGE_NONE)
		*request = wide;
	request->unready_first = wide.unready_first;
	request->unready_end = wide.unready_end;
	return index;
}

/* If the metadata of a free range is not ready, makes it ready and searches again, since another
 * caller may have taken the range meanwhile.  Each round makes a step of the span ready
 * permanently, so the loop ends. */
static uint32_t from_free(struct vmap *v, struct vmap_request *request, int *error)
{
	lock_token token;
	uint32_t index;

	do {
		if (space_lock_for(v, request->flags, &token) != 0)
			break;
		index = take_free_locked(v, request, error);
		lock_release(&v->lock, token);
		if (index != RANGE_NONE || *error != -EAGAIN)
			return index;
	} while (meta_ready(v, request->unready_first, request->unready_end, request->flags) == 0);
	*error = -ENOMEM;
	return RANGE_NONE;
}

/* Whoever would charge more than this merges whatever the time: what is cached is to serve before the peak rises. */
static uint64_t merge_above_pages(struct vmap *v)
{
	uint64_t budget = load_relaxed(&v->live_high_pages) + decay_budget_pages(v);
	uint64_t high = load_relaxed(&v->charged_high); /* hints, both */

	return high < budget ? high : budget;
}

static bool merge_is_due(struct vmap *v, const struct vmap_request *request)
{
	struct vmap_cpu *cpu = &v->cpu[(unsigned)stack_slot(&v->stacks.cpu)];
	uint64_t now, least_ns;

	least_ns =
		(size_t)request->pages << v->page_shift < MIDDLE_BYTES ? MERGE_SMALL_NS : MERGE_NS;
	if (!v->cache || (request->flags & QUIRE_NOLOCK))
		return false;
	now = clock_now_ns();
	/* Its own CPU's, nearly always; a hint. */
	if (!request->cached && now - load_relaxed(&cpu->merged_ns) < least_ns &&
	    load_relaxed(&v->charged_pages) + request->pages <= merge_above_pages(v))
		return false;
	store_relaxed(&cpu->merged_ns, now);
	return true;
}

static uint32_t from_merged(struct vmap *v, struct vmap_request *request)
{
	if (!merge_is_due(v, request))
		return RANGE_NONE;
	cpu_pool_own(v);
	decay_note_live(v);
	purge_rescue(v, RESCUE_SOME);
	return from_pooled(v, request);
}

/* ---- the last resort ---- */

/* A refused allocation, or a range that could not be made usable. */
struct refused {
	struct resort resort;
	struct vmap_request *request;
	uint32_t index;
};

static struct refused *refused_of(struct resort *resort)
{
	return (struct refused *)(void *)((char *)resort - offsetof(struct refused, resort));
}

static int take_attempt(struct vmap *v, struct resort *resort)
{
	struct refused *refused = refused_of(resort);
	int error = 0;

	refused->index = from_free(v, refused->request, &error);
	return refused->index != RANGE_NONE ? 0 : error;
}

/* For purge:counter, which exists for comparison: one purge, one attempt. */
static uint32_t after_purge_of_2016(struct vmap *v, struct vmap_request *request, int *error)
{
	uint32_t index;

	purge_run(v, EVERYTHING_MS, 0);
	index = from_free(v, request, error);
	/* Pairs with run_counter(): another purge still holds what this allocation needed. */
	if (index == RANGE_NONE && load_relaxed(&v->lazy_pages) != 0)
		fetch_add_relaxed(&v->refusals_spurious, 1);
	return index;
}

static uint32_t last_resort(struct vmap *v, struct vmap_request *request, int *error)
{
	struct refused refused = { .resort = { .attempt = take_attempt,
					       .bytes = request->asked_bytes },
				   .request = request,
				   .index = RANGE_NONE };

	if (request->flags & (FLAGS_NO_WAIT | QUIRE_NORETRY))
		return RANGE_NONE;
	if (v->policy == QUIRE_PURGE_COUNTER)
		return after_purge_of_2016(v, request, error);
	*error = resort_try_all(v, &refused.resort);
	return refused.index;
}

/* ---- together ---- */

static int use_attempt(struct vmap *v, struct resort *resort)
{
	const struct refused *refused = refused_of(resort);
	struct range *r = range_at(v, refused->index);
	int error = vmap_commit(v, r, refused->request);

	return error ? error : vmap_prepare(v, r, refused->request);
}

/* Committing splits a mapping, and so does a guard that is a mapping; a purge releases mappings for
 * both. */
static int make_usable(struct vmap *v, uint32_t index, struct vmap_request *request)
{
	struct refused refused = { .resort = { .attempt = use_attempt,
					       .bytes = request->asked_bytes,
					       .mappings = true },
				   .request = request,
				   .index = index };
	int error = use_attempt(v, &refused.resort);

	if (error == 0 || (request->flags & (FLAGS_NO_WAIT | QUIRE_NORETRY)))
		return error;
	return resort_try_all(v, &refused.resort);
}

/* Makes a range ready for its user.  If that is refused, puts it back. */
static int prepare(struct vmap *v, uint32_t index, struct vmap_request *request)
{
	lock_token token;
	uint64_t uncharge = 0;

	if (make_usable(v, index, request) == 0)
		return 0;
	if (request->flags & QUIRE_NOLOCK) {
		put_aside(v, index);
		return -ENOMEM;
	}
	token = lock_acquire(&v->lock);
	if (request->fresh)
		uncharge = space_free_locked(v, index);
	else
		space_pool_locked(v, index, decay_now_ms());
	lock_release(&v->lock, token);
	page_uncharge(v->q, uncharge);
	return -ENOMEM;
}

/* A large area loses its memory, so that it takes none until it is written, as a fresh one. */
static void clear_reused(struct vmap *v, struct range *r, size_t bytes)
{
	if (bytes >= UNBACK_BYTES &&
	    gather_unback_one(range_addr(v, r), (size_t)r->usable << v->page_shift) != 0)
		return;
	memset(range_addr(v, r), 0, bytes);
}

/* @index: RANGE_NONE if the request was refused. */
static void say_allocated(const struct vmap *v, const struct vmap_request *request, uint32_t index)
{
	bool failed = index == RANGE_NONE;
	uintptr_t addr = failed ? 0 : (uintptr_t)range_addr(v, range_at(v, index));

	USDT(alloc_vmap_area, addr, (size_t)request->total << v->page_shift,
	     (size_t)request->align << v->page_shift, (uintptr_t)v->base,
	     (uintptr_t)v->base + v->span_bytes, failed);
}

static uint32_t refuse(struct vmap *v, const struct vmap_request *request)
{
	fetch_add_relaxed(&v->refusals, 1);
	say_allocated(v, request, RANGE_NONE);
	return RANGE_NONE;
}

uint32_t vmap_alloc_range(struct vmap *v, struct vmap_request *request, int *error)
{
	uint32_t index;

	if (lock_nested())
		request->flags |= QUIRE_NOLOCK;
	index = from_classes(v, request);
	if (index != RANGE_NONE && UNLIKELY(load_relaxed(&v->q->looks))) {
		worker_look(v->q, request->flags);
	} else if (index == RANGE_NONE) {
		index = from_pooled(v, request);
		if (index == RANGE_NONE)
			index = from_larger(v, request);
		if (index == RANGE_NONE)
			index = from_merged(v, request);
		if (index == RANGE_NONE && request->cached)
			return RANGE_NONE;
		if (index == RANGE_NONE)
			index = from_free(v, request, error);
		if (index == RANGE_NONE)
			index = last_resort(v, request, error);
		if (index == RANGE_NONE)
			return refuse(v, request);
		*error = prepare(v, index, request);
		if (*error)
			return refuse(v, request);
		say_allocated(v, request, index);
		decay_note_alloc(v);
		decay_ensure_worker(v, request->flags);
		cpu_make_ready(v, request->class, request->flags);
	}
	if (!request->fresh)
		dense_reuse(v, range_at(v, index), request->flags);
	range_count_use(range_at(v, index));
	if (UNLIKELY(v->q->annotated))
		annotate_alloc(range_addr(v, range_at(v, index)), request->asked_bytes,
			       request->fresh);
	if ((request->flags & QUIRE_ZERO) && !request->fresh)
		clear_reused(v, range_at(v, index), request->asked_bytes);
	return index;
}

uint32_t vmap_alloc_addresses(struct vmap *v, struct vmap_request *request, int *error)
{
	uint32_t index;

	if (lock_nested())
		request->flags |= QUIRE_NOLOCK;
	index = from_free(v, request, error);
	if (index == RANGE_NONE)
		index = last_resort(v, request, error);
	if (index == RANGE_NONE)
		return refuse(v, request);
	*error = prepare(v, index, request);
	if (*error)
		return refuse(v, request);
	say_allocated(v, request, index);
	decay_ensure_worker(v, request->flags);
	range_count_use(range_at(v, index));
	return index;
}

/* ---- public ---- */

void *vmap_alloc_area(struct quire *q, size_t bytes, unsigned flags, int *error)
{
	struct vmap_request request;
	uint32_t index = RANGE_NONE;
	struct vmap *v;

	*error = 0;
	v = vmap_get(q, bytes, flags, error);
	if (v != NULL)
		*error = vmap_request_make(v, &request, bytes, flags);
	if (!*error)
		index = vmap_alloc_range(v, &request, error);
	return index == RANGE_NONE ? NULL : range_addr(v, range_at(v, index));
}

void *vmap_alloc_cached(struct quire *q, size_t bytes, unsigned flags)
{
	struct vmap *v = load_relaxed(&q->vmap); /* of which the caller has an area */
	struct vmap_request request;
	uint32_t index;
	int error;

	if (vmap_request_make(v, &request, bytes, flags) != 0)
		return NULL;
	request.cached = true;
	index = vmap_alloc_range(v, &request, &error);
	return index == RANGE_NONE ? NULL : range_addr(v, range_at(v, index));
}

static __attribute__((noinline, cold)) void *vmalloc_slow(struct quire *q, size_t bytes,
							  unsigned flags)
{
	int error;
	void *addr = vmap_alloc_area(q, bytes, flags, &error);

	if (addr == NULL)
		process_set_errno(-error);
	return addr;
}

static void *hand_out_popped(struct vmap *v, struct range *r)
{
	range_count_use(r);
	range_set_state(r, RANGE_BUSY);
	return range_addr(v, r);
}

/* Hands out an area of the right class that was last used for another size.  NULL: refused. */
static __attribute__((noinline, cold)) void *hand_out_reshaped(struct vmap *v, size_t bytes,
							       uint32_t index)
{
	if (vmap_reshape(v, range_at(v, index), vmap_asked_pages(v, bytes)) == 0) {
		store_relaxed(&range_at(v, index)->asked_bytes, bytes); /* looked at by walks */
		return hand_out_popped(v, range_at(v, index));
	}
	put_aside(v, index);
	return NULL;
}

static __attribute__((noinline, cold)) void *vmalloc_reshaped(struct quire *q, size_t bytes,
							      unsigned flags, uint32_t index)
{
	void *addr = hand_out_reshaped(q->vmap, bytes, index);

	return addr != NULL ? addr : vmalloc_slow(q, bytes, flags);
}

FAST_ENTRY(quire_vmalloc);

void *quire_vmalloc(struct quire *q, size_t bytes, unsigned flags)
{
	struct vmap *v = load_acquire(&q->vmap); /* pairs with its making in vmap_get() */
	uint32_t index;
	struct range *r;

	/* vmalloc_slow() also refuses a size of 0. */
	if (UNLIKELY(v == NULL || flags > QUIRE_RECLAIMABLE ||
		     bytes - 1 >= load_relaxed(&v->fast_bytes_end)))
		return vmalloc_slow(q, bytes, flags);
	index = stack_pop(&v->stacks.cpu, class_of((uint32_t)((bytes - 1) >> v->page_shift) + 1));
	if (UNLIKELY(index == STACK_NONE))
		return vmalloc_slow(q, bytes, flags);
	r = range_at(v, index);
	CHECK_VALUES(range_state(r) == RANGE_CACHED, r->start, range_state(r));
	/* The same size as last time has as many pages, so the guard is in place. */
	if (UNLIKELY(r->asked_bytes != bytes))
		return vmalloc_reshaped(q, bytes, flags, index);
	return hand_out_popped(v, r);
}

void *quire_vzalloc(struct quire *q, size_t bytes, unsigned flags)
{
	return quire_vmalloc(q, bytes, flags | QUIRE_ZERO);
}

/* Narrows a request to its options; -EINVAL for bad ones. */
static int constrain(const struct vmap *v, struct vmap_request *request,
		     const struct quire_vmalloc_options *options)
{
	size_t page = (size_t)1 << v->page_shift;
	size_t align = options->align_bytes > page ? options->align_bytes : page;
	uintptr_t base = (uintptr_t)v->base;
	uintptr_t start = options->start != NULL ? (uintptr_t)options->start : base;
	uintptr_t end = options->end != NULL ? (uintptr_t)options->end : base + v->span_bytes;

	if ((options->align_bytes & (options->align_bytes - 1)) != 0)
		return -EINVAL;
	if (align == page && options->start == NULL && options->end == NULL)
		return 0;
	start = start < base ? 0 : start - base;
	end = end < base ? 0 : end - base;
	if (end > v->span_bytes)
		end = v->span_bytes;
	if (start >= end || align > v->align_bytes)
		return -ENOSPC;
	request->align_least = (uint32_t)(align >> v->page_shift);
	if (options->start == NULL && options->end == NULL) {
		/* Areas of the class that lie right can be used as for any request. */
		if (request->align < request->align_least)
			request->align = request->align_least;
		return 0;
	}
	request->class = CLASS_NONE;
	request->pages = request->usable;
	request->total = request->pages + v->guard_pages;
	request->align = request->align_least;
	request->low = (uint32_t)((start + page - 1) >> v->page_shift);
	request->high = (uint32_t)(end >> v->page_shift);
	request->anywhere = false;
	return 0;
}

/* True if an alignment is all that distinguishes the request from one that quire_vmalloc() serves from a
 * stack. */
static bool is_only_aligned(const struct vmap *v, size_t bytes,
			    const struct quire_vmalloc_options *options)
{
	size_t align = options->align_bytes;

	return options->struct_bytes == sizeof(*options) && options->flags <= QUIRE_RECLAIMABLE &&
	       options->start == NULL && options->end == NULL && (align & (align - 1)) == 0 &&
	       align <= v->align_bytes && bytes - 1 < load_relaxed(&v->fast_bytes_end);
}

/* The newest area of the size's class, if it is aligned.  Returns NULL otherwise: the request is still
 * to be checked. */
static void *vmalloc_aligned(struct vmap *v, size_t bytes, size_t align_bytes)
{
	uint32_t align = (uint32_t)(align_bytes >> v->page_shift);
	uint32_t index = cpu_take(v, class_of((uint32_t)((bytes - 1) >> v->page_shift) + 1),
				  align != 0 ? align : 1);
	struct range *r;

	if (index == RANGE_NONE)
		return NULL;
	r = range_at(v, index);
	CHECK_VALUES(range_state(r) == RANGE_CACHED, r->start, range_state(r));
	if (UNLIKELY(r->asked_bytes != bytes))
		return hand_out_reshaped(v, bytes, index);
	return hand_out_popped(v, r);
}

static __attribute__((noinline, cold)) void *vmalloc_with_slow(
	struct quire *q, size_t bytes, const struct quire_vmalloc_options *options,
	bool class_looked)
{
	struct quire_vmalloc_options known = QUIRE_VMALLOC_OPTIONS_INIT();
	struct vmap_request request;
	uint32_t index = RANGE_NONE;
	struct vmap *v = NULL;
	int error = 0;

	if (options != NULL)
		error = sized_read(&known, sizeof(known), options);
	if (!error)
		v = vmap_get(q, bytes, known.flags, &error);
	if (v != NULL)
		error = vmap_request_make(v, &request, bytes, known.flags);
	if (!error)
		error = constrain(v, &request, &known);
	if (!error) {
		request.class_looked = class_looked;
		index = vmap_alloc_range(v, &request, &error);
	}
	if (index == RANGE_NONE) {
		process_set_errno(-error);
		return NULL;
	}
	return range_addr(v, range_at(v, index));
}

void *quire_vmalloc_with(struct quire *q, size_t bytes, const struct quire_vmalloc_options *options)
{
	struct vmap *v = load_acquire(&q->vmap); /* pairs with its making in vmap_get() */
	bool looks = v != NULL && options != NULL && is_only_aligned(v, bytes, options);
	void *addr = looks ? vmalloc_aligned(v, bytes, options->align_bytes) : NULL;

	return addr != NULL ? addr : vmalloc_with_slow(q, bytes, options, looks);
}
