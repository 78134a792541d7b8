/* SPDX-License-Identifier: MIT */
#include "grower.h"

#include "quire_test.h"

#include "machine/linux/backing.h"

void *grower_run(void *arg)
{
	struct grower *grower = arg;

	grower->taken = grower->take(grower->q);
	return NULL;
}

void grower_await(void)
{
	uint64_t end_ns = await_begin();

	while (!backing_is_holding() && await_more(end_ns))
		;
	assert_true(backing_is_holding());
}

void grower_start(struct grower *grower, uint64_t nth)
{
	backing_hold_at(nth);
	assert_int_equal(pthread_create(&grower->thread, NULL, grower_run, grower), 0);
	grower_await();
}

void grower_end(struct grower *grower)
{
	assert_true(backing_is_holding());
	backing_go_on();
	assert_int_equal(pthread_join(grower->thread, NULL), 0);
	assert_non_null(grower->taken);
}
