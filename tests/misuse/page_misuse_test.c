/* SPDX-License-Identifier: MIT */
/* Pages: each misuse ends with its line. */
#include "misuse/misuse_case.h"

#define FREE	   "quire_free_pages"
#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "double_free", "double free" AT_WITH(FREE, "order 0") },
	{ "double_free_interleaved", "double free" AT_WITH(FREE, "order 0") },
	{ "double_free_merged", "double free" AT_WITH(FREE, "order 0") },
	{ "double_free_released", "double free" AT_WITH(FREE, "order 0") },
	{ "double_free_offline", "double free" AT_WITH(FREE, "order 9") },
	{ "double_free_large", "double free" AT_WITH(FREE, "order 10") },
	{ "double_free_bulk", "double free" AT_WITH("quire_free_pages_bulk", "order 0") },
	{ "contig_free_twice", "double free" AT_WITH("quire_free_contig_range", "order 0") },
	{ "contig_free_block", "wrong order" AT_WITH("quire_free_contig_range", "order 0") },
	{ "written_after_free",
	  "written after it was freed" AT_WITH("quire_alloc_pages", "offset 100") },
	{ "free_middle", "the middle of a block" AT_WITH(FREE, "order 0") },
	{ "free_middle_of_order", "the middle of a block" AT_WITH(FREE, "order 1") },
	{ "free_stack", "foreign pointer" AT_WITH(FREE, "order 0") },
	{ "free_near_null", "foreign pointer" AT_WITH(FREE, "order 0") },
	{ "free_past_end", "foreign pointer" AT_WITH(FREE, "order 0") },
	{ "free_other_instance", "foreign pointer" AT_WITH(FREE, "order 0") },
	{ "free_never_allocated", "never allocated" AT_WITH(FREE, "order 0") },
	{ "free_unaligned", "not the start of a page" AT_WITH(FREE, "order 0") },
	{ "order_too_small", "wrong order" AT_WITH(FREE, "order 2") },
	{ "order_too_large", "wrong order" AT_WITH(FREE, "order 4") },
	{ "order_beyond", "wrong order" AT_WITH(FREE, "order 11") },
	{ "enable_without_disable", "without its pair" AT("quire_pcp_enable") },
	{ "split_free", "double free" AT_WITH("quire_split_pages", "order 3") },
	{ "split_then_block", "wrong order" AT_WITH(FREE, "order 3") },
};

static void each_does_with_two_zones_too(void **state)
{
	(void)state;
	check_all("limit:64m,zones:2");
}

/* Most of what describes its pages is not writable yet, and has to be readable. */
static void each_does_in_a_large_instance(void **state)
{
	(void)state;
	check_all("limit:1g");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
		cmocka_unit_test(each_does_with_two_zones_too),
		cmocka_unit_test(each_does_in_a_large_instance),
	};

	if (misuse_begin(misuses, MISUSES_NR, argv + 1, argc - 1) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
