/* SPDX-License-Identifier: MIT */
/*
 * sampled_test.c - sampled guards, with sample:100 and a limit that a test reaches
 *
 * A block of the sample is known by its usable size, which is what it was asked for with; a class's blocks are multiples of 16.
 */
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "quire_test.h"

#include "chain.h"

#define SHARE	 100u
#define ODD_SIZE 100u

static bool is_sampled(void *block)
{
	return malloc_usable_size(block) == ODD_SIZE;
}

/* Asks until a block is one of the sample.  Others are freed. */
static void *take_sampled(void)
{
	for (unsigned tries = 0; tries < 100 * SHARE; tries++) {
		void *block = malloc(ODD_SIZE);

		if (is_sampled(block))
			return block;
		free(block);
	}
	fail_msg("no block of %u was one of the sample", 100 * SHARE);
	return NULL;
}

/* Blocks that come and go on one sheaf never leave the fast path otherwise. */
static void a_loop_gets_the_share_claimed(void **state)
{
	unsigned sampled = 0;

	(void)state;
	for (unsigned i = 0; i < 1000 * SHARE; i++) {
		void *block = malloc(ODD_SIZE);

		sampled += is_sampled(block);
		free(block);
	}
	if (sampled < 800 || sampled > 1200)
		fail_msg("%u of %u were sampled", sampled, 1000 * SHARE);
}

static void zeroed_blocks_get_it_too_and_read_zero(void **state)
{
	unsigned sampled = 0;

	(void)state;
	for (unsigned i = 0; i < 1000 * SHARE; i++) {
		unsigned char *block = calloc(1, ODD_SIZE);

		for (unsigned byte = 0; byte < ODD_SIZE; byte++)
			assert_int_equal(block[byte], 0);
		memset(block, 0xff, ODD_SIZE);
		sampled += is_sampled(block);
		free(block);
	}
	if (sampled < 800 || sampled > 1200)
		fail_msg("%u of %u were sampled", sampled, 1000 * SHARE);
}

static void a_sampled_block_is_whole(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 50; turn++) {
		unsigned char *block = take_sampled();

		assert_u64_eq((uintptr_t)block % 16, 0);
		memset(block, (int)turn, ODD_SIZE);
		block = realloc(block, 3000);
		assert_non_null(block);
		for (unsigned i = 0; i < ODD_SIZE; i++)
			assert_int_equal(block[i], turn);
		free(block);
	}
}

extern void free_sized(void *block, size_t bytes) __attribute__((weak));

/* Where it stays; and its user's size is what a sized free is told. */
static void a_block_that_shrinks_in_place_has_its_new_size(void **state)
{
	(void)state;
	for (unsigned turn = 0; turn < 4; turn++) {
		unsigned char *block = take_sampled();
		unsigned char *shrunk = realloc(block, 60);

		assert_ptr_equal(shrunk, block);
		assert_u64_eq(malloc_usable_size(shrunk), 60);
		if (free_sized != NULL)
			free_sized(shrunk, 60);
		else
			free(shrunk);
	}
}

/* A smaller block that is refused is no misuse, and its size is the one that its user knows. */
static void a_refused_shrink_leaves_a_block_of_the_smaller_size(void **state)
{
	void *block = NULL, *shrunk = NULL;

	(void)state;
	/* One time in a hundred the smaller block is one of the sample, too, and not refused. */
	for (unsigned tries = 0; tries < 10 && (block == NULL || shrunk != block); tries++) {
		struct link *chain;

		free(shrunk);
		block = take_sampled();
		chain = chain_take_all(16);
		shrunk = realloc(block, 20);
		chain_free(chain);
	}
	assert_ptr_equal(shrunk, block);
	assert_u64_eq(malloc_usable_size(shrunk), 20);
	if (free_sized != NULL)
		free_sized(shrunk, 20);
	else
		free(shrunk);
}

/* Also where a program asks for no others, by which the share would be counted, too. */
static void aligned_blocks_get_it_too_and_are_aligned(void **state)
{
	unsigned sampled = 0;

	(void)state;
	for (unsigned i = 0; i < 1000 * SHARE; i++) {
		size_t align = (size_t)32 << i % 8;
		unsigned char *block = aligned_alloc(align, ODD_SIZE);

		assert_u64_eq((uintptr_t)block % align, 0);
		block[ODD_SIZE - 1] = 1;
		sampled += is_sampled(block);
		free(block);
	}
	if (sampled < 800 || sampled > 1200)
		fail_msg("%u of %u were sampled", sampled, 1000 * SHARE);
}

/* More blocks live than there are slots: the others are as ever. */
static void full_slots_end_the_sample_until_one_is_free(void **state)
{
	static void *live[100 * SHARE * 4];
	const unsigned nr = sizeof(live) / sizeof(live[0]);
	unsigned sampled = 0;

	(void)state;
	for (unsigned i = 0; i < nr; i++) {
		live[i] = malloc(ODD_SIZE);
		sampled += is_sampled(live[i]);
	}
	assert_in_range(sampled, 200, 256);
	for (unsigned i = 0; i < nr; i++)
		free(live[i]);
	free(take_sampled());
}

/* ---- processes ---- */

static int child_ends_with(void (*body)(void))
{
	int status = 0;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		body();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void *parents_block;

static void frees_and_takes(void)
{
	free(parents_block);
	for (unsigned i = 0; i < 300; i++)
		free(take_sampled());
}

static void a_child_of_fork_goes_on(void **state)
{
	(void)state;
	parents_block = take_sampled();
	assert_int_equal(child_ends_with(frees_and_takes), 0);
	memset(parents_block, 1, ODD_SIZE);
	free(parents_block);
}

static volatile char *elsewhere;
static sigjmp_buf back;

static void jump_back(int number)
{
	(void)number;
	siglongjmp(back, 1);
}

static void handles_its_own_fault(void)
{
	signal(SIGSEGV, jump_back);
	if (sigsetjmp(back, 1) == 0) {
		*elsewhere = 1;
		_exit(1);
	}
}

/* As it is before cmocka sets its own. */
static struct sigaction librarys_own;

static void faults_elsewhere(void)
{
	sigaction(SIGSEGV, &librarys_own, NULL);
	*elsewhere = 1;
}

static void sends_itself_the_signal(void)
{
	sigaction(SIGSEGV, &librarys_own, NULL);
	raise(SIGSEGV);
}

static void faults_elsewhere_are_as_ever(void **state)
{
	int status;

	(void)state;
	elsewhere = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(elsewhere != MAP_FAILED);
	assert_int_equal(child_ends_with(handles_its_own_fault), 0);
	status = child_ends_with(faults_elsewhere);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	status = child_ends_with(sends_itself_the_signal);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_gets_the_share_claimed),
		cmocka_unit_test(zeroed_blocks_get_it_too_and_read_zero),
		cmocka_unit_test(a_sampled_block_is_whole),
		cmocka_unit_test(aligned_blocks_get_it_too_and_are_aligned),
		cmocka_unit_test(a_block_that_shrinks_in_place_has_its_new_size),
		cmocka_unit_test(a_refused_shrink_leaves_a_block_of_the_smaller_size),
		cmocka_unit_test(full_slots_end_the_sample_until_one_is_free),
		cmocka_unit_test(a_child_of_fork_goes_on),
		cmocka_unit_test(faults_elsewhere_are_as_ever),
	};

	free(malloc(1));
	if (sigaction(SIGSEGV, NULL, &librarys_own) != 0 || !(librarys_own.sa_flags & SA_SIGINFO))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
