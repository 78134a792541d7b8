/* SPDX-License-Identifier: MIT */
/* span.c - see span.h */
#include <pthread.h>
#include <stdint.h>
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/span.h"

static uint64_t process_others_ns(int sibling_clock)
{
	uint64_t all = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	uint64_t own = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);

	own += sibling_clock == -1 ? 0 : proc_clock_ns((clockid_t)sibling_clock);
	return all > own ? all - own : 0;
}

void span_begin(struct span *span, int sibling_clock)
{
	span->delay_ns = proc_delay_ns();
	span->steal_ms = proc_steal_ms();
	span->others_ns = process_others_ns(sibling_clock);
	span->cpu_ns = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	span->wall_ns = proc_clock_ns(CLOCK_MONOTONIC);
}

void span_end(struct span *span, int sibling_clock)
{
	uint64_t others, delay;

	span->wall_ns = proc_clock_ns(CLOCK_MONOTONIC) - span->wall_ns;
	span->cpu_ns = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - span->cpu_ns;
	others = process_others_ns(sibling_clock);
	span->others_ns = others > span->others_ns ? others - span->others_ns : 0;
	delay = proc_delay_ns();
	if (span->delay_ns == UINT64_MAX || delay == UINT64_MAX)
		span->delay_ns = span->wall_ns > span->cpu_ns ? span->wall_ns - span->cpu_ns : 0;
	else
		span->delay_ns = delay - span->delay_ns;
	span->steal_ms = proc_steal_ms() - span->steal_ms;
}

double span_stolen(const struct span *span)
{
	double wall = (double)span->wall_ns, stolen = 0;

	if (span->delay_ns > span->others_ns)
		stolen = (double)(span->delay_ns - span->others_ns) / wall;
	if (stolen < (double)span->steal_ms * 1e6 / wall)
		stolen = (double)span->steal_ms * 1e6 / wall;
	return stolen;
}

struct sibling {
	void *(*function)(void *);
	void *arg;
	bool pinned;
	pthread_barrier_t gate;
};

static void *sibling_main(void *arg)
{
	struct sibling *sibling = arg;
	void *(*function)(void *) = sibling->function;
	void *function_arg = sibling->arg;

	sibling->pinned = pin_self(pin_cpu(1));
	pthread_barrier_wait(&sibling->gate); /* the last use of @sibling */
	return function(function_arg);
}

int sibling_start(void *(*function)(void *), void *arg)
{
	struct sibling sibling = { .function = function, .arg = arg };
	pthread_t thread;
	clockid_t clock;

	if (pin_cpu(1) < 0)
		return -1;
	pthread_barrier_init(&sibling.gate, NULL, 2);
	if (pthread_create(&thread, NULL, sibling_main, &sibling) != 0)
		return -1;
	pthread_barrier_wait(&sibling.gate);
	pthread_barrier_destroy(&sibling.gate); /* waits until the sibling has left it */
	return sibling.pinned && pthread_getcpuclockid(thread, &clock) == 0 ? (int)clock : -1;
}

void *sibling_spin(void *arg)
{
	for (volatile uint64_t rounds = 0;; rounds++)
		;
	return arg;
}
