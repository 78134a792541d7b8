/* SPDX-License-Identifier: MIT */
/*
 * Long random sequences against a naive allocator: an array of live objects, each filled with its own number, which
 * is looked for when it is freed.  An overlap, memory that was taken from under an object, and an object that two
 * owners have are seen so; quire_verify() is asked now and then.
 *
 * QUIRE_SLAB_MODEL_OPS sets how many operations there are.
 */
#include "quire_test.h"

#include <quire/slab.h>

#include "stress.h"

#define LIVE_MAX   20000u
#define CACHES_NR  12u
#define VERIFY_OPS 20000u

struct live {
	unsigned char *ptr;
	unsigned cache;
	uint32_t number;
};

struct model {
	struct quire *q;
	struct quire_cache *cache[CACHES_NR];
	size_t size[CACHES_NR];
	uint64_t random;
	uint32_t numbers, live_nr;
	uint64_t refused;
	struct live live[LIVE_MAX];
};

static struct model model;

static void construct(void *object, void *arg)
{
	memset(object, 7, *(size_t *)arg);
}

static bool is_constructed(unsigned cache)
{
	return cache == 3;
}

static void fill(const struct live *live)
{
	size_t size = model.size[live->cache];

	memset(live->ptr, (int)(live->number % 255), size);
	if (size >= 4)
		memcpy(live->ptr, &live->number, 4);
}

static void check(const struct live *live)
{
	size_t size = model.size[live->cache], from = size >= 4 ? 4 : 0;
	uint32_t number = live->number;

	if (from != 0)
		memcpy(&number, live->ptr, 4);
	if (number != live->number)
		fail_msg("object %u of %zu bytes holds number %u", live->number, size, number);
	for (size_t i = from; i < size; i++)
		if (live->ptr[i] != live->number % 255)
			fail_msg("object %u of %zu bytes changed at %zu", live->number, size, i);
}

static void check_new(unsigned cache, const unsigned char *ptr, unsigned flags)
{
	unsigned char wanted = is_constructed(cache) ? 7 : 0;

	assert_int_equal((uintptr_t)ptr % 16, 0);
	if (cache == 5)
		assert_int_equal((uintptr_t)ptr % 64, 0);
	if (is_constructed(cache) || cache == 4 || (flags & QUIRE_ZERO))
		for (size_t i = 0; i < model.size[cache]; i++)
			assert_int_equal(ptr[i], wanted);
}

static void add(unsigned cache, void *ptr)
{
	struct live *live = &model.live[model.live_nr++];

	*live = (struct live){ ptr, cache, model.numbers++ };
	fill(live);
}

static void take(unsigned cache)
{
	static const unsigned flags[] = { 0, 0, 0, QUIRE_NOWAIT, QUIRE_ATOMIC, QUIRE_NOLOCK };
	unsigned chosen = flags[stress_random(&model.random, 6)];
	unsigned char *ptr;

	if (stress_random(&model.random, 16) == 0 && !is_constructed(cache))
		chosen |= QUIRE_ZERO;
	ptr = quire_cache_alloc(model.cache[cache], chosen);
	if (ptr == NULL) {
		model.refused++;
		return;
	}
	check_new(cache, ptr, chosen);
	add(cache, ptr);
}

static void give(uint32_t i)
{
	struct live *live = &model.live[i];

	check(live);
	if (is_constructed(live->cache))
		memset(live->ptr, 7, model.size[live->cache]);
	quire_cache_free(model.cache[live->cache], live->ptr);
	*live = model.live[--model.live_nr];
}

static void take_bulk(unsigned cache)
{
	void *objects[300];
	unsigned wanted = 1 + stress_random(&model.random, 300);
	size_t n;

	if (model.live_nr + wanted > LIVE_MAX)
		return;
	n = quire_cache_alloc_bulk(model.cache[cache], 0, wanted, objects);
	assert_true(n <= wanted);
	for (size_t i = 0; i < n; i++)
		add(cache, objects[i]);
	for (size_t i = n; i < wanted; i++)
		assert_null(objects[i]);
}

static void give_bulk(void)
{
	void *objects[300];
	unsigned wanted = 1 + stress_random(&model.random, 300), n = 0, cache = 0;

	while (n < wanted && model.live_nr != 0) {
		uint32_t last = model.live_nr - 1;
		struct live *live = &model.live[last];

		if (n == 0)
			cache = live->cache;
		if (live->cache != cache)
			break;
		check(live);
		if (is_constructed(cache))
			memset(live->ptr, 7, model.size[cache]);
		objects[n++] = live->ptr;
		model.live_nr--;
	}
	quire_cache_free_bulk(model.cache[cache], n, objects);
	for (unsigned i = 0; i < n; i++)
		assert_null(objects[i]);
}

static void do_something(void)
{
	unsigned what = stress_random(&model.random, 1000);
	unsigned cache = stress_random(&model.random, CACHES_NR);

	if (what < 2)
		quire_cache_shrink(model.cache[cache]);
	else if (what < 3)
		quire_release(model.q);
	else if (what < 4)
		quire_poll(model.q);
	else if (what < 12)
		take_bulk(cache);
	else if (what < 20)
		give_bulk();
	else if (what < 510 && model.live_nr < LIVE_MAX)
		take(cache);
	else if (model.live_nr != 0)
		give(stress_random(&model.random, model.live_nr));
}

static void make_caches(void)
{
	static const size_t sizes[CACHES_NR] = { 1,   16,   24,	  48,	100,  96,
						 200, 1000, 1024, 3000, 5000, 20000 };

	for (unsigned i = 0; i < CACHES_NR; i++) {
		struct quire_cache_options options =
			QUIRE_CACHE_OPTIONS_INIT(.name = "model", .size = sizes[i],
						 .align = i == 5 ? 64 : 0);

		model.size[i] = sizes[i];
		if (is_constructed(i)) {
			options.construct = construct;
			options.arg = &model.size[i];
		}
		if (i == 4)
			options.flags = QUIRE_CACHE_ZERO;
		if (i == 6)
			options.flags = QUIRE_CACHE_POISON | QUIRE_CACHE_RED_ZONE;
		assert_int_equal(quire_cache_create(model.q, &options, &model.cache[i]), 0);
	}
}

static void run(const struct quire_options *options)
{
	uint64_t ops = env_u64("QUIRE_SLAB_MODEL_OPS", 1000000);

	memset(&model, 0, sizeof(model));
	model.random = env_u64("QUIRE_SLAB_MODEL_SEED", 1);
	assert_int_equal(quire_create(options, &model.q), 0);
	make_caches();
	for (uint64_t i = 0; i < ops; i++) {
		do_something();
		if (i % VERIFY_OPS == 0)
			assert_int_equal(quire_verify(model.q), 0);
	}
	while (model.live_nr != 0)
		give(model.live_nr - 1);
	assert_int_equal(quire_verify(model.q), 0);
	for (unsigned i = 0; i < CACHES_NR; i++)
		assert_int_equal(quire_cache_destroy(model.cache[i]), 0);
	assert_int_equal(quire_verify(model.q), 0);
	quire_destroy(model.q);
}

static void with_sequences(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256)));
	assert_u64_eq(model.live_nr, 0);
}

static void without_sequences(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .rseq = QUIRE_OFF));
	assert_u64_eq(model.live_nr, 0);
}

/* Refusals, and drains before them. */
static void in_a_small_limit(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(16),
						      .worker = QUIRE_WORKER_OFF));
	assert_true(model.refused != 0);
}

static void with_a_busy_worker(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(128), .decay_ms = 1));
	assert_u64_eq(model.live_nr, 0);
}

static void with_due_work_done_by_callers(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(128), .decay_ms = 1,
						      .worker = QUIRE_WORKER_INLINE));
	assert_u64_eq(model.live_nr, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_sequences),
		cmocka_unit_test(without_sequences),
		cmocka_unit_test(in_a_small_limit),
		cmocka_unit_test(with_a_busy_worker),
		cmocka_unit_test(with_due_work_done_by_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
