/* SPDX-License-Identifier: MIT */
/*
 * Eight threads allocate, write, free, count and migrate, with signals that do the same in between
 * and a fork now and then, while the worker depopulates and a ninth thread shrinks, looks at the
 * figures and interrupts the others: no object changes, every increment is counted, no object is
 * lost, and at the end nothing but the first chunk is left.
 *
 * Threads other than the first have no jump buffer for cmocka's assertions, so they use CHECK(),
 * which ends the process.  QUIRE_RACE_MS sets how long.
 */
#include "unit/percpu/percpu_case.h"

#include <pthread.h>
#include <quire/percpu_ops.h>
#include <signal.h>
#include <unistd.h>

#include "base/check.h"
#include "machine/process.h"
#include "stress.h"

#define THREADS_NR 8u
#define OBJECTS	   400u

struct race {
	struct quire *q;
	uint64_t *counter;   /* per CPU */
	uint64_t increments; /* atomic */
	uint64_t end_ns;
	uint64_t handled;      /* atomic */
	uint32_t threads_left; /* atomic */
	pthread_t thread[THREADS_NR];
};

static struct race race;
static _Thread_local void *for_handler; /* its thread leaves an object here */

/* A handler allocates and frees whatever it interrupted, or is refused; what it was left it frees in
 * any case. */
static void handle(int number)
{
	int errno_before = errno; /* a refusal sets it */
	uint64_t *object = quire_alloc_percpu(race.q, 24, 0, QUIRE_NOLOCK);

	(void)number;
	if (object != NULL) {
		if (object[2] != 0)
			abort();
		object[2] = 7;
		quire_free_percpu(race.q, object);
	}
	quire_free_percpu(race.q, __atomic_exchange_n(&for_handler, NULL, __ATOMIC_RELAXED));
	quire_this_cpu_inc(race.counter);
	__atomic_add_fetch(&race.handled, 1, __ATOMIC_RELAXED);
	errno = errno_before;
}

static void write_all(uint32_t *object, size_t bytes, uint32_t number)
{
	for (unsigned unit = 0; unit < UNITS; unit++) {
		uint32_t *copy = quire_per_cpu_ptr(object, unit);

		CHECK_VALUES(copy[0] == 0, bytes, copy[0]);
		CHECK_VALUES(copy[bytes / 4 - 1] == 0, bytes, copy[bytes / 4 - 1]);
		copy[0] = copy[bytes / 4 - 1] = number + unit;
	}
}

static void look_all(const uint32_t *object, size_t bytes, uint32_t number)
{
	for (unsigned unit = 0; unit < UNITS; unit++) {
		const uint32_t *copy = quire_per_cpu_ptr(object, unit);

		CHECK_VALUES(copy[0] == number + unit, copy[0], number + unit);
		CHECK_VALUES(copy[bytes / 4 - 1] == number + unit, copy[bytes / 4 - 1],
			     number + unit);
	}
}

static void fork_once(void)
{
	pid_t child = child_fork();
	int status;

	if (child == 0) {
		void *object = quire_alloc_percpu(race.q, 40, 0, 0);

		quire_free_percpu(race.q, object);
		_exit(object != NULL ? 0 : 1);
	}
	status = child_wait(child);
	CHECK_VALUES(status == 0, status, 0);
}

static void leave_for_handler(void)
{
	void *object;

	if (__atomic_load_n(&for_handler, __ATOMIC_RELAXED) != NULL)
		return;
	object = quire_alloc_percpu(race.q, 40, 0, 0);
	CHECK(object != NULL);
	quire_free_percpu(race.q, __atomic_exchange_n(&for_handler, object, __ATOMIC_RELAXED));
}

/* What does not fit the life of one thread: figures, sizes, shrinking, signals at any moment. */
static void watch(void)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;
	char text[4096];

	for (unsigned i = 0; __atomic_load_n(&race.threads_left, __ATOMIC_ACQUIRE) != 0; i++) {
		pthread_kill(race.thread[i % THREADS_NR], SIGUSR1);
		quire_percpu_stat_read(race.q, &stat);
		if (i % 16 == 0)
			quire_text_percpu_stats(race.q, text, sizeof(text));
		if (i % 64 == 0)
			quire_percpu_shrink(race.q);
		if (quire_percpu_bytes(race.q, race.counter) != 8)
			abort();
		usleep(500);
	}
}

static void work(unsigned index)
{
	static const size_t sizes[] = { 4, 8, 8, 64, 64, 200, 1216, 4096, 9000 };
	uint32_t *object[OBJECTS] = { NULL };
	size_t bytes[OBJECTS];
	uint64_t random = index + 1;

	for (uint64_t i = 0; i % 64 != 0 || clock_now_ns() < race.end_ns; i++) {
		unsigned k = stress_random(&random, OBJECTS);

		if (object[k] != NULL) {
			look_all(object[k], bytes[k], index << 16 | k);
			quire_free_percpu(race.q, object[k]);
			object[k] = NULL;
		} else if (stress_random(&random, 4000) < (i >> 12) % 4 * 1000 + 800) {
			bytes[k] = sizes[stress_random(&random, 9)];
			object[k] = quire_alloc_percpu(race.q, bytes[k], 0, 0);
			CHECK(object[k] != NULL);
			write_all(object[k], bytes[k], index << 16 | k);
		}
		quire_this_cpu_inc(race.counter);
		__atomic_add_fetch(&race.increments, 1, __ATOMIC_RELAXED);
		leave_for_handler();
		if (i % 512 == 0)
			pin_to_cpu((unsigned)allowed_cpu_next(stress_random(&random, 2)) & 63u);
		if (i % 1024 == 0)
			pthread_kill(pthread_self(), SIGUSR1);
		if (index == 0 && i % 8192 == 0 && can_fork())
			fork_once();
	}
	for (unsigned k = 0; k < OBJECTS; k++) {
		if (object[k] != NULL)
			look_all(object[k], bytes[k], index << 16 | k);
		quire_free_percpu(race.q, object[k]);
	}
}

static void member(unsigned index, void *arg)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	if (index < THREADS_NR)
		race.thread[index] = pthread_self();
	pthread_barrier_wait(arg); /* all are there to be interrupted */
	if (index == THREADS_NR) {
		watch();
	} else {
		work(index);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
		quire_free_percpu(race.q, for_handler);
		__atomic_sub_fetch(&race.threads_left, 1, __ATOMIC_RELEASE);
	}
	pthread_barrier_wait(arg); /* until nobody is interrupted any more */
}

static void check_race(struct quire_options options, uint64_t share)
{
	struct sigaction action = { .sa_handler = handle, .sa_flags = SA_RESTART };
	unsigned cpus = process_cpus_possible();
	pthread_barrier_t barrier;

	memset(&race, 0, sizeof(race));
	options.worker = QUIRE_WORKER_THREAD;
	options.units = cpus > UNITS ? cpus : UNITS;
	race.q = percpu_make(options);
	race.counter = quire_alloc_percpu(race.q, 8, 0, 0);
	race.threads_left = THREADS_NR;
	race.end_ns = clock_now_ns() + env_u64("QUIRE_RACE_MS", 2000) * 1000000 / share;
	sigaction(SIGUSR1, &action, NULL);
	pthread_barrier_init(&barrier, NULL, THREADS_NR + 1);
	team_run(THREADS_NR + 1, member, &barrier);
	pthread_barrier_destroy(&barrier);
	assert_u64_eq(quire_per_cpu_sum(race.counter), race.increments + race.handled);
	quire_free_percpu(race.q, race.counter);
	print_message(
		"%llu increments, %llu signals, %llu deferred frees, %llu pages depopulated\n",
		(unsigned long long)race.increments, (unsigned long long)race.handled,
		(unsigned long long)percpu_stat(race.q).deferred_frees,
		(unsigned long long)percpu_stat(race.q).pages_depopulated);
	assert_int_equal(quire_verify(race.q), 0);
	assert_int_equal(percpu_stat(race.q).objects, 0);
	assert_true(race.handled != 0);
	quire_percpu_shrink(race.q);
	assert_int_equal(percpu_stat(race.q).populated_pages, percpu_stat(race.q).first_pages);
	assert_int_equal(quire_verify(race.q), 0);
	quire_destroy(race.q);
}

static void threads_allocate_migrate_and_are_interrupted(void **state)
{
	(void)state;
	check_race((struct quire_options){ .rseq = QUIRE_ON }, 2);
}

static void without_sequences_the_same_holds(void **state)
{
	(void)state;
	check_race((struct quire_options){ .rseq = QUIRE_OFF }, 4);
}

static void placed_as_linux_does_the_same_holds(void **state)
{
	(void)state;
	check_race((struct quire_options){ .placement = QUIRE_PLACEMENT_LINUX }, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_allocate_migrate_and_are_interrupted),
		cmocka_unit_test(without_sequences_the_same_holds),
		cmocka_unit_test(placed_as_linux_does_the_same_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
