/* SPDX-License-Identifier: MIT */
/* page_worker_test.c - what was freed goes back whoever calls, and with whichever calls */
#include "quire_test.h"

#include <pthread.h>
#include <unistd.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/vmap.h>

#include "machine/clock.h"
#include "machine/linux/sanitizer.h"
#include "page/page.h"

#define DECAY_MS  20u
#define PAGES_NR  4096u /* 16 MiB */
#define MIB(n)	  ((uint64_t)(n) << 20)
#define NS_PER_MS UINT64_C(1000000)

static struct quire *make(enum quire_worker worker)
{
	const struct quire_options options = { .limit_bytes = MIB(256),
					       .decay_ms = DECAY_MS,
					       .worker = worker };
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static uint64_t given_back_bytes(struct quire *q)
{
	struct quire_page_stat stat;

	quire_page_stat_read(q, &stat);
	return stat.reported_total_pages << stat.page_shift;
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
 * Only pairs of one kind, which stacks serve; what was freed before them is back after ten decays: an
 * instance in use gives back blocks that were whole for a turn, and each turn is a decay or, as long
 * as some is taken into use again, two.
 */
static void pairs_give_back_within_ten_decays(void (*pair)(struct quire *q))
{
	struct quire *q = make(QUIRE_WORKER_INLINE);
	uint64_t until_ns;

	for (unsigned i = 0; i < 100; i++)
		pair(q);
	write_and_free(q);
	assert_u64_eq(given_back_bytes(q), 0);
	until_ns = clock_now_ns() + 10 * DECAY_MS * NS_PER_MS;
	while (clock_now_ns() < until_ns)
		pair(q);
	assert_true(given_back_bytes(q) >= MIB(12));
	assert_u64_eq(quire_verify(q), 0);
	quire_destroy(q);
}

static void inline_work_is_found_by_pairs_of_pages(void **state)
{
	(void)state;
	pairs_give_back_within_ten_decays(pair_of_pages);
}

static void inline_work_is_found_by_pairs_of_areas(void **state)
{
	(void)state;
	pairs_give_back_within_ten_decays(pair_of_areas);
}

static void inline_work_is_found_by_pairs_of_objects(void **state)
{
	(void)state;
	pairs_give_back_within_ten_decays(pair_of_objects);
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
	for (unsigned ms = 0; ms < 5000 && given_back_bytes(q) < MIB(8); ms++)
		usleep(1000);
	assert_true(given_back_bytes(q) >= MIB(8));
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inline_work_is_found_by_pairs_of_pages),
		cmocka_unit_test(inline_work_is_found_by_pairs_of_areas),
		cmocka_unit_test(inline_work_is_found_by_pairs_of_objects),
		cmocka_unit_test(inline_work_makes_no_thread),
		cmocka_unit_test(frees_make_the_thread_where_allocations_may_not),
	};

	return cmocka_run_group_tests_name("page_worker", tests, NULL, NULL);
}
