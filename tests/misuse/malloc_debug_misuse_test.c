/* SPDX-License-Identifier: MIT */
/* malloc() with debug:on: each misuse ends with its line, and lines that say who had the block. */
#include "misuse/misuse_case.h"

#define FREE			     "free"
#define HEX			     "0x+([0-9a-f])"
/* In a slot of @size bytes; @where is "offset 1" or "bytes before 1". */
#define WHERE(function, where, size) AT_WITH(function, where ", size " size ", slab " HEX)
#define SLOT(function, size)	     AT_WITH(function, "size " size ", slab " HEX)
/* The calls that follow are the program's own, and what called main(). */
#define MADE(program, bytes)	     "quire:   " bytes " bytes, allocated by *" program "+" HEX "*\n"
#define FREED(program)		     "quire:   freed by *" program "+" HEX "*\n"
#define BEHIND			     "written behind a block"
#define IN_FRONT		     "written in front of a block"
#define LATE			     "written after it was freed"
#define TWICE			     "double free"
#define ROW(name, rule, at, bytes)                                                                 \
	{                                                                                          \
		"malloc_debug_" name, rule at MADE("malloc_debug_" name, bytes)                    \
	}
#define ROW_FREED(name, rule, at, bytes)                                                           \
	{                                                                                          \
		"malloc_debug_" name,                                                              \
			rule at MADE("malloc_debug_" name, bytes) FREED("malloc_debug_" name)      \
	}

#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	ROW("behind", BEHIND, WHERE(FREE, "offset 100", "192"), "100"),
	ROW("behind_calloc", BEHIND, WHERE(FREE, "offset 13", "48"), "13"),
	ROW("behind_realloc", BEHIND, WHERE("realloc", "offset 70", "96"), "64"),
	ROW("behind_large", BEHIND, AT_WITH(FREE, "offset 1000000"), "1000000"),
	ROW("in_front", IN_FRONT, WHERE(FREE, "bytes before 1", "192"), "100"),
	ROW("in_front_aligned", IN_FRONT, WHERE(FREE, "bytes before 256", "768"), "256"),
	ROW_FREED("late_write", LATE, WHERE("malloc_trim", "offset 99", "192"), "100"),
	ROW_FREED("late_write_aligned", LATE, WHERE("malloc_trim", "offset 3", "8192"), "100"),
	ROW_FREED("late_write_exit", LATE, WHERE("exit", "offset 0", "192"), "100"),
	ROW_FREED("late_write_large", LATE, AT_WITH("malloc_trim", "offset 50000"), "100000"),
	ROW_FREED("late_write_long_after", LATE, WHERE("malloc", "offset 20", "192"), "100"),
	ROW_FREED("double_free", TWICE, SLOT(FREE, "96"), "64"),
	ROW_FREED("double_free_long_after", TWICE, AT(FREE), "64"),
	ROW_FREED("double_free_huge", TWICE, AT(FREE), "8388608"),
	ROW_FREED("double_free_moved", TWICE, SLOT(FREE, "192"), "100"),
	ROW_FREED("realloc_freed", TWICE, SLOT("realloc", "96"), "64"),
	ROW_FREED("usable_freed", TWICE, SLOT("malloc_usable_size", "96"), "64"),
	ROW_FREED("handler", TWICE, SLOT(FREE, "96"), "64"),
	{ "malloc_debug_sized", "wrong size" AT_WITH("free_sized", "bytes of the block 100") },
	{ "malloc_debug_start", "not the start of a block" SLOT(FREE, "96") },
	{ "malloc_debug_inner", "the middle of an object" SLOT(FREE, "192") },
};

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
	};

	also = ",debug:on";
	if (misuse_begin(misuses, MISUSES_NR, argv + 1, argc - 1) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
