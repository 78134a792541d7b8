/* SPDX-License-Identifier: MIT */
/*
 * The hook: it sees the misuse after the line, once, and the process ends as it does without one.
 *
 * What the hook writes stands behind the line in the table.
 */
#include "misuse/misuse_case.h"

#define FREE	     "quire_free_pages"
#define MISUSES_NR   (sizeof(misuses) / sizeof(misuses[0]))
#define REPLACED_NR  100
#define FOREIGN_LINE "quire: misuse: foreign pointer" AT_WITH(FREE, "order 0")

static const struct misuse misuses[] = {
	{ "hook_sees_pages", "wrong order" AT_WITH(FREE, "order 2") "hook: all as expected\n" },
	{ "hook_sees_object", "double free" AT("quire_free_percpu") "hook: the object\n" },
	{ "hook_sees_area", "the middle of an area" AT("quire_vfree") "hook: the area\n" },
	{ "hook_misuses", "double free" AT_WITH(FREE, "order 0") "hook: begins\n" FOREIGN_LINE },
	{ "hook_two_threads",
	  "double free" AT_WITH(FREE, "order 0") "hook: begins\n" FOREIGN_LINE },
	{ "hook_chained",
	  "double free" AT_WITH(FREE, "order 0") "hook: the second\nhook: the first\n" },
	{ "hook_removed", "double free" AT_WITH(FREE, "order 0") },
	{ "hook_replaced", "double free" AT_WITH(FREE, "order 0") "hook: a pair\n" },
};

/* If hook and argument were read apart, some ten of these would find no pair. */
static void a_hook_gets_its_own_argument(void **state)
{
	(void)state;
	for (int i = 0; i < REPLACED_NR; i++)
		check_misuse("hook_replaced", misuses[MISUSES_NR - 1].rule, "limit:64m");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
		cmocka_unit_test(a_hook_gets_its_own_argument),
	};

	if (misuse_begin(misuses, MISUSES_NR, argv + 1, argc - 1) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
