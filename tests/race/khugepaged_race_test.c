/* SPDX-License-Identifier: MIT */
/*
 * What was given back stays away for 40 s beside khugepaged, at the pace that the system has set: by
 * default it visits 16 MiB of a process every 10 s, and fills an advised block in which it finds a page.
 * QUIRE_KHUGEPAGED_S sets how long; 0: not at all.
 */
#include <time.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "machine/mem.h"
#include "mapped.h"
#include "page/pages.h"
#include "quire_test.h"
#include "vmap/vmap.h"

#define PAGE	   ((size_t)4096)
#define PAGES_NR   (MIB(64) / PAGE)
#define KEPT_EACH  64u
#define AREAS_NR   16u
#define AREA_BYTES MIB(7)
#define WAIT_S	   40u

static struct quire *make(void)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(1024), .page_shift = 12,
				   .worker = QUIRE_WORKER_OFF, .guard = QUIRE_GUARD_OFF);
	struct quire *q;

	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

/* 64 MiB are written, and 63 of 64 pages released. */
static void leave_few_pages(struct quire *q)
{
	static char *page[PAGES_NR];

	for (unsigned i = 0; i < PAGES_NR; i++) {
		page[i] = quire_alloc_pages(q, 0, QUIRE_MOVABLE);
		assert_non_null(page[i]);
		page[i][0] = 1;
	}
	for (unsigned i = 0; i < PAGES_NR; i++)
		if (i % KEPT_EACH != 0)
			quire_free_pages(q, page[i], 0);
}

/* Areas written whole, which have huge pages from the second on, shrink to a page. */
static void leave_small_areas(struct quire *q)
{
	for (unsigned i = 0; i < AREAS_NR; i++) {
		char *area = quire_vmalloc(q, AREA_BYTES, 0);

		assert_non_null(area);
		memset(area, 1, AREA_BYTES);
		assert_ptr_equal(quire_vrealloc(q, area, PAGE, 0), area);
	}
}

static uint64_t present(const void *base, size_t bytes)
{
	struct mapped_pages pages;

	return mapped_pages_read(base, bytes, &pages) ? pages.present : 0;
}

static void what_went_stays_away(void **state)
{
	struct timespec pause = { .tv_sec = (time_t)env_u64("QUIRE_KHUGEPAGED_S", WAIT_S) };
	struct quire *q = make();
	struct mapped_pages probe;
	uint64_t pages_before, areas_before;

	(void)state;
	/* It waits for the kernel, which does the same in every build. */
	skip_if_sanitized();
	if (pause.tv_sec == 0)
		skip_because("a short run waits for nobody");
	if (!mem_huge_is_given() || !mapped_pages_read(pages_of(q)->base, PAGE, &probe))
		skip_because("no huge pages, or nobody tells which pages have memory");
	leave_few_pages(q);
	leave_small_areas(q);
	quire_release(q);
	pages_before = present(pages_of(q)->base, pages_of(q)->span_bytes);
	areas_before = present(q->vmap->base, q->vmap->span_bytes);
	assert_u64_eq(pages_before, PAGES_NR / KEPT_EACH * PAGE);
	assert_u64_eq(areas_before, AREAS_NR * PAGE);
	nanosleep(&pause, NULL);
	assert_u64_eq(present(pages_of(q)->base, pages_of(q)->span_bytes), pages_before);
	assert_u64_eq(present(q->vmap->base, q->vmap->span_bytes), areas_before);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_went_stays_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
