/* SPDX-License-Identifier: MIT */
/*
 * threads_child.c - 200 threads, of which one at a time has 2 MiB live
 *
 * All threads exist before the first allocates, and until the end.  In its turn a thread allocates
 * 2 MiB in objects of 16 to 1,023 bytes, replaces random ones, and frees all.  Prints ns a pair, and the
 * resident memory at the end over that with all threads waiting for their turn, in KiB.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness/proc.h"
#include "malloc/command.h"
#include "malloc/sizes.h"

#define THREADS_NR  200u
#define LIVE_BYTES  ((size_t)2 << 20)
#define DOUBLINGS   6u
#define OBJECTS_MAX 16384u
#define REPLACE_NR  20000u
#define STACK_BYTES ((size_t)64 << 10)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned turn, waiting_nr;
static void *objects[OBJECTS_MAX]; /* of the thread whose turn it is */
static uint64_t pairs_nr, cpu_ns;
static bool is_refused;

static void *object_take(uint64_t *random, size_t *bytes)
{
	void *object;

	*bytes = size_random(random, DOUBLINGS);
	object = malloc(*bytes);
	if (object)
		object_touch(object, *bytes);
	else
		is_refused = true;
	return object;
}

static void turn_use(unsigned index)
{
	uint64_t random = index + 1, begin = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned nr = 0;
	size_t bytes;

	for (size_t live = 0; live < LIVE_BYTES && nr < OBJECTS_MAX; live += bytes)
		objects[nr++] = object_take(&random, &bytes);
	for (unsigned i = 0; i < REPLACE_NR; i++) {
		unsigned victim = random_below(&random, nr);

		free(objects[victim]);
		objects[victim] = object_take(&random, &bytes);
	}
	for (unsigned i = 0; i < nr; i++)
		free(objects[i]);
	pairs_nr += nr + REPLACE_NR;
	cpu_ns += proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin;
}

static void *user_main(void *arg)
{
	unsigned index = (unsigned)(uintptr_t)arg;

	pthread_mutex_lock(&lock);
	waiting_nr++;
	pthread_cond_broadcast(&changed);
	while (turn != index + 1)
		pthread_cond_wait(&changed, &lock);
	turn_use(index);
	waiting_nr++;
	pthread_cond_broadcast(&changed);
	while (turn <= THREADS_NR)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void waiting_reach(unsigned nr)
{
	while (waiting_nr != nr)
		pthread_cond_wait(&changed, &lock);
}

int malloc_threads(const struct subject *subject, char **arguments)
{
	pthread_attr_t attr;
	uint64_t begin, end;

	(void)subject, (void)arguments;
	memset(objects, 1, sizeof(objects));
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < THREADS_NR; i++) {
		pthread_t thread;

		if (pthread_create(&thread, &attr, user_main, (void *)(uintptr_t)i) != 0)
			return puts("refused a thread cannot be made"), 0;
	}
	waiting_reach(THREADS_NR);
	begin = proc_rss_kib();
	for (unsigned i = 1; i <= THREADS_NR; i++) {
		turn = i;
		pthread_cond_broadcast(&changed);
		waiting_reach(THREADS_NR + i);
	}
	end = proc_rss_kib();
	if (is_refused)
		return puts("refused an allocation was refused"), 0;
	printf("ok %.3f %llu\n", (double)cpu_ns / (double)pairs_nr,
	       (unsigned long long)(end > begin ? end - begin : 0));
	fflush(stdout);
	_exit(0); /* the threads wait for ever */
}
