/* SPDX-License-Identifier: MIT */
/*
 * coarse_test.c - few blocks of many sizes share slabs, and sizes that are used get classes of their own
 *
 * What has opened stays open, so each test runs in a child of its own.  Blocks are chained through their first word.
 */
#include <stdio.h>

#include "classes.h"

/* Of each 16th byte up to 8 KiB one block: 72 classes would have slabs of 9.6 MiB. */
static void one_block_of_each_size_takes_few_slabs(void)
{
	struct link *chain = NULL;
	uint64_t before = slab_bytes();

	for (size_t bytes = 16; bytes <= 1024; bytes += 16)
		chain = hold(chain, bytes, 1);
	for (size_t bytes = 1024; bytes <= 8192; bytes += 512)
		chain = hold(chain, bytes, 1);
	printf("%llu KiB in slabs\n", (unsigned long long)(slab_bytes() - before) >> 10);
	assert_true(slab_bytes() - before <= MIB(3) / 2);
	chain_free(chain);
}

/* Of what is held, beyond the first slabs, at most a sixteenth. */
static void a_size_that_is_held_wastes_little(void)
{
	struct link *chain = NULL;

	for (size_t bytes = 40; bytes < 32768; bytes += bytes / 7) {
		struct link *some = hold(NULL, bytes, MIB(1));
		size_t usable = usable_of(bytes);

		assert_true(usable >= bytes);
		assert_true(usable - bytes <= (bytes <= 256 ? 15 : usable / 16));
		if (bytes % 2 == 0)
			chain = hold(chain, bytes, 1);
		chain_free(some);
	}
	chain_free(chain);
}

/* However often: what comes and goes needs no memory. */
static void a_size_that_comes_and_goes_opens_nothing(void)
{
	size_t before = usable_of(300);

	assert_true(before > 304);
	for (unsigned round = 0; round < 1000; round++)
		chain_free(hold(NULL, 300, KIB(32)));
	assert_u64_eq(usable_of(300), before);
}

/* Blocks from before stay what they are, in each call that looks at a block's size. */
static void blocks_from_before_are_as_they_were(void)
{
	size_t bytes = 2100, before = usable_of(bytes);
	void *old[5], *aligned = aligned_alloc(64, bytes);
	struct link *chain;

	assert_true(before > 2176);
	for (unsigned i = 0; i < 5; i++)
		old[i] = malloc(bytes);
	chain = hold(NULL, bytes, MIB(1));
	assert_u64_eq(usable_of(bytes), 2176);
	assert_u64_eq(malloc_usable_size(old[0]), before);
	assert_ptr_equal(realloc(old[0], before), old[0]);
	assert_ptr_equal(realloc(old[0], before / 2), old[0]);
	free(old[0]);
	free(old[1]);
	if (free_sized != NULL && free_aligned_sized != NULL) {
		free_sized(old[2], bytes);
		free_sized(old[4], before);
		free_aligned_sized(aligned, 64, bytes);
	} else {
		free(old[2]);
		free(old[4]);
		free(aligned);
	}
	old[3] = realloc(old[3], before + 1);
	assert_true(malloc_usable_size(old[3]) > before);
	free(old[3]);
	chain_free(chain);
}

/* Of every size and alignment, before its class is open and afterwards. */
static void sized_frees_accept_what_a_coarse_class_served(void)
{
	static void *blocks[2100][9];
	struct link *chain = NULL;
	unsigned wrong_nr = 0;

	if (free_sized == NULL || free_aligned_sized == NULL)
		skip_because("the library is preloaded, and this program knows no sized frees");
	for (unsigned i = 0; i < 2100; i += 7)
		for (unsigned shift = 4; shift <= 12; shift++) {
			blocks[i][shift - 4] = aligned_alloc((size_t)1 << shift, i * 16 + 5);
			wrong_nr += (uintptr_t)blocks[i][shift - 4] % ((size_t)1 << shift) != 0;
		}
	for (size_t bytes = 72; bytes < 33000; bytes += bytes / 14)
		chain = hold(chain, bytes, KIB(600));
	for (unsigned i = 0; i < 2100; i += 7)
		for (unsigned shift = 4; shift <= 12; shift++)
			free_aligned_sized(blocks[i][shift - 4], (size_t)1 << shift, i * 16 + 5);
	assert_int_equal(wrong_nr, 0);
	chain_free(chain);
}

/* By rising size, each once; what they hold adds up. */
static void malloc_info_has_what_has_opened(void)
{
	struct link *chain = hold(NULL, 1000, 5000);
	struct mallinfo2 before, after;

	chain = hold(chain, 700, MIB(1));
	before = mallinfo2();
	for (unsigned i = 0; i < 100; i++)
		chain = hold(chain, 700, 1);
	after = mallinfo2();
	assert_u64_eq(after.uordblks - before.uordblks, 100 * 704);
	assert_int_equal(classes_told(704), 1);
	assert_int_equal(classes_told(768), 1);
	chain_free(chain);
}

/* ---- threads ---- */

#define ROUNDS 40u

static void holds_sizes(unsigned index, void *arg)
{
	struct link *chain = NULL;

	(void)arg;
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t bytes = 80 + ((round + index) % ROUNDS) * 200;

		for (unsigned i = 0; i < 200; i++) {
			struct link *block = malloc(bytes - i % 64);

			memset(block, (int)index, bytes - i % 64);
			block->next = chain;
			chain = block;
		}
		if (round % 8 == 7) {
			chain_free(chain);
			chain = NULL;
		}
	}
	chain_free(chain);
}

static void threads_open_classes_at_once(void)
{
	uint64_t used = mallinfo2().uordblks;

	team_run(4, holds_sizes, NULL);
	assert_true(mallinfo2().uordblks - used < KIB(64));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_CHILD(one_block_of_each_size_takes_few_slabs),
		IN_CHILD(a_size_that_is_held_wastes_little),
		IN_CHILD(a_size_that_comes_and_goes_opens_nothing),
		IN_CHILD(blocks_from_before_are_as_they_were),
		IN_CHILD(sized_frees_accept_what_a_coarse_class_served),
		IN_CHILD(malloc_info_has_what_has_opened),
		IN_CHILD(threads_open_classes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
