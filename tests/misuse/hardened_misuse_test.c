/* SPDX-License-Identifier: MIT */
/* malloc() with hardened:on: each misuse ends with its line, or with a fault, and most of them at once. */
#define MISUSE_CONF "limit:64m,hardened:on"
#include "misuse/misuse_case.h"

#include "machine/mem.h"

#define FREE "free"

#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "hardened_double_free", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_double_free_waits", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_double_free_left", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_double_free_thread", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_double_free_handler", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_double_free_child", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_free_inner", "the middle of an object" IN_SLAB(FREE, "208") },
	{ "hardened_free_unaligned", "not the start of a block" IN_SLAB(FREE, "208") },
	{ "hardened_free_never", "double free" IN_SLAB(FREE, "80") },
	{ "hardened_free_stack", "foreign pointer" AT(FREE) },
	{ "hardened_written_behind", "written behind an object" AT_WITH(FREE, "offset 24") },
	{ "hardened_written_far_behind", "written behind an object" AT_WITH(FREE, "offset 103") },
	{ "hardened_written_behind_none", "written behind an object" AT_WITH(FREE, "offset 0") },
	{ "hardened_written_behind_realloc",
	  "written behind an object" AT_WITH("realloc", "offset 40") },
	{ "hardened_written_after_free",
	  "written after it was freed" AT_WITH("malloc", "offset 20") },
	{ "hardened_written_after_free_calloc",
	  "written after it was freed" AT_WITH("calloc", "offset 999") },
	{ "hardened_double_free_large", "double free" AT_WITH(FREE, "pages 25") },
	{ "hardened_double_free_huge", "double free" AT_WITH(FREE, "pages 1221") },
	{ "hardened_free_inner_large", "the middle of an area" AT(FREE) },
	{ "hardened_free_start_large", "the middle of an area" AT(FREE) },
	{ "hardened_written_behind_large",
	  "written behind an object" AT_WITH(FREE, "offset 100001") },
	{ "hardened_written_in_front_large",
	  "written in front of an object" AT_WITH(FREE, "bytes before 1") },
	{ "hardened_realloc_freed", "double free" IN_SLAB("realloc", "80") },
	{ "hardened_usable_freed", "double free" IN_SLAB("malloc_usable_size", "80") },
	{ "hardened_sized_less", "wrong size" AT_WITH("free_sized", "bytes of the block 100") },
	{ "hardened_sized_less_large",
	  "wrong size" AT_WITH("free_sized", "bytes of the block 100000") },
	{ "hardened_read_behind_large", FAULTS },
	{ "hardened_read_freed_large", FAULTS },
	{ "hardened_write_freed_huge", FAULTS },
	{ "hardened_write_behind_slab", FAULTS },
};

static void a_sample_is_not_taken_beside_it(void **state)
{
	(void)state;
	check_all(MISUSE_CONF ",sample:1");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
		cmocka_unit_test(a_sample_is_not_taken_beside_it),
	};

	/* Without markers in page tables slabs have no guards. */
	if (!mem_guard_works())
		return 77;
	if (misuse_begin(misuses, MISUSES_NR, argv + 1, argc - 1) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
