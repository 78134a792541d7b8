/* SPDX-License-Identifier: MIT */
/*
 * inner_main.c - quire-bench-inner: a measurement that needs the library's internal functions
 *
 *     quire-bench-inner fallback
 *
 * One thread holds the lock of a slot with its stacks closed; another allocates and frees single
 * pages there.  The holder must be another thread, because the library takes a thread that already
 * holds a lock for a signal handler.  The number of pages that the depot and the buddy served shows
 * whether it was the right slot.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <quire/page.h>

#include "harness/pin.h"
#include "harness/proc.h"
#include "page/drain.h"
#include "page/pages.h"
#include "page/pcp.h"

#define PAIRS_NR	   1000000u
#define WARM_PAIRS	   10000u
/* A run from which other processes took more time than this is refused. */
#define STOLEN_PERCENT_MAX 2u

static struct quire *q;
static unsigned held_slot;
static bool time_was_taken;
static pthread_barrier_t gate;

static void *holder_main(void *arg)
{
	struct pcp *pcp;

	pin_self(pin_cpu(1));
	pcp = page_pcp_hold(pages_of(q), held_slot);
	pthread_barrier_wait(&gate); /* held */
	pthread_barrier_wait(&gate); /* measured */
	page_pcp_unhold(pages_of(q), pcp);
	return arg;
}

static bool pairs(unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		void *page = quire_alloc_pages(q, 0, 0);

		if (!page)
			return false;
		quire_free_pages(q, page, 0);
	}
	return true;
}

static uint64_t served_past_lists(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	quire_page_stat_read(q, &stat);
	return stat.buddy_allocs + stat.buddy_frees + stat.depot_moves;
}

/* ns a pair with @slot held, or 0 if it was not this thread's slot. */
static double fallback_ns(unsigned slot)
{
	uint64_t begin, end, cpu, served;
	pthread_t holder;

	held_slot = slot;
	pthread_barrier_init(&gate, NULL, 2);
	if (pthread_create(&holder, NULL, holder_main, NULL) != 0)
		return 0;
	pthread_barrier_wait(&gate);
	pairs(WARM_PAIRS);
	served = served_past_lists();
	cpu = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	begin = proc_clock_ns(CLOCK_MONOTONIC);
	pairs(PAIRS_NR);
	end = proc_clock_ns(CLOCK_MONOTONIC);
	cpu = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu;
	time_was_taken = cpu < (end - begin) / 100 * (100 - STOLEN_PERCENT_MAX);
	served = served_past_lists() - served;
	pthread_barrier_wait(&gate);
	pthread_join(holder, NULL);
	pthread_barrier_destroy(&gate);
	return served >= 2 * PAIRS_NR / 100 * 99 ? (double)(end - begin) / PAIRS_NR : 0;
}

int main(int argc, char **argv)
{
	double ns = 0;

	if (argc != 2 || strcmp(argv[1], "fallback") != 0)
		return fprintf(stderr, "quire-bench-inner: started by quire-bench\n"), 2;
	if (pin_cpu(1) < 0 || !pin_self(pin_cpu(0)) || quire_create(NULL, &q) != 0 || !pairs(1))
		return puts("refused two CPUs and an instance are needed"), 0;
	for (unsigned slot = 0; slot < quire_slots(q) && ns <= 0; slot++)
		ns = fallback_ns(slot);
	if (ns > 0 && time_was_taken)
		puts("refused time was taken by others");
	else if (ns > 0)
		printf("ok %.4f\n", ns);
	else
		puts("refused pairs were not served by the depot or the buddy");
	quire_destroy(q);
	return 0;
}
