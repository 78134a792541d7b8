/* SPDX-License-Identifier: MIT */
/* Areas and mappings: each misuse ends with its line. */
#include "misuse/misuse_case.h"

#define VFREE	   "quire_vfree"
#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "vfree_double", "double free" AT_WITH(VFREE, "pages +([0-9])") },
	{ "vfree_double_interleaved", "double free" AT_WITH(VFREE, "pages +([0-9])") },
	{ "vfree_double_purged", "no area" AT(VFREE) },
	{ "vfree_double_released", "no area" AT(VFREE) },
	{ "vfree_static", "foreign pointer" AT(VFREE) },
	{ "vfree_before_any", "foreign pointer" AT(VFREE) },
	{ "vfree_page", "foreign pointer" AT(VFREE) },
	{ "vfree_other_instance", "foreign pointer" AT(VFREE) },
	{ "vfree_middle", "the middle of an area" AT(VFREE) },
	{ "vfree_unaligned", "not the start of a page" AT(VFREE) },
	{ "vfree_guard", "no area" AT(VFREE) },
	{ "vfree_never_allocated", "no area" AT(VFREE) },
	{ "vrealloc_freed", "double free" AT_WITH("quire_vrealloc", "pages +([0-9])") },
	{ "vrealloc_middle", "the middle of an area" AT("quire_vrealloc") },
	{ "free_area_as_page", "foreign pointer" AT_WITH("quire_free_pages", "order 0") },
	{ "kvfree_double", "double free" AT_WITH("quire_free_pages", "order 0") },
	{ "vunmap_area", "wrong kind of area" AT_WITH("quire_vunmap", "kind expected +([0-9])") },
	{ "vunmap_double", "double free" AT_WITH("quire_vunmap", "pages +([0-9])") },
	{ "vfree_mapping", "wrong kind of area" AT_WITH(VFREE, "kind expected +([0-9])") },
	{ "ram_wrong_count", "wrong count" AT_WITH("quire_vm_unmap_ram", "pages 1") },
	{ "unmap_ram_large", "wrong count" AT_WITH("quire_vm_unmap_ram", "pages 79") },
	{ "unmap_ram_middle", "the middle of a mapping" AT_WITH("quire_vm_unmap_ram", "pages 1") },
	{ "vunmap_page", "foreign pointer" AT("quire_vunmap") },
	{ "ram_double", "double free" AT_WITH("quire_vm_unmap_ram", "pages +([0-9])") },
};

static void each_does_without_caches_too(void **state)
{
	(void)state;
	check_all("limit:64m,cache:off");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
		cmocka_unit_test(each_does_without_caches_too),
	};

	if (misuse_begin(misuses, MISUSES_NR, argv + 1, argc - 1) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
