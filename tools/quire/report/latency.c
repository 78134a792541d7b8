/* SPDX-License-Identifier: MIT */
#include "report/latency.h"

#include <stdlib.h>

#include "common/progress.h"

#define CLOCK_PAIRS_NR 1001u

/* A target's calls get nothing but their heap, so what they count is here. */
static struct {
	struct spread *alloc_ns, *free_ns;
	uint64_t clock_ns;
	const struct object_target *objects;
} latency;

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Median of two readings one after the other. */
static uint64_t measure_clock(void)
{
	uint64_t ns[CLOCK_PAIRS_NR];

	for (unsigned i = 0; i < CLOCK_PAIRS_NR; i++) {
		uint64_t begin_ns = progress_now_ns();

		ns[i] = progress_now_ns() - begin_ns;
	}
	qsort(ns, CLOCK_PAIRS_NR, sizeof(ns[0]), compare);
	return ns[CLOCK_PAIRS_NR / 2];
}

void latency_begin(struct spread *alloc_ns, struct spread *free_ns)
{
	latency.alloc_ns = alloc_ns;
	latency.free_ns = free_ns;
	latency.clock_ns = measure_clock();
}

uint64_t latency_clock_ns(void)
{
	return latency.clock_ns;
}

static uint64_t since(uint64_t begin_ns)
{
	uint64_t ns = progress_now_ns() - begin_ns;

	return ns > latency.clock_ns ? ns - latency.clock_ns : 0;
}

/* ---- pages ---- */

static void *alloc_pages(void *heap, unsigned cpu, unsigned order, unsigned flags)
{
	uint64_t begin_ns = progress_now_ns();
	void *addr = target_by_number.alloc(heap, cpu, order, flags);

	spread_add(latency.alloc_ns, since(begin_ns));
	return addr;
}

static void free_pages(void *heap, unsigned cpu, void *addr, unsigned order)
{
	uint64_t begin_ns = progress_now_ns();

	target_by_number.free(heap, cpu, addr, order);
	spread_add(latency.free_ns, since(begin_ns));
}

static void free_page_batch(void *heap, unsigned cpu, size_t count, void **pages)
{
	uint64_t begin_ns = progress_now_ns();
	uint64_t ns;

	target_by_number.free_batch(heap, cpu, count, pages);
	ns = since(begin_ns) / count;
	for (size_t i = 0; i < count; i++)
		spread_add(latency.free_ns, ns);
}

struct target latency_target(void)
{
	struct target target = target_by_number;

	target.alloc = alloc_pages;
	target.free = free_pages;
	target.free_batch = free_page_batch;
	return target;
}

/* ---- objects ---- */

static void *alloc_object(void *heap, const struct plan_request *request)
{
	uint64_t begin_ns = progress_now_ns();
	void *addr = latency.objects->alloc(heap, request);

	spread_add(latency.alloc_ns, since(begin_ns));
	return addr;
}

static void free_object(void *heap, void *addr, const struct plan_request *request)
{
	uint64_t begin_ns = progress_now_ns();

	latency.objects->free(heap, addr, request);
	spread_add(latency.free_ns, since(begin_ns));
}

struct object_target latency_object_target(const struct object_target *target)
{
	struct object_target timed = *target;

	latency.objects = target;
	timed.alloc = alloc_object;
	timed.free = free_object;
	return timed;
}
