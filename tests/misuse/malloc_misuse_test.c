/* SPDX-License-Identifier: MIT */
/* malloc() and its family: each misuse ends with its line. */
#include "misuse/misuse_case.h"

#define FREE	"free"
#define SIZED	"free_sized"
#define ALIGNED "free_aligned_sized"
#define USABLE	"malloc_usable_size"

#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "malloc_double_free", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_double_free_calloc", "double free" IN_SLAB(FREE, "128") },
	{ "malloc_double_free_page", "double free" IN_SLAB(FREE, "4096") },
	{ "malloc_double_free_small_max", "double free" IN_SLAB(FREE, "32768") },
	{ "malloc_double_free_aligned", "double free" IN_SLAB(FREE, "256") },
	{ "malloc_double_free_large", "double free" AT_WITH(FREE, "pages 256") },
	{ "malloc_double_free_large_aligned", "double free" AT_WITH(FREE, "pages 64") },
	{ "malloc_double_free_interleaved", "double free" IN_SLAB(FREE, "48") },
	{ "malloc_double_free_delayed", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_double_free_across", "double free" IN_SLAB(FREE, "128") },
	{ "malloc_double_free_moved", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_double_free_realloc_zero", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_double_free_child", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_double_free_handler", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_double_free_released", "no block" AT(FREE) },
	{ "malloc_realloc_released", "no block" AT("realloc") },
	{ "malloc_free_inner", "the middle of an object" IN_SLAB(FREE, "256") },
	{ "malloc_free_inner_page", "the middle of an object" IN_SLAB(FREE, "16384") },
	{ "malloc_free_inner_large", "the middle of an area" AT(FREE) },
	{ "malloc_free_unaligned", "not the start of a block" IN_SLAB(FREE, "64") },
	{ "malloc_free_unaligned_eight", "not the start of a block" IN_SLAB(FREE, "64") },
	{ "malloc_free_unaligned_large", "not the start of a page" AT(FREE) },
	{ "malloc_free_stack", "foreign pointer" AT(FREE) },
	{ "malloc_free_global", "foreign pointer" AT(FREE) },
	{ "malloc_free_literal", "foreign pointer" AT(FREE) },
	{ "malloc_free_function", "foreign pointer" AT(FREE) },
	{ "malloc_free_mapping", "foreign pointer" AT(FREE) },
	{ "malloc_free_near_null", "foreign pointer" AT(FREE) },
	{ "malloc_free_beyond", "foreign pointer" AT(FREE) },
	{ "malloc_free_before_any", "foreign pointer" AT(FREE) },
	{ "malloc_realloc_freed", "double free" IN_SLAB("realloc", "64") },
	{ "malloc_realloc_freed_large", "double free" AT_WITH("realloc", "pages 256") },
	{ "malloc_realloc_inner", "the middle of an object" IN_SLAB("realloc", "256") },
	{ "malloc_realloc_unaligned", "the middle of an object" IN_SLAB("realloc", "256") },
	{ "malloc_realloc_foreign", "foreign pointer" AT("realloc") },
	{ "malloc_reallocarray_foreign", "foreign pointer" AT("realloc") },
	{ "malloc_usable_freed", "double free" IN_SLAB(USABLE, "64") },
	{ "malloc_usable_inner", "the middle of an object" IN_SLAB(USABLE, "256") },
	{ "malloc_usable_foreign", "foreign pointer" AT(USABLE) },
	{ "malloc_sized_larger", "wrong size" AT_WITH(SIZED, "bytes of the block 64") },
	{ "malloc_sized_smaller", "wrong size" AT_WITH(SIZED, "bytes of the block 1024") },
	{ "malloc_sized_small_of_large",
	  "wrong size" AT_WITH(SIZED, "bytes of the block 1048576") },
	{ "malloc_sized_large_of_small", "wrong size" AT_WITH(SIZED, "bytes of the block 64") },
	{ "malloc_sized_twice", "double free" IN_SLAB(FREE, "64") },
	{ "malloc_sized_foreign", "foreign pointer" AT(SIZED) },
	{ "malloc_aligned_sized_odd", "wrong alignment" AT_WITH(ALIGNED, "alignment 48") },
	{ "malloc_aligned_sized_more", "wrong alignment" AT_WITH(ALIGNED, "alignment 4096") },
	{ "malloc_aligned_sized_size", "wrong size" AT_WITH(ALIGNED, "bytes of the block 192") },
	{ "malloc_aligned_sized_foreign", "foreign pointer" AT(ALIGNED) },
};

int main(int argc, char **argv)
{
	return misuse_main(misuses, MISUSES_NR, argv + 1, argc - 1);
}
