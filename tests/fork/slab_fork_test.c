/* SPDX-License-Identifier: MIT */
/*
 * A process forks while its threads allocate, free and drain.  In the child everything that the forking thread held is
 * as it was, what was on sheaves and in barns can be allocated, and the rules hold.
 *
 * QUIRE_FORKS sets how many forks there are.
 */
#include "unit/slab/cache_case.h"

#include <pthread.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/linux/sanitizer.h"
#include "stress.h"

#define FORKS	   100u
#define HELD	   500u
#define THREADS_NR 3u

enum finding {
	CHILD_FINE,
	CHILD_BROKEN,
	CHILD_REFUSED,
	CHILD_VERIFY,
	CHILD_OTHERWISE,
};

static struct {
	struct cache_case it;
	uint64_t *held[HELD];
	pthread_t threads[THREADS_NR];
	bool stop;
} scene;

static void *thread_run(void *arg)
{
	uint64_t random = (uintptr_t)arg;
	void *objects[300];

	while (!load_relaxed(&scene.stop)) {
		size_t n = quire_cache_alloc_bulk(scene.it.cache, 0,
						  1 + stress_random(&random, 300), objects);

		quire_cache_free_bulk(scene.it.cache, n, objects);
		if (random % 16 == 0)
			quire_cache_shrink(scene.it.cache);
		if (random % 64 == 1)
			quire_release(scene.it.q);
	}
	return NULL;
}

static void begin(const struct quire_options *options)
{
	memset(&scene, 0, sizeof(scene));
	scene.it = case_begin(options, 64);
	for (unsigned i = 0; i < HELD; i++) {
		scene.held[i] = quire_cache_alloc(scene.it.cache, 0);
		*scene.held[i] = i;
	}
}

static unsigned child(void)
{
	for (unsigned i = 0; i < HELD; i++) {
		if (*scene.held[i] != i)
			return CHILD_BROKEN;
		quire_cache_free(scene.it.cache, scene.held[i]);
	}
	for (unsigned i = 0; i < HELD; i++) {
		scene.held[i] = quire_cache_alloc(scene.it.cache, 0);
		if (scene.held[i] == NULL)
			return CHILD_REFUSED;
	}
	quire_cache_shrink(scene.it.cache);
	return quire_verify(scene.it.q) == 0 ? CHILD_FINE : CHILD_VERIFY;
}

static void run(const struct quire_options *options)
{
	uint64_t forks = env_u64("QUIRE_FORKS", FORKS);

	begin(options);
	for (uintptr_t i = 0; i < THREADS_NR; i++)
		assert_int_equal(
			pthread_create(&scene.threads[i], NULL, thread_run, (void *)(i + 1)), 0);
	for (uint64_t i = 0; i < forks; i++)
		expect_fork(i, child);
	store_relaxed(&scene.stop, true);
	for (unsigned i = 0; i < THREADS_NR; i++)
		pthread_join(scene.threads[i], NULL);
	case_free(&scene.it, (void **)scene.held, HELD);
	assert_u64_eq(case_stat(&scene.it).used, 0);
	case_end(&scene.it);
}

static void a_child_has_what_its_parent_had(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .decay_ms = 1,
						      .worker = MACHINE_TSAN
									? QUIRE_WORKER_OFF
									: QUIRE_WORKER_THREAD));
	assert_non_null(scene.it.q);
}

static void a_child_has_it_without_sequences(void **state)
{
	(void)state;
	run(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .decay_ms = 1,
						      .rseq = QUIRE_OFF,
						      .worker = MACHINE_TSAN
									? QUIRE_WORKER_OFF
									: QUIRE_WORKER_THREAD));
	assert_non_null(scene.it.q);
}

/* Handlers of others that run while the fork holds all locks. */
static void prepare(void)
{
	void *objects[300];
	size_t n = quire_cache_alloc_bulk(scene.it.cache, 0, 300, objects);
	struct quire_cache *cache = cache_make(scene.it.q, 3008, QUIRE_CACHE_OWN);

	assert_int_equal(n, 300);
	quire_cache_free(cache, quire_cache_alloc(cache, 0));
	quire_cache_free_bulk(scene.it.cache, n, objects);
	assert_int_equal(quire_cache_destroy(cache), 0);
}

static unsigned child_prepares(void)
{
	prepare();
	return child();
}

static void a_child_may_make_caches(void **state)
{
	(void)state;
	begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64)));
	for (unsigned i = 0; i < 10; i++) {
		prepare();
		expect_fork(i, child_prepares);
	}
	case_free(&scene.it, (void **)scene.held, HELD);
	case_end(&scene.it);
}

/* Its frames stay with the parent. */
static unsigned dead_child(void)
{
	errno = 0;
	if (quire_cache_alloc(scene.it.cache, 0) != NULL || errno != EOWNERDEAD)
		return CHILD_OTHERWISE;
	quire_cache_free(scene.it.cache, scene.held[0]);
	if (quire_cache_shrink(scene.it.cache) != 0 ||
	    quire_cache_destroy(scene.it.cache) != -EOWNERDEAD)
		return CHILD_OTHERWISE;
	quire_destroy(scene.it.q);
	return CHILD_FINE;
}

static void a_child_without_its_frames_is_refused(void **state)
{
	(void)state;
	begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64),
							.backing = QUIRE_BACKING_MEMFD));
	for (unsigned i = 0; i < 3; i++)
		expect_fork(i, dead_child);
	case_free(&scene.it, (void **)scene.held, HELD);
	assert_u64_eq(case_stat(&scene.it).used, 0);
	case_end(&scene.it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_child_has_what_its_parent_had),
		cmocka_unit_test(a_child_has_it_without_sequences),
		cmocka_unit_test(a_child_may_make_caches),
		cmocka_unit_test(a_child_without_its_frames_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
