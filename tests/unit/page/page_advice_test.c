/* SPDX-License-Identifier: MIT */
/*
 * Which blocks of pages have huge pages, and what that costs, step by step: the advice and the huge
 * pages that /proc/self/smaps shows, and the memory that /proc/self/pagemap shows.
 */
#include <quire/page.h>

#include "huge/huge.h"
#include "machine/mem.h"
#include "mapped.h"
#include "page/giveback.h"
#include "page/pages.h"
#include "quire_test.h"

#define PAGE	  ((size_t)4096)
#define BLOCK	  MIB(2)
#define FIRST	  8u /* blocks that begin without advice */
#define BLOCKS_NR 24u
#define WITNESS	  15u /* the last block of the second step behind them */
#define PAGES_NR  (BLOCKS_NR * (BLOCK / PAGE))
#define KEPT_EACH 64u /* pages of which one stays in use */

struct heap {
	struct quire *q;
	char *base;
	char *page[PAGES_NR];
	bool told; /* the system tells which pages have memory */
	struct mapped_pages pages;
};

static struct heap *heap_make(enum quire_switch thp)
{
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(128), .page_shift = 12, .report = QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF, .thp = thp);
	struct heap *heap = calloc(1, sizeof(*heap));

	assert_int_equal(quire_create(&options, &heap->q), 0);
	heap->base = pages_of(heap->q)->base;
	return heap;
}

static void heap_end(struct heap *heap)
{
	quire_destroy(heap->q);
	free(heap);
}

/* Pages [from, end), of which one in @each is written. */
static void take_and_write_some(struct heap *heap, unsigned from, unsigned end, unsigned each)
{
	for (unsigned i = from; i < end; i++) {
		if (heap->page[i] == NULL)
			heap->page[i] = quire_alloc_pages(heap->q, 0, QUIRE_MOVABLE);
		assert_non_null(heap->page[i]);
		if (i % each == 0)
			heap->page[i][0] = 1;
	}
}

static void take_and_write(struct heap *heap, unsigned from, unsigned end)
{
	take_and_write_some(heap, from, end, 1);
}

/* All but one of @each are freed; 0: all.  Then the memory of what is free is released. */
static void free_and_release(struct heap *heap, unsigned each)
{
	for (unsigned i = 0; i < PAGES_NR; i++) {
		if (heap->page[i] == NULL || (each != 0 && i % each == 0))
			continue;
		quire_free_pages(heap->q, heap->page[i], 0);
		heap->page[i] = NULL;
	}
	quire_release(heap->q);
}

static void look(struct heap *heap)
{
	heap->told = mapped_pages_read(heap->base, pages_of(heap->q)->span_bytes, &heap->pages);
}

/* Of blocks [first, end): 'h' for huge pages, 'n' against them. */
static void expect_advice(const struct heap *heap, unsigned first, unsigned end, char advice)
{
	for (unsigned i = first; i < end && kernel_knows_huge_pages(); i++) {
		const char *block = heap->base + i * BLOCK;

		assert_int_equal(mapping_has_flag(block, "hg"), advice == 'h');
		assert_int_equal(mapping_has_flag(block, "nh"), advice == 'n');
	}
}

static uint64_t huge_bytes(const struct heap *heap)
{
	return mapped_bytes(heap->base, pages_of(heap->q)->span_bytes, "AnonHugePages");
}

/* ---- claims ---- */

static void small_instance_takes_what_it_writes(void **state)
{
	static const unsigned types[] = { 0, QUIRE_MOVABLE, QUIRE_RECLAIMABLE };
	struct heap *heap = heap_make(QUIRE_AUTO);
	uint64_t before = status_bytes("RssAnon"), after;

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		char *page = quire_alloc_pages(heap->q, 0, types[i % 3]);

		assert_non_null(page);
		page[0] = 1;
	}
	look(heap);
	assert_u64_eq(huge_bytes(heap), 0);
	if (heap->told)
		assert_u64_eq(heap->pages.present, 30 * PAGE);
	after = status_bytes("RssAnon");
	heap_end(heap);
	skip_if_sanitized(); /* its shadow is memory too */
	assert_true(after < before + (UINT64_C(400) << 10));
}

/* The steps of a heap that grows, gives back in part, then as a whole, and grows again. */
static void advice_and_memory_follow_a_heap_step_by_step(void **state)
{
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	take_and_write(heap, 0, FIRST * BLOCK / PAGE);
	expect_advice(heap, 0, FIRST, 'n');
	assert_u64_eq(huge_bytes(heap), 0);

	take_and_write(heap, FIRST * BLOCK / PAGE, PAGES_NR);
	expect_advice(heap, 0, FIRST, 'n');
	expect_advice(heap, FIRST, WITNESS, 'h');
	expect_advice(heap, WITNESS, WITNESS + 1, 'n');
	expect_advice(heap, WITNESS + 1, BLOCKS_NR, 'h');
	look(heap);
	if (heap->told)
		assert_true(heap->pages.huge <= (BLOCKS_NR - FIRST) * BLOCK);

	free_and_release(heap, KEPT_EACH);
	expect_advice(heap, 0, BLOCKS_NR, 'n');
	assert_u64_eq(huge_bytes(heap), 0);
	look(heap);
	if (heap->told)
		assert_u64_eq(heap->pages.present, PAGES_NR / KEPT_EACH * PAGE);

	free_and_release(heap, 0);
	expect_advice(heap, 0, BLOCKS_NR, 'h');
	look(heap);
	if (heap->told)
		assert_u64_eq(heap->pages.present, 0);

	take_and_write(heap, 0, PAGES_NR);
	expect_advice(heap, 0, BLOCKS_NR, 'h');
	heap_end(heap);
}

static void skip_if_nobody_tells(struct heap *heap)
{
	look(heap);
	if (heap->told)
		return;
	heap_end(heap);
	skip_because("the system does not tell which pages were written");
}

static void heap_that_is_hardly_written_takes_what_it_writes(void **state)
{
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	skip_if_nobody_tells(heap);
	take_and_write_some(heap, 0, PAGES_NR, 4);
	expect_advice(heap, 0, BLOCKS_NR, 'n');
	look(heap);
	assert_u64_eq(heap->pages.present, PAGES_NR / 4 * PAGE);
	heap_end(heap);
}

/* Steps have four blocks.  What is written is found out when the next one is due. */
static void heap_has_huge_pages_once_a_step_was_written(void **state)
{
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	skip_if_nobody_tells(heap);
	take_and_write_some(heap, 0, 12 * BLOCK / PAGE, 4);
	take_and_write(heap, 12 * BLOCK / PAGE, PAGES_NR);
	expect_advice(heap, 0, 16, 'n');
	expect_advice(heap, 16, BLOCKS_NR - 1, 'h');
	expect_advice(heap, BLOCKS_NR - 1, BLOCKS_NR, 'n');
	heap_end(heap);
}

static void heap_has_no_more_huge_pages_once_a_witness_was_not_written(void **state)
{
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	skip_if_nobody_tells(heap);
	take_and_write(heap, 0, 12 * BLOCK / PAGE);
	take_and_write_some(heap, 12 * BLOCK / PAGE, PAGES_NR, 4);
	expect_advice(heap, 0, FIRST, 'n');
	expect_advice(heap, FIRST, WITNESS, 'h');
	expect_advice(heap, WITNESS, BLOCKS_NR, 'n');
	heap_end(heap);
}

/* The witness is pending when all blocks are given back and go offline.  They come back one by one. */
static void heap_that_trims_keeps_its_huge_pages(void **state)
{
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	skip_if_nobody_tells(heap);
	take_and_write(heap, 0, (WITNESS + 1) * BLOCK / PAGE);
	free_and_release(heap, 0);
	take_and_write(heap, 0, PAGES_NR);
	expect_advice(heap, 0, WITNESS + 4, 'h');
	expect_advice(heap, WITNESS + 4, WITNESS + 5, 'n'); /* the next witness */
	expect_advice(heap, WITNESS + 5, BLOCKS_NR, 'h');
	heap_end(heap);
}

/* The last that comes back is written whole, and the rest of the heap hardly. */
static void block_that_was_offline_is_no_witness(void **state)
{
	const unsigned block_pages = BLOCK / PAGE;
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	skip_if_nobody_tells(heap);
	take_and_write_some(heap, 0, 16 * block_pages, 4);
	free_and_release(heap, 0);
	take_and_write_some(heap, 0, 15 * block_pages, 4);
	take_and_write(heap, 15 * block_pages, 16 * block_pages);
	take_and_write_some(heap, 16 * block_pages, PAGES_NR, 4);
	expect_advice(heap, 0, BLOCKS_NR, 'n');
	heap_end(heap);
}

static enum huge_kind kind_of(const struct heap *heap, uint32_t block)
{
	return huge_kind(&pages_of(heap->q)->huge, block);
}

/* The first blocks began without huge pages; all but one are full.  16 are looked at in a visit, and 4 made
 * huge. */
static void full_blocks_are_made_huge_by_the_second_look(void **state)
{
	uint64_t huge_before;
	struct heap *heap;

	(void)state;
	if (!mem_huge_is_given())
		skip_because("the system gives no huge pages");
	heap = heap_make(QUIRE_AUTO);
	take_and_write(heap, 0, PAGES_NR);
	quire_free_pages(heap->q, heap->base + PAGE, 0);
	for (unsigned i = 0; i < PAGES_NR; i++)
		if (heap->page[i] == heap->base + PAGE)
			heap->page[i] = NULL;
	quire_drain_all(heap->q); /* or it would be on a list, and the block full */
	huge_before = huge_bytes(heap);
	giveback_visit(pages_of(heap->q), 0);
	for (unsigned i = 1; i < FIRST; i++)
		assert_int_equal(kind_of(heap, i), HUGE_FULL);
	expect_advice(heap, 0, FIRST, 'n');
	for (unsigned i = 0; i < 8; i++)
		giveback_visit(pages_of(heap->q), 0);
	expect_advice(heap, 1, BLOCKS_NR, 'h');
	assert_int_equal(kind_of(heap, 0), HUGE_PLAIN);
	assert_true(huge_bytes(heap) >= huge_before);
	for (unsigned i = 0; i < PAGES_NR; i++)
		assert_true(heap->page[i] == NULL || heap->page[i][0] == 1);
	heap_end(heap);
}

/* Full, but hardly written: pages that were never touched have no memory. */
static void full_blocks_that_are_hardly_written_are_left_alone(void **state)
{
	struct heap *heap = heap_make(QUIRE_AUTO);

	(void)state;
	for (unsigned i = 0; i < PAGES_NR; i++) {
		heap->page[i] = quire_alloc_pages(heap->q, 0, QUIRE_MOVABLE);
		assert_non_null(heap->page[i]);
		if (i % 2 == 0)
			heap->page[i][0] = 1;
	}
	for (unsigned i = 0; i < 8; i++)
		giveback_visit(pages_of(heap->q), 0);
	for (unsigned i = 0; i < FIRST; i++)
		assert_int_equal(kind_of(heap, i), HUGE_PLAIN);
	heap_end(heap);
}

static void option_gives_all_blocks_the_advice_or_none(void **state)
{
	static const enum quire_switch thp[] = { QUIRE_ON, QUIRE_OFF };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		char advice = thp[i] == QUIRE_ON ? 'h' : 'n';
		struct heap *heap = heap_make(thp[i]);

		take_and_write(heap, 0, PAGES_NR);
		expect_advice(heap, 0, BLOCKS_NR, advice);
		free_and_release(heap, 0);
		expect_advice(heap, 0, BLOCKS_NR, advice);
		look(heap);
		if (heap->told)
			assert_u64_eq(heap->pages.present, 0);
		heap_end(heap);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_instance_takes_what_it_writes),
		cmocka_unit_test(advice_and_memory_follow_a_heap_step_by_step),
		cmocka_unit_test(heap_that_is_hardly_written_takes_what_it_writes),
		cmocka_unit_test(heap_has_huge_pages_once_a_step_was_written),
		cmocka_unit_test(heap_has_no_more_huge_pages_once_a_witness_was_not_written),
		cmocka_unit_test(heap_that_trims_keeps_its_huge_pages),
		cmocka_unit_test(block_that_was_offline_is_no_witness),
		cmocka_unit_test(full_blocks_are_made_huge_by_the_second_look),
		cmocka_unit_test(full_blocks_that_are_hardly_written_are_left_alone),
		cmocka_unit_test(option_gives_all_blocks_the_advice_or_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
