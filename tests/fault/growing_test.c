/* SPDX-License-Identifier: MIT */
/*
 * Callers that may not wait, while another thread is in the middle of getting memory from the system.
 *
 * Method: that thread's system call is held up before it is made (backing.h), with whatever locks its
 * caller holds, until the others have done what they want.  So each refusal counted here is one that
 * the other thread's place caused, and none depends on time.
 */
#include <pthread.h>
#include <sched.h>

#include <quire/percpu.h>

#include "grower.h"
#include "huge/huge.h"
#include "machine/linux/backing.h"
#include "machine/lock.h"
#include "page/pages.h"
#include "pool/pool.h"
#include "quire_test.h"
#include "vmap/commit.h"
#include "vmap/records.h"
#include "vmap/vmap.h"

static struct quire *make(uint64_t limit_bytes)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static void await_held(const struct mutex *mutex)
{
	uint64_t end_ns = await_begin();

	while (!mutex_is_held(mutex) && await_more(end_ns))
		;
	assert_true(mutex_is_held(mutex));
}

/* ---- pages ---- */

static void *take_block(struct quire *q)
{
	return quire_alloc_pages(q, pages_of(q)->pageblock_order, 0);
}

/* All that is online is in use, and it is so much that the next growth commits metadata too: the metadata of
 * blocks is a call, then come their pages. */
static void use_all(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	do {
		assert_non_null(take_block(q));
		assert_int_equal(quire_page_stat_read(q, &stat), 0);
	} while (stat.online_pages < MIB(64) >> stat.page_shift ||
		 stat.free_pages + stat.cached_pages >= UINT64_C(1) << stat.pageblock_order);
}

static void pages_are_had_while_another_commits(void **state)
{
	static const unsigned orders[] = { 0, 3, 6, 9, 10 };
	static const unsigned flags[] = { QUIRE_ATOMIC, QUIRE_NOWAIT };

	(void)state;
	for (uint64_t nth = 1; nth <= 2; nth++) {
		struct quire *q = make(MIB(1024));
		struct grower grower = { .q = q, .take = take_block };
		unsigned refused = 0;

		use_all(q);
		grower_start(&grower, nth);
		for (unsigned i = 0; i < 50; i++)
			for (unsigned o = 0; o < sizeof(orders) / sizeof(orders[0]); o++)
				refused += quire_alloc_pages(q, orders[o], flags[i % 2]) == NULL;
		assert_u64_eq(refused, 0);
		grower_end(&grower);
		assert_int_equal(quire_verify(q), 0);
		quire_destroy(q);
	}
}

static void *take_page_atomically(struct quire *q)
{
	return quire_alloc_pages(q, 0, QUIRE_ATOMIC);
}

/* What may wait is not refused either when all that is left is in the hands of one that may not. */
static void the_last_blocks_are_waited_for(void **state)
{
	struct quire *q = make(MIB(4));
	struct pages *p = pages_of(q);
	struct grower first = { .q = q, .take = take_block };
	struct grower second = { .q = q, .take = take_block };

	(void)state;
	assert_true(mutex_try(&p->grow_mutex));
	backing_hold_at(1);
	first.take = take_page_atomically;
	assert_int_equal(pthread_create(&first.thread, NULL, grower_run, &first), 0);
	grower_await();
	mutex_release(&p->grow_mutex);
	assert_int_equal(pthread_create(&second.thread, NULL, grower_run, &second), 0);
	await_held(&p->grow_mutex);
	grower_end(&first);
	assert_int_equal(pthread_join(second.thread, NULL), 0);
	assert_non_null(second.taken);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* ---- areas ---- */

#define AREAS_NR 40

/* An instance whose areas are in use: a section is committed. */
static struct quire *make_with_areas(void)
{
	struct quire *q = make(MIB(1024));

	assert_non_null(quire_vmalloc(q, 1, 0));
	return q;
}

/* The same, with no more records than those at hand under the lock. */
static struct quire *make_without_records(void)
{
	struct quire *q = make_with_areas();

	while (pool_take(&q->vmap->pool, 0) != POOL_NONE)
		;
	return q;
}

static void *take_large_area(struct quire *q)
{
	return quire_vmalloc(q, MIB(70), 0);
}

static void *take_large_atomically(struct quire *q)
{
	return quire_vmalloc(q, MIB(70), QUIRE_ATOMIC);
}

static void *take_middle_area(struct quire *q)
{
	return quire_vmalloc(q, MIB(1), 0);
}

static void *take_middle_atomically(struct quire *q)
{
	return quire_vmalloc(q, MIB(1), QUIRE_ATOMIC);
}

/* More than there are records at hand. */
static void *take_some_small(struct quire *q)
{
	void *area = NULL;

	for (unsigned i = 0; i < 2 * RECORDS_AT_HAND; i++)
		area = quire_vmalloc(q, 4096, 0);
	return area;
}

typedef void *want_t(struct quire *q, size_t bytes, unsigned flags);

/* Writes to both ends of what it takes, since that may stand in what the other one commits. */
static unsigned refused_areas(struct quire *q, want_t *want)
{
	static const size_t sizes[] = { 4096, 50000, 300000, MIB(3), MIB(9) };
	static const unsigned flags[] = { QUIRE_ATOMIC, QUIRE_NOWAIT };
	unsigned refused = 0;

	for (unsigned i = 0; i < AREAS_NR; i++) {
		size_t bytes = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
		char *area = want(q, bytes, flags[i % 2]);

		refused += area == NULL;
		if (area != NULL)
			area[0] = area[bytes - 1] = 1;
	}
	return refused;
}

/* The calls that a grower can be held in. */
static uint64_t calls_of(struct quire *(*make_one)(void), void *(*take)(struct quire *q))
{
	struct quire *q = make_one();
	uint64_t before = backing_calls_nr(), calls;

	assert_non_null(take(q));
	calls = backing_calls_nr() - before;
	quire_destroy(q);
	return calls;
}

static void check_beside(struct quire *(*make_one)(void), void *(*take)(struct quire *q),
			 want_t *want)
{
	uint64_t calls = calls_of(make_one, take);

	assert_true(calls >= 2);
	for (uint64_t nth = 1; nth <= calls; nth++) {
		struct quire *q = make_one();
		struct grower grower = { .q = q, .take = take };

		grower_start(&grower, nth);
		assert_u64_eq(refused_areas(q, want), 0);
		grower_end(&grower);
		*(char *)grower.taken = 1;
		assert_int_equal(quire_verify(q), 0);
		assert_u64_eq(refused_areas(q, want), 0);
		assert_int_equal(quire_verify(q), 0);
		quire_destroy(q);
	}
}

/* The description of the addresses, their memory, its advice, the guard. */
static void areas_are_had_while_another_commits(void **state)
{
	(void)state;
	check_beside(make_with_areas, take_large_area, quire_vmalloc);
	check_beside(make_with_areas, take_middle_area, quire_vmalloc);
	check_beside(make_with_areas, take_large_area, quire_kvmalloc);
}

/* A caller that commits without waiting is no more in the way than one that waits. */
static void areas_are_had_while_an_atomic_caller_commits(void **state)
{
	(void)state;
	check_beside(make_with_areas, take_large_atomically, quire_vmalloc);
	check_beside(make_with_areas, take_middle_atomically, quire_vmalloc);
}

static void *grow_area(struct quire *q, size_t bytes, unsigned flags)
{
	char *area = quire_vmalloc(q, 4096, flags);

	return area != NULL ? quire_vrealloc(q, area, bytes, flags) : NULL;
}

/* An area that cannot grow where it lies moves. */
static void areas_grow_while_another_commits(void **state)
{
	(void)state;
	check_beside(make_with_areas, take_large_area, grow_area);
}

static void areas_are_had_while_another_commits_records(void **state)
{
	(void)state;
	check_beside(make_without_records, take_some_small, quire_vmalloc);
}

/* Two areas in one section: a caller that may wait has it when the other one is done. */
static void sections_of_another_are_waited_for(void **state)
{
	uint64_t calls = calls_of(make_with_areas, take_middle_atomically);
	unsigned claimed = 0;

	(void)state;
	for (uint64_t nth = 1; nth <= calls; nth++) {
		struct quire *q = make_with_areas();
		struct grower first = { .q = q, .take = take_middle_atomically };
		struct grower second = { .q = q, .take = take_middle_area };
		bool has_claim;

		grower_start(&first, nth);
		has_claim = q->vmap->claims[1].first != q->vmap->claims[1].end;
		claimed += has_claim;
		assert_int_equal(pthread_create(&second.thread, NULL, grower_run, &second), 0);
		if (has_claim)
			await_held(&q->vmap->commit_mutex);
		grower_end(&first);
		assert_int_equal(pthread_join(second.thread, NULL), 0);
		assert_non_null(second.taken);
		*(char *)first.taken = *(char *)second.taken = 1;
		assert_int_equal(quire_verify(q), 0);
		quire_destroy(q);
	}
	assert_true(claimed >= 1); /* its memory */
}

static unsigned uncounted_sections(const struct vmap *v)
{
	unsigned nr = 0;

	for (uint32_t i = 0; i < v->span_bytes >> SECTION_SHIFT; i++)
		nr += huge_kind(&v->advice, i) == HUGE_UNCOUNTED;
	return nr;
}

/* Who may not wait for the holder of huge_mutex leaves the mappings of its advice to be counted. */
static void advice_is_counted_by_the_next_purge(void **state)
{
	struct quire *q = make_with_areas();
	struct grower other = { .q = q, .take = take_large_atomically };

	(void)state;
	mutex_acquire(&q->huge_mutex);
	/* With a mutex held this thread's own calls would be a handler's. */
	assert_int_equal(pthread_create(&other.thread, NULL, grower_run, &other), 0);
	assert_int_equal(pthread_join(other.thread, NULL), 0);
	assert_non_null(other.taken);
	mutex_release(&q->huge_mutex);
	assert_true(uncounted_sections(q->vmap) >= 35);
	quire_vfree(q, other.taken);
	quire_vmap_purge(q);
	assert_u64_eq(uncounted_sections(q->vmap), 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* ---- per-CPU objects ---- */

static const unsigned unwaited[] = { QUIRE_ATOMIC, QUIRE_NOWAIT };

/* An instance with a first object: its per-CPU part is made. */
static struct quire *make_percpu(void)
{
	struct quire *q = make(MIB(1024));

	assert_non_null(quire_alloc_percpu(q, 8, 0, 0));
	return q;
}

/* Of sizes that share pages, and with @large of some that need chunks of their own. */
static unsigned take_objects(struct quire *q, bool large)
{
	unsigned refused = 0;

	for (unsigned i = 0; i < 200; i++)
		refused += quire_alloc_percpu(q, 8 + i * 37 % 500, 8, unwaited[i % 2]) == NULL;
	for (unsigned i = 0; large && i < 50; i++)
		refused +=
			quire_alloc_percpu(q, QUIRE_PERCPU_BYTES_MAX, 8, unwaited[i % 2]) == NULL;
	return refused;
}

static void *take_chunks(struct quire *q)
{
	void *object = NULL;

	for (unsigned i = 0; i < 32; i++)
		object = quire_alloc_percpu(q, QUIRE_PERCPU_BYTES_MAX, 8, 0);
	return object;
}

static void *take_chunks_atomically(struct quire *q)
{
	void *object = NULL;

	for (unsigned i = 0; i < 32; i++)
		object = quire_alloc_percpu(q, QUIRE_PERCPU_BYTES_MAX, 8, QUIRE_ATOMIC);
	return object;
}

/* Held in each call of a grower's in turn: those of arrays, one for each CPU's unit, those of maps. */
static void check_objects_beside(void *(*take)(struct quire *q), bool waiting_too)
{
	uint64_t calls = calls_of(make_percpu, take);

	assert_true(calls > 2);
	for (uint64_t nth = 1; nth <= calls; nth++) {
		struct quire *q = make_percpu();
		struct grower grower = { .q = q, .take = take };

		grower_start(&grower, nth);
		assert_u64_eq(take_objects(q, true), 0);
		if (waiting_too)
			assert_non_null(take_chunks(q));
		grower_end(&grower);
		assert_int_equal(quire_verify(q), 0);
		quire_destroy(q);
	}
}

static void objects_are_had_while_another_makes_a_chunk(void **state)
{
	(void)state;
	check_objects_beside(take_chunks, false);
}

/* Nobody waits for a caller that may not wait either. */
static void objects_are_had_by_all_while_an_atomic_one_makes_a_chunk(void **state)
{
	(void)state;
	check_objects_beside(take_chunks_atomically, true);
}

static void *shrink(struct quire *q)
{
	return quire_percpu_shrink(q) != 0 ? q : NULL;
}

/* System calls of a shrink after chunks were used, and what may stand in them. */
static uint64_t shrink_held_at(uint64_t nth)
{
	struct quire *q = make_percpu();
	struct grower grower = { .q = q, .take = shrink };
	void *objects[64];
	uint64_t calls;

	for (unsigned i = 0; i < 64; i++)
		objects[i] = quire_alloc_percpu(q, QUIRE_PERCPU_BYTES_MAX, 8, 0);
	for (unsigned i = 0; i < 64; i++)
		quire_free_percpu(q, objects[i]);
	calls = backing_calls_nr();
	if (nth == 0) {
		assert_non_null(shrink(q));
	} else {
		grower_start(&grower, nth);
		assert_u64_eq(take_objects(q, false), 0);
		grower_end(&grower);
	}
	calls = backing_calls_nr() - calls;
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
	return calls;
}

static void objects_are_had_while_another_gives_back(void **state)
{
	uint64_t calls = shrink_held_at(0);

	(void)state;
	assert_in_range(calls, 2, 100); /* pages, and maps at the end */
	for (uint64_t nth = 1; nth <= calls; nth++)
		shrink_held_at(nth);
}

/* What a handler may call: it is served from what is there, and then refused. */
static void nolock_commits_nothing(void **state)
{
	struct quire *q = make_percpu();
	uint64_t calls = backing_calls_nr();
	unsigned n = 0;

	(void)state;
	while (n <= 64 &&
	       quire_alloc_percpu(q, (size_t)1 << q->page_shift, 0, QUIRE_NOLOCK) != NULL)
		n++;
	assert_u64_eq(backing_calls_nr(), calls);
	assert_in_range(n, 2, 64); /* the reserve; a chunk */
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* All threads on one CPU: what a CPU's first call commits would be among the calls that are counted, or not,
 * by where a thread happens to run. */
static void stay_here(void)
{
	cpu_set_t here;

	CPU_ZERO(&here);
	CPU_SET((unsigned)sched_getcpu(), &here);
	if (sched_setaffinity(0, sizeof(here), &here) != 0)
		fprintf(stderr, "growing_test: threads may run anywhere\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_had_while_another_commits),
		cmocka_unit_test(the_last_blocks_are_waited_for),
		cmocka_unit_test(areas_are_had_while_another_commits),
		cmocka_unit_test(areas_are_had_while_an_atomic_caller_commits),
		cmocka_unit_test(areas_grow_while_another_commits),
		cmocka_unit_test(areas_are_had_while_another_commits_records),
		cmocka_unit_test(sections_of_another_are_waited_for),
		cmocka_unit_test(advice_is_counted_by_the_next_purge),
		cmocka_unit_test(objects_are_had_while_another_makes_a_chunk),
		cmocka_unit_test(objects_are_had_by_all_while_an_atomic_one_makes_a_chunk),
		cmocka_unit_test(objects_are_had_while_another_gives_back),
		cmocka_unit_test(nolock_commits_nothing),
	};

	stay_here();
	return cmocka_run_group_tests_name("growing", tests, NULL, NULL);
}
