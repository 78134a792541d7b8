/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate, free each other's objects, drain, shrink, release and fork at the same time.  Each object carries
 * its number in its first and last word, so that two owners of one see each other's.
 */
#include "quire_test.h"

#include <quire/slab.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "stress.h"

#define THREADS_NR 4u
#define SHELF	   512u
#define CACHES_NR  4u
#define OPS	   400000u

struct object {
	uint64_t *ptr;
	unsigned cache;
};

static struct quire *q;
static struct quire_cache *caches[CACHES_NR];
static const size_t sizes[CACHES_NR] = { 16, 64, 512, 4096 };
/* Objects on their way from any thread to any other. */
static uint64_t *shelf[CACHES_NR][SHELF];
static uint64_t broken, refused;

static void mark(uint64_t *ptr, unsigned cache)
{
	ptr[0] = (uintptr_t)ptr;
	ptr[sizes[cache] / 8 - 1] = (uintptr_t)ptr;
}

static void free_marked(uint64_t *ptr, unsigned cache)
{
	if (ptr[0] != (uintptr_t)ptr || ptr[sizes[cache] / 8 - 1] != (uintptr_t)ptr)
		fetch_add_relaxed(&broken, 1);
	ptr[0] = 0;
	ptr[sizes[cache] / 8 - 1] = 0;
	quire_cache_free(caches[cache], ptr);
}

/* Puts a new object on the shelf, and frees what was there: mostly another thread's. */
static void exchange(unsigned cache, unsigned place)
{
	uint64_t *ptr = quire_cache_alloc(caches[cache], 0);

	if (ptr == NULL) {
		fetch_add_relaxed(&refused, 1);
		return;
	}
	mark(ptr, cache);
	ptr = exchange_acq_rel(&shelf[cache][place], ptr);
	if (ptr != NULL)
		free_marked(ptr, cache);
}

static void burst(unsigned cache, uint64_t *random)
{
	void *objects[200];
	size_t n =
		quire_cache_alloc_bulk(caches[cache], 0, 1 + stress_random(random, 200), objects);

	for (size_t i = 0; i < n; i++)
		mark(objects[i], cache);
	for (size_t i = 0; i < n; i++)
		free_marked(objects[i], cache);
}

/* A child frees what it finds, and allocates. */
static void fork_once(void)
{
	pid_t child = fork();

	if (child == 0) {
		alarm(60);
		for (unsigned i = 0; i < CACHES_NR; i++) {
			for (unsigned place = 0; place < SHELF; place++)
				if (shelf[i][place] != NULL)
					quire_cache_free(caches[i], shelf[i][place]);
			if (quire_cache_alloc(caches[i], 0) == NULL)
				_exit(1);
		}
		_exit(quire_verify(q) == 0 && broken == 0 ? 0 : 2);
	}
	if (child > 0 && child_wait(child) != 0)
		fetch_add_relaxed(&broken, 1);
}

static void body(unsigned index, void *arg)
{
	uint64_t random = 77 + index;
	unsigned forks = *(unsigned *)arg;

	for (unsigned i = 0; i < OPS / THREADS_NR; i++) {
		unsigned cache = stress_random(&random, CACHES_NR);
		unsigned what = stress_random(&random, 4000);

		if (what == 0)
			quire_cache_shrink(caches[cache]);
		else if (what == 1)
			quire_release(q);
		else if (what < 200)
			burst(cache, &random);
		else
			exchange(cache, stress_random(&random, SHELF));
		if (index == 0 && forks != 0 && i % (OPS / THREADS_NR / forks) == 0)
			fork_once();
	}
}

static void run(const struct quire_options *options, unsigned forks)
{
	broken = refused = 0;
	assert_int_equal(quire_create(options, &q), 0);
	for (unsigned i = 0; i < CACHES_NR; i++) {
		struct quire_cache_options cache =
			QUIRE_CACHE_OPTIONS_INIT(.name = "race", .size = sizes[i]);

		assert_int_equal(quire_cache_create(q, &cache, &caches[i]), 0);
	}
	team_run(THREADS_NR, body, &forks);
	for (unsigned i = 0; i < CACHES_NR; i++)
		for (unsigned place = 0; place < SHELF; place++) {
			if (shelf[i][place] != NULL)
				free_marked(shelf[i][place], i);
			shelf[i][place] = NULL;
		}
	assert_u64_eq(broken, 0);
	assert_int_equal(quire_verify(q), 0);
	for (unsigned i = 0; i < CACHES_NR; i++)
		assert_int_equal(quire_cache_destroy(caches[i]), 0);
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void threads_share_caches(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .decay_ms = 1), 0);
}

static void threads_share_caches_without_sequences(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .rseq = QUIRE_OFF,
						      .decay_ms = 1),
	    0);
}

static void threads_share_caches_in_a_small_limit(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(6)), 0);
}

static void a_thread_forks_beside_the_others(void **state)
{
	(void)state;
	skip_if_sanitized();
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .decay_ms = 1), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_share_caches),
		cmocka_unit_test(threads_share_caches_without_sequences),
		cmocka_unit_test(threads_share_caches_in_a_small_limit),
		cmocka_unit_test(a_thread_forks_beside_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
