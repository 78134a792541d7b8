/* SPDX-License-Identifier: MIT */
/*
 * A limit is a limit: whatever is taken, and in whatever mixture, is at most what was said, and after
 * all of it has been freed as much can be taken again.
 */
#include <errno.h>

#include <quire/percpu.h>
#include <quire/vmap.h>

#include "base/errno.h"
#include "page/pages.h"
#include "quire_test.h"

#define TAKEN_MAX   20000u
#define PERCPU_SIZE 4096u
#define UNITS	    2u

enum what {
	PAGES,
	RUNS, /* of 8 pages */
	AREAS,
	PERCPU,
	MIXED, /* in turns */
};

struct taken {
	void *addr;
	enum what what;
	uint64_t pages;
};

static struct taken taken[TAKEN_MAX];

static struct taken take_one(struct quire *q, enum what what, unsigned turn)
{
	struct taken t = { .what = what };

	if (what == MIXED)
		t.what = (enum what)(turn % MIXED);
	switch (t.what) {
	case PAGES:
		t.addr = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
		t.pages = 1;
		break;
	case RUNS:
		t.addr = quire_alloc_pages(q, 3, 0);
		t.pages = 8;
		break;
	case AREAS:
		t.pages = 1 + turn % 37;
		t.addr = quire_vmalloc(q, t.pages * quire_page_bytes(q), 0);
		break;
	default:
		t.addr = quire_alloc_percpu(q, PERCPU_SIZE, 64, 0);
		t.pages = UNITS * PERCPU_SIZE / quire_page_bytes(q);
		break;
	}
	return t;
}

static void give_one(struct quire *q, const struct taken *t)
{
	if (t->what == AREAS)
		quire_vfree(q, t->addr);
	else if (t->what == PERCPU)
		quire_free_percpu(q, t->addr);
	else
		quire_free_pages(q, t->addr, t->what == RUNS ? 3 : 0);
}

/* Takes until every kind is refused, several times over; returns the pages in hand. */
static uint64_t take_all(struct quire *q, enum what what, unsigned *taken_nr)
{
	uint64_t pages = 0;
	unsigned refused = 0, turn = 0;

	*taken_nr = 0;
	while (refused < 40 && *taken_nr < TAKEN_MAX) {
		struct taken t = take_one(q, what, turn++);

		if (t.addr == NULL) {
			refused++;
			continue;
		}
		refused = 0;
		taken[(*taken_nr)++] = t;
		pages += t.pages;
	}
	assert_true(refused == 40);
	return pages;
}

static uint64_t charged_pages(struct quire *q)
{
	struct pages *p = pages_of(q);
	uint64_t pages = 0;

	for (unsigned i = 0; i < p->zones_nr; i++)
		pages += p->zone[i].charged_pages;
	return pages;
}

static void check_what_is_out(struct quire *q, uint64_t limit_bytes)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(q, &stat), 0);
	assert_true((stat.allocated_pages + charged_pages(q)) << q->page_shift <= limit_bytes);
}

static void check_limit(uint64_t limit_bytes, unsigned zones, enum what what)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .zones = zones, .units = UNITS,
				   .worker = QUIRE_WORKER_INLINE);
	uint64_t first = 0;
	struct quire *q;

	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned round = 0; round < 2; round++) {
		unsigned taken_nr;
		uint64_t pages = take_all(q, what, &taken_nr);

		assert_true(pages << q->page_shift <= limit_bytes);
		check_what_is_out(q, limit_bytes);
		for (unsigned i = 0; i < taken_nr; i++)
			give_one(q, &taken[i]);
		assert_int_equal(quire_verify(q), 0);
		/* A hair's breadth for metadata that stays charged, and for per-CPU chunks. */
		if (round == 0)
			first = pages;
		else if (what != MIXED)
			assert_true(pages + 64 >= first);
		quire_release(q);
	}
	/* What may be had by ordinary calls is all but the reserve, a 32nd and a page in each zone. */
	if (what == PAGES)
		assert_true(first + first / 31 + 2 * zones >= limit_bytes >> q->page_shift);
	quire_destroy(q);
}

static const uint64_t limits[] = { MIB(2),	     MIB(2) + KIB(4),	 MIB(3), MIB(4), MIB(5),
				   MIB(7) + KIB(12), MIB(13) + KIB(100), MIB(33) };

static void check_all(enum what what)
{
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		for (unsigned zones = 1; zones <= 8; zones++)
			check_limit(limits[i], zones, what);
}

static void pages_end_at_the_limit(void **state)
{
	(void)state;
	check_all(PAGES);
}

static void runs_end_at_the_limit(void **state)
{
	(void)state;
	check_all(RUNS);
}

static void areas_end_at_the_limit(void **state)
{
	(void)state;
	check_all(AREAS);
}

static void percpu_memory_ends_at_the_limit(void **state)
{
	(void)state;
	check_all(PERCPU);
}

static void all_of_them_end_at_the_limit(void **state)
{
	(void)state;
	check_all(MIXED);
}

static void a_limit_below_the_least_is_refused(void **state)
{
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = MIB(2) - 1);
	struct quire *q = NULL;
	char line[256];

	(void)state;
	assert_int_equal(quire_create(&options, &q), -EINVAL);
	assert_null(q);
	assert_int_equal(quire_options_parse("limit:1m", &options, line, sizeof(line)), -EINVAL);
	assert_non_null(strstr(line, "2m"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_end_at_the_limit),
		cmocka_unit_test(runs_end_at_the_limit),
		cmocka_unit_test(areas_end_at_the_limit),
		cmocka_unit_test(percpu_memory_ends_at_the_limit),
		cmocka_unit_test(all_of_them_end_at_the_limit),
		cmocka_unit_test(a_limit_below_the_least_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
