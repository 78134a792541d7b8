/* SPDX-License-Identifier: MIT */
/*
 * probed - passes each probe of docs/probes.md at least once (tests/tools/probes_seen)
 *
 * Waits for a line of input, for a tracer to come; then prints a line for each call of which it knows what a probe says: its name
 * and values, a star for one that it does not know.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <quire/page.h>
#include <quire/percpu.h>
#include <quire/quire.h>
#include <quire/slab.h>
#include <quire/vmap.h>

#define LIMIT	   ((size_t)16 << 20)
#define PAGES	   (LIMIT / 4096)
#define OBJECTS_NR 4096u

static void *need(void *addr, const char *what)
{
	if (addr == NULL) {
		fprintf(stderr, "probed: no %s\n", what);
		exit(1);
	}
	return addr;
}

static uintptr_t pfn(const void *addr)
{
	return (uintptr_t)addr / 4096;
}

/* Order 9 has no stack, so each call takes the slow path. */
static void pages_come_and_go(struct quire *q)
{
	void *run = need(quire_alloc_pages(q, 9, QUIRE_MOVABLE), "run of pages");

	printf("mm_page_alloc %" PRIuPTR " 9 %u 1\n", pfn(run), QUIRE_MOVABLE);
	printf("mm_page_alloc_zone_locked %" PRIuPTR " 9 1 *\n", pfn(run));
	quire_free_pages(q, run, 9);
	printf("mm_page_free %" PRIuPTR " 9\n", pfn(run));
}

/* Fills the limit with unmovable pages and frees every other one, so that a movable one has to come from their blocks. */
static void types_mix(struct quire *q)
{
	static void *pages[PAGES];
	size_t nr = 0;
	void *movable;

	while (nr < PAGES && (pages[nr] = quire_alloc_pages(q, 0, QUIRE_NORETRY)) != NULL)
		nr++;
	printf("mm_page_alloc %" PRIu64 " 0 %u 0\n", UINT64_MAX, QUIRE_NORETRY);
	for (size_t i = 0; i < nr; i += 2)
		quire_free_pages(q, pages[i], 0);
	quire_drain_all(q);
	printf("mm_page_pcpu_drain * 0 0\n");
	movable = need(quire_alloc_pages(q, 0, QUIRE_RECLAIMABLE), "page of another type");
	printf("mm_page_alloc_extfrag * 0 * 2 * *\n");
	quire_free_pages(q, movable, 0);
	for (size_t i = 1; i < nr; i += 2)
		quire_free_pages(q, pages[i], 0);
	quire_drain_all(q);
}

static void areas_come_and_go(struct quire *q)
{
	const size_t bytes = (size_t)4 << 20;
	void *area = need(quire_vmalloc(q, bytes, 0), "area");

	printf("alloc_vmap_area %" PRIuPTR " * * * * 0\n", (uintptr_t)area);
	quire_vfree(q, area);
	printf("free_vmap_area_noflush %" PRIuPTR " %zu *\n", (uintptr_t)area, bytes / 4096);
	quire_vmap_purge(q);
	if (quire_vmalloc(q, 2 * LIMIT, 0) != NULL)
		exit(1);
	printf("alloc_vmap_area 0 * * * * 1\n");
}

static void objects_come_and_go(struct quire *q)
{
	static void *objects[OBJECTS_NR];
	void *one = need(quire_alloc_percpu(q, 24576, 4096, 0), "per-CPU object");

	printf("percpu_alloc_percpu * 0 0 24576 4096 * * %" PRIuPTR " * 0\n", (uintptr_t)one);
	quire_free_percpu(q, one);
	printf("percpu_free_percpu * * %" PRIuPTR "\n", (uintptr_t)one);
	for (unsigned i = 0; i < OBJECTS_NR / 64; i++)
		objects[i] = need(quire_alloc_percpu(q, 24576, 4096, 0), "per-CPU object");
	while (quire_alloc_percpu(q, 24576, 4096, QUIRE_ATOMIC) != NULL)
		continue;
	printf("percpu_alloc_percpu_fail 0 1 24576 4096\n");
	for (unsigned i = 0; i < OBJECTS_NR / 64; i++)
		quire_free_percpu(q, objects[i]);
}

static void slabs_come_and_go(struct quire *q)
{
	static void *objects[OBJECTS_NR];
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "probed", .size = 64);
	struct quire_cache *cache;

	if (quire_cache_create(q, &options, &cache) != 0)
		exit(1);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		objects[i] = need(quire_cache_alloc(cache, 0), "object");
	printf("kmem_cache_alloc 0 %" PRIuPTR " 64 64 0 %" PRIu64 "\n", (uintptr_t)objects[0],
	       UINT64_MAX);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		quire_cache_free(cache, objects[i]);
	printf("kmem_cache_free 0 *\n");
	quire_cache_destroy(cache);
}

int main(void)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = LIMIT, .units = 2, .cache = QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	if (getchar() == EOF || quire_create(&options, &q) != 0)
		return 1;
	pages_come_and_go(q);
	areas_come_and_go(q);
	objects_come_and_go(q);
	slabs_come_and_go(q);
	quire_release(q);
	types_mix(q);
	quire_destroy(q);
	return 0;
}
