/* SPDX-License-Identifier: MIT */
/*
 * A process forks while its threads allocate and free per-CPU objects, a third one depopulates, and
 * a worker comes by.  The child finds what the forking thread held as it was, and allocates, frees,
 * shrinks and verifies; the parent goes on.
 *
 * QUIRE_FORKS sets how many forks there are.
 */
#include "unit/percpu/percpu_case.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "machine/linux/sanitizer.h"
#include "percpu_stress.h"

#define FORKS	   100u
#define THREADS_NR 2u

/* What a child found wrong is its exit status. */
enum finding {
	CHILD_FINE,
	CHILD_REFUSED,
	CHILD_BROKEN,
	CHILD_VERIFY,
	CHILD_LEFT,
};

static struct {
	struct quire *q;
	struct pstress_owner threads[THREADS_NR], main;
	pthread_t ids[THREADS_NR + 1];
	bool stop;
} scene;

static void *thread_run(void *arg)
{
	while (!__atomic_load_n(&scene.stop, __ATOMIC_RELAXED))
		pstress_step(arg);
	pstress_end(arg);
	return NULL;
}

static void *shrinker_run(void *arg)
{
	for (unsigned i = 0; !__atomic_load_n(&scene.stop, __ATOMIC_RELAXED); i++)
		balance_now(arg, i % 4 == 0);
	return NULL;
}

static void scene_begin(struct quire_options options)
{
	memset(&scene, 0, sizeof(scene));
	options.worker = MACHINE_TSAN ? QUIRE_WORKER_OFF : QUIRE_WORKER_THREAD;
	scene.q = percpu_make(options);
	pstress_begin(&scene.main, scene.q, 50);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		pstress_begin(&scene.threads[i], scene.q, i);
		assert_int_equal(pthread_create(&scene.ids[i], NULL, thread_run, &scene.threads[i]),
				 0);
	}
	assert_int_equal(pthread_create(&scene.ids[THREADS_NR], NULL, shrinker_run, scene.q), 0);
}

static void scene_end(void)
{
	__atomic_store_n(&scene.stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i <= THREADS_NR; i++)
		assert_int_equal(pthread_join(scene.ids[i], NULL), 0);
	pstress_end(&scene.main);
	assert_u64_eq(scene.main.broken + scene.main.not_zero + scene.main.refused, 0);
	for (unsigned i = 0; i < THREADS_NR; i++)
		assert_u64_eq(scene.threads[i].broken + scene.threads[i].not_zero, 0);
	pstress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

static unsigned child_main(void)
{
	if (quire_verify(scene.q) != 0)
		return CHILD_VERIFY;
	for (unsigned i = 0; i < 200; i++)
		pstress_step(&scene.main);
	quire_percpu_shrink(scene.q);
	for (unsigned i = 0; i < 200; i++)
		pstress_step(&scene.main);
	pstress_end(&scene.main);
	if (scene.main.broken != 0 || scene.main.not_zero != 0)
		return CHILD_BROKEN;
	if (scene.main.refused != 0)
		return CHILD_REFUSED;
	return quire_verify(scene.q) != 0 ? CHILD_VERIFY : CHILD_FINE;
}

static void fork_again_and_again(struct quire_options options, uint64_t forks)
{
	scene_begin(options);
	for (uint64_t i = 0; i < forks; i++) {
		for (unsigned n = 0; n < 100; n++)
			pstress_step(&scene.main);
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

static void child_and_parent_go_on_as_linux(void **state)
{
	(void)state;
	fork_again_and_again((struct quire_options){ .placement = QUIRE_PLACEMENT_LINUX },
			     forks_wanted() / 4);
}

/* A child that is alone loses nothing: what was on stacks is there, and goes back. */
static void child_of_one_thread(void *arg)
{
	quire_percpu_shrink(arg);
	if (quire_verify(arg) != 0)
		_exit(CHILD_VERIFY);
	if (percpu_stat(arg).objects + percpu_stat(arg).cached_objects != 0 ||
	    percpu_stat(arg).populated_pages != percpu_stat(arg).first_pages)
		_exit(CHILD_LEFT);
}

static void a_fork_of_a_single_thread_loses_nothing(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .worker = QUIRE_WORKER_OFF });
	void *held[200];

	(void)state;
	for (unsigned round = 0; round < 20; round++)
		quire_free_percpu(q, quire_alloc_percpu(q, 64, 0, 0));
	for (unsigned i = 0; i < 200; i++) {
		held[i] = quire_alloc_percpu(q, (i + 1) * 20, 0, 0);
		assert_non_null(held[i]);
	}
	for (unsigned i = 0; i < 200; i++)
		quire_free_percpu(q, held[i]);
	expect_life(child_of_one_thread, q);
	pstress_assert_conserved(q);
	quire_destroy(q);
}

/* What a thread had on its CPU's stack is the child's as well, each offset once. */
static void child_takes_all(void *arg)
{
	void *first = quire_alloc_percpu(arg, 64, 0, 0),
	     *second = quire_alloc_percpu(arg, 64, 0, 0);

	if (first == NULL || second == NULL || first == second)
		_exit(CHILD_BROKEN);
	quire_free_percpu(arg, first);
	quire_free_percpu(arg, second);
	if (quire_verify(arg) != 0)
		_exit(CHILD_VERIFY);
}

static void a_child_takes_from_stacks(void **state)
{
	struct quire *q = percpu_make((struct quire_options){ .worker = QUIRE_WORKER_OFF });
	void *pair[2];

	(void)state;
	for (unsigned round = 0; round < 4 * COUNT_WARM; round++) {
		pair[0] = quire_alloc_percpu(q, 64, 0, 0);
		pair[1] = quire_alloc_percpu(q, 64, 0, 0);
		quire_free_percpu(q, pair[0]);
		quire_free_percpu(q, pair[1]);
	}
	expect_life(child_takes_all, q);
	pstress_assert_conserved(q);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_fork_of_a_single_thread_loses_nothing),
		cmocka_unit_test(a_child_takes_from_stacks),
		cmocka_unit_test(child_and_parent_go_on_with_sequences),
		cmocka_unit_test(child_and_parent_go_on_with_locks),
		cmocka_unit_test(child_and_parent_go_on_as_linux),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
