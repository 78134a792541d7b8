/* SPDX-License-Identifier: MIT */
/*
 * learn_test.c - sizes that a program holds much of get classes of their own
 *
 * What was learnt stays, and is asked more of the more there is, so each test runs in a child of its own.  Blocks are
 * chained through their first word.
 */
#include <stdio.h>
#include <unistd.h>

#include "classes.h"

#define LEARNT_MIB 20 /* more than a size must hold */

static size_t exact(size_t bytes)
{
	return (bytes + 15) / 16 * 16;
}

static void little_of_a_size_teaches_nothing(void)
{
	size_t before = usable_of(2900);
	struct link *chain = hold(NULL, 2900, MIB(12));

	assert_true(before > exact(2900));
	assert_u64_eq(usable_of(2900), before);
	chain_free(chain);
	assert_u64_eq(usable_of(2900), before);
}

/* However often it is asked for: what comes and goes needs no memory. */
static void a_size_that_comes_and_goes_teaches_nothing(void)
{
	size_t before = usable_of(2900);

	for (unsigned round = 0; round < 40; round++)
		chain_free(hold(NULL, 2900, MIB(2)));
	assert_u64_eq(usable_of(2900), before);
}

static void check_learnt(size_t bytes)
{
	struct link *chain;
	uint64_t before, used, per_block;
	size_t blocks_nr = MIB(40) / bytes + 1;

	assert_true(usable_of(bytes) > exact(bytes));
	chain = hold(NULL, bytes, MIB(LEARNT_MIB));
	assert_u64_eq(usable_of(bytes), exact(bytes));
	before = slab_bytes();
	used = resident_bytes();
	chain = hold(chain, bytes, MIB(40));
	per_block = (slab_bytes() - before) / blocks_nr;
	printf("%zu bytes: %llu in slabs\n", bytes, (unsigned long long)per_block);
	assert_true(per_block * 100 <= bytes * 102);
	per_block = (resident_bytes() - used) / blocks_nr;
	printf("%zu bytes: %llu resident\n", bytes, (unsigned long long)per_block);
	chain_free(chain);
}

static void a_hot_size_gets_blocks_of_its_size(void)
{
	check_learnt(4200);
	check_learnt(1300);
	check_learnt(590);
}

/* 608 bytes are a class already. */
static void a_size_that_fits_a_class_needs_no_other(void)
{
	struct link *chain = hold(NULL, 600, MIB(LEARNT_MIB));

	assert_u64_eq(usable_of(600), 608);
	assert_u64_eq(usable_of(602), 608);
	chain_free(chain);
}

/* The sizes below it, of the same class, share it; those above stay where they were. */
static void sizes_around_a_hot_one_take_the_nearest_class(void)
{
	struct link *chain = hold(NULL, 8800, MIB(LEARNT_MIB));

	assert_u64_eq(usable_of(8800), 8800);
	assert_u64_eq(usable_of(8750), 8800);
	assert_u64_eq(usable_of(8704), 8704);
	assert_u64_eq(usable_of(8801), 9216);
	assert_u64_eq(usable_of(9100), 9216);
	chain_free(chain);
}

/* Blocks from before stay what they are, in each call that looks at a block's size. */
static void blocks_from_before_are_as_they_were(void)
{
	size_t bytes = 5600, before = usable_of(bytes);
	void *old[4], *aligned = aligned_alloc(64, bytes);
	struct link *chain;

	for (unsigned i = 0; i < 4; i++)
		old[i] = malloc(bytes);
	chain = hold(NULL, bytes, MIB(LEARNT_MIB));
	assert_u64_eq(usable_of(bytes), exact(bytes));
	assert_u64_eq(malloc_usable_size(old[0]), before);
	assert_ptr_equal(realloc(old[0], before), old[0]);
	assert_ptr_equal(realloc(old[0], before / 2), old[0]);
	free(old[0]);
	free(old[1]);
	if (free_sized != NULL && free_aligned_sized != NULL) {
		free_sized(old[2], bytes);
		free_aligned_sized(aligned, 64, bytes);
	} else {
		free(old[2]);
		free(aligned);
	}
	old[3] = realloc(old[3], before + 1);
	assert_true(malloc_usable_size(old[3]) > before);
	free(old[3]);
	chain_free(chain);
}

/* An alignment that the new size has not is found in the classes above. */
static void aligned_blocks_of_a_learnt_size_are_aligned(void)
{
	struct link *chain = hold(NULL, 6800, MIB(LEARNT_MIB));
	unsigned wrong_nr = 0;

	assert_u64_eq(usable_of(6800), 6800);
	for (size_t align = 16; align <= 4096; align *= 2) {
		for (size_t bytes = 6600; bytes <= 7000; bytes += 8) {
			void *block = aligned_alloc(align, bytes);

			wrong_nr += block == NULL || (uintptr_t)block % align != 0 ||
				    malloc_usable_size(block) < bytes;
			if (free_aligned_sized != NULL)
				free_aligned_sized(block, align, bytes);
			else
				free(block);
		}
	}
	assert_u64_eq(wrong_nr, 0);
	chain_free(chain);
}

/* Classes by rising size, the learnt ones among them; what they hold adds up. */
static void malloc_info_has_learnt_sizes(void)
{
	struct link *chain = hold(NULL, 10000, MIB(LEARNT_MIB));
	struct mallinfo2 before, after;

	before = mallinfo2();
	for (unsigned i = 0; i < 100; i++)
		chain = hold(chain, 10000, 1);
	after = mallinfo2();
	assert_u64_eq(after.uordblks - before.uordblks, 100 * exact(10000));
	assert_int_equal(classes_told(10000), 1);
	chain_free(chain);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_CHILD(little_of_a_size_teaches_nothing),
		IN_CHILD(a_size_that_comes_and_goes_teaches_nothing),
		IN_CHILD(a_hot_size_gets_blocks_of_its_size),
		IN_CHILD(a_size_that_fits_a_class_needs_no_other),
		IN_CHILD(sizes_around_a_hot_one_take_the_nearest_class),
		IN_CHILD(blocks_from_before_are_as_they_were),
		IN_CHILD(aligned_blocks_of_a_learnt_size_are_aligned),
		IN_CHILD(malloc_info_has_learnt_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
