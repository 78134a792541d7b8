/* SPDX-License-Identifier: MIT */
/* What is cached serves, or goes back, before areas or pages make the instance larger than it ever was. */
#include <pthread.h>
#include <string.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "base/mem.h"
#include "huge/huge.h"
#include "instance/instance.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "mapped.h"
#include "page/charge.h"
#include "quire_test.h"
#include "vmap/vmap.h"

#define PAGE	   ((size_t)4096)
#define AREAS_NR   32u
#define PAGES_MOST 8192u

static char *area[AREAS_NR], *page[PAGES_MOST];

static struct quire *make_with(unsigned zones, enum quire_guard guard, enum quire_switch thp)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256), .page_shift = 12, .zones = zones,
				   .thp = thp, .guard = guard, .report = QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	assert_true(pin_to_cpu((unsigned)allowed_cpu_next(0)));
	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static struct quire *make(enum quire_switch thp)
{
	return make_with(1, QUIRE_GUARD_OFF, thp);
}

static void end(struct quire *q)
{
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void take_areas(struct quire *q, size_t bytes)
{
	for (unsigned i = 0; i < AREAS_NR; i++) {
		area[i] = quire_vmalloc(q, bytes, 0);
		assert_non_null(area[i]);
		memset(area[i], 3, bytes);
	}
}

/* Every one of them, or every second: @step. */
static void free_areas(struct quire *q, unsigned step)
{
	for (unsigned i = 0; i < AREAS_NR; i += step)
		quire_vfree(q, area[i]);
}

static void take_pages(struct quire *q, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		page[i] = quire_alloc_pages(q, 0, 0);
		assert_non_null(page[i]);
	}
}

static void free_pages(struct quire *q, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		quire_free_pages(q, page[i], 0);
}

/* Of areas and what is cached of them. */
static uint64_t charged_bytes(struct quire *q)
{
	return q->vmap->charged_pages * PAGE;
}

/* ---- areas ---- */

/* The one that was freed last is at the end of all others, where it could grow in place into fresh addresses. */
static void grow_the_last(enum quire_guard guard)
{
	struct quire *q = make_with(1, guard, QUIRE_OFF);
	uint64_t charged;
	char *grown, *grown_more;

	take_areas(q, KIB(64));
	charged = charged_bytes(q);
	free_areas(q, 1);
	grown = quire_vmalloc(q, KIB(64), 0);
	assert_ptr_equal(grown, area[AREAS_NR - 1]);
	memset(grown, 5, KIB(64));
	grown_more = quire_vrealloc(q, grown, KIB(320), 0);
	assert_non_null(grown_more);
	assert_ptr_equal(grown_more, area[0]);
	for (size_t i = 0; i < KIB(64); i++)
		assert_int_equal(grown_more[i], 5);
	assert_u64_eq(charged_bytes(q), charged);
	end(q);
}

static void area_that_grows_is_copied_where_memory_is_cached(void **state)
{
	(void)state;
	grow_the_last(QUIRE_GUARD_OFF);
}

/* Guards between the cached areas have no memory, so what is merged of them has less than it has pages. */
static void nor_does_one_with_guards_raise_the_peak(void **state)
{
	(void)state;
	grow_the_last(QUIRE_GUARD_ON);
}

/* The others together are too small for it, so copying would not help. */
static void area_that_nothing_cached_can_hold_grows_in_place(void **state)
{
	struct quire *q = make(QUIRE_OFF);
	char *grown;

	(void)state;
	take_areas(q, KIB(64));
	for (unsigned i = AREAS_NR - 4; i < AREAS_NR; i++)
		quire_vfree(q, area[i]);
	grown = quire_vmalloc(q, KIB(64), 0);
	assert_ptr_equal(grown, area[AREAS_NR - 1]);
	assert_ptr_equal(quire_vrealloc(q, grown, KIB(512), 0), grown);
	assert_u64_eq(charged_bytes(q), (AREAS_NR - 1) * KIB(64) + KIB(512));
	end(q);
}

/* Below the peak nothing is copied: the memory was there before. */
static void area_that_grows_below_the_peak_grows_in_place(void **state)
{
	struct quire *q = make(QUIRE_OFF);
	char *grown;

	(void)state;
	quire_vfree(q, quire_vmalloc(q, MIB(8), 0));
	quire_vmap_purge(q);
	take_areas(q, KIB(64));
	free_areas(q, 1);
	grown = quire_vmalloc(q, KIB(64), 0);
	assert_ptr_equal(quire_vrealloc(q, grown, KIB(320), 0), grown);
	end(q);
}

/* Two at a time, so that each is merged of two others: within 100 us there was no merge, but fresh memory. */
static void areas_are_merged_before_the_peak_rises(void **state)
{
	struct quire *q = make(QUIRE_OFF);

	(void)state;
	take_areas(q, KIB(64));
	for (unsigned i = 0; i < AREAS_NR; i += 2) {
		char *both;

		quire_vfree(q, area[i]);
		quire_vfree(q, area[i + 1]);
		both = quire_vmalloc(q, KIB(128), 0);
		assert_ptr_equal(both, area[i]);
		assert_u64_eq(charged_bytes(q), AREAS_NR * KIB(64));
	}
	end(q);
}

/* ---- pages ---- */

/* 16 areas of 1 MiB are in use and 16 cached, apart from each other, when pages take 32 MiB: areas give up what is
 * more than a quarter of those in use. */
static void areas_make_up_for_pages_that_raise_the_peak(void **state)
{
	struct quire *q = make(QUIRE_OFF);

	(void)state;
	take_areas(q, MIB(1));
	free_areas(q, 2);
	assert_u64_eq(charged_bytes(q), MIB(32));
	take_pages(q, MIB(1) / PAGE / 2);
	assert_u64_eq(charged_bytes(q), MIB(32)); /* too little to be worth a purge */
	take_pages(q, PAGES_MOST);
	assert_u64_eq(charged_bytes(q), MIB(16 + 4));
	assert_u64_eq(q->vmap->pooled.pages * PAGE, MIB(4));
	for (unsigned i = 1; i < AREAS_NR; i += 2)
		assert_int_equal(area[i][MIB(1) - 1], 3);
	end(q);
}

/* Every MiB of pages takes about one of the areas, so that the sum stays. */
static void peak_stays_while_areas_make_up_for_pages(void **state)
{
	struct quire *q = make(QUIRE_OFF);

	(void)state;
	take_areas(q, MIB(1));
	free_areas(q, 2);
	for (unsigned mib = 0; mib < 12; mib++) {
		struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

		take_pages(q, MIB(1) / PAGE);
		assert_int_equal(quire_page_stat_read(q, &stat), 0);
		assert_true((stat.allocated_pages + stat.cached_pages) * PAGE + charged_bytes(q) <=
			    MIB(32 + 2));
	}
	end(q);
}

/* Pages had that much before, so nothing grows. */
static void areas_keep_what_they_cache_below_the_peak(void **state)
{
	struct quire *q = make(QUIRE_OFF);

	(void)state;
	take_areas(q, MIB(1));
	take_pages(q, PAGES_MOST / 2);
	free_pages(q, PAGES_MOST / 2);
	quire_drain_all(q);
	free_areas(q, 1);
	take_pages(q, PAGES_MOST / 2);
	assert_u64_eq(charged_bytes(q), MIB(32));
	end(q);
}

/* Each time pages take less than is worth a purge, and then a fresh area is charged: what pages owe adds up. */
static void charges_of_areas_do_not_pay_what_pages_owe(void **state)
{
	struct quire *q = make(QUIRE_OFF);
	const unsigned less = (unsigned)(MIB(1) * 2 / 3 / PAGE);
	uint64_t fresh = 0;

	(void)state;
	take_areas(q, MIB(3));
	free_areas(q, 1);
	assert_u64_eq(charged_bytes(q), AREAS_NR * MIB(3));
	for (unsigned i = 0; i < 42; i++) {
		take_pages(q, less);
		assert_int_equal(page_charge(q, 1, 0), 0);
		fresh++;
	}
	assert_true(charged_bytes(q) <= AREAS_NR * MIB(3) - MIB(24));
	page_uncharge(q, fresh);
	end(q);
}

struct purger {
	struct quire *q;
	pthread_barrier_t turn;
};

static void *is_purging(void *arg)
{
	struct purger *purger = arg;

	mutex_acquire(&purger->q->vmap->purge_mutex);
	pthread_barrier_wait(&purger->turn);
	pthread_barrier_wait(&purger->turn);
	mutex_release(&purger->q->vmap->purge_mutex);
	return NULL;
}

/* While another purge is in flight areas give up nothing; the debt is paid by the first refill after it. */
static void what_areas_were_too_busy_to_give_stays_owed(void **state)
{
	struct quire *q = make(QUIRE_OFF);
	struct purger purger = { .q = q };
	uint64_t charged;
	pthread_t thread;

	(void)state;
	take_areas(q, MIB(1));
	free_areas(q, 2);
	pthread_barrier_init(&purger.turn, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, is_purging, &purger), 0);
	pthread_barrier_wait(&purger.turn);
	take_pages(q, MIB(8) / PAGE);
	charged = charged_bytes(q);
	pthread_barrier_wait(&purger.turn);
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&purger.turn);
	assert_u64_eq(charged, MIB(32));
	take_pages(q, MIB(1) / PAGE);
	assert_true(charged_bytes(q) <= MIB(32 - 8));
	end(q);
}

/* Callers that may not wait leave a debt in both zones; the last to be noted is the smaller one. */
static void debts_of_all_zones_are_made_up_for(void **state)
{
	struct quire *q = make_with(2, QUIRE_GUARD_OFF, QUIRE_OFF);

	(void)state;
	take_areas(q, MIB(1));
	free_areas(q, 2);
	for (unsigned zone = 0; zone < 2; zone++)
		for (unsigned i = 0; i < (zone == 0 ? MIB(6) : MIB(2)) / PAGE; i++)
			assert_non_null(quire_alloc_pages(q, 0, QUIRE_NODE(zone) | QUIRE_NOWAIT));
	assert_u64_eq(charged_bytes(q), MIB(32));
	for (unsigned i = 0; i < MIB(1) / PAGE / 2; i++)
		assert_non_null(quire_alloc_pages(q, 0, QUIRE_NODE(1)));
	assert_true(charged_bytes(q) <= MIB(32 - 7));
	end(q);
}

/* ---- huge pages ---- */

static uint64_t huge_bytes(struct quire *q)
{
	return mapped_bytes(q->vmap->base, q->vmap->span_bytes, "AnonHugePages");
}

/* Of 128 KiB each. */
static void write_areas(struct quire *q, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		char *one = quire_vmalloc(q, KIB(128), 0);

		assert_non_null(one);
		memset(one, 1, KIB(128));
	}
}

/* 15 MiB of them are written whole.  With huge pages they took up to 2 MiB more. */
static void areas_that_share_blocks_have_ordinary_pages_while_they_are_few(void **state)
{
	struct mapped_pages pages;
	struct quire *q;

	(void)state;
	q = make(QUIRE_AUTO);
	write_areas(q, 120);
	assert_u64_eq(huge_bytes(q), 0);
	if (mapped_pages_read(q->vmap->base, q->vmap->span_bytes, &pages))
		assert_u64_eq(pages.present, 120 * KIB(128));
	if (!mem_huge_is_given() ||
	    !mapped_pages_read(q->vmap->base, q->vmap->span_bytes, &pages)) {
		end(q);
		skip_because("the system gives no huge pages, or does not tell which were written");
	}
	write_areas(q, 240);
	assert_true(huge_bytes(q) >= MIB(8));
	end(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(area_that_grows_is_copied_where_memory_is_cached),
		cmocka_unit_test(nor_does_one_with_guards_raise_the_peak),
		cmocka_unit_test(area_that_nothing_cached_can_hold_grows_in_place),
		cmocka_unit_test(area_that_grows_below_the_peak_grows_in_place),
		cmocka_unit_test(areas_are_merged_before_the_peak_rises),
		cmocka_unit_test(areas_make_up_for_pages_that_raise_the_peak),
		cmocka_unit_test(peak_stays_while_areas_make_up_for_pages),
		cmocka_unit_test(areas_keep_what_they_cache_below_the_peak),
		cmocka_unit_test(charges_of_areas_do_not_pay_what_pages_owe),
		cmocka_unit_test(what_areas_were_too_busy_to_give_stays_owed),
		cmocka_unit_test(debts_of_all_zones_are_made_up_for),
		cmocka_unit_test(areas_that_share_blocks_have_ordinary_pages_while_they_are_few),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
