/* SPDX-License-Identifier: MIT */
/*
 * A process forks while its threads allocate and free areas, a third one purges, and a worker gives
 * memory back.  The child finds what the forking thread held as it was, and allocates, frees,
 * purges, verifies and releases; the parent goes on.
 *
 * QUIRE_FORKS sets how many forks there are.
 */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <quire/page.h>

#include "machine/linux/sanitizer.h"
#include "vmap_stress.h"

#define FORKS	   100u
#define THREADS_NR 2u

/* What a child found wrong is its exit status. */
enum finding {
	CHILD_FINE,
	CHILD_REFUSED,
	CHILD_BROKEN,
	CHILD_VERIFY,
	CHILD_LAZY_LEFT,
};

static struct {
	struct quire *q;
	struct vstress_owner threads[THREADS_NR], main;
	pthread_t ids[THREADS_NR + 1];
	bool stop;
} scene;

static void *thread_run(void *arg)
{
	struct vstress_owner *owner = arg;

	while (!__atomic_load_n(&scene.stop, __ATOMIC_RELAXED))
		vstress_step(owner);
	vstress_end(owner);
	return NULL;
}

static void *purger_run(void *arg)
{
	while (!__atomic_load_n(&scene.stop, __ATOMIC_RELAXED))
		quire_vmap_purge(arg);
	return NULL;
}

static void scene_begin(struct quire_options options)
{
	memset(&scene, 0, sizeof(scene));
	options.limit_bytes = (uint64_t)256 << 20;
	options.lazy_max_bytes = (uint64_t)1 << 20;
	options.worker = MACHINE_TSAN ? QUIRE_WORKER_OFF : QUIRE_WORKER_THREAD;
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &scene.q), 0);
	vstress_begin(&scene.main, scene.q, 50);
	scene.main.slots_nr = 16;
	for (unsigned i = 0; i < THREADS_NR; i++) {
		vstress_begin(&scene.threads[i], scene.q, i);
		scene.threads[i].slots_nr = 16;
		assert_int_equal(pthread_create(&scene.ids[i], NULL, thread_run, &scene.threads[i]),
				 0);
	}
	assert_int_equal(pthread_create(&scene.ids[THREADS_NR], NULL, purger_run, scene.q), 0);
}

static void scene_end(void)
{
	__atomic_store_n(&scene.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i <= THREADS_NR; i++)
		assert_int_equal(pthread_join(scene.ids[i], NULL), 0);
	vstress_end(&scene.main);
	assert_u64_eq(scene.main.broken + scene.main.not_zero + scene.main.refused, 0);
	for (unsigned i = 0; i < THREADS_NR; i++)
		assert_u64_eq(scene.threads[i].broken + scene.threads[i].not_zero, 0);
	vstress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

static unsigned child_main(void)
{
	if (quire_verify(scene.q) != 0)
		return CHILD_VERIFY;
	for (unsigned i = 0; i < 200; i++)
		vstress_step(&scene.main);
	vstress_end(&scene.main);
	if (scene.main.broken != 0 || scene.main.not_zero != 0)
		return CHILD_BROKEN;
	if (scene.main.refused != 0)
		return CHILD_REFUSED;
	quire_vmap_purge(scene.q);
	quire_free_pages(scene.q, quire_alloc_pages(scene.q, 4, 0), 4);
	quire_release(scene.q);
	return quire_verify(scene.q) != 0 ? CHILD_VERIFY : CHILD_FINE;
}

static void fork_again_and_again(struct quire_options options, uint64_t forks)
{
	scene_begin(options);
	for (uint64_t i = 0; i < forks; i++) {
		for (unsigned step = 0; step < 100; step++)
			vstress_step(&scene.main);
		expect_fork(i, child_main);
	}
	scene_end();
}

static uint64_t forks_wanted(void)
{
	return env_u64("QUIRE_FORKS", FORKS);
}

static void child_and_parent_go_on_with_sequences(void **state)
{
	(void)state;
	fork_again_and_again((struct quire_options){ .rseq = QUIRE_ON }, forks_wanted() / 2);
}

static void child_and_parent_go_on_with_locks(void **state)
{
	(void)state;
	fork_again_and_again((struct quire_options){ .rseq = QUIRE_OFF }, forks_wanted() / 4);
}

static void child_and_parent_go_on_without_caches(void **state)
{
	(void)state;
	fork_again_and_again((struct quire_options){ .cache = QUIRE_OFF }, forks_wanted() / 4);
}

/* A child that is alone loses nothing: what was cached and lazy is there, and goes back. */
static void child_of_one_thread(void *arg)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	quire_release(arg);
	quire_vmap_stat_read(arg, &stat);
	if (quire_verify(arg) != 0)
		_exit(CHILD_VERIFY);
	if (stat.cached_bytes + stat.lazy_bytes != 0 || stat.free_bytes != stat.span_bytes)
		_exit(CHILD_LAZY_LEFT);
}

static void a_fork_of_a_single_thread_loses_nothing(void **state)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
	struct quire *q = NULL;
	void *held[20];

	(void)state;
	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned i = 0; i < 20; i++)
		held[i] = quire_vmalloc(q, (i + 1) * 10000, 0);
	for (unsigned i = 0; i < 20; i++)
		quire_vfree(q, held[i]);
	expect_life(child_of_one_thread, q);
	vstress_assert_conserved(q);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fork_of_a_single_thread_loses_nothing),
		cmocka_unit_test(child_and_parent_go_on_with_sequences),
		cmocka_unit_test(child_and_parent_go_on_with_locks),
		cmocka_unit_test(child_and_parent_go_on_without_caches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
