/* SPDX-License-Identifier: MIT */
/*
 * requests.c - what a server counts while 64 threads serve its requests: docs/examples.md
 *
 * Each CPU has a set of counters of its own, so an increment shares no cache line with threads on other CPUs, and
 * needs no atomic instruction.  A thread may be moved to another CPU in the middle of a request: in_flight of one
 * CPU may then be negative, and the sum is right.
 */
#include <pthread.h>
#include <quire/percpu.h>
#include <quire/percpu_ops.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define LATENCIES 40u /* the last one: 2^39 ns and more, nine minutes */

struct counts {
	uint64_t served, failed, bytes;
	int64_t in_flight;
	uint64_t latency[LATENCIES]; /* [n]: below 2^(n+1) ns, not below 2^n */
};

static QUIRE_DEFINE_PER_CPU(struct counts, counts) = { .served = 0 };

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static unsigned latency_of(uint64_t ns)
{
	unsigned log2 = 63u - (unsigned)__builtin_clzll(ns | 1);

	return log2 < LATENCIES ? log2 : LATENCIES - 1;
}

static uint64_t request_begin(void)
{
	quire_this_cpu_inc(&counts->in_flight);
	return now_ns();
}

static void request_end(uint64_t begin_ns, bool is_served, size_t bytes)
{
	quire_this_cpu_inc(&counts->latency[latency_of(now_ns() - begin_ns)]);
	if (is_served)
		quire_this_cpu_inc(&counts->served);
	else
		quire_this_cpu_inc(&counts->failed);
	quire_this_cpu_add(&counts->bytes, bytes);
	quire_this_cpu_dec(&counts->in_flight);
}

/* Of all CPUs.  What is counted meanwhile is in it or not; once nothing is, it is exact. */
static struct counts counts_read(void)
{
	struct counts sum = {
		.served = quire_per_cpu_sum(&counts->served),
		.failed = quire_per_cpu_sum(&counts->failed),
		.bytes = quire_per_cpu_sum(&counts->bytes),
		.in_flight = quire_per_cpu_sum(&counts->in_flight),
	};

	for (unsigned i = 0; i < LATENCIES; i++)
		sum.latency[i] = quire_per_cpu_sum(&counts->latency[i]);
	return sum;
}

/* Nanoseconds below which so many thousandths of all requests were, to the next power of two; 0: there were none. */
static uint64_t latency_below_ns(const struct counts *sum, unsigned thousandths)
{
	uint64_t all = 0, below = 0;
	unsigned i = 0;

	for (unsigned n = 0; n < LATENCIES; n++)
		all += sum->latency[n];
	if (all == 0)
		return 0;
	while (i < LATENCIES - 1 && (below += sum->latency[i]) * 1000 < all * thousandths)
		i++;
	return UINT64_C(2) << i;
}

/* ---- the server ---- */

#define THREADS_NR 64u
#define REQUESTS   20000u /* of each thread */

/* Answers request @n.  Returns whether it could. */
static bool answer(unsigned n, char *text, size_t text_bytes, size_t *bytes)
{
	if (n % 100 == 99) {
		*bytes = 0;
		return false;
	}
	memset(text, 'a' + (int)(n % 26), text_bytes);
	*bytes = text_bytes;
	return true;
}

static void *serve(void *arg)
{
	char text[512];

	(void)arg;
	for (unsigned n = 0; n < REQUESTS; n++) {
		uint64_t begin_ns = request_begin();
		size_t bytes;
		bool is_served = answer(n, text, sizeof(text), &bytes);

		request_end(begin_ns, is_served, bytes);
	}
	return NULL;
}

/* A look at the counters of a running server disturbs no thread.  Returns whether they went only up. */
static bool watch(unsigned threads_nr)
{
	uint64_t all = (uint64_t)threads_nr * REQUESTS, done = 0;
	bool is_rising = true;

	while (is_rising && done < all) {
		struct counts sum = counts_read();

		is_rising = sum.served + sum.failed >= done;
		done = sum.served + sum.failed;
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return is_rising;
}

int main(void)
{
	pthread_t thread[THREADS_NR];
	unsigned started = 0;
	struct counts sum;
	bool is_rising;

	while (started < THREADS_NR && pthread_create(&thread[started], NULL, serve, NULL) == 0)
		started++;
	is_rising = watch(started);
	for (unsigned i = 0; i < started; i++)
		pthread_join(thread[i], NULL);
	sum = counts_read();
	printf("%u threads: %llu requests served, %llu failed, %lld in flight, %llu KiB\n", started,
	       (unsigned long long)sum.served, (unsigned long long)sum.failed,
	       (long long)sum.in_flight, (unsigned long long)sum.bytes >> 10);
	printf("99.9 %% of them took less than %llu ns\n",
	       (unsigned long long)latency_below_ns(&sum, 999));
	if (started < THREADS_NR)
		fputs("requests: the system refused a thread\n", stderr);
	return is_rising && started == THREADS_NR ? 0 : 1;
}
