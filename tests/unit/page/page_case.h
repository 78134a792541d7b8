/* SPDX-License-Identifier: MIT */
/*
 * page_case.h - page sizes, zones, sequences and backings under which the page allocator's tests run
 *
 * page_tests_run() runs a table of tests once for each case.  A test gets an instance of 256 MiB a
 * zone (128 pageblocks whatever the page size) made for the case; its worker is off, so nothing
 * happens by itself.  After each test the instance must still satisfy every invariant.
 */
#ifndef PAGE_CASE_H
#define PAGE_CASE_H

#include <errno.h>

#include "base/errno.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/alloc.h"
#include "page/block.h"
#include "page/buddy.h"
#include "page/depot.h"
#include "page/drain.h"
#include "page/free.h"
#include "page/giveback.h"
#include "page/grow.h"
#include "page/layout.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/request.h"
#include "page/rmqueue.h"
#include "page/stacks.h"
#include "page/state.h"
#include "page/zone.h"
#include "quire_test.h"

#define CASE_BLOCKS 128u /* in each zone */

struct page_case {
	unsigned page_shift, zones;
	enum quire_switch rseq;
	enum quire_backing backing;
};

static const struct page_case page_cases[] = {
	{ .page_shift = 12, .zones = 1, .rseq = QUIRE_ON },
	{ .page_shift = 12, .zones = 1, .rseq = QUIRE_OFF },
	{ .page_shift = 12, .zones = 2, .rseq = QUIRE_ON },
	{ .page_shift = 14, .zones = 1, .rseq = QUIRE_ON },
	{ .page_shift = 16, .zones = 1, .rseq = QUIRE_ON },
	{ .page_shift = 16, .zones = 2, .rseq = QUIRE_OFF },
	{ .page_shift = 12, .zones = 1, .rseq = QUIRE_ON, .backing = QUIRE_BACKING_MEMFD },
	{ .page_shift = 14, .zones = 2, .rseq = QUIRE_OFF, .backing = QUIRE_BACKING_MEMFD },
};
#define PAGE_CASES_NR (sizeof(page_cases) / sizeof(page_cases[0]))

static const struct page_case *page_case; /* the one that runs now */

/* An instance of the case; fields that are set in @options stay. */
static inline struct quire *page_make(struct quire_options options)
{
	struct quire *q = NULL;

	options.page_shift = page_case->page_shift;
	options.rseq = page_case->rseq;
	options.backing = page_case->backing;
	if (options.zones == 0)
		options.zones = page_case->zones;
	if (options.limit_bytes == 0)
		options.limit_bytes = options.zones * ((uint64_t)CASE_BLOCKS << BLOCK_SHIFT);
	if (options.worker == QUIRE_WORKER_DEFAULT)
		options.worker = QUIRE_WORKER_OFF;
	options.struct_bytes = sizeof(options);
	assert_int_equal(quire_create(&options, &q), 0);
	return q;
}

static inline int page_setup(void **state)
{
	*state = page_make((struct quire_options){ .limit_bytes = 0 });
	return 0;
}

static inline int page_teardown(void **state)
{
	int label = quire_verify(*state);

	if (label != 0)
		print_error("after the test, rule %d is broken: %s\n", label,
			    quire_rule_text(label));
	quire_destroy(*state);
	return label;
}

#define PAGE_TEST(function) cmocka_unit_test_setup_teardown(function, page_setup, page_teardown)

/* Runs a table of tests for every case; the answer is main()'s. */
static inline int page_tests_run(const char *name, const struct CMUnitTest *tests, size_t tests_nr)
{
	int failed = 0;

	assert_true(pin_to_cpu((unsigned)allowed_cpu_next(0)));
	for (size_t i = 0; i < PAGE_CASES_NR; i++) {
		char text[128];

		page_case = &page_cases[i];
		snprintf(text, sizeof(text), "%s: shift %u, zones %u, rseq %s, %s", name,
			 page_case->page_shift, page_case->zones,
			 page_case->rseq == QUIRE_ON ? "on" : "off",
			 page_case->backing == QUIRE_BACKING_MEMFD ? "memfd" : "anon");
		failed += _cmocka_run_group_tests(text, tests, tests_nr, NULL, NULL);
	}
	return failed;
}

#define PAGE_TESTS_RUN(name, tests) page_tests_run(name, tests, sizeof(tests) / sizeof((tests)[0]))

/* ---- looking inside ------------------------------------------------------------------------- */

static inline struct quire_page_stat stat_of(struct quire *q)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(q, &stat), 0);
	return stat;
}

static inline uint32_t block_at(const struct quire *q, const void *addr)
{
	const struct pages *p = pages_of_const(q);

	return page_block(p, page_frame(p, addr));
}

static inline uint8_t tag_at(const struct quire *q, const void *addr)
{
	return pages_of_const(q)->tag[block_at(q, addr)];
}

static inline struct zone *zone_at(struct quire *q, const void *addr)
{
	struct pages *p = pages_of(q);

	return page_zone(p, page_frame(p, addr));
}

static inline uint8_t state_at(const struct quire *q, const void *addr)
{
	const struct pages *p = pages_of_const(q);

	return p->state[page_frame(p, addr)];
}

/* The @page-th page after an address. */
static inline void *page_after(const struct quire *q, void *addr, size_t page)
{
	return (char *)addr + (page << q->page_shift);
}

static inline void *block_addr(const struct quire *q, uint32_t block)
{
	const struct pages *p = pages_of_const(q);

	return page_addr(p, block_frame(p, block));
}

/* Pages of one row of the first zone. */
static inline uint64_t row_pages(const struct quire *q, unsigned row)
{
	uint64_t pages = 0;

	for (unsigned order = 0; order < QUIRE_ORDERS; order++)
		pages += (uint64_t)pages_of_const(q)->zone[0].nr_free[order][row] << order;
	return pages;
}

/* The CPU's lists in the first zone that the current thread uses. */
static inline struct pcp *own_pcp(struct quire *q)
{
	struct pages *p = pages_of(q);

	return page_pcp(p, 0, (unsigned)stack_slot(&p->stacks.cpu));
}

/* Takes until it is refused, or @max; returns how many. */
static inline size_t take_all(struct quire *q, unsigned order, unsigned flags, void **held,
			      size_t max)
{
	size_t n = 0;

	while (n < max && (held[n] = quire_alloc_pages(q, order, flags)) != NULL)
		n++;
	return n;
}

static inline void give_all(struct quire *q, unsigned order, void **held, size_t n)
{
	for (size_t i = 0; i < n; i++)
		quire_free_pages(q, held[i], order);
}

/* Whole pageblocks of one type in use page by page: the only way to say where pages lie. */
static inline char *take_block_as_pages(struct quire *q, unsigned flags)
{
	struct pages *p = pages_of(q);
	char *addr = quire_alloc_pages(q, p->pageblock_order, flags);

	assert_non_null(addr);
	quire_split_pages(q, addr, p->pageblock_order);
	return addr;
}

static inline bool reads_as(const void *addr, size_t bytes, unsigned char byte)
{
	const unsigned char *at = addr;
	bool same = true;

	for (size_t i = 0; i < bytes; i++)
		same = same && at[i] == byte;
	return same;
}

#endif
