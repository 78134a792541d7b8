/* SPDX-License-Identifier: MIT */
#include "quire_test.h"

#include <stdio.h>
#include <unistd.h>

#include <quire/quire.h>

#include "base/check.h"

static void break_check(void *arg)
{
	int *number = arg;

	CHECK(*number == 2);
}

static void break_check_values(void *arg)
{
	int *number = arg;

	CHECK_VALUES(*number == 2, *number, 0xab);
}

static void break_dcheck(void *arg)
{
	int *number = arg;

	DCHECK(*number == 2);
}

static void misuse_plainly(void *arg)
{
	misuse_number("double free", __func__, arg, "order", 3);
}

static void misuse_at_length(void *arg)
{
	char rule[1024];

	memset(rule, 'r', sizeof(rule) - 1);
	rule[sizeof(rule) - 1] = '\0';
	misuse(rule, __func__, arg);
}

static void check_passes_what_is_true(void **state)
{
	int two = 2;

	(void)state;
	expect_life(break_check, &two);
	expect_life(break_check_values, &two);
	expect_life(break_dcheck, &two);
}

static void check_names_condition_and_function(void **state)
{
	int three = 3;

	(void)state;
	expect_death(break_check, &three, "quire: bug: CHECK(*number == 2) in break_check, CPU ");
}

static void check_values_prints_both(void **state)
{
	int three = 3;

	(void)state;
	expect_death(break_check_values, &three,
		     "quire: bug: CHECK(*number == 2): 0x3, 0xab in break_check_values, CPU ");
}

static void dcheck_is_for_debug_builds(void **state)
{
	int three = 3;

	(void)state;
	if (QUIRE_DEBUG)
		expect_death(break_dcheck, &three,
			     "quire: bug: CHECK(*number == 2) in break_dcheck");
	else
		expect_life(break_dcheck, &three);
}

static void misuse_names_rule_address_and_detail(void **state)
{
	(void)state;
	expect_death(
		misuse_plainly, (void *)(uintptr_t)0x1234,
		"quire: misuse: double free: address 0x1234 (order 3) in misuse_plainly, CPU ");
}

static void a_long_line_is_cut_and_still_aborts(void **state)
{
	(void)state;
	expect_death(misuse_at_length, NULL, "quire: misuse: rrrrrrrr");
}

static void say_bug(const struct quire_stop *stop, void *arg)
{
	const char *expected = arg;

	if (stop->cause == QUIRE_STOP_BUG && strcmp(stop->rule, expected) == 0 &&
	    strncmp(stop->line, "quire: bug: CHECK(", 18) == 0 && stop->address == NULL)
		dprintf(STDERR_FILENO, "hook: %s in %s\n", stop->rule, stop->call);
}

static void break_check_with_hook(void *arg)
{
	quire_set_stop_hook(say_bug, "*number == 2", NULL);
	break_check(arg);
}

static void break_check_values_with_hook(void *arg)
{
	quire_set_stop_hook(say_bug, "*number == 2", NULL);
	break_check_values(arg);
}

static void a_hook_sees_bugs_too(void **state)
{
	int three = 3;

	(void)state;
	expect_death(break_check_with_hook, &three, "hook: *number == 2 in break_check");
	expect_death(break_check_values_with_hook, &three,
		     "hook: *number == 2 in break_check_values");
}

static void end_at_once(const struct quire_stop *stop, void *arg)
{
	(void)stop;
	_exit(*(int *)arg);
}

static void misuse_with_exit(void *arg)
{
	quire_set_stop_hook(end_at_once, arg, NULL);
	misuse("double free", __func__, NULL);
}

static void a_hook_may_end_the_process_itself(void **state)
{
	int status = 0;

	(void)state;
	expect_life(misuse_with_exit, &status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(check_passes_what_is_true),
		cmocka_unit_test(check_names_condition_and_function),
		cmocka_unit_test(check_values_prints_both),
		cmocka_unit_test(dcheck_is_for_debug_builds),
		cmocka_unit_test(misuse_names_rule_address_and_detail),
		cmocka_unit_test(a_long_line_is_cut_and_still_aborts),
		cmocka_unit_test(a_hook_sees_bugs_too),
		cmocka_unit_test(a_hook_may_end_the_process_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
