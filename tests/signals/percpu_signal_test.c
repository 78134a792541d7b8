/* SPDX-License-Identifier: MIT */
/*
 * Handlers free per-CPU objects whatever they interrupted, and allocate with QUIRE_NOLOCK.  First by
 * hand, with each lock held; then by a timer, while two threads allocate and free and a third
 * depopulates.  A process that watches ends a run that hangs.
 *
 * QUIRE_SIGNAL_MS sets how long each of the timed runs takes.
 */
#include "unit/percpu/percpu_case.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "percpu_stress.h"

#define OBJECTS_NR 5u
#define RUN_MS	   2000u
#define THREADS_NR 2u
#define WATCHDOG_S 100u

static struct {
	struct quire *q;
	struct percpu *pc;
	void *to_free[OBJECTS_NR];
	void *got[OBJECTS_NR];
} scene;

static const size_t sizes[OBJECTS_NR] = { 4, 24, 200, 4096, 20000 };

static void free_and_alloc(int signal_nr)
{
	int errno_before = errno;

	(void)signal_nr;
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		quire_free_percpu(scene.q, scene.to_free[i]);
		scene.to_free[i] = NULL;
		scene.got[i] = quire_alloc_percpu(scene.q, sizes[i], 0, QUIRE_NOLOCK);
	}
	errno = errno_before;
}

static void scene_begin(struct quire_options options)
{
	memset(&scene, 0, sizeof(scene));
	scene.q = percpu_make(options);
	scene.pc = scene.q->percpu;
	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		scene.to_free[i] = quire_alloc_percpu(scene.q, sizes[i], 0, 0);
		assert_non_null(scene.to_free[i]);
	}
	signal_handle(SIGUSR1, free_and_alloc);
}

static unsigned scene_end(void)
{
	unsigned served = 0;

	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		assert_null(scene.to_free[i]);
		served += scene.got[i] != NULL;
		for (unsigned unit = 0; unit < UNITS && scene.got[i] != NULL; unit++)
			memset(quire_per_cpu_ptr(scene.got[i], unit), 1, sizes[i]);
		quire_free_percpu(scene.q, scene.got[i]);
	}
	pstress_assert_conserved(scene.q);
	quire_destroy(scene.q);
	return served;
}

static const struct quire_options plain = QUIRE_OPTIONS_INIT();
static const struct quire_options by_maps = QUIRE_OPTIONS_INIT(.rseq = QUIRE_OFF);
static const struct quire_options uncached = QUIRE_OPTIONS_INIT(.cache = QUIRE_OFF);
static const struct quire_options as_linux = QUIRE_OPTIONS_INIT(.placement = QUIRE_PLACEMENT_LINUX);

static void check_with_lock_held(struct quire_options options)
{
	lock_token token;

	scene_begin(options);
	token = lock_acquire(&scene.pc->lock);
	raise(SIGUSR1);
	lock_release(&scene.pc->lock, token);
	assert_u64_eq(percpu_stat(scene.q).deferred_frees, OBJECTS_NR);
	assert_int_equal(scene_end(), 0);
}

/* It is refused, and what it freed is taken in by the next who may wait. */
static void a_handler_that_interrupts_the_lock_never_blocks(void **state)
{
	(void)state;
	check_with_lock_held(plain);
	check_with_lock_held(by_maps);
	check_with_lock_held(uncached);
	check_with_lock_held(as_linux);
}

static void check_with_doors_held(struct quire_options options)
{
	scene_begin(options);
	for (unsigned slot = 0; slot < scene.pc->stacks.cpu.slots_nr; slot++)
		lock_acquire_ordered(&scene.pc->cpu[slot].door.lock);
	raise(SIGUSR1);
	for (unsigned slot = scene.pc->stacks.cpu.slots_nr; slot-- != 0;)
		lock_release(&scene.pc->cpu[slot].door.lock, 0);
	assert_int_not_equal(scene_end(), 0);
}

static void a_handler_that_interrupts_every_cpus_door_never_blocks(void **state)
{
	(void)state;
	check_with_doors_held(plain);
	check_with_doors_held(by_maps);
}

/* What takes no system call can be had. */
static void a_handler_that_interrupts_the_worker_never_blocks(void **state)
{
	(void)state;
	scene_begin(plain);
	mutex_acquire(&scene.pc->alloc_mutex);
	raise(SIGUSR1);
	mutex_release(&scene.pc->alloc_mutex);
	assert_int_not_equal(scene_end(), 0);
}

static void a_handler_that_interrupts_nothing_is_served(void **state)
{
	(void)state;
	scene_begin(plain);
	raise(SIGUSR1);
	assert_int_equal(scene_end(), OBJECTS_NR);
}

/* A deferred free writes nothing into the object: its owner's last content is still there, on every
 * CPU, when it is taken in. */
static void a_deferred_free_leaves_the_object_alone(void **state)
{
	unsigned char *object;
	lock_token token;

	(void)state;
	scene_begin(uncached);
	object = scene.to_free[1];
	for (unsigned unit = 0; unit < UNITS; unit++)
		memset(quire_per_cpu_ptr(object, unit), 0xcd, sizes[1]);
	token = lock_acquire(&scene.pc->lock);
	quire_free_percpu(scene.q, object);
	lock_release(&scene.pc->lock, token);
	for (unsigned unit = 0; unit < UNITS; unit++)
		for (size_t i = 0; i < sizes[1]; i++)
			assert_int_equal(((unsigned char *)quire_per_cpu_ptr(object, unit))[i],
					 0xcd);
	scene.to_free[1] = NULL;
	raise(SIGUSR1);
	scene_end();
}

/* ---- a second free ------------------------------------------------------------------------------- */

static struct {
	struct quire *q;
	void *object;
} twice;

static void free_again(int signal_nr)
{
	(void)signal_nr;
	quire_free_percpu(twice.q, twice.object);
}

/* An object on a stack is freed by a handler that interrupts a holder of @lock. */
static void free_cached_again(struct lock *lock)
{
	lock_token token = lock_acquire(lock);

	raise(SIGUSR2);
	lock_release(lock, token);
	for (unsigned i = 0; i < 2; i++) /* takes in what was deferred */
		quire_free_percpu(twice.q, quire_alloc_percpu(twice.q, 4096, 0, 0));
	_exit(0);
}

static void under_the_lock(void *arg)
{
	(void)arg;
	free_cached_again(&twice.q->percpu->lock);
}

/* The maps can be had then, but not the doors. */
static void under_a_door(void *arg)
{
	(void)arg;
	free_cached_again(&twice.q->percpu->cpu[0].door.lock);
}

static void a_second_free_in_a_handler_is_found(void **state)
{
	(void)state;
	twice.q = percpu_make(plain);
	if (twice.q->percpu->stacks.cpu.slots_nr == 0) {
		quire_destroy(twice.q);
		skip_because("no per-CPU sequences here");
	}
	for (unsigned i = 0; i < 100; i++) {
		twice.object = quire_alloc_percpu(twice.q, 64, 0, 0);
		quire_free_percpu(twice.q, twice.object);
	}
	assert_true(percpu_stat(twice.q).cached_objects != 0);
	signal_handle(SIGUSR2, free_again);
	expect_death(under_the_lock, NULL, "quire: misuse: double free");
	expect_death(under_a_door, NULL, "quire: misuse: double free");
	quire_destroy(twice.q);
}

/* ---- by a timer ------------------------------------------------------------------------------------ */

static struct {
	struct quire *q;
	struct pstress_owner threads[THREADS_NR], handlers[THREADS_NR];
	uint64_t signals;
	bool stop;
} timed;

static _Thread_local struct pstress_owner *own_handler;

static void tick(int signal_nr)
{
	int errno_before = errno; /* a refusal sets it */

	(void)signal_nr;
	if (own_handler != NULL)
		pstress_step(own_handler);
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
		own_handler = &timed.handlers[index];
		pthread_sigmask(SIG_UNBLOCK, &alarm_set, NULL);
		while (!__atomic_load_n(&timed.stop, __ATOMIC_RELAXED))
			pstress_step(&timed.threads[index]);
		pthread_sigmask(SIG_BLOCK, &alarm_set, NULL);
		own_handler = NULL;
		return;
	}
	for (uint64_t i = 0; i < env_u64("QUIRE_SIGNAL_MS", RUN_MS); i++) {
		balance_now(timed.q, i % 8 == 0);
		usleep(1000);
	}
	__atomic_store_n(&timed.stop, true, __ATOMIC_RELAXED);
}

static void check_timed(struct quire_options options)
{
	sigset_t alarm_set;

	memset(&timed, 0, sizeof(timed));
	timed.q = percpu_make(options);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		pstress_begin(&timed.threads[i], timed.q, i);
		pstress_begin(&timed.handlers[i], timed.q, i + 10);
		timed.handlers[i].flags = QUIRE_NOLOCK;
		timed.handlers[i].slots_nr = 8;
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
		pstress_end(&timed.threads[i]);
		pstress_end(&timed.handlers[i]);
		assert_u64_eq(timed.threads[i].broken + timed.handlers[i].broken, 0);
		assert_u64_eq(timed.threads[i].not_zero + timed.handlers[i].not_zero, 0);
		assert_u64_eq(timed.threads[i].refused, 0);
	}
	print_message("%llu signals, %llu of %llu allocations in handlers refused\n",
		      (unsigned long long)timed.signals,
		      (unsigned long long)(timed.handlers[0].refused + timed.handlers[1].refused),
		      (unsigned long long)(timed.handlers[0].allocs + timed.handlers[1].allocs));
	assert_true(timed.signals > 100);
	pstress_assert_conserved(timed.q);
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
	check_timed(by_maps);
	check_timed(uncached);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_handler_that_interrupts_nothing_is_served),
		cmocka_unit_test(a_handler_that_interrupts_the_lock_never_blocks),
		cmocka_unit_test(a_handler_that_interrupts_every_cpus_door_never_blocks),
		cmocka_unit_test(a_handler_that_interrupts_the_worker_never_blocks),
		cmocka_unit_test(a_second_free_in_a_handler_is_found),
		cmocka_unit_test(a_deferred_free_leaves_the_object_alone),
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
