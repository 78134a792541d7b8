/* SPDX-License-Identifier: MIT */
/*
 * handler_child.c - a handler of a 10 kHz timer calls malloc() while two threads do nothing else
 *
 * The handler keeps an object until its next run on that thread, then checks and frees it.  Prints how
 * often it ran, how often it was refused an object, and ms; the process is refused if a thread made no
 * call for seconds, or if an object was not what was written.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>
#include "harness/proc.h"
#include "malloc/command.h"
#include "malloc/sizes.h"

#define THREADS_NR   2u
#define PERIOD_US    100
#define LIVE_NR	     256u
#define DOUBLINGS    9u
#define HANDLER_SIZE 96u
#define HANG_MS	     5000u
#define STEP_MS	     100u

static uint64_t calls_nr[THREADS_NR];
static uint64_t handled_nr, refused_nr, broken_nr;
static __thread unsigned char *handler_object;
static __thread unsigned char handler_mark;

static bool is_marked(const unsigned char *object, size_t bytes, unsigned char mark)
{
	return object[0] == mark && object[bytes / 2] == mark && object[bytes - 1] == mark;
}

static void handler(int signal)
{
	unsigned char *object = handler_object;

	(void)signal;
	if (object && !is_marked(object, HANDLER_SIZE, handler_mark))
		__atomic_fetch_add(&broken_nr, 1, __ATOMIC_RELAXED);
	free(object);
	object = malloc(HANDLER_SIZE);
	if (object)
		memset(object, ++handler_mark, HANDLER_SIZE);
	else
		__atomic_fetch_add(&refused_nr, 1, __ATOMIC_RELAXED);
	handler_object = object;
	__atomic_fetch_add(&handled_nr, 1, __ATOMIC_RELAXED);
}

static void *busy_main(void *arg)
{
	unsigned index = (unsigned)(uintptr_t)arg;
	static unsigned char *objects[THREADS_NR][LIVE_NR];
	static size_t sizes[THREADS_NR][LIVE_NR];
	uint64_t random = index + 1;

	for (;;) {
		unsigned at = random_below(&random, LIVE_NR);
		unsigned char *object = objects[index][at];
		unsigned char mark = (unsigned char)(index * 128 + at % 128);
		size_t bytes = sizes[index][at];

		if (object && !is_marked(object, bytes, mark))
			__atomic_fetch_add(&broken_nr, 1, __ATOMIC_RELAXED);
		free(object);
		bytes = size_random(&random, DOUBLINGS);
		object = malloc(bytes);
		if (object)
			object[0] = object[bytes / 2] = object[bytes - 1] = mark;
		objects[index][at] = object;
		sizes[index][at] = bytes;
		__atomic_store_n(&calls_nr[index], calls_nr[index] + 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* NULL, or why the run ended. */
static const char *busy_watch(unsigned ms)
{
	uint64_t last[THREADS_NR] = { 0 };
	unsigned still_ms[THREADS_NR] = { 0 };

	for (unsigned at = 0; at < ms; at += STEP_MS) {
		proc_sleep_ms(STEP_MS);
		if (__atomic_load_n(&broken_nr, __ATOMIC_RELAXED) != 0)
			return "an object was not what was written";
		for (unsigned i = 0; i < THREADS_NR; i++) {
			uint64_t nr = __atomic_load_n(&calls_nr[i], __ATOMIC_RELAXED);

			still_ms[i] = nr == last[i] ? still_ms[i] + STEP_MS : 0;
			last[i] = nr;
			if (still_ms[i] >= HANG_MS)
				return "it hung";
		}
	}
	return NULL;
}

/* The threads take the signals: the main thread blocks them. */
static bool busy_start(void)
{
	const struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
	const struct itimerval timer = { { 0, PERIOD_US }, { 0, PERIOD_US } };
	sigset_t set;

	for (uintptr_t i = 0; i < THREADS_NR; i++) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, busy_main, (void *)i) != 0)
			return false;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 &&
	       sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &timer, NULL) == 0;
}

int malloc_handler(const struct subject *subject, char **arguments)
{
	unsigned ms = (unsigned)atoi(arguments[0]);
	const char *refused = busy_start() ? busy_watch(ms) : "a thread or a timer cannot be made";
	char line[128];
	int bytes;

	(void)subject;
	/* Threads may hold any lock of the library's or of stdio's. */
	if (refused)
		bytes = snprintf(line, sizeof(line), "refused %s\n", refused);
	else
		bytes = snprintf(line, sizeof(line), "ok %llu %llu %u\n",
				 (unsigned long long)__atomic_load_n(&handled_nr, __ATOMIC_RELAXED),
				 (unsigned long long)__atomic_load_n(&refused_nr, __ATOMIC_RELAXED),
				 ms);
	_exit(write(STDOUT_FILENO, line, (size_t)bytes) == bytes ? 0 : 1);
}
