/* SPDX-License-Identifier: MIT */
/*
 * percpu_case.h - instances for the tests of per-CPU memory
 *
 * Four units whatever the machine has, no worker: nothing happens by itself.  After each test every
 * invariant must hold.
 */
#ifndef PERCPU_CASE_H
#define PERCPU_CASE_H

#include "quire_test.h"

#include <errno.h>

#include <quire/page.h>

#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/grow.h"
#include "percpu/object.h"
#include "percpu/place.h"
#include "percpu/populate.h"
#include "percpu/refill.h"
#include "percpu/sparse.h"

#define UNITS 4u

static inline struct quire *percpu_make(struct quire_options options)
{
	struct quire *q = NULL;

	if (options.limit_bytes == 0)
		options.limit_bytes = UINT64_C(256) << 20;
	if (options.units == 0)
		options.units = UNITS;
	if (options.worker == QUIRE_WORKER_DEFAULT)
		options.worker = QUIRE_WORKER_OFF;
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &q), 0);
	assert_non_null(percpu_of(q, 0));
	return q;
}

static inline int percpu_setup(void **state)
{
	*state = percpu_make((struct quire_options){ .limit_bytes = 0 });
	return 0;
}

static inline int percpu_teardown(void **state)
{
	int label = quire_verify(*state);

	if (label != 0)
		print_error("after the test, rule %d is broken: %s\n", label,
			    quire_rule_text(label));
	quire_destroy(*state);
	return label;
}

#define PERCPU_TEST(function)                                                                      \
	cmocka_unit_test_setup_teardown(function, percpu_setup, percpu_teardown)

static inline struct quire_percpu_stat percpu_stat(struct quire *q)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;

	assert_int_equal(quire_percpu_stat_read(q, &stat), 0);
	return stat;
}

static inline size_t page_bytes(struct quire *q)
{
	return quire_page_bytes(q);
}

/* The chunk that an object lies in. */
static inline uint32_t chunk_number(struct quire *q, const void *ptr)
{
	return place_chunk(q->percpu, place_of(q->percpu, ptr));
}

static inline struct percpu_chunk *chunk_of(struct quire *q, const void *ptr)
{
	return &q->percpu->chunk[chunk_number(q, ptr)];
}

/* What the worker does, now. */
static inline size_t balance_now(struct quire *q, bool all)
{
	size_t pages;

	mutex_acquire(&q->percpu->alloc_mutex);
	pages = balance(q->percpu, all);
	mutex_release(&q->percpu->alloc_mutex);
	return pages;
}

/* Charges what callers with these flags have left of the limit, for nobody; returns pages. */
static inline uint64_t use_up_limit(struct quire *q, unsigned flags)
{
	uint64_t pages = 0;

	for (uint64_t step = UINT64_C(1) << 32; step != 0; step /= 2)
		while (page_charge(q, step, flags | QUIRE_NORETRY) == 0)
			pages += step;
	return pages;
}

/* Objects of a page each, all in the second chunk; returns how many. */
static inline unsigned fill_second_chunk(struct quire *q, void **pages, unsigned count)
{
	unsigned n = 0;

	while (n < count) {
		void *page = quire_alloc_percpu(q, page_bytes(q), 0, 0);

		assert_non_null(page);
		if (chunk_number(q, page) == 1)
			pages[n++] = page;
		assert_in_range(chunk_number(q, page), 0, 1);
	}
	return n;
}

static inline void isolate_now(struct quire *q, uint32_t chunk)
{
	lock_token token = lock_acquire(&q->percpu->lock);

	if (q->percpu->chunk[chunk].state != CHUNK_TO_DEPOPULATE)
		chunk_isolate_locked(q->percpu, chunk);
	lock_release(&q->percpu->lock, token);
}

#endif
