/* SPDX-License-Identifier: MIT */
/*
 * Handlers free areas whatever they interrupted, and allocate with QUIRE_NOLOCK.  First by hand, with
 * each lock held; then by a timer, while two threads allocate and free and a third purges.  An alarm
 * ends a run that hangs.
 *
 * QUIRE_SIGNAL_MS sets how long each of the timed runs takes.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "base/mem.h"
#include "instance/instance.h"
#include "machine/lock.h"
#include "quire_test.h"
#include "vmap/cpu.h"
#include "vmap/vmap.h"
#include "vmap_stress.h"

#define AREAS_NR   4u
#define RUN_MS	   2000u
#define THREADS_NR 2u
#define WATCHDOG_S 100u

static struct {
	struct quire *q;
	struct vmap *v;
	void *to_free[AREAS_NR];
	void *got[AREAS_NR];
} scene;

static const size_t sizes[AREAS_NR] = { 4096, 20000, 200000, 3000000 };

static void free_and_alloc(int signal_nr)
{
	int errno_before = errno;

	(void)signal_nr;
	for (unsigned i = 0; i < AREAS_NR; i++) {
		quire_vfree(scene.q, scene.to_free[i]);
		scene.to_free[i] = NULL;
		scene.got[i] = quire_vmalloc(scene.q, sizes[i], QUIRE_NOLOCK);
	}
	errno = errno_before;
}

static void scene_begin(struct quire_options options)
{
	options.limit_bytes = (uint64_t)256 << 20;
	options.worker = QUIRE_WORKER_OFF;
	memset(&scene, 0, sizeof(scene));
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &scene.q), 0);
	for (unsigned i = 0; i < AREAS_NR; i++) {
		scene.to_free[i] = quire_vmalloc(scene.q, sizes[i], 0);
		assert_non_null(scene.to_free[i]);
	}
	scene.v = scene.q->vmap;
	signal_handle(SIGUSR1, free_and_alloc);
}

static void scene_end(void)
{
	for (unsigned i = 0; i < AREAS_NR; i++) {
		assert_null(scene.to_free[i]);
		if (scene.got[i] != NULL)
			memset(scene.got[i], 1, sizes[i]);
		quire_vfree(scene.q, scene.got[i]);
	}
	vstress_assert_conserved(scene.q);
	quire_destroy(scene.q);
}

static void check_with_space_lock_held(struct quire_options options)
{
	lock_token token;

	scene_begin(options);
	token = lock_acquire(&scene.v->lock);
	raise(SIGUSR1);
	lock_release(&scene.v->lock, token);
	scene_end();
}

static const struct quire_options by_lists = QUIRE_OPTIONS_INIT(.rseq = QUIRE_OFF);
static const struct quire_options uncached = QUIRE_OPTIONS_INIT(.cache = QUIRE_OFF);
static const struct quire_options plain = QUIRE_OPTIONS_INIT();

static void a_handler_that_interrupts_the_lock_of_ranges_never_blocks(void **state)
{
	(void)state;
	check_with_space_lock_held(plain);
	check_with_space_lock_held(by_lists);
	check_with_space_lock_held(uncached);
}

static void check_with_cpu_locks_held(struct quire_options options)
{
	scene_begin(options);
	for (unsigned slot = 0; slot < scene.v->stacks.cpu.all_slots_nr; slot++)
		lock_acquire_ordered(&scene.v->cpu[slot].door.lock);
	raise(SIGUSR1);
	for (unsigned slot = scene.v->stacks.cpu.all_slots_nr; slot-- != 0;)
		lock_release(&scene.v->cpu[slot].door.lock, 0);
	scene_end();
}

static void a_handler_that_interrupts_every_cpus_lock_never_blocks(void **state)
{
	(void)state;
	check_with_cpu_locks_held(plain);
	check_with_cpu_locks_held(by_lists);
}

static void check_with_mutexes_held(struct quire_options options)
{
	scene_begin(options);
	mutex_acquire(&scene.v->purge_mutex);
	mutex_acquire(&scene.v->commit_mutex);
	raise(SIGUSR1);
	mutex_release(&scene.v->commit_mutex);
	mutex_release(&scene.v->purge_mutex);
	scene_end();
}

static void a_handler_that_interrupts_a_purge_never_blocks(void **state)
{
	(void)state;
	check_with_mutexes_held(plain);
	check_with_mutexes_held(uncached);
}

static void a_handler_that_interrupts_nothing_is_served(void **state)
{
	(void)state;
	scene_begin(plain);
	raise(SIGUSR1);
	for (unsigned i = 0; i < AREAS_NR; i++)
		assert_non_null(scene.got[i]);
	scene_end();
}

/* R22: what is freed may be read-only; nothing is written into it. */
static void a_handler_frees_what_holds_a_name(void **state)
{
	unsigned char *area;

	(void)state;
	scene_begin(plain);
	area = scene.to_free[1];
	memset(area, 0xcd, sizes[1]);
	lock_acquire_ordered(&scene.v->lock);
	quire_vfree(scene.q, area);
	for (size_t i = 0; i < sizes[1]; i++)
		assert_int_equal(area[i], 0xcd);
	lock_release(&scene.v->lock, 0);
	scene.to_free[1] = NULL;
	raise(SIGUSR1);
	scene_end();
}

/* ---- by a timer ------------------------------------------------------------------------------------ */

static struct {
	struct quire *q;
	struct vstress_owner threads[THREADS_NR], handlers[THREADS_NR];
	uint64_t signals;
	bool stop;
} timed;

static _Thread_local struct vstress_owner *own_handler;

static void tick(int signal_nr)
{
	int errno_before = errno; /* a refusal sets it */

	(void)signal_nr;
	if (own_handler != NULL)
		vstress_step(own_handler);
	__atomic_add_fetch(&timed.signals, 1, __ATOMIC_RELAXED);
	errno = errno_before;
}

static void timed_member(unsigned index, void *arg)
{
	sigset_t alarm_set;

	(void)arg;
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	if (index < THREADS_NR) {
		pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL);
		own_handler = &timed.handlers[index];
		while (!__atomic_load_n(&timed.stop, __ATOMIC_RELAXED))
			vstress_step(&timed.threads[index]);
		own_handler = NULL;
		return;
	}
	for (uint64_t i = 0; i < env_u64("QUIRE_SIGNAL_MS", RUN_MS); i++) {
		quire_vmap_purge(timed.q);
		usleep(1000);
	}
	__atomic_store_n(&timed.stop, true, __ATOMIC_RELAXED);
}

static void check_timed(struct quire_options options)
{
	sigset_t alarm_set;

	memset(&timed, 0, sizeof(timed));
	options.limit_bytes = (uint64_t)256 << 20;
	options.lazy_max_bytes = (uint64_t)1 << 20;
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &timed.q), 0);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		vstress_begin(&timed.threads[i], timed.q, i);
		vstress_begin(&timed.handlers[i], timed.q, i + 10);
		timed.handlers[i].flags = QUIRE_NOLOCK;
		timed.handlers[i].slots_nr = 8;
		timed.handlers[i].only_frees_and_allocs = true;
	}
	signal_handle(SIGALRM, tick);
	sigemptyset(&alarm_set);
	sigaddset(&alarm_set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &alarm_set, NULL); /* only the two threads take it */
	alarm_every_us(100);
	team_run(THREADS_NR + 1, timed_member, NULL);
	alarm_every_us(0);
	pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		vstress_end(&timed.threads[i]);
		vstress_end(&timed.handlers[i]);
		assert_u64_eq(timed.threads[i].broken + timed.handlers[i].broken, 0);
		assert_u64_eq(timed.threads[i].not_zero + timed.handlers[i].not_zero, 0);
		assert_u64_eq(timed.threads[i].refused, 0);
	}
	print_message("%llu signals, %llu of %llu allocations in handlers refused\n",
		      (unsigned long long)timed.signals,
		      (unsigned long long)(timed.handlers[0].refused + timed.handlers[1].refused),
		      (unsigned long long)(timed.handlers[0].allocs + timed.handlers[1].allocs));
	assert_true(timed.signals > 100);
	vstress_assert_conserved(timed.q);
	quire_destroy(timed.q);
}

static void under_a_10_khz_timer_nothing_is_lost(void **state)
{
	(void)state;
	check_timed(plain);
}

static void without_sequences_or_caches_the_same_holds(void **state)
{
	(void)state;
	check_timed(by_lists);
	check_timed(uncached);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_that_interrupts_nothing_is_served),
		cmocka_unit_test(a_handler_that_interrupts_the_lock_of_ranges_never_blocks),
		cmocka_unit_test(a_handler_that_interrupts_every_cpus_lock_never_blocks),
		cmocka_unit_test(a_handler_that_interrupts_a_purge_never_blocks),
		cmocka_unit_test(a_handler_frees_what_holds_a_name),
		cmocka_unit_test(under_a_10_khz_timer_nothing_is_lost),
		cmocka_unit_test(without_sequences_or_caches_the_same_holds),
	};
	/* A timed run sleeps a millisecond at a time, and a busy machine makes many of one. */
	pid_t dog =
		watchdog_start(WATCHDOG_S + (unsigned)(env_u64("QUIRE_SIGNAL_MS", RUN_MS) / 50));
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	kill(dog, SIGKILL);
	return failed;
}
