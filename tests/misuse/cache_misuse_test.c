/* SPDX-License-Identifier: MIT */
/* Object caches: each misuse ends with its line. */
#include "misuse/misuse_case.h"

#define ALLOC	   "quire_cache_alloc"
#define FREE	   "quire_cache_free"
#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))
#define SLAB	   "size 64, slab 0x+([0-9a-f])"

static const struct misuse misuses[] = {
	{ "cache_double_free", "double free" AT_WITH(FREE, SLAB) },
	{ "cache_double_free_zoned", "double free" AT(FREE) },
	{ "cache_free_middle", "the middle of an object" AT_WITH(FREE, SLAB) },
	{ "cache_free_unaligned", "the middle of an object" AT_WITH(FREE, SLAB) },
	{ "cache_free_never_allocated", "double free" AT_WITH(FREE, SLAB) },
	{ "cache_free_stack", "foreign pointer" AT(FREE) },
	{ "cache_free_page", "foreign pointer" AT(FREE) },
	{ "cache_free_to_other", "wrong cache" AT(FREE) },
	{ "cache_written_behind", "written behind an object" AT_WITH(FREE, "offset 64") },
	{ "cache_written_in_front",
	  "written in front of an object" AT_WITH(FREE, "bytes before 3") },
	{ "cache_written_after_free", "written after it was freed" AT_WITH(ALLOC, "offset 5") },
	{ "cache_destroyed_twice", "not initialised" AT("quire_cache_destroy") },
};

int main(int argc, char **argv)
{
	return misuse_main(misuses, MISUSES_NR, argv + 1, argc - 1);
}
