/* SPDX-License-Identifier: MIT */
/*
 * vmap/instance.c - an instance's areas: creation at first use, destruction, and fork
 *
 * The span is a reservation of four times the limit, since freed areas keep their addresses, or
 * of this module's share of the process's addresses (mem_reserve_share()), if that is less; it is
 * halved until the reservation succeeds.  Map and heads cost memory only where there are areas;
 * each CPU has stacks and lists of its own.
 *
 * Fork takes both mutexes, every CPU's lock with its stacks closed, and then the lock of the
 * ranges; the lists that need no lock are kept (lazy.c) or collected (records.c).  Areas that another thread had popped,
 * or freed but not yet published, are lost in the child, and with purge:counter those that it was purging.
 */
#include "vmap/vmap.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "huge/huge.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "instance/options.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/stack.h"
#include "page/block.h"
#include "page/charge.h"
#include "page/page.h"
#include "pool/pool.h"
#include "stacks/stacks.h"
#include "vmap/claim.h"
#include "vmap/class.h"
#include "vmap/commit.h"
#include "vmap/cpu.h"
#include "vmap/decay.h"
#include "vmap/dense.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/mapped.h"
#include "vmap/meta.h"
#include "vmap/ram.h"
#include "vmap/range.h"
#include "vmap/records.h"
#include "vmap/tree.h"
#include "vmap/verify.h"

#define SPAN_PER_LIMIT	 4u
#define SMALL_SPAN_BYTES ((size_t)64 << 20) /* in a smaller span, regions would be too small */

struct vmap *vmap_of(struct quire_module *module)
{
	return (struct vmap *)(void *)((char *)module - offsetof(struct vmap, module));
}

/* ---- reservations ---- */

static void set_regions(struct vmap *v)
{
	size_t quarter = v->span_bytes / 4 >> BLOCK_SHIFT << BLOCK_SHIFT;

	v->region_start[REGION_SMALL] = 0;
	v->region_start[REGION_MIDDLE] = v->span_pages;
	v->region_start[REGION_LARGE] = v->span_pages;
	v->region_start[REGIONS_NR] = v->span_pages;
	if (!v->huge || v->span_bytes < SMALL_SPAN_BYTES)
		return;
	v->region_start[REGION_MIDDLE] = (uint32_t)(quarter >> v->page_shift);
	v->region_start[REGION_LARGE] = (uint32_t)(2 * quarter >> v->page_shift);
}

static int reserve_cpus(struct vmap *v)
{
	v->cpu = stacks_reserve(&v->stacks, v->stacks.cpu.all_slots_nr * sizeof(struct vmap_cpu),
				"quire-area-cpus", &v->cpu_bytes);
	if (v->cpu == NULL)
		return -ENOMEM;
	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++)
		stacks_door_init(&v->cpu[slot].door, RANK_VMAP_CPU, slot, 0, CLASSES_NR);
	return 0;
}

static int reserve_span(struct vmap *v, size_t bytes)
{
	size_t align = (size_t)1 << BLOCK_SHIFT;
	uint32_t records;
	int error;

	v->span_bytes = round_up(bytes, (size_t)1 << BLOCK_SHIFT);
	v->span_pages = (uint32_t)(v->span_bytes >> v->page_shift);
	v->pages_nr = v->span_pages;
	while (align * 2 <= v->span_bytes && align < (size_t)64 << 30)
		align *= 2;
	v->align_bytes = align;
	v->base = mem_reserve(v->span_bytes, align, "quire-areas");
	if (v->base == NULL)
		return -ENOMEM;
	error = meta_reserve(v);
	if (error) {
		mem_release(v->base, v->span_bytes);
		return error;
	}
	records = v->span_pages + 64; /* a range each page is the most */
	error = pool_init(&v->pool, v->q, sizeof(struct range), records, "quire-area-records");
	if (error) {
		mem_release(v->meta, v->meta_bytes);
		mem_release(v->base, v->span_bytes);
	}
	return error;
}

/* The size that is reserved first; it is halved until the system grants it. */
static size_t span_wanted(const struct quire *q)
{
	size_t most = (size_t)(UINT32_MAX - 1024) << q->page_shift;
	size_t share = mem_reserve_share();
	size_t bytes = q->options.vmap_span_bytes;

	if (bytes == 0)
		bytes = ((size_t)q->most_pages << q->page_shift) * SPAN_PER_LIMIT;
	if (bytes > OPTION_BYTES_MAX)
		bytes = OPTION_BYTES_MAX;
	if (bytes > share)
		bytes = share;
	return bytes > most ? most >> BLOCK_SHIFT << BLOCK_SHIFT : bytes;
}

size_t vmap_span_bytes(const struct quire *q)
{
	const struct vmap *v = load_acquire(&q->vmap); /* pairs with vmap_get()'s release */

	return v != NULL ? v->span_bytes : round_up(span_wanted(q), (size_t)1 << BLOCK_SHIFT);
}

static int reserve(struct vmap *v)
{
	size_t bytes = span_wanted(v->q);
	int error = -ENOMEM;

	for (; error && bytes >> BLOCK_SHIFT != 0; bytes /= 2)
		error = reserve_span(v, bytes);
	if (error)
		return error;
	error = reserve_cpus(v);
	if (error) {
		pool_fini(&v->pool);
		mem_release(v->meta, v->meta_bytes);
		mem_release(v->base, v->span_bytes);
	}
	return error;
}

/* ---- parts ---- */

/* As in Linux: 32 MiB for each power of two of CPUs, here those that the process can keep busy now. */
uint64_t vmap_lazy_bytes(const struct quire *q)
{
	unsigned powers = 32u - (unsigned)__builtin_clz(load_relaxed(&q->cpus_bound)); /* a hint */

	return q->options.lazy_max_bytes != 0 ? q->options.lazy_max_bytes
					      : (uint64_t)powers * ((uint64_t)32 << 20);
}

static void init_constants(struct vmap *v, struct quire *q)
{
	const struct quire_options *options = &q->options;

	v->q = q;
	v->page_shift = q->page_shift;
	v->block_pages = 1u << (BLOCK_SHIFT - q->page_shift);
	v->huge = q->thp && !q->shared; /* a frame is mapped page by page */
	v->always = v->huge && q->thp_always;
	v->cache = options->cache != QUIRE_OFF;
	v->guard_freed = options->guard == QUIRE_GUARD_FREED;
	v->push_allowed = v->cache && !v->guard_freed; /* each free has guards to set */
	v->guard_pages = options->guard != QUIRE_GUARD_OFF;
	v->policy = options->purge != QUIRE_PURGE_DEFAULT ? options->purge : QUIRE_PURGE_SPLICE;
	cpus_init_stacks(v);
	v->lazy_max_pages = vmap_lazy_bytes(q) >> v->page_shift;
	v->lazy = v->lazy_frames = v->oldest = v->newest = v->spares = v->strays = RANGE_NONE;
	v->free.root = v->pooled.root = RANGE_NONE;
	lock_init(&v->lock, RANK_VMAP_SPACE);
	mutex_init(&v->purge_mutex, RANK_VMAP_PURGE);
	mutex_init(&v->commit_mutex, RANK_VMAP_COMMIT);
	for (unsigned i = 0; i <= CLAIMS_NR; i++)
		mutex_init(&v->claims[i].mutex, RANK_VMAP_CLAIM);
}

/* Keeps record 0 unused, so that 0 in the map means none; then makes one free range. */
static int init_ranges(struct vmap *v, unsigned flags)
{
	uint32_t nobody = pool_alloc(&v->pool, flags), all;
	lock_token token;

	if (nobody == POOL_NONE)
		return -ENOMEM;
	CHECK_VALUES(nobody == 0, nobody, 0);
	all = pool_alloc(&v->pool, flags);
	if (all == POOL_NONE)
		return -ENOMEM;
	*range_at(v, nobody) = (struct range){ .start = UINT32_MAX };
	*range_at(v, all) = (struct range){ .pages = v->span_pages };
	range_set_state(range_at(v, all), RANGE_FREE);
	token = lock_acquire(&v->lock);
	tree_put_locked(v, &v->free, all);
	lock_release(&v->lock, token);
	return 0;
}

static void release(struct vmap *v)
{
	pool_fini(&v->pool);
	mem_release(v->cpu, v->cpu_bytes);
	mem_release(v->meta, v->meta_bytes);
	/* In a child of fork there are holes where aliases were, perhaps with foreign mappings in
	 * them. */
	if (!v->q->dead)
		mem_release(v->base, v->span_bytes);
}

static size_t self_bytes(void)
{
	return round_up(sizeof(struct vmap), mem_page_bytes());
}

static void fini(struct quire_module *module)
{
	struct vmap *v = vmap_of(module);

	ram_fini(v);
	mapped_forget_all(v);
	huge_fini(&v->advice);
	release(v);
	mem_release(v, self_bytes());
}

static void set_looks(struct quire_module *module, bool looks)
{
	struct vmap *v = vmap_of(module);

	store_relaxed(&v->fast_bytes_end, looks ? 0 : v->fast_bytes_most); /* quire_vmalloc() */
}

/* ---- fork ---- */

static void fork_prepare_mutexes(struct quire_module *module)
{
	struct vmap *v = vmap_of(module);

	mutex_acquire(&v->purge_mutex);
	mutex_acquire(&v->commit_mutex);
	pool_fork_prepare_mutex(&v->pool);
}

static void fork_prepare_locks(struct quire_module *module)
{
	struct vmap *v = vmap_of(module);

	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++)
		stacks_fork_prepare(&v->stacks, &v->cpu[slot].door); /* pages fence for both */
	v->kept = lock_acquire(&v->lock);
	space_fork_prepare_locked(v);
	lazy_fork_prepare(v);
	store_relaxed(&v->forking, true);
	pool_fork_prepare_lock(&v->pool);
}

static void fork_done(struct quire_module *module, bool child)
{
	struct vmap *v = vmap_of(module);

	pool_fork_done(&v->pool, child);
	if (child) {
		claim_fork_child_locked(v);
		space_fork_child_locked(v);
	}
	lock_release(&v->lock, v->kept);
	for (unsigned slot = v->stacks.cpu.all_slots_nr; slot-- != 0;)
		stacks_fork_done(&v->stacks, &v->cpu[slot].door, child);
	lazy_fork_done(v, child);
	store_relaxed(&v->forking, false);
	if (child)
		store_relaxed(&v->kicked, false);
	if (child && v->q->shared) { /* dead: no call is fast, no address is ours */
		v->fast_bytes_most = 0;
		v->fast_bytes_end = 0;
		v->span_bytes = 0;
		mapped_forget_all(v); /* nothing of the span was copied */
	}
	mutex_release(&v->commit_mutex);
	mutex_release(&v->purge_mutex);
}

/* ---- creation ---- */

static struct vmap *make(struct quire *q, unsigned flags)
{
	struct vmap *v = mem_map(self_bytes(), "quire-vmap");

	if (v == NULL)
		return NULL;
	init_constants(v, q);
	if (reserve(v) != 0) {
		mem_release(v, self_bytes());
		return NULL;
	}
	huge_init(&v->advice, &q->huge_mutex, v->base, v->section,
		  (uint32_t)(v->span_bytes >> SECTION_SHIFT));
	if (init_ranges(v, flags) != 0) {
		fini(&v->module);
		return NULL;
	}
	set_regions(v);
	v->fast_bytes_most = v->cache ? (size_t)CLASS_PAGES_MAX << v->page_shift : 0;
	if (v->fast_bytes_most > v->span_bytes / 8)
		v->fast_bytes_most = v->cache ? v->span_bytes / 8 : 0;
	v->fast_bytes_end = v->fast_bytes_most;
	v->module = (struct quire_module){ .rank = RANK_VMAP_PURGE,
					   .fini = fini,
					   .fork_prepare_mutexes = fork_prepare_mutexes,
					   .fork_prepare_locks = fork_prepare_locks,
					   .fork_done = fork_done,
					   .verify = vmap_verify,
					   .shrink = decay_shrink,
					   .cede = decay_cede,
					   .tick = decay_tick,
					   .set_looks = set_looks };
	return v;
}

/* Returns 0 once there are areas, made here or by another thread. */
static int make_locked(struct quire *q, unsigned flags)
{
	struct vmap *v = load_relaxed(&q->vmap);

	CHECK(mutex_is_held(&q->modules_mutex));
	if (v == NULL) {
		v = make(q, flags);
		if (v != NULL) {
			module_register_locked(q, &v->module);
			store_release(&q->vmap, v);
		}
	}
	return v != NULL ? 0 : -ENOMEM;
}

/* Of a caller that may wait.  Room is made, and shrinkers are called, without the mutex: page_attempt(). */
static int make_waiting(void *arg)
{
	struct quire *q = arg;
	int error;

	mutex_acquire(&q->modules_mutex);
	error = make_locked(q, QUIRE_NORETRY);
	mutex_release(&q->modules_mutex);
	return error;
}

static int make_without_waiting(struct quire *q, unsigned flags)
{
	int error;

	if ((flags & QUIRE_NOLOCK) || lock_nested() || !mutex_try(&q->modules_mutex))
		return -ENOMEM;
	error = make_locked(q, flags);
	mutex_release(&q->modules_mutex);
	return error;
}

struct vmap *vmap_get(struct quire *q, size_t bytes, unsigned flags, int *error)
{
	struct vmap *v = load_acquire(&q->vmap); /* pairs with the release in make_locked() */
	size_t page = mem_page_bytes();

	if (UNLIKELY(q->dead)) {
		*error = -EOWNERDEAD;
		return NULL;
	}
	if (LIKELY(v != NULL))
		return v;
	*error = (flags & FLAGS_NO_WAIT) || lock_nested()
			 ? make_without_waiting(q, flags)
			 : page_attempt(q, bytes > page ? bytes : page, flags, make_waiting, q);
	return *error == 0 ? load_relaxed(&q->vmap) : NULL; /* had under modules_mutex */
}
