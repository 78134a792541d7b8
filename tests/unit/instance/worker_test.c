/* SPDX-License-Identifier: MIT */
/* worker_test.c - when the worker comes, and who may make its thread */
#include "quire_test.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "instance/instance.h"
#include "instance/module.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/clock.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static struct quire *make(enum quire_worker worker)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(64) << 20, .worker = worker);
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static void the_earliest_kick_counts(void **state)
{
	struct quire *q = make(QUIRE_WORKER_OFF);
	uint64_t now_ns = clock_now_ns();

	(void)state;
	worker_kick(q, now_ns + 2 * NS_PER_S);
	worker_kick(q, now_ns + NS_PER_S);
	assert_u64_eq(load_relaxed(&q->work.due_ns), now_ns + NS_PER_S);
	worker_kick(q, now_ns + 2 * NS_PER_S);
	assert_u64_eq(load_relaxed(&q->work.due_ns), now_ns + NS_PER_S);
	quire_destroy(q);
}

/* Never too short: a caller that waits for so long finds the work due.  Repeated, since a busy machine
 * may take longer between two looks at the clock than the part that is rounded. */
static void poll_rounds_up(void **state)
{
	struct quire *q = make(QUIRE_WORKER_OFF);

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		uint64_t due_ns = clock_now_ns() + NS_PER_S + NS_PER_MS - 1, after_ns;
		int wait_ms;

		store_relaxed(&q->work.due_ns, due_ns);
		wait_ms = quire_poll(q);
		after_ns = clock_now_ns();
		assert_in_range(wait_ms, 0, 1001);
		if (wait_ms != 0) /* else the machine stood still for a second */
			assert_true(after_ns + (uint64_t)wait_ms * NS_PER_MS >= due_ns);
	}
	quire_destroy(q);
}

/* They may be a signal handler's, where a thread cannot be made.  Without sequences, NOLOCK cuts a larger
 * run and frees the rest. */
static void check_handlers_make_no_thread(enum quire_switch rseq)
{
	static const unsigned flags[] = { QUIRE_ATOMIC, QUIRE_NOLOCK, QUIRE_ATOMIC | QUIRE_NOLOCK };
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(64) << 20, .worker = QUIRE_WORKER_THREAD,
				   .rseq = rseq);
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned i = 0; i < 3; i++)
		for (unsigned order = 0; order < 10; order++) {
			(void)quire_alloc_pages(q, order, flags[i]);
			assert_null(q->work.stack);
		}
	assert_non_null(quire_alloc_pages(q, 5, QUIRE_NOWAIT));
	assert_non_null(q->work.stack);
	quire_destroy(q);
}

static void allocations_in_handlers_make_no_thread(void **state)
{
	(void)state;
	check_handlers_make_no_thread(QUIRE_ON);
	check_handlers_make_no_thread(QUIRE_OFF);
}

/* ---- what a visit says ---- */

static struct {
	uint64_t of_pages, of_other; /* answers */
	bool is_empty;
} visit;

static uint64_t pages_tick(struct quire_module *module, uint64_t now_ns)
{
	(void)module;
	(void)now_ns;
	return visit.of_pages;
}

static uint64_t other_tick(struct quire_module *module, uint64_t now_ns)
{
	(void)module;
	(void)now_ns;
	return visit.of_other;
}

static bool is_empty(struct quire_module *module)
{
	(void)module;
	return visit.is_empty;
}

/* What a visit to pages that say @of_pages and to another module that says @of_other says. */
static uint64_t tick_of(struct quire *q, uint64_t of_pages, uint64_t of_other)
{
	visit.of_pages = of_pages;
	visit.of_other = of_other;
	return modules_tick(q, 1);
}

/* A time before IDLE, IDLE before EXIT; but IDLE of a module that can be asked whether it is empty, and is,
 * counts as EXIT. */
static void a_visit_ends_the_thread_if_nothing_is_in_use(void **state)
{
	struct quire *q = make(QUIRE_WORKER_OFF);
	struct quire_module other = { .rank = 0, .tick = other_tick };
	struct quire_module *pages = q->lowest;
	struct quire_module before = *pages;

	(void)state;
	mutex_acquire(&q->modules_mutex);
	module_register_locked(q, &other);
	mutex_release(&q->modules_mutex);
	pages->tick = pages_tick;
	pages->is_empty = is_empty;
	visit.is_empty = true;
	assert_u64_eq(tick_of(q, 7, 9), 7);
	assert_u64_eq(tick_of(q, 9, 7), 7);
	assert_u64_eq(tick_of(q, WORK_IDLE, 7), 7);
	assert_u64_eq(tick_of(q, 7, WORK_EXIT), 7);
	assert_u64_eq(tick_of(q, WORK_EXIT, WORK_IDLE), WORK_IDLE);
	assert_u64_eq(tick_of(q, WORK_IDLE, WORK_IDLE), WORK_IDLE);
	assert_u64_eq(tick_of(q, WORK_EXIT, WORK_EXIT), WORK_EXIT);
	assert_u64_eq(tick_of(q, WORK_IDLE, WORK_EXIT), WORK_EXIT);
	visit.is_empty = false;
	assert_u64_eq(tick_of(q, WORK_IDLE, WORK_EXIT), WORK_IDLE);
	q->modules = pages;
	pages->above = NULL;
	pages->tick = before.tick;
	pages->is_empty = before.is_empty;
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_earliest_kick_counts),
		cmocka_unit_test(poll_rounds_up),
		cmocka_unit_test(allocations_in_handlers_make_no_thread),
		cmocka_unit_test(a_visit_ends_the_thread_if_nothing_is_in_use),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
