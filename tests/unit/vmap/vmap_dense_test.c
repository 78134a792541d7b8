/* SPDX-License-Identifier: MIT */
/* Where huge pages stand behind areas, what that costs in memory, and in mappings. */
#include <errno.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "base/mem.h"
#include "huge/huge.h"
#include "huge/policy.h"
#include "instance/instance.h"
#include "machine/clock.h"
#include "machine/mem.h"
#include "mapped.h"
#include "quire_test.h"
#include "vmap/decay.h"
#include "vmap/dense.h"
#include "vmap/vmap.h"

#define AREAS_NR    16u
#define PATTERN_NR  20000u
#define AREA_BYTES  500000u
#define ADVICE_MOST 511u

static struct quire *make(enum quire_switch thp, size_t limit_bytes)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .thp = thp, .guard = QUIRE_GUARD_OFF,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static char *take(struct quire *q, size_t bytes)
{
	char *area = quire_vmalloc(q, bytes, 0);

	assert_non_null(area);
	return area;
}

/* ---- memory ---- */

static size_t random_bytes(unsigned *seed)
{
	size_t n = (MIB(16) >> rand_r(seed) % 4) / 2;

	return n + (size_t)rand_r(seed) % n;
}

/* 16 live areas of 1 to 16 MiB; a random one is replaced, and one page of it written. */
static void area_of_which_a_page_is_written_takes_a_page(void **state)
{
	struct quire *q = make(QUIRE_DEFAULT, 0);
	uint64_t before = status_bytes("RssAnon"), most = 0;
	char *area[AREAS_NR] = { NULL };
	unsigned seed = 1;

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		unsigned k = (unsigned)rand_r(&seed) % AREAS_NR;
		uint64_t now;

		quire_vfree(q, area[k]);
		area[k] = take(q, random_bytes(&seed));
		area[k][0] = 1;
		now = i % 50 == 0 ? status_bytes("RssAnon") : 0;
		most = now > most ? now : most;
	}
	assert_true(most < before + AREAS_NR * 4096 * 3 / 2 + MIB(4));
	quire_destroy(q);
}

/* The first is the witness. */
static void areas_written_whole_get_huge_pages(void **state)
{
	struct quire *q = make(QUIRE_DEFAULT, MIB(512));
	char *area[8];
	unsigned huge = 0;

	(void)state;
	if (!kernel_gives_huge_pages())
		skip_because("the system has no huge pages");
	for (unsigned i = 0; i < 8; i++) {
		area[i] = take(q, MIB(4));
		huge += huge_kind(&q->vmap->advice, (uint32_t)((size_t)(area[i] - q->vmap->base) >>
							       21)) == HUGE_ADVISED;
		memset(area[i], 1, MIB(4));
	}
	assert_true(huge >= 5);
	quire_destroy(q);
}

static uint32_t section_of(const struct quire *q, const char *addr)
{
	return (uint32_t)((size_t)(addr - q->vmap->base) >> 21);
}

static unsigned sections_of_kind(const struct quire *q, const char *area, size_t bytes,
				 enum huge_kind kind)
{
	unsigned nr = 0;

	for (size_t i = 0; i < bytes; i += MIB(2))
		nr += huge_kind(&q->vmap->advice, section_of(q, area + i)) == kind;
	return nr;
}

/* After the first witness, at most one block of an area has ordinary pages, to be the next. */
static void witness_is_one_block_once_areas_are_known_to_be_written(void **state)
{
	struct quire *q = make(QUIRE_DEFAULT, MIB(512));
	unsigned plain = 0;

	(void)state;
	if (!mem_huge_is_given())
		skip_because("the system gives no huge pages");
	for (unsigned i = 0; i < 12; i++) {
		char *area = take(q, MIB(16));
		unsigned now = sections_of_kind(q, area, MIB(16), HUGE_PLAIN);

		assert_true(now == (i == 0 ? 8 : 0) || (i != 0 && now == 1));
		plain += now;
		memset(area, 1, MIB(16));
	}
	assert_true(plain >= 8 + 3 && plain <= 8 + 5); /* after 1, 2 and 4 huge ones */
	quire_destroy(q);
}

static void area_whose_caller_writes_all_has_huge_pages_at_once(void **state)
{
	struct quire *q = make(QUIRE_AUTO, MIB(512));
	char *area = quire_vmalloc(q, MIB(8), QUIRE_HUGE);

	(void)state;
	assert_non_null(area);
	assert_u64_eq(sections_of_kind(q, area, MIB(8), HUGE_ADVISED), 4);
	if (kernel_knows_huge_pages())
		assert_true(mapping_has_flag(area, "hg"));
	area = quire_vrealloc(q, area, MIB(12), QUIRE_HUGE);
	assert_u64_eq(sections_of_kind(q, area, MIB(12), HUGE_ADVISED), 6);
	memset(area, 1, MIB(12));
	/* It says nothing of others, and nothing of the part of a huge page beyond the area. */
	area = take(q, MIB(8));
	assert_u64_eq(sections_of_kind(q, area, MIB(8), HUGE_PLAIN), 4);
	area = quire_vmalloc(q, MIB(2) + 4096, QUIRE_HUGE);
	assert_non_null(area);
	assert_u64_eq(sections_of_kind(q, area, MIB(4), HUGE_ADVISED), 1);
	quire_destroy(q);
}

static void area_whose_caller_wants_none_has_no_huge_pages(void **state)
{
	struct quire *q = make(QUIRE_ON, MIB(512));
	char *area = quire_vmalloc(q, MIB(8), QUIRE_NOHUGE);

	(void)state;
	assert_non_null(area);
	assert_u64_eq(sections_of_kind(q, area, MIB(8), HUGE_PLAIN), 4);
	area = quire_vrealloc(q, area, MIB(12), QUIRE_NOHUGE);
	assert_u64_eq(sections_of_kind(q, area, MIB(12), HUGE_PLAIN), 6);
	/* It says nothing of others. */
	area = take(q, MIB(8));
	assert_u64_eq(sections_of_kind(q, area, MIB(8), HUGE_PLAIN), 0);
	errno = 0;
	assert_null(quire_vmalloc(q, MIB(8), QUIRE_HUGE | QUIRE_NOHUGE));
	assert_int_equal(errno, EINVAL);
	assert_null(quire_alloc_pages(q, 0, QUIRE_NOHUGE));
	quire_destroy(q);
}

static void area_that_is_cleared_to_be_used_again_has_huge_pages(void **state)
{
	struct quire *q = make(QUIRE_AUTO, MIB(512));
	char *area = take(q, MIB(8));

	(void)state;
	area[MIB(3)] = 1;
	quire_vfree(q, area);
	assert_ptr_equal(quire_vzalloc(q, MIB(8), 0), area);
	assert_u64_eq(sections_of_kind(q, area, MIB(8), HUGE_ADVISED), 4);
	assert_int_equal(area[MIB(3)], 0);
	quire_destroy(q);
}

static void flag_for_huge_pages_asks_for_none_where_there_are_to_be_none(void **state)
{
	struct quire *q = make(QUIRE_OFF, MIB(512));
	char *area = quire_vmalloc(q, MIB(8), QUIRE_HUGE), *small;

	(void)state;
	assert_non_null(area);
	assert_u64_eq(sections_of_kind(q, area, MIB(8), HUGE_ADVISED), 0);
	quire_vfree(q, area);
	small = quire_kvmalloc(q, 4096, QUIRE_HUGE);
	assert_non_null(quire_page_address(q, small));
	quire_kvfree(q, small);
	assert_null(quire_alloc_pages(q, 9, QUIRE_HUGE));
	assert_int_equal(errno, EINVAL);
	quire_destroy(q);
}

/* The first area, with ordinary pages, is used again when areas are known to be written. */
static void area_used_again_has_huge_pages_where_areas_are_written(void **state)
{
	struct quire *q = make(QUIRE_DEFAULT, MIB(512));
	char *first = take(q, MIB(8));

	(void)state;
	memset(first, 1, MIB(8));
	take(q, MIB(8)); /* the first is looked at */
	quire_vfree(q, first);
	assert_u64_eq(sections_of_kind(q, first, MIB(8), HUGE_PLAIN), 4);
	assert_ptr_equal(take(q, MIB(5)), first);
	if (q->vmap->dense[REGION_LARGE].was_dense) /* not where the system cannot tell */
		assert_u64_eq(sections_of_kind(q, first, MIB(4), HUGE_ADVISED), 2);
	assert_u64_eq(sections_of_kind(q, first + MIB(4), MIB(4), HUGE_PLAIN), 2);
	quire_destroy(q);
}

/* A program that writes areas whole and then leaves them nearly empty is found out. */
static void huge_pages_end_when_areas_are_no_longer_written(void **state)
{
	struct quire *q = make(QUIRE_DEFAULT, 0);
	unsigned huge = 0;

	(void)state;
	for (unsigned i = 0; i < 8; i++)
		memset(take(q, MIB(4)), 1, MIB(4));
	for (unsigned i = 0; i < 60; i++) {
		char *area = take(q, MIB(4));

		area[0] = 1;
		huge += i >= 30 &&
			huge_kind(&q->vmap->advice,
				  (uint32_t)((size_t)(area - q->vmap->base) >> 21)) == HUGE_ADVISED;
	}
	assert_u64_eq(huge, 0);
	quire_destroy(q);
}

/* A program that takes all areas before it writes one: the worker finds them, a second apart. */
static void areas_written_late_are_made_huge_by_the_second_look(void **state)
{
	struct quire *q = make(QUIRE_AUTO, MIB(512));
	uint64_t now_ns = clock_now_ns();
	char *area[4];

	(void)state;
	if (!mem_huge_is_given())
		skip_because("the system gives no huge pages");
	for (unsigned i = 0; i < 4; i++)
		area[i] = take(q, MIB(4));
	for (unsigned i = 0; i < 3; i++)
		memset(area[i], 1, MIB(4));
	area[3][0] = 1;
	for (unsigned i = 0; i < 12; i++) {
		now_ns += UINT64_C(1100000000);
		decay_tick(&q->vmap->module, now_ns);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_true(mapping_has_flag(area[i], i < 3 ? "hg" : "nh"));
	for (size_t i = 0; i < MIB(4); i += 4096)
		assert_int_equal(area[0][i], 1);
	quire_destroy(q);
}

static void area_that_is_full_grows_into_huge_pages(void **state)
{
	struct quire *q = make(QUIRE_DEFAULT, MIB(512));
	char *area = take(q, MIB(4));
	uint32_t section = (uint32_t)((size_t)(area - q->vmap->base) >> 21);

	(void)state;
	memset(area, 1, MIB(4));
	assert_ptr_equal(quire_vrealloc(q, area, MIB(12), 0), area);
	assert_int_equal(huge_kind(&q->vmap->advice, section), HUGE_PLAIN);
	assert_int_equal(huge_kind(&q->vmap->advice, section + 3), HUGE_ADVISED);
	quire_destroy(q);
}

static void decision_follows_from_what_is_known(void **state)
{
	struct huge_question ask = { .covered_pages = 512, .block_pages = 512, .until_probe = 1 };

	(void)state;
	assert_int_equal(huge_decide(&ask), HUGE_UNKNOWN);
	ask.witness_was_dense = true;
	assert_int_equal(huge_decide(&ask), HUGE_LIKELY);
	ask.until_probe = 0;
	assert_int_equal(huge_decide(&ask), HUGE_PROBE);
	ask.populated = true;
	assert_int_equal(huge_decide(&ask), HUGE_POPULATED);
	ask.populated = false;
	ask.grown_and_full = true;
	assert_int_equal(huge_decide(&ask), HUGE_GROWN);
	ask.covered_pages = 383;
	assert_int_equal(huge_decide(&ask), HUGE_NOT_COVERED);
	ask.covered_pages = 384;
	assert_int_equal(huge_decide(&ask), HUGE_GROWN);
	ask.always = true;
	ask.covered_pages = 1;
	assert_int_equal(huge_decide(&ask), HUGE_ALWAYS);
	ask.off = true;
	assert_int_equal(huge_decide(&ask), HUGE_IS_OFF);
	/* Of a block of pages. */
	ask = (struct huge_question){ .covered_pages = 1, .block_pages = 1 };
	assert_int_equal(huge_decide(&ask), HUGE_UNKNOWN);
	ask.large = true;
	assert_int_equal(huge_decide(&ask), HUGE_LARGE);
}

/* ---- mappings ---- */

/* The middle one of three has no huge pages, until it is freed. */
static void block_that_is_free_needs_no_mapping_of_its_own(void **state)
{
	struct quire *q = make(QUIRE_AUTO, MIB(512));
	char *area[3];
	uint32_t edges;
	size_t before;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		area[i] = quire_vmalloc(q, MIB(4), i == 1 ? 0 : QUIRE_HUGE);
	assert_ptr_equal(area[2], area[0] + MIB(8));
	before = count_maps();
	edges = q->vmap->advice.edges;
	quire_vfree(q, area[1]);
	quire_vmap_purge(q);
	assert_u64_eq(sections_of_kind(q, area[0], MIB(12), HUGE_ADVISED), 6);
	assert_u64_eq(q->vmap->advice.edges, edges - 2);
	if (kernel_knows_huge_pages())
		assert_u64_eq(count_maps(), before - 2);
	quire_destroy(q);
}

/* Two areas share a block, in pieces that are free already at its ends and between them. */
static void block_has_its_advice_back_when_the_last_of_it_is_free(void **state)
{
	struct quire *q = make(QUIRE_ON, MIB(512));
	char *other = take(q, MIB(4)), *area[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		area[i] = take(q, 400000);
	assert_u64_eq(section_of(q, area[3] + 400000), section_of(q, area[0]));
	quire_vfree(q, area[1]);
	quire_vmap_purge(q);
	assert_u64_eq(sections_of_kind(q, area[0], 1, HUGE_PLAIN), 1);
	quire_vfree(q, area[3]);
	quire_vmap_purge(q);
	assert_u64_eq(sections_of_kind(q, area[0], 1, HUGE_PLAIN), 1);
	quire_vfree(q, area[0]);
	quire_vfree(q, area[2]);
	quire_vmap_purge(q);
	assert_u64_eq(sections_of_kind(q, area[0], 1, HUGE_ADVISED), 1);
	quire_vfree(q, other);
	quire_destroy(q);
}

/* In every other block of 2 MiB a half is freed, then everything.  Returns the most mappings. */
static size_t free_in_a_pattern(struct quire *q)
{
	char **area = calloc(PATTERN_NR, sizeof(*area));
	size_t most;

	for (unsigned i = 0; i < PATTERN_NR; i++)
		area[i] = take(q, AREA_BYTES);
	for (unsigned i = 0; i < PATTERN_NR; i++) {
		if ((uintptr_t)area[i] >> 21 & 1 || ((uintptr_t)area[i] >> 19 & 3) >= 2)
			continue;
		quire_vfree(q, area[i]);
		area[i] = NULL;
	}
	quire_vmap_purge(q);
	most = count_maps();
	for (unsigned i = 0; i < PATTERN_NR; i++)
		quire_vfree(q, area[i]);
	quire_vmap_purge(q);
	free(area);
	return most;
}

static void mappings_stay_within_the_budget_and_come_back(void **state)
{
	static const enum quire_switch thp[] = { QUIRE_ON, QUIRE_AUTO, QUIRE_OFF };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct mem_mappings_stat counted, before_any;
		struct quire *q;
		size_t before;

		mem_mappings_read(&before_any);
		q = make(thp[i], (size_t)12 << 30);
		quire_vfree(q, take(q, AREA_BYTES));
		before = count_maps();
		assert_true(free_in_a_pattern(q) <= before + ADVICE_MOST + 20);
		assert_true(count_maps() <= before + 20);
		quire_destroy(q);
		mem_mappings_read(&counted);
		assert_u64_eq(counted.used[MAPPINGS_ADVICE], before_any.used[MAPPINGS_ADVICE]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(area_of_which_a_page_is_written_takes_a_page),
		cmocka_unit_test(areas_written_whole_get_huge_pages),
		cmocka_unit_test(witness_is_one_block_once_areas_are_known_to_be_written),
		cmocka_unit_test(area_whose_caller_writes_all_has_huge_pages_at_once),
		cmocka_unit_test(area_whose_caller_wants_none_has_no_huge_pages),
		cmocka_unit_test(area_that_is_cleared_to_be_used_again_has_huge_pages),
		cmocka_unit_test(flag_for_huge_pages_asks_for_none_where_there_are_to_be_none),
		cmocka_unit_test(area_used_again_has_huge_pages_where_areas_are_written),
		cmocka_unit_test(huge_pages_end_when_areas_are_no_longer_written),
		cmocka_unit_test(areas_written_late_are_made_huge_by_the_second_look),
		cmocka_unit_test(area_that_is_full_grows_into_huge_pages),
		cmocka_unit_test(decision_follows_from_what_is_known),
		cmocka_unit_test(block_that_is_free_needs_no_mapping_of_its_own),
		cmocka_unit_test(block_has_its_advice_back_when_the_last_of_it_is_free),
		cmocka_unit_test(mappings_stay_within_the_budget_and_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
