/* SPDX-License-Identifier: MIT */
/* The map of pageblocks: what a character says of the block at its address. */
#include "unit/page/page_case.h"

#include "page/map.h"

#define TEXT_BYTES 3328 /* its room in the observed page */

static char text[TEXT_BYTES];

static void read_map(const struct quire *q)
{
	assert_in_range(page_text_map(q, text, sizeof(text)), 70, sizeof(text) - 1);
}

/* What the map has at an address, where a character is one block; 0: nothing. */
static char cell_at(const void *addr)
{
	const char *row = strchr(text, '\n') + 1;

	while (*row != '\0') {
		char cells[MAP_COLUMNS + 1];
		unsigned long start;
		size_t at;

		assert_int_equal(sscanf(row, "%lx %64s\n", &start, cells), 2);
		at = ((uintptr_t)addr - start) >> BLOCK_SHIFT;
		if ((uintptr_t)addr >= start && at < strlen(cells))
			return cells[at];
		row = strchr(row, '\n') + 1;
	}
	return 0;
}

static void a_full_block_a_sparse_one_and_a_free_one_look_different(void **state)
{
	struct quire *q = *state;
	unsigned order = pages_of(q)->pageblock_order;
	void *page = quire_alloc_pages(q, 0, QUIRE_NODE(0));
	void *half = quire_alloc_pages(q, order - 1, QUIRE_MOVABLE | QUIRE_NODE(0));
	char *first = quire_alloc_pages(q, order, QUIRE_NODE(0));
	char *second = quire_alloc_pages(q, order, QUIRE_NODE(0));

	quire_free_pages(q, second, order);
	quire_drain_all(q);
	read_map(q);
	assert_int_equal(cell_at(page), '!');
	assert_int_equal(cell_at(half), '5');
	assert_int_equal(cell_at(first), '#');
	assert_int_equal(cell_at(first + ((size_t)1 << BLOCK_SHIFT) - 1), '#');
	assert_int_equal(cell_at(second), '_');
	assert_int_equal(cell_at(&text), 0);
}

static void a_run_of_several_blocks_fills_all_of_them(void **state)
{
	struct quire *q = *state;
	char *run = quire_alloc_pages(q, QUIRE_ORDER_MAX, QUIRE_NODE(0));
	size_t bytes = (size_t)1 << (QUIRE_ORDER_MAX + page_case->page_shift);

	read_map(q);
	for (size_t at = 0; at < bytes; at += (size_t)1 << BLOCK_SHIFT)
		assert_int_equal(cell_at(run + at), '#');
}

static void what_went_offline_is_away(void **state)
{
	struct quire *q = *state;
	unsigned order = pages_of(q)->pageblock_order;
	void *kept = quire_alloc_pages(q, order, QUIRE_NODE(0));
	void *block = quire_alloc_pages(q, order, QUIRE_NODE(0));

	assert_non_null(kept);
	quire_free_pages(q, block, order);
	assert_int_equal(quire_offline_pageblock(q, block), 0);
	read_map(q);
	assert_int_equal(cell_at(block), '.');
	assert_int_equal(cell_at(kept), '#');
}

/* More blocks than there is room for characters: each then stands for two. */
static void a_large_map_has_no_more_rows(void **state)
{
	unsigned blocks = MAP_ROWS_MAX * MAP_COLUMNS + 1;
	struct quire *q = page_make((struct quire_options){
		.limit_bytes = (uint64_t)(blocks + CASE_BLOCKS) << BLOCK_SHIFT });
	char heading[64];

	(void)state;
	for (unsigned i = 0; i < blocks; i++)
		assert_non_null(quire_alloc_pages(q, pages_of(q)->pageblock_order, 0));
	read_map(q);
	snprintf(heading, sizeof(heading), "a character is %u KiB: ", 2u << (BLOCK_SHIFT - 10));
	assert_memory_equal(text, heading, strlen(heading));
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_full_block_a_sparse_one_and_a_free_one_look_different),
		PAGE_TEST(a_run_of_several_blocks_fills_all_of_them),
		PAGE_TEST(what_went_offline_is_away),
		PAGE_TEST(a_large_map_has_no_more_rows),
	};

	return PAGE_TESTS_RUN("page_map", tests);
}
