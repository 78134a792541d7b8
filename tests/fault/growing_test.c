/* SPDX-License-Identifier: MIT */
/*
 * Callers that may not wait, while another thread is in the middle of getting memory from the system.
 *
 * Method: that thread's system call is held up before it is made (backing.h), with whatever locks its
 * caller holds, until the others have done what they want.  So each refusal counted here is one that
 * the other thread's place caused, and none depends on time.
 */
#include "quire_test.h"

#include <pthread.h>
#include <sched.h>

#include "machine/linux/backing.h"
#include "page/page.h"

#define MIB(n) ((uint64_t)(n) << 20)

static struct quire *make(uint64_t limit_bytes)
{
	struct quire_options options = { .limit_bytes = limit_bytes, .worker = QUIRE_WORKER_OFF };
	struct quire *q = NULL;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

struct grower {
	struct quire *q;
	void *(*take)(struct quire *q);
	void *taken;
	pthread_t thread;
};

static void *grow(void *arg)
{
	struct grower *grower = arg;

	grower->taken = grower->take(grower->q);
	return NULL;
}

/* A thread that calls @take and stands in its @nth system call for memory when this returns. */
static void grower_start(struct grower *grower, uint64_t nth)
{
	backing_hold_at(nth);
	assert_int_equal(pthread_create(&grower->thread, NULL, grow, grower), 0);
	while (!backing_is_holding())
		sched_yield();
}

static void grower_end(struct grower *grower)
{
	assert_true(backing_is_holding());
	backing_go_on();
	assert_int_equal(pthread_join(grower->thread, NULL), 0);
	assert_non_null(grower->taken);
}

/* ---- pages ---- */

static void *take_block(struct quire *q)
{
	return quire_alloc_pages(q, q->block_order, 0);
}

/* The metadata of blocks is four calls, then come their pages and an advice. */
static void pages_are_had_while_another_commits(void **state)
{
	static const unsigned orders[] = { 0, 3, 6, 9, 10 };
	static const unsigned flags[] = { QUIRE_ATOMIC, QUIRE_NOWAIT };

	(void)state;
	for (uint64_t nth = 1; nth <= 6; nth++) {
		struct quire *q = make(MIB(1024));
		struct grower grower = { .q = q, .take = take_block };
		unsigned refused = 0;

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
	struct grower first = { .q = q, .take = take_block };
	struct grower second = { .q = q, .take = take_block };

	(void)state;
	assert_true(mutex_try(&q->grow_mutex));
	backing_hold_at(1);
	first.take = take_page_atomically;
	assert_int_equal(pthread_create(&first.thread, NULL, grow, &first), 0);
	while (!backing_is_holding())
		sched_yield();
	mutex_release(&q->grow_mutex);
	assert_int_equal(pthread_create(&second.thread, NULL, grow, &second), 0);
	while (!mutex_is_held(&q->grow_mutex))
		sched_yield();
	grower_end(&first);
	assert_int_equal(pthread_join(second.thread, NULL), 0);
	assert_non_null(second.taken);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_are_had_while_another_commits),
		cmocka_unit_test(the_last_blocks_are_waited_for),
	};

	return cmocka_run_group_tests_name("growing", tests, NULL, NULL);
}
