/* SPDX-License-Identifier: MIT */
/* The worker's visits, with a clock of the test's own: what is idle goes, and then no visit is due. */
#include "unit/slab/cache_case.h"

#include <quire/page.h>

#include "machine/atomic.h"
#include "machine/clock.h"
#include "slab/record.h"

#define SECOND UINT64_C(1000000000)

static void *objects[5000];

/* A visit that is due.  Returns when it wants the next one. */
static uint64_t visit(struct cache_case *it, uint64_t *now_ns)
{
	struct quire *quiet = worker_exclude_begin(it->q);
	uint64_t due_ns;

	*now_ns += SECOND;
	due_ns = slabs_tick(&it->s->module, *now_ns);
	worker_exclude_end(quiet);
	return due_ns;
}

static void an_idle_instance_gives_all_back_and_sleeps(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns(), due_ns = 0;
	unsigned visits = 0;

	(void)state;
	case_alloc(&it, objects, 5000);
	case_free(&it, objects, 5000);
	while (visits < 10 && due_ns != WORK_EXIT) {
		due_ns = visit(&it, &now_ns);
		visits++;
	}
	assert_in_range(visits, 3, 7);
	assert_u64_eq(case_stat(&it).slabs, 0);
	case_end(&it);
}

static void an_instance_with_objects_sleeps_too(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns(), due_ns = 0;
	unsigned visits = 0;

	(void)state;
	case_alloc(&it, objects, 5000);
	for (unsigned i = 0; i < 5000; i++)
		if (i % 100 != 0)
			quire_cache_free(it.cache, objects[i]);
	while (visits < 10 && due_ns != WORK_IDLE) {
		due_ns = visit(&it, &now_ns);
		visits++;
	}
	assert_in_range(visits, 3, 8);
	assert_u64_eq(case_stat(&it).used, 50);
	assert_u64_eq(case_stat(&it).cached, 0);
	assert_true(it.s->due_ns == WORK_IDLE);
	/* The next slow path asks for a visit. */
	objects[1] = quire_cache_alloc(it.cache, 0);
	assert_true(it.s->due_ns != WORK_IDLE);
	case_end(&it);
}

/* Half, then nothing. */
static void a_sheaf_that_is_not_used_shrinks(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns();
	unsigned keeps;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	keeps = 30; /* a new sheaf has room for 31 */
	case_alloc(&it, objects, keeps);
	sheaves_drain(it.s, 0);
	case_free(&it, objects, keeps);
	assert_u64_eq(case_stat(&it).cached, keeps);
	visit(&it, &now_ns);
	assert_u64_eq(case_stat(&it).cached, keeps);
	visit(&it, &now_ns);
	assert_u64_eq(case_stat(&it).cached, keeps / 2);
	visit(&it, &now_ns);
	assert_u64_eq(case_stat(&it).cached, 0);
	case_end(&it);
}

static void a_sheaf_that_is_used_stays(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns();

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	for (unsigned i = 0; i < 8; i++) { /* until it keeps so many */
		case_alloc(&it, objects, 500);
		case_free(&it, objects, 500);
	}
	for (unsigned i = 0; i < 6; i++) {
		visit(&it, &now_ns);
		objects[i] = quire_cache_alloc(it.cache, 0);
	}
	assert_in_range(case_stat(&it).cached, 400, 1024);
	case_free(&it, objects, 6);
	case_end(&it);
}

static void deferred_frees_are_taken_by_a_visit(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns();

	(void)state;
	case_alloc(&it, objects, 1);
	sheaf_defer(it.s, it.class, objects[0]);
	assert_int_equal(it.s->deferred_any, 1);
	visit(&it, &now_ns);
	assert_int_equal(it.s->deferred_any, 0);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

/* ---- memory of free pages ---- */

/* Until none is due. */
static void be_idle(struct cache_case *it, uint64_t *now_ns)
{
	unsigned visits = 1;

	while (visit(it, now_ns) != WORK_IDLE)
		assert_in_range(visits++, 1, 10);
}

/* Frees all but the objects that lie two pages from each other, which come first then.  Returns how many these are. */
static unsigned free_all_but_some(struct cache_case *it, unsigned n)
{
	unsigned distance = (unsigned)(2 * quire_page_bytes(it->q) / 64), kept = 0;

	for (unsigned i = 0; i < n; i++) {
		if (i % distance == 0)
			objects[kept++] = objects[i];
		else
			quire_cache_free(it->cache, objects[i]);
	}
	return kept;
}

/* Pages with memory, as far as is known, of the slabs of the first @n objects. */
static uint64_t pages_with_memory(const struct cache_case *it, unsigned n)
{
	uint64_t pages = 0;
	size_t before = SIZE_MAX;

	for (unsigned i = 0; i < n; i++) {
		size_t record = (size_t)((char *)objects[i] - it->s->base) >> SLAB_SHIFT;

		if (record != before)
			pages += ((size_t)1 << it->s->class[it->class].order) -
				 (unsigned)__builtin_popcountll(
					 slab_at(it->s, (uint32_t)record)->unbacked);
		before = record;
	}
	return pages;
}

static void free_pages_lose_their_memory_whenever_a_class_is_idle(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns();
	unsigned kept, some = 0;

	(void)state;
	case_alloc(&it, objects, 5000);
	kept = free_all_but_some(&it, 5000);
	be_idle(&it, &now_ns);
	assert_u64_eq(pages_with_memory(&it, kept), kept);
	/* No allocation comes in between. */
	for (unsigned i = 0; i < kept; i++) {
		if (i % 2 == 0)
			objects[some++] = objects[i];
		else
			quire_cache_free(it.cache, objects[i]);
	}
	be_idle(&it, &now_ns);
	assert_u64_eq(pages_with_memory(&it, some), some);
	case_end(&it);
}

/* The class takes no slow path long before its sheaf is idle. */
static void what_was_on_a_sheaf_loses_its_memory_too(void **state)
{
	struct cache_case it = case_begin_still(64);
	uint64_t now_ns = clock_now_ns();
	unsigned kept;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, 5000);
	kept = free_all_but_some(&it, 5000);
	for (unsigned i = 0; i < 6; i++) {
		visit(&it, &now_ns);
		case_alloc(&it, &objects[kept + i], 1);
	}
	case_free(&it, &objects[kept], 6);
	be_idle(&it, &now_ns);
	assert_u64_eq(pages_with_memory(&it, kept), kept);
	case_end(&it);
}

/* By the worker's own thread. */
static void a_process_that_does_nothing_gives_back(void **state)
{
	struct cache_case it = case_begin(
		&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .decay_ms = 20),
		64);
	static void *many[100000];
	uint64_t end_ns = await_begin();

	(void)state;
	case_alloc(&it, many, 100000);
	case_free(&it, many, 100000);
	while (load_relaxed(&it.s->class[it.class].slabs_nr) != 0 && await_more(end_ns))
		;
	assert_u64_eq(case_stat(&it).slabs, 0);
	case_end(&it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_idle_instance_gives_all_back_and_sleeps),
		cmocka_unit_test(an_instance_with_objects_sleeps_too),
		cmocka_unit_test(a_sheaf_that_is_not_used_shrinks),
		cmocka_unit_test(a_sheaf_that_is_used_stays),
		cmocka_unit_test(deferred_frees_are_taken_by_a_visit),
		cmocka_unit_test(free_pages_lose_their_memory_whenever_a_class_is_idle),
		cmocka_unit_test(what_was_on_a_sheaf_loses_its_memory_too),
		cmocka_unit_test(a_process_that_does_nothing_gives_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
