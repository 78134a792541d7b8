/* SPDX-License-Identifier: MIT */
/*
 * slab_far_test.c - objects in a heap of 1 TiB of addresses
 *
 * The instance has eight zones of 128 GiB.  Charges use up the limit of the first seven, so that slabs that are made after it
 * are in the eighth, 896 GiB from the first ones.  No memory is touched but that of the objects.
 */
#include "unit/slab/cache_case.h"

#include <quire/page.h>

#include "page/charge.h"
#include "page/pages.h"
#include "page/zone.h"

#define GIB(n)	   ((uint64_t)(n) << 30)
#define SPAN	   GIB(1024)
#define FAR	   GIB(896)
#define ZONES_NR   8u
#define OBJECTS_NR 6000u /* at either end */

static void *objects[2 * OBJECTS_NR];

static uint64_t room_of(struct pages *p, struct zone *zone)
{
	lock_token token;
	uint64_t available, mark;

	assert_true(zone_lock_for(zone, 0, &token));
	available = zone_available_locked(p, zone);
	mark = zone_mark(zone, 0);
	zone_unlock(zone, token);
	return available > mark ? available - mark : 0;
}

/* All but the last zone have no room after it.  Returns pages. */
static uint64_t fill_zones(struct quire *q)
{
	struct pages *p = pages_of(q);
	uint64_t pages = 0;

	quire_drain_all(q); /* what is cached needs no room */
	for (unsigned i = 0; i + 1 < ZONES_NR; i++)
		pages += room_of(p, &p->zone[i]);
	assert_int_equal(page_charge(q, pages, 0), 0);
	for (unsigned i = 0; i + 1 < ZONES_NR; i++)
		assert_u64_eq(room_of(p, &p->zone[i]), 0);
	return pages;
}

/* Of the first @most objects. */
static unsigned far_nr(const struct cache_case *it, unsigned most)
{
	unsigned n = 0;

	for (unsigned i = 0; i < most; i++)
		n += (size_t)((const char *)objects[i] - it->s->base) >= FAR;
	return n;
}

static void write_objects(void)
{
	for (unsigned i = 0; i < 2 * OBJECTS_NR; i++)
		*(void **)objects[i] = &objects[i];
}

static void check_objects(void)
{
	unsigned wrong_nr = 0;

	for (unsigned i = 0; i < 2 * OBJECTS_NR; i++)
		wrong_nr += *(void **)objects[i] != &objects[i];
	assert_u64_eq(wrong_nr, 0);
}

struct far {
	struct cache_case it;
	uint64_t charged_pages;
};

/* The same number of objects at either end, but for those that slabs at the low end had left. */
static struct far far_begin(size_t size)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = SPAN, .zones = ZONES_NR,
							  .worker = QUIRE_WORKER_OFF);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct far far = { .it = case_begin(&options, size) };

	assert_int_equal(quire_page_stat_read(far.it.q, &stat), 0);
	if (stat.limit_pages << stat.page_shift != SPAN) {
		case_end(&far.it);
		skip_because("the process has no 1 TiB of addresses");
	}
	case_alloc(&far.it, objects, OBJECTS_NR);
	assert_int_equal(far_nr(&far.it, OBJECTS_NR), 0);
	far.charged_pages = fill_zones(far.it.q);
	case_alloc(&far.it, objects + OBJECTS_NR, OBJECTS_NR);
	assert_in_range(far_nr(&far.it, 2 * OBJECTS_NR), OBJECTS_NR / 2, OBJECTS_NR);
	write_objects();
	return far;
}

static void far_end(struct far *far)
{
	page_uncharge(far->it.q, far->charged_pages);
	assert_u64_eq(case_stat(&far->it).used, 0);
	assert_int_equal(quire_cache_destroy(far->it.cache), 0);
	case_end(&far->it);
}

/* Every second object, on a CPU other than that of the allocations, where there is one. */
static void free_half(unsigned index, void *arg)
{
	struct cache_case *it = arg;
	int first = allowed_cpu_next(0), second = allowed_cpu_next((unsigned)first + 1);

	(void)index;
	pin_to_cpu((unsigned)(second >= 0 ? second : first));
	for (unsigned i = 1; i < 2 * OBJECTS_NR; i += 2) {
		quire_cache_free(it->cache, objects[i]);
		objects[i] = NULL;
	}
}

static void refill_half(struct cache_case *it)
{
	for (unsigned i = 1; i < 2 * OBJECTS_NR; i += 2) {
		objects[i] = quire_cache_alloc(it->cache, 0);
		assert_non_null(objects[i]);
		*(void **)objects[i] = &objects[i];
	}
}

/* Through sheaves, barn and slabs; two owners of one object would find each other's word. */
static void go_round(size_t size)
{
	uint64_t before = resident_bytes();
	struct far far = far_begin(size);
	struct cache_case *it = &far.it;
	unsigned were_far = far_nr(it, 2 * OBJECTS_NR);

	for (unsigned round = 0; round < 3; round++) {
		team_run(1, free_half, it);
		if (round != 1)
			quire_cache_shrink(it->cache);
		assert_u64_eq(case_stat(it).used, OBJECTS_NR);
		assert_int_equal(quire_verify(it->q), 0);
		refill_half(it);
		check_objects();
		/* What another CPU's sheaf keeps is replaced at the far end. */
		assert_in_range(far_nr(it, 2 * OBJECTS_NR), were_far - were_far / 8,
				OBJECTS_NR + OBJECTS_NR / 8);
	}
	assert_true(resident_bytes() < before + 2 * OBJECTS_NR * size + MIB(16));
	case_free(it, objects, 2 * OBJECTS_NR);
	far_end(&far);
}

static void objects_1_TiB_apart_go_round(void **state)
{
	(void)state;
	skip_if_sanitized();
	go_round(16);
	go_round(1024);
	go_round(3000);
}

/* As a handler does that can have no lock. */
static void frees_of_far_objects_can_be_deferred(void **state)
{
	struct far far;

	(void)state;
	skip_if_sanitized();
	far = far_begin(512);
	for (unsigned i = 0; i < 2 * OBJECTS_NR; i++)
		sheaf_defer(far.it.s, far.it.class, objects[i]);
	sheaf_take_deferred(far.it.s);
	far_end(&far);
}

/* Pages of slabs at either end lose their memory, and can be used again. */
static void far_pages_give_their_memory_back(void **state)
{
	struct far far;
	uint64_t full, used;

	(void)state;
	skip_if_sanitized();
	far = far_begin(8192);
	for (unsigned i = 0; i < 2 * OBJECTS_NR; i++)
		memset(objects[i], 1, 8192);
	write_objects();
	full = resident_bytes();
	team_run(1, free_half, &far.it);
	quire_release(far.it.q);
	used = resident_bytes();
	assert_true(used + MIB(20) < full);
	refill_half(&far.it);
	check_objects();
	case_free(&far.it, objects, 2 * OBJECTS_NR);
	far_end(&far);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(objects_1_TiB_apart_go_round),
		cmocka_unit_test(frees_of_far_objects_can_be_deferred),
		cmocka_unit_test(far_pages_give_their_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
