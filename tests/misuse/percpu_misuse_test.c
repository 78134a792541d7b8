/* SPDX-License-Identifier: MIT */
/* Per-CPU memory: each misuse ends with its line. */
#include "misuse/misuse_case.h"

#define FREE	   "quire_free_percpu"
#define COUNTER	   "quire_percpu_counter_"
#define REF	   "quire_percpu_ref_"
#define MISUSES_NR (sizeof(misuses) / sizeof(misuses[0]))

static const struct misuse misuses[] = {
	{ "percpu_double_free", "double free" AT(FREE) },
	{ "percpu_double_free_cached", "double free" AT(FREE) },
	{ "percpu_double_free_across", "double free" AT(FREE) },
	{ "percpu_double_free_across_cached", "double free" AT(FREE) },
	{ "percpu_double_free_four", "double free" AT(FREE) },
	{ "percpu_double_free_page", "double free" AT(FREE) },
	{ "percpu_free_middle", "the middle of an object" AT(FREE) },
	{ "percpu_free_unaligned", "not the start of an object" AT(FREE) },
	{ "percpu_free_other_copy", "not CPU 0's copy" AT(FREE) },
	{ "percpu_free_stack", "foreign pointer" AT(FREE) },
	{ "counter_unmade", "not initialised" AT(COUNTER "add") },
	{ "counter_destroyed", "not initialised" AT(COUNTER "compare") },
	{ "counter_batch_zero", "batch out of range" AT_WITH(COUNTER "add_batch", "batch 0") },
	{ "counter_batch_large",
	  "batch out of range" AT_WITH(COUNTER "add_batch", "batch 2147483649") },
	{ "ref_unmade", "not initialised" AT(REF "is_zero") },
	{ "ref_exited", "not initialised" AT(REF "get") },
	{ "ref_killed_twice", "reference killed twice" AT(REF "kill") },
	{ "ref_put_too_often", "reference put too often" AT_WITH(REF "put", "references 0") },
	{ "ref_taken_at_zero", "reference taken at zero" AT_WITH(REF "get_many", "references 3") },
	{ "ref_revived", "reference revived" AT_WITH(REF "resurrect", "references 1") },
	{ "sum_width", "bad alignment" AT_WITH("quire_per_cpu_sum_bytes", "width 3") },
	{ "operation_unknown", "unknown operation" AT_WITH("quire_this_cpu_do", "operation 248") },
};

static void each_does_with_two_zones_too(void **state)
{
	(void)state;
	check_all("limit:64m,zones:2");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_misuse_ends_with_its_line),
		cmocka_unit_test(each_does_without_sequences_too),
		cmocka_unit_test(each_does_with_two_zones_too),
	};

	if (misuse_begin(misuses, MISUSES_NR, argv + 1, argc - 1) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
