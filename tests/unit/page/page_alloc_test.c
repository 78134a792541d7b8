/* SPDX-License-Identifier: MIT */
/* quire_alloc_pages() and what stands on it: orders, flags, zeroes, exact sizes, splitting. */
#include "unit/page/page_case.h"

#define HELD_MAX 4096

static void *held[HELD_MAX];

static void *take(struct quire *q, unsigned order, unsigned flags)
{
	void *addr = quire_alloc_pages(q, order, flags);

	assert_non_null(addr);
	return addr;
}

static size_t order_bytes(const struct quire *q, unsigned order)
{
	return (size_t)1 << (order + q->page_shift);
}

static struct quire *make_small(void)
{
	return page_make((struct quire_options){ .limit_bytes = MIB(8) * page_case->zones });
}

static void destroy(struct quire *q)
{
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void every_order_is_aligned_to_its_size(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++) {
		for (unsigned i = 0; i < 3; i++) {
			uintptr_t addr = (uintptr_t)take(q, order, i);

			assert_u64_eq(addr & (order_bytes(q, order) - 1), 0);
			assert_int_equal(quire_block_order(q, (void *)addr), order);
			if (order > 5) /* three of each would be too much */
				quire_free_pages(q, (void *)addr, order);
		}
	}
}

static void all_of_a_block_is_usable(void **state)
{
	struct quire *q = *state;
	size_t bytes = order_bytes(q, 3);
	char *a = take(q, 3, 0), *b = take(q, 3, 0);

	memset(a, 'a', bytes);
	memset(b, 'b', bytes);
	assert_true(reads_as(a, bytes, 'a'));
	assert_true(reads_as(b, bytes, 'b'));
}

static void wrong_orders_and_flags_are_invalid(void **state)
{
	struct quire *q = *state;
	const struct {
		unsigned order, flags;
	} wrong[] = {
		{ QUIRE_ORDER_MAX + 1, 0 },
		{ UINT32_MAX, 0 },
		{ 0, QUIRE_MOVABLE | QUIRE_RECLAIMABLE },
		{ 0, 1u << 7 },
		{ 0, 1u << 23 },
		{ 0, QUIRE_NODE(page_case->zones) },
	};

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		errno = 0;
		assert_null(quire_alloc_pages(q, wrong[i].order, wrong[i].flags));
		assert_int_equal(errno, EINVAL);
	}
	assert_u64_eq(stat_of(q).refusals, 0);
}

static void a_refusal_says_so_and_changes_nothing(void **state)
{
	struct quire *q = make_small();
	size_t n = take_all(q, 3, 0, held, HELD_MAX);
	struct quire_page_stat before = stat_of(q), after;

	(void)state;
	errno = 0;
	assert_null(quire_alloc_pages(q, 3, 0));
	assert_int_equal(errno, ENOMEM);
	after = stat_of(q);
	assert_u64_eq(after.refusals, before.refusals + 1);
	assert_u64_eq(after.allocated_pages, n * 8);
	destroy(q);
}

static void what_is_freed_can_be_had_again(void **state)
{
	struct quire *q = make_small();
	size_t n = take_all(q, 0, 0, held, HELD_MAX);

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		quire_free_pages(q, held[i * 7 % n], 0);
		held[i * 7 % n] = take(q, 0, i % 3);
		assert_null(quire_alloc_pages(q, 0, 0));
	}
	give_all(q, 0, held, n);
	assert_u64_eq(take_all(q, 0, 0, held, HELD_MAX), n);
	destroy(q);
}

static void what_other_cpus_hold_is_drained_before_a_refusal(void **state)
{
	struct quire *q = make_small();
	struct pages *p = pages_of(q);
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);
	unsigned last = p->stacks.cpu.all_slots_nr - 1;

	(void)state;
	assert_true(n > 4);
	for (unsigned slot = 0; slot <= last; slot++)
		page_free_on(p, slot, held[slot % 4], 0);
	for (unsigned slot = 0; slot <= last && slot < 4; slot++)
		take(q, 0, QUIRE_NODE(0));
	destroy(q);
}

/* The page lies on a list that is not this CPU's, and nothing else is left. */
static void callers_that_may_not_wait_do_not_drain(void **state)
{
	static const unsigned flags[] = { QUIRE_NOWAIT, QUIRE_NORETRY, QUIRE_NOWAIT | QUIRE_ZERO };
	struct quire *q = make_small();
	struct pages *p = pages_of(q);
	size_t n = take_all(q, 0, QUIRE_NODE(0), held, HELD_MAX);
	unsigned other = own_pcp(q)->door.slot == 0 ? p->stacks.cpu.all_slots_nr - 1 : 0;

	(void)state;
	if (other == own_pcp(q)->door.slot)
		skip_because("there is one list only");
	page_free_on(p, other, held[n - 1], 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		assert_null(quire_alloc_pages(q, 0, flags[i] | QUIRE_NODE(0)));
	take(q, 0, QUIRE_NODE(0));
	destroy(q);
}

/* ---- zeroes --------------------------------------------------------------------------------- */

static void zero_is_kept_on_fresh_pages(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 0; order <= 5; order++)
		assert_true(reads_as(take(q, order, QUIRE_ZERO), order_bytes(q, order), 0));
}

static void zero_is_kept_on_reused_pages(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 0; order <= 5; order++) {
		void *addr = take(q, order, 0);

		memset(addr, 0xa5, order_bytes(q, order));
		quire_free_pages(q, addr, order);
		assert_true(reads_as(take(q, order, QUIRE_ZERO), order_bytes(q, order), 0));
	}
}

static void zero_is_kept_on_pages_that_were_given_back(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 0; order <= 5; order++) {
		void *addr = take(q, order, 0);

		memset(addr, 0xa5, order_bytes(q, order));
		quire_free_pages(q, addr, order);
		quire_release(q);
		assert_true(reads_as(take(q, order, QUIRE_ZERO), order_bytes(q, order), 0));
	}
}

/* B11: one half of the merged run is known to be zero, the other is not. */
static void zero_is_kept_on_pages_merged_of_clean_and_dirty(void **state)
{
	struct quire *q = *state;
	char *dirty;

	quire_pcp_disable(q);
	dirty = take(q, 0, 0);
	memset(dirty, 0xa5, quire_page_bytes(q));
	quire_free_pages(q, dirty, 0);
	assert_ptr_equal(take(q, 2, QUIRE_ZERO), dirty);
	assert_true(reads_as(dirty, order_bytes(q, 2), 0));
}

/* ---- exact sizes ---------------------------------------------------------------------------- */

static void an_exact_size_takes_that_many_pages(void **state)
{
	struct quire *q = *state;
	size_t page = quire_page_bytes(q);

	for (size_t pages = 1; pages <= 33; pages++) {
		char *addr = quire_alloc_pages_exact(q, pages * page - 1, QUIRE_ZERO);

		assert_non_null(addr);
		assert_u64_eq(stat_of(q).allocated_pages, pages);
		assert_true(reads_as(addr, pages * page, 0));
		for (size_t i = 0; i < pages; i++)
			assert_int_equal(quire_block_order(q, page_after(q, addr, i)), 0);
		quire_free_pages_exact(q, addr, pages * page - 1);
		assert_u64_eq(stat_of(q).allocated_pages, 0);
	}
}

static void an_exact_size_may_be_the_largest_block(void **state)
{
	struct quire *q = *state;
	size_t bytes = order_bytes(q, QUIRE_ORDER_MAX);
	void *addr = quire_alloc_pages_exact(q, bytes, 0);

	assert_non_null(addr);
	quire_free_pages_exact(q, addr, bytes);
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void an_exact_size_of_nothing_or_too_much_is_invalid(void **state)
{
	struct quire *q = *state;
	const size_t wrong[] = { 0, order_bytes(q, QUIRE_ORDER_MAX) + 1, SIZE_MAX };

	for (unsigned i = 0; i < 3; i++) {
		errno = 0;
		assert_null(quire_alloc_pages_exact(q, wrong[i], 0));
		assert_int_equal(errno, EINVAL);
	}
}

static void freeing_no_exact_block_does_nothing(void **state)
{
	struct quire *q = *state;

	quire_free_pages_exact(q, NULL, 12345);
	assert_u64_eq(stat_of(q).online_pages, 0);
}

/* ---- splitting, and questions --------------------------------------------------------------- */

static void a_split_block_is_freed_page_by_page(void **state)
{
	struct quire *q = *state;

	for (unsigned order = 0; order <= QUIRE_ORDER_MAX; order++) {
		char *addr = take(q, order, 0);

		quire_split_pages(q, addr, order);
		assert_u64_eq(stat_of(q).allocated_pages, 1u << order);
		for (uint32_t i = 0; i < 1u << order; i++) {
			assert_int_equal(quire_block_order(q, page_after(q, addr, i)), 0);
			quire_free_pages(q, page_after(q, addr, i), 0);
		}
	}
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void a_block_may_be_split_into_smaller_blocks(void **state)
{
	struct quire *q = *state;
	char *addr = take(q, 4, 0);

	page_split_to(pages_of(q), addr, 4, 2);
	for (uint32_t i = 0; i < 16; i += 4) {
		assert_int_equal(quire_block_order(q, page_after(q, addr, i)), 2);
		quire_free_pages(q, page_after(q, addr, i), 2);
	}
	assert_u64_eq(stat_of(q).allocated_pages, 0);
}

static void any_address_leads_to_its_page(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take(q, 1, 0);
	size_t page = quire_page_bytes(q);
	int local;

	assert_ptr_equal(quire_page_address(q, addr), addr);
	assert_ptr_equal(quire_page_address(q, addr + page - 1), addr);
	assert_ptr_equal(quire_page_address(q, addr + page), addr + page);
	assert_null(quire_page_address(q, &local));
	assert_null(quire_page_address(q, NULL));
	assert_null(quire_page_address(q, p->base + p->span_bytes));
}

static void only_the_first_byte_of_an_allocated_block_has_an_order(void **state)
{
	struct quire *q = *state;
	struct pages *p = pages_of(q);
	char *addr = take(q, 2, 0);
	int local;

	assert_int_equal(quire_block_order(q, addr), 2);
	assert_int_equal(quire_block_order(q, addr + 1), -EINVAL);
	assert_int_equal(quire_block_order(q, page_after(q, addr, 1)), -EINVAL);
	assert_int_equal(quire_block_order(q, &local), -EINVAL);
	assert_int_equal(quire_block_order(q, NULL), -EINVAL);
	assert_int_equal(quire_block_order(q, p->base + p->span_bytes - quire_page_bytes(q)),
			 -EINVAL);
	quire_free_pages(q, addr, 2);
	assert_int_equal(quire_block_order(q, addr), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(every_order_is_aligned_to_its_size),
		PAGE_TEST(all_of_a_block_is_usable),
		PAGE_TEST(wrong_orders_and_flags_are_invalid),
		PAGE_TEST(a_refusal_says_so_and_changes_nothing),
		PAGE_TEST(what_is_freed_can_be_had_again),
		PAGE_TEST(what_other_cpus_hold_is_drained_before_a_refusal),
		PAGE_TEST(callers_that_may_not_wait_do_not_drain),
		PAGE_TEST(zero_is_kept_on_fresh_pages),
		PAGE_TEST(zero_is_kept_on_reused_pages),
		PAGE_TEST(zero_is_kept_on_pages_that_were_given_back),
		PAGE_TEST(zero_is_kept_on_pages_merged_of_clean_and_dirty),
		PAGE_TEST(an_exact_size_takes_that_many_pages),
		PAGE_TEST(an_exact_size_may_be_the_largest_block),
		PAGE_TEST(an_exact_size_of_nothing_or_too_much_is_invalid),
		PAGE_TEST(freeing_no_exact_block_does_nothing),
		PAGE_TEST(a_split_block_is_freed_page_by_page),
		PAGE_TEST(a_block_may_be_split_into_smaller_blocks),
		PAGE_TEST(any_address_leads_to_its_page),
		PAGE_TEST(only_the_first_byte_of_an_allocated_block_has_an_order),
	};

	return PAGE_TESTS_RUN("page_alloc", tests);
}
