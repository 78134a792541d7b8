/* SPDX-License-Identifier: MIT */
/*
 * Eight threads allocate, write, free and migrate, with signals that do the same in between and a
 * fork now and then, while the worker depopulates: no object changes, none is lost, and at the end
 * nothing but the first chunk is left.
 *
 * QUIRE_RACE_MS sets how long.
 */
#include "unit/percpu_case.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define THREADS_NR 8u
#define OBJECTS	   400u

struct race {
	struct quire *q;
	uint64_t end_ns;
	uint64_t handled; /* atomic */
};

static struct race race;

/* A handler allocates and frees whatever it interrupted, or is refused. */
static void handle(int number)
{
	uint64_t *object = quire_alloc_percpu(race.q, 24, 0, QUIRE_NOLOCK);

	(void)number;
	if (object != NULL) {
		if (object[2] != 0)
			abort();
		object[2] = 7;
		quire_free_percpu(race.q, object);
	}
	__atomic_add_fetch(&race.handled, 1, __ATOMIC_RELAXED);
}

static void write_all(uint32_t *object, size_t bytes, uint32_t number)
{
	for (unsigned unit = 0; unit < UNITS; unit++) {
		uint32_t *copy = quire_per_cpu_ptr(object, unit);

		if (copy[0] != 0 || copy[bytes / 4 - 1] != 0)
			fail_msg("an object of %zu bytes does not begin as zeroes", bytes);
		copy[0] = copy[bytes / 4 - 1] = number + unit;
	}
}

static void look_all(const uint32_t *object, size_t bytes, uint32_t number)
{
	for (unsigned unit = 0; unit < UNITS; unit++) {
		const uint32_t *copy = quire_per_cpu_ptr(object, unit);

		if (copy[0] != number + unit || copy[bytes / 4 - 1] != number + unit)
			fail_msg("an object of %zu bytes changed", bytes);
	}
}

static void fork_once(void)
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		void *object = quire_alloc_percpu(race.q, 40, 0, 0);

		quire_free_percpu(race.q, object);
		_exit(object != NULL ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void work(unsigned index, void *arg)
{
	static const size_t sizes[] = { 4, 8, 8, 64, 64, 200, 1216, 4096, 9000 };
	uint32_t *object[OBJECTS] = { NULL };
	size_t bytes[OBJECTS];
	uint64_t random = index + 1;

	(void)arg;
	for (uint64_t i = 0; i % 64 != 0 || clock_now_ns() < race.end_ns; i++) {
		unsigned k = stress_random(&random, OBJECTS);

		if (object[k] != NULL) {
			look_all(object[k], bytes[k], index << 16 | k);
			quire_free_percpu(race.q, object[k]);
			object[k] = NULL;
		} else if (stress_random(&random, 4000) < (i >> 12) % 4 * 1000 + 800) {
			bytes[k] = sizes[stress_random(&random, 9)];
			object[k] = quire_alloc_percpu(race.q, bytes[k], 0, 0);
			assert_non_null(object[k]);
			write_all(object[k], bytes[k], index << 16 | k);
		}
		if (i % 512 == 0)
			pin_to_cpu((unsigned)allowed_cpu_next(stress_random(&random, 2)) & 63u);
		if (i % 1024 == 0)
			pthread_kill(pthread_self(), SIGUSR1);
		if (index == 0 && i % 8192 == 0)
			fork_once();
	}
	for (unsigned k = 0; k < OBJECTS; k++) {
		if (object[k] != NULL)
			look_all(object[k], bytes[k], index << 16 | k);
		quire_free_percpu(race.q, object[k]);
	}
}

static void threads_allocate_migrate_and_are_interrupted(void **state)
{
	struct sigaction action = { .sa_handler = handle };
	(void)state;

	race.q = percpu_make((struct quire_options){ .worker = QUIRE_WORKER_THREAD });
	race.end_ns = clock_now_ns() + env_u64("QUIRE_RACE_MS", 1500) * 1000000;
	sigaction(SIGUSR1, &action, NULL);
	team_run(THREADS_NR, work, NULL);
	quire_percpu_shrink(race.q);
	assert_int_equal(quire_verify(race.q), 0);
	assert_int_equal(percpu_stat(race.q).objects, 0);
	assert_true(__atomic_load_n(&race.handled, __ATOMIC_RELAXED) != 0);
	quire_percpu_shrink(race.q);
	assert_int_equal(percpu_stat(race.q).populated_pages, percpu_stat(race.q).first_pages);
	quire_destroy(race.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_allocate_migrate_and_are_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
