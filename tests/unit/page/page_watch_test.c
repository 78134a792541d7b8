/* SPDX-License-Identifier: MIT */
/* page_poison: free pages are filled, and what was written to one is found (tests/misuse has what that looks like). */
#include "unit/page/page_case.h"

#include "base/poison.h"

#define HELD_MAX 600u

static void *held[HELD_MAX];

static struct quire *make_poisoned(void)
{
	return page_make((struct quire_options){ .page_poison = QUIRE_ON });
}

static void a_free_page_is_filled_however_it_is_freed(void **state)
{
	struct quire *q = make_poisoned();
	size_t bytes = quire_page_bytes(q);
	char *run = quire_alloc_pages(q, 3, QUIRE_ZERO), *pages[8];

	(void)state;
	quire_split_pages(q, run, 3);
	for (unsigned i = 0; i < 8; i++)
		pages[i] = page_after(q, run, i);
	quire_free_pages(q, pages[0], 0);
	quire_free_pages_bulk(q, (void **)(pages + 1), 3);
	quire_free_contig_range(q, page_after(q, run, 4), 4 * bytes);
	assert_true(reads_as(run, 8 * bytes, POISON_PAGE));
	quire_destroy(q);
}

static void what_nobody_wrote_to_is_handed_out_again(void **state)
{
	struct quire *q = make_poisoned();

	(void)state;
	for (unsigned order = 0; order <= 4; order++) {
		size_t n = take_all(q, order, order % 2 != 0 ? QUIRE_ZERO : 0, held,
				    HELD_MAX >> order);

		for (size_t i = 0; i < n; i++)
			memset(held[i], 'x', quire_page_bytes(q) << order);
		give_all(q, order, held, n);
	}
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* Neither memory that was never written nor what has been given back is poison: it reads zero. */
static void pages_without_memory_are_not_taken_for_written_ones(void **state)
{
	struct quire *q = make_poisoned();
	char *page;
	size_t n;

	(void)state;
	n = take_all(q, 0, 0, held, HELD_MAX);
	give_all(q, 0, held, n / 2);
	quire_release(q);
	give_all(q, 0, held + n / 2, n - n / 2);
	quire_drain_all(q);
	n = take_all(q, 0, 0, held, HELD_MAX);
	give_all(q, 0, held, n);
	quire_release(q);
	page = quire_alloc_pages(q, 4, QUIRE_ZERO);
	assert_true(reads_as(page, quire_page_bytes(q) << 4, 0));
	quire_destroy(q);
}

static void without_the_option_free_pages_stay_as_they_are(void **state)
{
	struct quire *q = *state;
	char *page = quire_alloc_pages(q, 0, 0);

	memset(page, 'x', quire_page_bytes(q));
	quire_free_pages(q, page, 0);
	assert_true(reads_as(page, quire_page_bytes(q), 'x'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAGE_TEST(a_free_page_is_filled_however_it_is_freed),
		PAGE_TEST(what_nobody_wrote_to_is_handed_out_again),
		PAGE_TEST(pages_without_memory_are_not_taken_for_written_ones),
		PAGE_TEST(without_the_option_free_pages_stay_as_they_are),
	};

	return PAGE_TESTS_RUN("page_watch", tests);
}
