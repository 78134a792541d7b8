/* SPDX-License-Identifier: MIT */
/*
 * signal_test.c - handlers allocate and free, whatever call of malloc's they interrupt
 *
 * A timer of 10 kHz for each of two threads that allocate and free all the time.  QUIRE_SIGNAL_MS sets for how
 * long.  A watchdog ends a run that hangs.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "quire_test.h"

#define RUN_MS	   2500u
#define TIMER_NS   100000
#define THREADS_NR 2u
#define BLOCKS_NR  300u
#define HELD_NR	   16u

struct hands {
	unsigned char *block[HELD_NR];
	size_t bytes[HELD_NR];
	uint64_t calls_nr, refused_nr, wrong_nr, random;
};

static _Thread_local struct hands *of_handler;
static bool stop; /* atomic */

static uint64_t next_random(uint64_t *random)
{
	*random = *random * 6364136223846793005u + 1442695040888963407u;
	return *random >> 33;
}

static size_t some_bytes(uint64_t *random)
{
	uint64_t n = next_random(random);

	return n % 64 == 0 ? 1 + n % 100000 : 1 + n % 2000;
}

/* Keeps a few blocks from one signal to the next, so that it frees others than it has just allocated. */
static void tick(int signal_nr)
{
	struct hands *h = of_handler;
	int errno_before = errno;
	unsigned i;

	(void)signal_nr;
	if (h == NULL)
		return;
	i = (unsigned)next_random(&h->random) % HELD_NR;
	if (h->block[i] != NULL) {
		h->wrong_nr += h->block[i][0] != (unsigned char)i ||
			       h->block[i][h->bytes[i] - 1] != (unsigned char)i;
		free(h->block[i]);
	}
	h->bytes[i] = some_bytes(&h->random);
	h->block[i] = malloc(h->bytes[i]);
	h->calls_nr++;
	h->refused_nr += h->block[i] == NULL;
	if (h->block[i] != NULL)
		memset(h->block[i], (int)i, h->bytes[i]);
	errno = errno_before;
}

static void timer_start(timer_t *timer)
{
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1 };
	struct itimerspec every = { .it_interval = { .tv_nsec = TIMER_NS },
				    .it_value = { .tv_nsec = TIMER_NS } };

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, timer) != 0 ||
	    timer_settime(*timer, 0, &every, NULL) != 0)
		abort();
}

static void *allocate(void *arg)
{
	static struct hands hands_of[THREADS_NR];
	struct hands *h = &hands_of[(uintptr_t)arg];
	unsigned char *blocks[BLOCKS_NR] = { NULL };
	uint64_t random = 1 + (uintptr_t)arg;
	timer_t timer;

	h->random = 77 + (uintptr_t)arg;
	of_handler = h;
	timer_start(&timer);
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		unsigned which = (unsigned)next_random(&random) % BLOCKS_NR;

		free(blocks[which]);
		blocks[which] = malloc(some_bytes(&random));
		if (blocks[which] != NULL)
			blocks[which][0] = 1;
	}
	timer_delete(timer);
	of_handler = NULL;
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		free(blocks[i]);
	for (unsigned i = 0; i < HELD_NR; i++)
		free(h->block[i]);
	return h;
}

static void handlers_are_served(void **state)
{
	uint64_t run_ms = env_u64("QUIRE_SIGNAL_MS", RUN_MS), calls = 0, refused = 0, wrong = 0;
	pid_t watchdog = watchdog_start((unsigned)(run_ms / 1000) + 60);
	pthread_t ids[THREADS_NR];

	(void)state;
	skip_if_sanitized();
	signal_handle(SIGUSR1, tick);
	for (uintptr_t i = 0; i < THREADS_NR; i++)
		assert_int_equal(pthread_create(&ids[i], NULL, allocate, (void *)i), 0);
	usleep((useconds_t)run_ms * 1000);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		struct hands *h = NULL;

		pthread_join(ids[i], (void **)&h);
		calls += h->calls_nr;
		refused += h->refused_nr;
		wrong += h->wrong_nr;
	}
	printf("%llu calls in handlers, %llu refused\n", (unsigned long long)calls,
	       (unsigned long long)refused);
	assert_true(calls >= 100);
	assert_u64_eq(wrong, 0);
	assert_true(refused * 1000 <= calls);
	kill(watchdog, SIGKILL);
	waitpid(watchdog, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handlers_are_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
