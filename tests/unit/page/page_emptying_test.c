/* SPDX-License-Identifier: MIT */
/* Blocks that are chosen to become whole: who is, what is spared them, and how it ends. */
#include "unit/page/page_case.h"

#define SPARSE 8u /* blocks with one page in use each */

static char *blocks[SPARSE];

/* One page in use in each of SPARSE blocks, everything by the buddy itself. */
static struct quire *with_sparse_blocks(void **state)
{
	struct quire *q = *state;

	quire_pcp_disable(q);
	for (unsigned i = 0; i < SPARSE; i++)
		blocks[i] = take_block_as_pages(q, 0);
	for (unsigned i = 0; i < SPARSE; i++)
		for (uint32_t page = 1; page < block_pages(pages_of(q)); page++)
			quire_free_pages(q, page_after(q, blocks[i], page), 0);
	return q;
}

/* Choosing is due once in a few visits of the buddy: pairs of a type that is not looked at. */
static void let_choose(struct quire *q)
{
	struct pages *p = pages_of(q);

	for (unsigned i = 0; i < 64; i++)
		quire_free_pages(q, quire_alloc_pages(q, p->pageblock_order, QUIRE_RECLAIMABLE),
				 p->pageblock_order);
}

static unsigned emptying_nr(const struct quire *q)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < SPARSE; i++)
		nr += (tag_at(q, blocks[i]) & TAG_EMPTYING) != 0;
	return nr;
}

/* All used pages would fit into one block; one more is left as slack. */
static void all_but_the_needed_and_the_slack_are_emptied(void **state)
{
	struct quire *q = with_sparse_blocks(state);

	let_choose(q);
	assert_int_equal(emptying_nr(q), SPARSE - 2);
	assert_u64_eq(pages_of(q)->zone[0].row_blocks[ROW_EMPTYING], SPARSE - 2);
}

static void two_half_full_blocks_are_left_alone(void **state)
{
	struct quire *q = *state;

	quire_pcp_disable(q);
	for (unsigned i = 0; i < 2; i++)
		blocks[i] = take_block_as_pages(q, 0);
	for (uint32_t page = 0; page < block_pages(pages_of(q)); page += 2)
		for (unsigned i = 0; i < 2; i++)
			quire_free_pages(q, page_after(q, blocks[i], page), 0);
	let_choose(q);
	assert_false(tag_at(q, blocks[0]) & TAG_EMPTYING);
	assert_false(tag_at(q, blocks[1]) & TAG_EMPTYING);
}

static void an_emptying_block_gets_no_new_users_while_others_have_holes(void **state)
{
	struct quire *q = with_sparse_blocks(state);

	let_choose(q);
	for (unsigned i = 0; i < block_pages(pages_of(q)); i++) {
		void *addr = quire_alloc_pages(q, 0, 0);

		assert_false(tag_at(q, addr) & TAG_EMPTYING);
	}
}

static void a_free_into_an_emptying_block_goes_around_the_stacks(void **state)
{
	struct quire *q = with_sparse_blocks(state);
	unsigned i = 0;
	uint64_t frees;

	let_choose(q);
	quire_pcp_enable(q);
	while (!(tag_at(q, blocks[i]) & TAG_EMPTYING))
		i++;
	frees = stat_of(q).emptying_frees;
	quire_free_pages(q, blocks[i], 0);
	assert_u64_eq(stat_of(q).emptying_frees, frees + 1);
	assert_u64_eq(stat_of(q).cached_pages, 0);
	assert_true(pages_of(q)->block[block_at(q, blocks[i])].whole);
}

static void a_block_that_became_whole_is_ordinary_again(void **state)
{
	struct quire *q = with_sparse_blocks(state);
	unsigned i = 0;

	let_choose(q);
	while (!(tag_at(q, blocks[i]) & TAG_EMPTYING))
		i++;
	quire_free_pages(q, blocks[i], 0);
	assert_true(pages_of(q)->block[block_at(q, blocks[i])].whole);
	assert_false(tag_at(q, blocks[i]) & TAG_EMPTYING);
}

/* With every other block full, what was to be emptied is the last resort before growing. */
static void an_emptying_block_is_kept_when_nothing_else_fits(void **state)
{
	struct quire *q = with_sparse_blocks(state);
	struct pages *p = pages_of(q);
	struct zone *zone = &p->zone[0];
	unsigned order = p->pageblock_order - 1u; /* one such hole in each block */
	uint64_t online;

	let_choose(q);
	online = zone->online_pages;
	for (unsigned i = 0; i < SPARSE; i++)
		assert_non_null(quire_alloc_pages(q, order, 0));
	assert_u64_eq(zone->online_pages, online);
}

/* Whatever is freed in whatever order, sparse use must not keep blocks from becoming whole. */
static void random_churn_leaves_most_of_a_half_empty_zone_whole(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	size_t n = (size_t)32 << p->pageblock_order;
	void **held = calloc(n, sizeof(*held));
	uint32_t random = 1, whole = 0;

	assert_u64_eq(take_all(q, 0, 0, held, n), n);
	for (size_t i = 0; i < n * 16; i++) {
		size_t at = (random = random * 1664525 + 1013904223) % n;

		if (held[at] != NULL) {
			quire_free_pages(q, held[at], 0);
			held[at] = NULL;
		} else if (i > n && (random >> 8 & 1) != 0) {
			held[at] = quire_alloc_pages(q, 0, 0);
		}
	}
	quire_drain_all(q);
	for (uint32_t block = 0; block < p->zone[0].blocks_touched; block++)
		whole += p->block[block].whole;
	assert_true(whole >= 32 / 4);
	give_all(q, 0, held, n);
	free(held);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(all_but_the_needed_and_the_slack_are_emptied),
		PAGE_TEST(two_half_full_blocks_are_left_alone),
		PAGE_TEST(an_emptying_block_gets_no_new_users_while_others_have_holes),
		PAGE_TEST(a_free_into_an_emptying_block_goes_around_the_stacks),
		PAGE_TEST(a_block_that_became_whole_is_ordinary_again),
		PAGE_TEST(an_emptying_block_is_kept_when_nothing_else_fits),
		PAGE_TEST(random_churn_leaves_most_of_a_half_empty_zone_whole),
	};

	return PAGE_TESTS_RUN("page_emptying", tests);
}
