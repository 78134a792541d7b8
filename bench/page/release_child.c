/* SPDX-License-Identifier: MIT */
/*
 * release_child.c - sixteen threads take 300 MiB, give all of it back, and sleep
 *
 * The threads stay: what their caches hold, nobody flushes by ending them.  Every page is written.
 * Then either the subject is asked to give memory back and one second passes, or ten seconds pass
 * with nothing at all: no call, no thread that wakes.  Prints
 * "ok BASE_KIB PEAK_KIB LEFT_KIB BASE_RSS_KIB PEAK_RSS_KIB LEFT_RSS_KIB"; the first three are the
 * memory cgroup's, or 0 where there is none.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "harness/proc.h"
#include "harness/random.h"
#include "harness/runner.h"

#define TAKERS_NR     16u
#define TAKER_BYTES   (((uint64_t)300 << 20) / TAKERS_NR)
#define TAKER_BLOCKS  (TAKER_BYTES / 4096 + 1) /* all of order 0 */
#define ORDERS_NR     4u
#define ASKED_WAIT_MS 1000u
#define IDLE_WAIT_MS  10000u

struct taker {
	const struct subject *subject;
	uint64_t random;
	const char *refused;
	size_t blocks_nr;
	uintptr_t blocks[TAKER_BLOCKS]; /* the order in the low bits */
};

static struct taker takers[TAKERS_NR];
static pthread_barrier_t gate;

static void taker_take(struct taker *taker)
{
	uint64_t bytes = 0;

	while (bytes < TAKER_BYTES) {
		unsigned order = random_below(&taker->random, ORDERS_NR);
		char *block = taker->subject->alloc(order);

		if (!block) {
			taker->refused = "an allocation was refused";
			return;
		}
		memset(block, 1, (size_t)4096 << order);
		taker->blocks[taker->blocks_nr++] = (uintptr_t)block | order;
		bytes += (uint64_t)4096 << order;
	}
}

static void taker_give_back(struct taker *taker)
{
	while (taker->blocks_nr > 0) {
		uintptr_t block = taker->blocks[--taker->blocks_nr];

		taker->subject->free((void *)(block & ~(uintptr_t)4095), (unsigned)(block & 4095));
	}
}

static void *taker_main(void *arg)
{
	struct taker *taker = arg;

	pthread_barrier_wait(&gate); /* all exist */
	taker_take(taker);
	pthread_barrier_wait(&gate); /* all taken */
	pthread_barrier_wait(&gate); /* the peak is read */
	taker_give_back(taker);
	pthread_barrier_wait(&gate); /* all given back */
	pthread_barrier_wait(&gate); /* never: the main thread ends the process */
	return NULL;
}

static bool takers_start(const struct subject *subject)
{
	pthread_barrier_init(&gate, NULL, TAKERS_NR + 1);
	for (unsigned i = 0; i < TAKERS_NR; i++) {
		pthread_t thread;

		takers[i].subject = subject;
		takers[i].random = i + 1;
		if (pthread_create(&thread, NULL, taker_main, &takers[i]) != 0)
			return false;
	}
	return true;
}

static uint64_t usage_kib(const char *usage_path)
{
	uint64_t bytes = proc_file_number(usage_path);

	return bytes == UINT64_MAX ? 0 : bytes / 1024;
}

int release_child(const struct subject *subject, bool ask, const char *usage_path)
{
	uint64_t usage[3], rss[3];

	if (!takers_start(subject))
		return puts("refused a thread cannot be made"), 0;
	usage[0] = usage_kib(usage_path);
	rss[0] = proc_rss_kib();
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	usage[1] = usage_kib(usage_path);
	rss[1] = proc_rss_kib();
	pthread_barrier_wait(&gate);
	pthread_barrier_wait(&gate);
	for (unsigned i = 0; i < TAKERS_NR; i++)
		if (takers[i].refused)
			return printf("refused %s\n", takers[i].refused), 0;
	if (ask && !subject->release)
		return puts("refused it cannot be asked"), 0;
	if (ask)
		subject->release();
	proc_sleep_ms(ask ? ASKED_WAIT_MS : IDLE_WAIT_MS);
	usage[2] = usage_kib(usage_path);
	rss[2] = proc_rss_kib();
	printf("ok");
	for (unsigned i = 0; i < 3; i++)
		printf(" %llu", (unsigned long long)usage[i]);
	for (unsigned i = 0; i < 3; i++)
		printf(" %llu", (unsigned long long)rss[i]);
	puts("");
	return 0;
}
