/* SPDX-License-Identifier: MIT */
/* page_worker_test.c - what was freed goes back whoever calls, and with whichever calls */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/mem.h"
#include "given_back.h"
#include "instance/instance.h"
#include "machine/clock.h"
#include "machine/linux/sanitizer.h"
#include "page/pages.h"
#include "quire_test.h"

#define DECAY_MS  20u
#define PAGES_NR  4096u /* 16 MiB */
#define NS_PER_MS UINT64_C(1000000)

static struct quire *make(enum quire_worker worker)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .decay_ms = DECAY_MS, .worker = worker);
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static void write_and_free(struct quire *q)
{
	static void *pages[PAGES_NR];

	for (unsigned i = 0; i < PAGES_NR; i++) {
		pages[i] = quire_alloc_pages(q, 0, 0);
		assert_non_null(pages[i]);
		memset(pages[i], 1, quire_page_bytes(q));
	}
	for (unsigned i = 0; i < PAGES_NR; i++)
		quire_free_pages(q, pages[i], 0);
}

static void pair_of_pages(struct quire *q)
{
	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
}

static void pair_of_areas(struct quire *q)
{
	quire_vfree(q, quire_vmalloc(q, 16384, 0));
}

static void pair_of_objects(struct quire *q)
{
	quire_free_percpu(q, quire_alloc_percpu(q, 64, 0, 0));
}

/*
 * Only pairs of one kind, which stacks serve; what was freed before them goes back, though no other
 * call is made.  It takes some ten decays: an instance in use gives back blocks that were whole for a
 * turn, and each turn is a decay or, as long as some is taken into use again, two.
 */
static void pairs_give_back(void (*pair)(struct quire *q))
{
	struct quire *q = make(QUIRE_WORKER_INLINE);
	uint64_t until_ns, before;

	for (unsigned i = 0; i < 100; i++)
		pair(q);
	write_and_free(q);
	before = given_back_bytes(q);
	until_ns = clock_now_ns() + UINT64_C(20000) * NS_PER_MS; /* a hang, on any machine */
	while (given_back_bytes(q) < before + MIB(12) && clock_now_ns() < until_ns)
		for (unsigned i = 0; i < 1000; i++)
			pair(q);
	assert_true(given_back_bytes(q) >= before + MIB(12));
	assert_u64_eq(quire_verify(q), 0);
	quire_destroy(q);
}

static void inline_work_is_found_by_pairs_of_pages(void **state)
{
	(void)state;
	pairs_give_back(pair_of_pages);
}

static void inline_work_is_found_by_pairs_of_areas(void **state)
{
	(void)state;
	pairs_give_back(pair_of_areas);
}

static void inline_work_is_found_by_pairs_of_objects(void **state)
{
	(void)state;
	pairs_give_back(pair_of_objects);
}

/* Callers pay for no thread, so a little goes back too, even where every call is a slow path.  A page in use keeps
 * what is freed from becoming a part of 2 MiB. */
static void inline_work_is_done_for_a_little_memory(void **state)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .decay_ms = 1, .rseq = QUIRE_OFF,
				   .thp = QUIRE_OFF, .worker = QUIRE_WORKER_INLINE);
	uint64_t until_ns =
		clock_now_ns() + UINT64_C(20000) * NS_PER_MS; /* a hang, on any machine */
	struct quire *q = NULL;
	void *run;

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	assert_non_null(quire_alloc_pages(q, 0, 0));
	run = quire_alloc_pages(q, 4, 0);
	assert_non_null(run);
	memset(run, 1, quire_page_bytes(q));
	quire_free_pages(q, run, 4);
	while (given_back_bytes(q) == 0 && clock_now_ns() < until_ns)
		pair_of_pages(q);
	assert_true(given_back_bytes(q) != 0);
	quire_destroy(q);
}

static void inline_work_makes_no_thread(void **state)
{
	size_t threads = count_threads();
	struct quire *q = make(QUIRE_WORKER_INLINE);

	(void)state;
	write_and_free(q);
	pair_of_areas(q);
	pair_of_objects(q);
	assert_u64_eq(count_threads(), threads);
	quire_destroy(q);
}

/* A program that only ever asks with ATOMIC, which may be in a handler and makes no thread. */
static void frees_make_the_thread_where_allocations_may_not(void **state)
{
	struct quire *q = make(QUIRE_WORKER_THREAD);
	void *pages[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		pages[i] = quire_alloc_pages(q, 5, QUIRE_ATOMIC);
		assert_non_null(pages[i]);
		memset(pages[i], 1, quire_page_bytes(q) << 5);
	}
	assert_null(q->work.stack);
	for (unsigned i = 0; i < 64; i++)
		quire_free_pages(q, pages[i], 5);
	assert_non_null(q->work.stack);
	await_given_back(q, MIB(8));
	quire_destroy(q);
}

/* Of what single pages take from the system: 2 MiB are worth a thread. */
static void a_thread_is_made_when_it_is_worth_it(void **state)
{
	struct quire *q = make(QUIRE_WORKER_THREAD);
	struct zone *zone = &pages_of(q)->zone[0];
	unsigned taken = 0;

	(void)state;
	while (q->work.stack == NULL && taken < PAGES_NR) {
		uint64_t had = (zone->online_pages - zone->zero_pages) << q->page_shift;

		assert_in_range(had, 0, MIB(2) - 1);
		assert_non_null(quire_alloc_pages(q, 0, 0));
		taken++;
	}
	assert_in_range((zone->online_pages - zone->zero_pages) << q->page_shift, MIB(2), MIB(6));
	quire_destroy(q);
}

static void a_little_that_is_freed_makes_no_thread(void **state)
{
	struct quire *q = make(QUIRE_WORKER_THREAD);
	void *pages[30];

	(void)state;
	/* Lists spill to the buddy, where a used page and the untouched rest of its block become one run,
	 * which counts as used. */
	if (pages_of(q)->stacks.cpu.slots_nr == 0) {
		quire_destroy(q);
		skip_because("there are no sequences");
	}
	for (unsigned turn = 0; turn < 20; turn++) {
		for (unsigned i = 0; i < 30; i++)
			assert_non_null(pages[i] = quire_alloc_pages(q, 0, i % 3));
		for (unsigned i = 0; i < 30; i++)
			quire_free_pages(q, pages[i], 0);
	}
	assert_null(q->work.stack);
	quire_destroy(q);
}

/* ---- without it for a moment ---- */

/* A single page is worth it. */
static void start_the_worker(struct quire *q)
{
	pages_of(q)->worth_pages = 0;
	quire_free_pages(q, quire_alloc_pages(q, 0, 0), 0);
	quire_drain_all(q);
	CHECK(q->work.stack != NULL);
}

/* Seen at once, with no wait: the call returns when the system has forgotten the thread. */
static void a_stopped_worker_is_no_thread(void **state)
{
	struct quire *q = make(QUIRE_WORKER_THREAD);
	size_t threads = count_threads();
	uint64_t end_ns = await_begin();

	(void)state;
	while (count_tasks() != threads && await_more(end_ns)) /* those of the tests before */
		;
	for (unsigned i = 0; i < 200; i++) {
		start_the_worker(q);
		assert_int_equal(quire_worker_stop(q), 0);
		assert_u64_eq(count_tasks(), threads);
		quire_worker_start(q);
	}
	quire_destroy(q);
}

static void a_stopped_worker_gives_nothing_back_until_it_is_started(void **state)
{
	struct quire *q = make(QUIRE_WORKER_THREAD);
	uint64_t before;

	(void)state;
	assert_int_equal(quire_worker_stop(q), 0);
	assert_int_equal(quire_worker_stop(q), 0);
	before = given_back_bytes(q);
	write_and_free(q);
	quire_drain_all(q);
	usleep(5 * DECAY_MS * 1000);
	quire_worker_start(q);
	write_and_free(q);
	assert_null(q->work.stack);
	assert_u64_eq(given_back_bytes(q), before);
	quire_worker_start(q);
	assert_non_null(q->work.stack);
	await_given_back(q, before + MIB(8));
	quire_destroy(q);
}

static void destroys_while_stopped(void **state)
{
	struct quire *q = make(QUIRE_WORKER_THREAD);

	(void)state;
	start_the_worker(q);
	assert_int_equal(quire_worker_stop(q), 0);
	quire_destroy(q);
}

static void child_makes_a_namespace(void *arg)
{
	struct quire *q = arg;

	start_the_worker(q);
	CHECK(unshare(CLONE_NEWUSER) != 0); /* two threads */
	CHECK(quire_worker_stop(q) == 0);
	CHECK_VALUES(unshare(CLONE_NEWUSER) == 0, errno, 0);
	quire_worker_start(q);
	start_the_worker(q);
}

static bool may_make_a_namespace(void)
{
	pid_t child = child_fork();

	if (child == 0)
		_exit(unshare(CLONE_NEWUSER) != 0);
	return child_wait(child) == 0;
}

static void a_program_may_make_a_user_namespace_while_it_is_stopped(void **state)
{
	struct quire *q;

	(void)state;
	if (MACHINE_TSAN || !may_make_a_namespace())
		skip_because(
			"no user namespace may be made here, or ThreadSanitizer would be in it");
	q = make(QUIRE_WORKER_THREAD);
	for (unsigned i = 0; i < 20; i++)
		expect_life(child_makes_a_namespace, q);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inline_work_is_found_by_pairs_of_pages),
		cmocka_unit_test(inline_work_is_found_by_pairs_of_areas),
		cmocka_unit_test(inline_work_is_found_by_pairs_of_objects),
		cmocka_unit_test(inline_work_is_done_for_a_little_memory),
		cmocka_unit_test(inline_work_makes_no_thread),
		cmocka_unit_test(frees_make_the_thread_where_allocations_may_not),
		cmocka_unit_test(a_thread_is_made_when_it_is_worth_it),
		cmocka_unit_test(a_little_that_is_freed_makes_no_thread),
		cmocka_unit_test(a_stopped_worker_is_no_thread),
		cmocka_unit_test(a_stopped_worker_gives_nothing_back_until_it_is_started),
		cmocka_unit_test(destroys_while_stopped),
		cmocka_unit_test(a_program_may_make_a_user_namespace_while_it_is_stopped),
	};

	return cmocka_run_group_tests_name("page_worker", tests, NULL, NULL);
}
