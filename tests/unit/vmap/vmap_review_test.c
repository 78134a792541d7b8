/* SPDX-License-Identifier: MIT */
/*
 * What areas owe to others that run beside them: a refusal is never made by somebody who held a lock
 * for a moment, and what was freed is heard of by the worker whatever woke it before.
 */
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/work.h"
#include "page/pages.h"
#include "pool/pool.h"
#include "unit/vmap/vmap_case.h"
#include "vmap/decay.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/records.h"
#include "vmap/vmap.h"

/* ---- refusals ---- */

static uint32_t done, held, refused; /* atomic */

static void hold_a_zones_lock_or_allocate(unsigned index, void *arg)
{
	struct quire *q = arg;
	struct pages *p = pages_of(q);

	if (index == 0) {
		while (load_acquire(&done) == 0) {
			lock_token token = lock_acquire(&p->zone[0].lock);

			store_release(&held, 1);
			usleep(2000);
			store_release(&held, 0);
			lock_release(&p->zone[0].lock, token);
			usleep(200); /* else the next turn begins before a waiter is awake */
		}
		return;
	}
	for (unsigned i = 0; i < 20; i++) {
		void *area;

		while (load_acquire(&held) == 0)
			usleep(100);
		area = quire_vmalloc(q, KIB(300), QUIRE_NORETRY);
		if (area == NULL)
			fetch_add_relaxed(&refused, 1);
		quire_vfree(q, area);
		quire_vmap_purge(q); /* the next one is charged again */
	}
	store_release(&done, 1);
}

/* V11: the limit is far away, so no refusal is right; without NORETRY everything would be purged. */
static void a_busy_zone_refuses_no_area(void **state)
{
	done = held = refused = 0;
	team_run(2, hold_a_zones_lock_or_allocate, *state);
	assert_int_equal(load_relaxed(&refused), 0);
}

/* ---- handlers ---- */

/* As a handler finds it that interrupted a holder of the lock. */
static void a_nested_resize_waits_for_no_lock(void **state)
{
	struct quire *q = *state;
	char *area = quire_vmalloc(q, MIB(4), 0);
	struct vmap *v = q->vmap;
	lock_token token = lock_acquire(&v->lock);

	area[0] = 'a';
	assert_ptr_equal(quire_vrealloc(q, area, KIB(64), 0), area);
	assert_null(quire_vrealloc(q, area, MIB(8), 0));
	lock_release(&v->lock, token);
	assert_int_equal(area[0], 'a');
	quire_vfree(q, area);
}

/* A handler may have interrupted a holder of the pool's lock, which it cannot see. */
static void records_are_retired_without_waiting_for_the_pool(void **state)
{
	uint32_t records[RECORDS_AT_HAND + 8];
	struct vmap *v;
	lock_token token, pool_token;

	quire_vfree(*state, quire_vmalloc(*state, KIB(64), 0));
	v = ((struct quire *)*state)->vmap;
	for (unsigned i = 0; i < RECORDS_AT_HAND + 8; i++) {
		records[i] = pool_alloc(&v->pool, 0);
		range_at(v, records[i])->uses = 0;
	}
	token = lock_acquire(&v->lock);
	pool_token = lock_acquire(&v->pool.lock);
	for (unsigned i = 0; i < RECORDS_AT_HAND + 7; i++)
		space_retire_locked(v, records[i]);
	lock_release(&v->pool.lock, pool_token);
	assert_true(v->spares_nr > RECORDS_AT_HAND);
	space_retire_locked(v, records[RECORDS_AT_HAND + 7]);
	assert_int_equal(v->spares_nr, RECORDS_AT_HAND);
	lock_release(&v->lock, token);
}

/* ---- the worker ---- */

static void a_visit_between_turns_forgets_nothing(void **state)
{
	const uint64_t turn_ns = UINT64_C(100000000);
	void *area = quire_vmalloc(*state, KIB(64), 0);
	struct vmap *v = ((struct quire *)*state)->vmap;
	uint64_t now_ns = clock_now_ns();

	decay_tick(&v->module, now_ns);
	quire_vfree(*state, area);
	assert_true(decay_tick(&v->module, now_ns + turn_ns / 10) <= now_ns + turn_ns);
	if (caches()) /* elsewhere the turn has purged it */
		assert_true(decay_tick(&v->module, now_ns + turn_ns) <= now_ns + 2 * turn_ns);
}

/* Without reports age does not count: what may stay stays, and the worker sleeps. */
static void without_reports_the_worker_comes_to_rest(void **state)
{
	const uint64_t turn_ns = UINT64_C(100000000);
	struct quire *q = vmap_make((struct quire_options){ .report = QUIRE_OFF });
	void *area = quire_vmalloc(q, KIB(64), 0), *live = quire_vmalloc(q, MIB(4), 0);
	uint64_t now_ns = clock_now_ns(), due_ns = 0;
	unsigned turns = 0;

	(void)state;
	quire_vfree(q, area);
	for (; turns < 100 && due_ns != WORK_IDLE; turns++) {
		now_ns = due_ns > now_ns ? due_ns : now_ns + turn_ns;
		due_ns = decay_tick(&((struct vmap *)q->vmap)->module, now_ns);
	}
	assert_true(turns < 100);
	assert_true(vstat_of(q).cached_bytes != 0 || !caches());
	quire_vfree(q, live);
	assert_true(decay_tick(&((struct vmap *)q->vmap)->module, now_ns + turn_ns) != WORK_IDLE ||
		    !caches());
	quire_destroy(q);
}

/* With areas in use the worker looks now and then for some time after it last had work: who frees then
 * need not wake it. */
static void a_free_soon_after_work_wakes_nobody(void **state)
{
	const uint64_t turn_ns = UINT64_C(100000000), long_ns = 100 * turn_ns;
	struct quire *q = *state;
	void *area = quire_vmalloc(q, KIB(64), 0), *live = quire_vmalloc(q, MIB(4), 0);
	struct vmap *v = q->vmap;
	uint64_t begin_ns = clock_now_ns() + turn_ns, now_ns = begin_ns, due_ns = 0;

	for (; now_ns < begin_ns + long_ns / 2; now_ns = due_ns) {
		due_ns = decay_tick(&v->module, now_ns);
		assert_in_range(due_ns, now_ns + 1, now_ns + 10 * turn_ns);
	}
	assert_true(v->kicked);
	store_relaxed(&q->work.due_ns, WORK_IDLE);
	quire_vfree(q, area);
	assert_true(load_relaxed(&q->work.due_ns) == WORK_IDLE);
	due_ns = decay_tick(&v->module, now_ns);
	assert_in_range(due_ns, now_ns + 1, now_ns + 10 * turn_ns);
	assert_int_equal(vstat_of(q).cached_areas, 0); /* of an age that goes */
	for (unsigned turns = 0; due_ns != WORK_IDLE; turns++) {
		assert_true(turns < 200);
		now_ns = due_ns;
		due_ns = decay_tick(&v->module, now_ns);
	}
	assert_false(v->kicked);
	quire_vfree(q, live);
}

/* Who may not start the worker does not keep the next one from it.  2 MiB are worth a thread. */
static void an_allocation_starts_a_worker_that_an_atomic_one_needed(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .worker = QUIRE_WORKER_THREAD });
	size_t threads = count_threads();
	void *atomic = quire_vmalloc(q, KIB(1024), QUIRE_ATOMIC), *area;

	(void)state;
	assert_int_equal(count_threads(), threads);
	area = quire_vmalloc(q, KIB(1024), 0);
	assert_int_equal(count_threads(), threads + 1);
	quire_vfree(q, atomic);
	quire_vfree(q, area);
	quire_destroy(q);
}

/* ---- fork ---- */

static void check_in_child(void *arg)
{
	struct quire *q = arg;

	if (vstat_of(q).lazy_bytes != 0 || quire_verify(q) != 0)
		abort();
	quire_vfree(q, quire_vmalloc(q, KIB(300), 0));
}

/* As fork finds it in the middle of lazy_publish_chain() on another thread. */
static void a_child_counts_what_its_lists_hold(void **state)
{
	struct quire *q = *state;
	void *area = quire_vmalloc(q, KIB(64), 0);
	struct vmap *v = q->vmap;
	pid_t child;

	fetch_add_relaxed(&v->lazy_areas, 1);
	fetch_add_relaxed(&v->lazy_pages, 17);
	child = child_fork();
	if (child == 0) {
		check_in_child(q);
		_exit(0);
	}
	assert_int_equal(child_wait(child), 0);
	lazy_uncount(v, 17, 1);
	quire_vfree(q, area);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(a_busy_zone_refuses_no_area),
		VMAP_TEST(a_nested_resize_waits_for_no_lock),
		VMAP_TEST(records_are_retired_without_waiting_for_the_pool),
		VMAP_TEST(a_visit_between_turns_forgets_nothing),
		VMAP_TEST(a_free_soon_after_work_wakes_nobody),
		VMAP_TEST(without_reports_the_worker_comes_to_rest),
		VMAP_TEST(an_allocation_starts_a_worker_that_an_atomic_one_needed),
		VMAP_TEST(a_child_counts_what_its_lists_hold),
	};

	return VMAP_TESTS_RUN("vmap_review", tests);
}
