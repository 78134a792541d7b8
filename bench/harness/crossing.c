/* SPDX-License-Identifier: MIT */
/*
 * crossing.c - the time in which two threads pass one cache line back and forth
 *
 * Rows with two threads depend on it, and it varies: two virtual CPUs may share a last-level cache
 * at one time and not at another (360 and 750 ns were seen within a minute on one machine).
 */
#include <pthread.h>
#include <stddef.h>
#include "harness/crossing.h"
#include "harness/pin.h"
#include "harness/proc.h"

#define TURNS_NR 200000u

static unsigned baton __attribute__((aligned(128)));

/* Takes every second turn, beginning with @first. */
static void baton_pass(unsigned first)
{
	for (unsigned turn = first; turn < 2 * TURNS_NR; turn += 2) {
		while (__atomic_load_n(&baton, __ATOMIC_ACQUIRE) != turn)
			;
		__atomic_store_n(&baton, turn + 1, __ATOMIC_RELEASE);
	}
}

static void *other_main(void *arg)
{
	pin_self(pin_cpu(1));
	baton_pass(1);
	return arg;
}

static void *self_main(void *arg)
{
	double *ns = arg;
	uint64_t begin;
	pthread_t other;

	pin_self(pin_cpu(0));
	if (pthread_create(&other, NULL, other_main, NULL) != 0)
		return NULL;
	begin = proc_clock_ns(CLOCK_MONOTONIC);
	baton_pass(0);
	*ns = (double)(proc_clock_ns(CLOCK_MONOTONIC) - begin) / TURNS_NR;
	pthread_join(other, NULL);
	return NULL;
}

double crossing_round_trip_ns(void)
{
	double ns = 0;
	pthread_t self; /* a thread of its own: the caller stays free to run anywhere */

	baton = 0;
	if (pin_cpu(1) >= 0 && pthread_create(&self, NULL, self_main, &ns) == 0)
		pthread_join(self, NULL);
	return ns;
}
