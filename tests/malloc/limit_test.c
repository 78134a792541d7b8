/* SPDX-License-Identifier: MIT */
/*
 * limit_test.c - malloc at its limit, with limit:64m, in each mode that looks at blocks
 *
 * Blocks are chained through their first word.
 */
#include <malloc.h>

#include "quire_test.h"

#include "chain.h"

extern void free_sized(void *block, size_t bytes) __attribute__((weak));

#define SHRUNK_BYTES 100u
#define PIECE_BYTES  ((size_t)1 << 19)

/* No smaller block can be had, so it stays; then it is no misuse to free it by the size that it shrank to. */
static void check_refused_shrink(size_t bytes)
{
	void *block = malloc(bytes), *shrunk;
	struct link *chain;

	assert_non_null(block);
	chain = chain_take_all(SHRUNK_BYTES);
	shrunk = realloc(block, SHRUNK_BYTES);
	assert_ptr_equal(shrunk, block);
	chain_free(chain);
	if (free_sized != NULL)
		free_sized(shrunk, SHRUNK_BYTES);
	else
		free(shrunk);
}

static void a_refused_shrink_of_a_small_block_is_freed_by_its_size(void **state)
{
	(void)state;
	check_refused_shrink(1000);
	check_refused_shrink(30000);
}

static void a_refused_shrink_of_a_large_block_is_freed_by_its_size(void **state)
{
	(void)state;
	check_refused_shrink(200000);
	check_refused_shrink(3000000);
}

/* Freed blocks may wait, but not while a program is refused what they have. */
static void what_was_freed_can_be_had_again(void **state)
{
	size_t first, second;

	(void)state;
	first = chain_free(chain_take(NULL, PIECE_BYTES));
	second = chain_free(chain_take(NULL, PIECE_BYTES));
	assert_in_range(first, 64, 128);
	assert_in_range(second, first - 1, 128);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_freed_can_be_had_again),
		cmocka_unit_test(a_refused_shrink_of_a_small_block_is_freed_by_its_size),
		cmocka_unit_test(a_refused_shrink_of_a_large_block_is_freed_by_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
