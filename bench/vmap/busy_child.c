/* SPDX-License-Identifier: MIT */
/*
 * busy_child.c - a process with a busy sibling: the longest call, and interrupts for each free
 *
 * area_tail MS HOW  The sibling allocates TAIL_AREAS blocks of 8 KiB, writes one byte of each and frees
 *                  all of them, again and again: more than the lazy limit (128 MiB against 64 MiB on
 *                  two CPUs).  Meanwhile this thread allocates and frees 8 KiB blocks, TAIL_BATCH at
 *                  a time, so that its own cache does not serve all of them, and times each call.
 *                  HOW is "purging", which refuses the run if there was no purge meanwhile, or
 *                  "any".  Prints stolen, p50, p99, p99.99, longest, calls, purges.
 * area_tlb BYTES FREES  The sibling computes.  This thread replaces written blocks of one size.  Prints
 *                  stolen, the interrupts in row TLB of /proc/interrupts (of all processes) per
 *                  thousand frees, and the subject's own count of flushes for as many (-1: none).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/gaps.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"
#include "harness/span.h"
#include "vmap/areas.h"

#define TAIL_BYTES  ((size_t)8192)
#define TAIL_AREAS  16384u
#define TAIL_BATCH  256u
/* The measurement lasts at least until the sibling has freed everything this often ... */
#define TAIL_ROUNDS 2u
/* ... but not longer than this beyond its time. */
#define PATIENCE_NS 10000000000u

static const struct subject *busy_subject;
static uint64_t overflow_rounds;
static bool overflow_refused;

static void *overflow_main(void *arg)
{
	static char *areas[TAIL_AREAS];

	for (;;) {
		for (unsigned i = 0; i < TAIL_AREAS; i++) {
			areas[i] = busy_subject->alloc(TAIL_BYTES);
			if (!areas[i]) {
				__atomic_store_n(&overflow_refused, true, __ATOMIC_RELAXED);
				return arg;
			}
			area_touch(areas[i], TAIL_BYTES, 0);
		}
		for (unsigned i = 0; i < TAIL_AREAS; i++)
			busy_subject->free(areas[i], TAIL_BYTES);
		__atomic_fetch_add(&overflow_rounds, 1, __ATOMIC_RELAXED);
	}
}

/* Adds the time since @last to the histogram and the maximum. */
static inline void tail_add(struct gaps *gaps, uint64_t *longest, uint64_t *last)
{
	uint64_t now = proc_clock_ns(CLOCK_MONOTONIC);

	gaps_add(gaps, now - *last);
	*longest = now - *last > *longest ? now - *last : *longest;
	*last = now;
}

/* True until @end, and until the sibling has freed its areas twice, but not beyond @patience. */
static bool tail_goes_on(uint64_t now, uint64_t end, uint64_t patience, uint64_t rounds)
{
	if (now >= patience || __atomic_load_n(&overflow_refused, __ATOMIC_RELAXED))
		return false;
	return now < end || __atomic_load_n(&overflow_rounds, __ATOMIC_RELAXED) < rounds;
}

/* Makes and times calls for @ms; false if one was refused. */
static bool tail_calls(unsigned ms, struct gaps *gaps, uint64_t *longest)
{
	uint64_t last = proc_clock_ns(CLOCK_MONOTONIC);
	uint64_t end = last + (uint64_t)ms * 1000000u, patience = end + PATIENCE_NS;
	uint64_t rounds = __atomic_load_n(&overflow_rounds, __ATOMIC_RELAXED) + TAIL_ROUNDS;
	char *held[TAIL_BATCH];

	while (tail_goes_on(last, end, patience, rounds)) {
		for (unsigned i = 0; i < TAIL_BATCH; i++) {
			held[i] = busy_subject->alloc(TAIL_BYTES);
			if (!held[i])
				return false;
			tail_add(gaps, longest, &last);
		}
		for (unsigned i = 0; i < TAIL_BATCH; i++) {
			busy_subject->free(held[i], TAIL_BYTES);
			tail_add(gaps, longest, &last);
		}
	}
	return true;
}

int area_tail(const struct subject *subject, char **arguments)
{
	unsigned ms = (unsigned)atoi(arguments[0]);
	bool purging = strcmp(arguments[1], "purging") == 0;
	static struct gaps warm_gaps, gaps;
	uint64_t longest = 0, purges, rounds;
	struct span span;
	bool served;
	int sibling;

	busy_subject = subject;
	if (!pin_self(pin_cpu(0)))
		return puts("refused a thread cannot be pinned"), 0;
	sibling = sibling_start(overflow_main, NULL);
	if (sibling == -1)
		return puts("refused two CPUs are needed"), 0;
	served = tail_calls(ms / 4, &warm_gaps, &longest);
	longest = 0;
	purges = subject->purges ? subject->purges() : 0;
	rounds = __atomic_load_n(&overflow_rounds, __ATOMIC_RELAXED);
	span_begin(&span, sibling);
	served = served && tail_calls(ms, &gaps, &longest);
	span_end(&span, sibling);
	purges = subject->purges ? subject->purges() - purges : 0;
	rounds = __atomic_load_n(&overflow_rounds, __ATOMIC_RELAXED) - rounds;
	if (!served || __atomic_load_n(&overflow_refused, __ATOMIC_RELAXED))
		return puts("refused an allocation was refused"), 0;
	if (rounds < TAIL_ROUNDS)
		return puts("refused the sibling did not give back often enough"), 0;
	if (purging && subject->purges && purges == 0)
		return puts("refused the lazy limit was never passed"), 0;
	printf("ok %.5f %llu %llu %llu %llu %llu %llu\n", span_stolen(&span),
	       (unsigned long long)gaps_top(&gaps, 2), (unsigned long long)gaps_top(&gaps, 100),
	       (unsigned long long)gaps_top(&gaps, 10000), (unsigned long long)longest,
	       (unsigned long long)gaps.nr, (unsigned long long)purges);
	return 0;
}

/* The sum over CPUs of row TLB, or UINT64_MAX if the system has no such row. */
static uint64_t tlb_interrupts(void)
{
	FILE *file = fopen("/proc/interrupts", "re");
	uint64_t sum = UINT64_MAX;
	char line[4096];

	while (file && fgets(line, sizeof(line), file)) {
		char *at = line + strspn(line, " ");
		char *end;

		if (strncmp(at, "TLB:", strlen("TLB:")) != 0)
			continue;
		sum = 0;
		for (at += strlen("TLB:");; at = end) {
			uint64_t cpu = strtoull(at, &end, 10);

			if (end == at)
				break;
			sum += cpu;
		}
	}
	if (file)
		fclose(file);
	return sum;
}

/* @nr replacements of written blocks; false if one was refused. */
static bool tlb_replace(size_t bytes, unsigned nr)
{
	static char *blocks[AREAS_LIVE];
	static uint64_t random = 3;

	for (unsigned i = 0; i < AREAS_LIVE && !blocks[i]; i++) {
		blocks[i] = busy_subject->alloc(bytes);
		if (!blocks[i])
			return false;
		area_touch(blocks[i], bytes, 1);
	}
	for (unsigned i = 0; i < nr; i++) {
		unsigned slot = random_below(&random, AREAS_LIVE);

		busy_subject->free(blocks[slot], bytes);
		blocks[slot] = busy_subject->alloc(bytes);
		if (!blocks[slot])
			return false;
		area_touch(blocks[slot], bytes, 1);
	}
	return true;
}

int area_tlb(const struct subject *subject, char **arguments)
{
	size_t bytes = strtoull(arguments[0], NULL, 10);
	unsigned frees_nr = (unsigned)atoi(arguments[1]);
	uint64_t before, after, flushes = 0;
	struct span span;
	bool served;
	int sibling;

	busy_subject = subject;
	if (!pin_self(pin_cpu(0)))
		return puts("refused a thread cannot be pinned"), 0;
	sibling = sibling_start(sibling_spin, NULL);
	if (sibling == -1)
		return puts("refused two CPUs are needed"), 0;
	served = tlb_replace(bytes, frees_nr / 8);
	flushes = subject->flushes ? subject->flushes() : 0;
	before = tlb_interrupts();
	span_begin(&span, sibling);
	served = served && tlb_replace(bytes, frees_nr);
	span_end(&span, sibling);
	after = tlb_interrupts();
	flushes = subject->flushes ? subject->flushes() - flushes : 0;
	if (before == UINT64_MAX)
		return puts("refused /proc/interrupts has no row TLB"), 0;
	if (!served)
		return puts("refused an allocation was refused"), 0;
	printf("ok %.5f %.3f %.3f\n", span_stolen(&span),
	       (double)(after - before) * 1000 / frees_nr,
	       subject->flushes ? (double)flushes * 1000 / frees_nr : -1);
	return 0;
}
