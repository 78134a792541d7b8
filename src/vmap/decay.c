/* SPDX-License-Identifier: MIT */
/*
 * vmap/decay.c - when freed areas are returned: by time, by amount, on demand
 *
 * The worker runs every TURN_MS while anything is cached.  Each visit moves the contents of the
 * CPUs' stacks and of the lazy list (purge_rescue()) to the pooled ranges, where neighbours merge
 * and ages are known; so what a purge takes was mostly pooled before.  The visit leaves the stacks
 * cold, so the next free on a CPU takes the slow path and announces that something is cached again.
 *
 * Sleeping.  Waking the worker takes 50 to 100 us where CPUs are virtual, more than a thousand
 * frees.  So for ten seconds after its last work, while areas are in use, the worker wakes up by
 * itself every second, and frees need not wake it unless too much is cached.  Then it sleeps.
 *
 * How much may stay.  The limit lazy_max applies to ranges older than a turn.  Younger ranges may
 * hold, in addition, one and a half times the memory that was recently in use: sixteen areas of
 * random size over four octaves leave that much in holes before a new one always fits.  With half
 * as much, the worker returned 300 MiB at every turn, which were faulted in again in the next, at
 * 72 us for 2 MiB. Memory that was not used for the instance's decay is returned.  So is memory of areas that others
 * of the instance need: decay_cede().
 */
#include "vmap/decay.h"

#include <quire/vmap.h>

#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/batch.h"
#include "machine/clock.h"
#include "machine/work.h"
#include "page/charge.h"
#include "pool/pool.h"
#include "vmap/cpu.h"
#include "vmap/dense.h"
#include "vmap/purge.h"
#include "vmap/ram.h"
#include "vmap/vmap.h"

#define TURN_MS	       100u
#define BEAT_MS	       1000u /* and no longer than decay */
#define LINGER_MS      10000u
/* What is found written twice was in use for so long. */
#define LOOK_MS	       1000u
#define RESCUE_AT_ONCE 256u

uint32_t decay_now_ms(void)
{
	return (uint32_t)(clock_now_ns() / 1000000u);
}

static uint32_t decay_ms(const struct vmap *v)
{
	return (uint32_t)(v->q->decay_base_ns / 1000000);
}

/* From one visit to the next while the worker lingers. */
static uint32_t beat_ms(const struct vmap *v)
{
	uint32_t ms = decay_ms(v);

	return ms > BEAT_MS ? BEAT_MS : ms < TURN_MS ? TURN_MS : ms;
}

uint64_t decay_budget_pages(struct vmap *v)
{
	uint64_t live = load_relaxed(&v->live_high_pages);

	/* A hint: pairs with decay_tick(). */
	return load_relaxed(&v->lazy_max_pages) + live + live / 2;
}

static uint64_t cached_pages(struct vmap *v)
{
	/* A hint where the lock is not held. */
	return load_relaxed(&v->pooled.pages) + load_relaxed(&v->lazy_pages);
}

/* True if too much is cached, whatever its age. */
static bool is_over(struct vmap *v)
{
	uint64_t budget = decay_budget_pages(v);

	return cached_pages(v) > budget + budget / 4 ||
	       (!v->cache && load_relaxed(&v->lazy_pages) > load_relaxed(&v->lazy_max_pages));
}

void decay_kick(struct vmap *v)
{
	/* Pairs with the exchange in decay_tick(): either that turn sees the freed area, or this call requests another
	 * turn, and sees that the worker has taken the time of that visit. */
	if (!exchange_acq_rel(&v->kicked, true))
		worker_kick(v->q, clock_now_ns() + TURN_MS * UINT64_C(1000000));
}

void decay_check_over(struct vmap *v)
{
	if (is_over(v))
		worker_kick(v->q, clock_now_ns());
}

void decay_kick_if_over(struct vmap *v)
{
	decay_kick(v);
	decay_check_over(v);
}

void decay_note_alloc(struct vmap *v)
{
	/* A hint, which saves a write to a line that all CPUs use. */
	if (!load_relaxed(&v->kicked))
		decay_kick(v);
	decay_check_over(v);
}

/* Mappings of frames are not charged, but what was freed of them holds as many mappings. */
static bool is_worth_a_worker(struct vmap *v)
{
	return page_is_worth_a_worker(v->q, cached_pages(v)) || is_over(v);
}

void decay_ensure_worker(struct vmap *v, unsigned flags)
{
	if (is_worth_a_worker(v))
		worker_ensure(v->q, flags);
}

void decay_ensure_worker_freed(struct vmap *v)
{
	if (is_worth_a_worker(v))
		worker_ensure_freed(v->q);
}

/* Moves everything that the lazy list holds to the pooled ranges. */
static void rescue_all(struct vmap *v)
{
	unsigned most = batch_most(RESCUE_AT_ONCE);

	while (purge_rescue(v, most) == most)
		;
}

/* Moves everything that CPUs and the lazy list hold to the pooled ranges.  False if there was
 * nothing. */
static bool drain_cpus(struct vmap *v)
{
	bool any = load_relaxed(&v->lazy_pages) != 0;

	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++)
		any = cpu_drain(v, slot) || any;
	rescue_all(v);
	return any;
}

/* Notes the pages in use now, or @high if that is more.  Areas on CPUs' stacks are included. */
static void note_live(struct vmap *v, uint64_t high)
{
	uint64_t charged = load_relaxed(&v->charged_pages), cached = cached_pages(v);
	uint64_t live = charged > cached ? charged - cached : 0;

	store_relaxed(&v->live_high_pages, live > high ? live : high);
}

void decay_note_live(struct vmap *v)
{
	note_live(v, load_relaxed(&v->live_high_pages));
}

/* Does a turn's work.  Returns false if another turn would change nothing until a thread frees:
 * with report:off, age does not matter. */
static bool turn(struct vmap *v, uint32_t now_ms)
{
	uint64_t budget, high = load_relaxed(&v->live_high_pages);
	bool worked = drain_cpus(v);

	v->ticked_ms = now_ms;
	if (mutex_try(&v->purge_mutex)) {
		ram_purge_fragmented(v, false);
		if (now_ms - v->looked_ms >= LOOK_MS) {
			v->looked_ms = now_ms;
			dense_collapse(v);
		}
		mutex_release(&v->purge_mutex);
	}
	/* An eighth less each turn. */
	note_live(v, high - high / 8);
	budget = decay_budget_pages(v);
	if (v->q->report || !v->cache)
		worked = purge_run(v, now_ms - decay_ms(v), 0) != 0 || worked;
	if (cached_pages(v) > budget)
		worked = purge_run(v, now_ms - TURN_MS, budget) != 0 || worked;
	if (worked || load_relaxed(&v->live_high_pages) > high)
		v->busy_ms = now_ms;
	return v->q->report || load_relaxed(&v->lazy_pages) != 0 ||
	       cached_pages(v) > decay_budget_pages(v) || load_relaxed(&v->live_high_pages) != high;
}

uint64_t decay_tick(struct quire_module *module, uint64_t now_ns)
{
	struct vmap *v = vmap_of(module);
	uint32_t now_ms = (uint32_t)(now_ns / 1000000);
	bool again = true;

	if (now_ms - v->ticked_ms >= TURN_MS) {
		(void)exchange_acq_rel(&v->kicked, false); /* pairs with decay_kick() */
		/* Read as a hint. */
		store_relaxed(&v->lazy_max_pages, vmap_lazy_bytes(v->q) >> v->page_shift);
		again = turn(v, now_ms);
	}
	if (is_over(v))
		purge_run(v, EVERYTHING_MS, decay_budget_pages(v));
	if (again && cached_pages(v) != 0)
		store_relaxed(&v->kicked, true);
	/* A visit between turns leaves stacks warm, and frees to them do not kick the worker, so
	 * the requested turn stays due. */
	if (load_relaxed(&v->kicked))
		return now_ns + (TURN_MS - (now_ms - v->ticked_ms)) * UINT64_C(1000000);
	/* A hint.  Mappings of frames are in use too, although nothing is charged for them. */
	if (load_relaxed(&v->free.pages) == v->span_pages)
		return WORK_EXIT;
	if (now_ms - v->busy_ms >= LINGER_MS)
		return WORK_IDLE;
	store_relaxed(&v->kicked, true);
	return now_ns + beat_ms(v) * UINT64_C(1000000);
}

struct purged decay_purge(struct vmap *v)
{
	struct purged purged;

	mutex_acquire(&v->purge_mutex);
	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++)
		cpu_drain(v, slot);
	purged = purge_everything(v);
	mutex_release(&v->purge_mutex);
	return purged;
}

/*
 * Pages have taken more than ever, and areas make up for it, oldest first.  So what was freed as areas does not add
 * to the peak of a program that goes on with small objects.  Giving back and faulting in again costs less than
 * twice the faults of the pages that were taken, which happen once.  A quarter of what is in use stays, for areas
 * that are freed and allocated all the time.
 */
bool decay_cede(struct quire_module *module, size_t bytes)
{
	struct vmap *v = vmap_of(module);
	uint64_t pages = bytes >> v->page_shift, purged, cached, live, keep;

	cpu_pool_own(v);
	rescue_all(v);
	/* Hints: other CPUs' areas count as in use. */
	cached = load_relaxed(&v->pooled.pages);
	live = load_relaxed(&v->charged_pages);
	live = live > cached ? live - cached : 0;
	keep = cached > pages ? cached - pages : 0;
	if (keep < live / 4)
		keep = live / 4;
	return cached <= keep || purge_try(v, EVERYTHING_MS, keep, &purged);
}

/* Aliases in blocks in use hold no memory, but they hold mappings, which may be what is needed. */
size_t decay_shrink(struct quire_module *module)
{
	struct vmap *v = vmap_of(module);
	struct purged purged = decay_purge(v);

	ram_unmap_aliases(v);
	return (purged.area_pages << v->page_shift) + pool_shrink(&v->pool) + ram_shrink(v);
}

/* NULL: there have been no areas.  vmap_get() orders. */
static struct vmap *get_if_made(struct quire *q)
{
	int error;

	return load_relaxed(&q->vmap) != NULL ? vmap_get(q, 0, 0, &error) : NULL;
}

void quire_vm_unmap_aliases(struct quire *q)
{
	struct vmap *v = get_if_made(q);

	if (v != NULL)
		decay_shrink(&v->module);
}

size_t quire_vmap_purge(struct quire *q)
{
	struct vmap *v = get_if_made(q);
	struct purged purged;

	if (v == NULL)
		return 0;
	purged = decay_purge(v);
	pool_shrink(&v->pool);
	ram_shrink(v);
	return (purged.area_pages + purged.alias_pages) << v->page_shift;
}
