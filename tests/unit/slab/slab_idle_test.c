/* SPDX-License-Identifier: MIT */
/* The worker's visits, with a clock of the test's own: what is idle goes, and then no visit is due. */
#include "unit/slab/cache_case.h"

#include "machine/atomic.h"
#include "machine/clock.h"

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
		cmocka_unit_test(a_process_that_does_nothing_gives_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
