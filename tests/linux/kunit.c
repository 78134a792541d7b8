// SPDX-License-Identifier: MIT
/* Suites of KUnit: what runs when, what leaves a case, and what is freed behind it. */
#include <kunit/test.h>
#include <kunit/test-bug.h>

#include "expect.h"

static char trace[64]; /* a letter for each thing that was done */

static void note(char letter)
{
	size_t length = strlen(trace);

	if (length + 1 < sizeof(trace))
		trace[length] = letter;
}

static void note_action(void *letter)
{
	note(*(char *)letter);
}

static int begin_suite(struct kunit_suite *suite)
{
	kunit_info(suite, "begins");
	note('(');
	return 0;
}

static void end_suite(struct kunit_suite *suite)
{
	(void)suite;
	note(')');
}

static int begin(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(int), GFP_KERNEL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, test->priv);
	note('i');
	return 0;
}

static void end(struct kunit *test)
{
	KUNIT_EXPECT_PTR_EQ(test, kunit_get_current_test(), test);
	note('e');
}

static void what_holds_is_passed(struct kunit *test)
{
	struct {
		unsigned few : 3;
	} bits = { .few = 5 };
	u64 most = ~0ULL;

	KUNIT_EXPECT_EQ(test, *(int *)test->priv, 0);
	KUNIT_EXPECT_EQ(test, bits.few, 5);
	KUNIT_EXPECT_NE(test, most, 1u);
	KUNIT_EXPECT_GT_MSG(test, most, 1u, "%s", "compared as unsigned");
	KUNIT_EXPECT_LT(test, -1, 1);
	KUNIT_EXPECT_LE(test, 1, 1);
	KUNIT_EXPECT_GE(test, 1, 1);
	KUNIT_EXPECT_TRUE(test, bits.few & 4);
	KUNIT_EXPECT_FALSE(test, bits.few & 2);
	KUNIT_EXPECT_NULL(test, NULL);
	KUNIT_EXPECT_NOT_NULL(test, test->priv);
	KUNIT_EXPECT_PTR_NE(test, test->priv, NULL);
	KUNIT_EXPECT_STREQ(test, test->name, "what_holds_is_passed");
	KUNIT_EXPECT_STRNEQ(test, test->name, "");
	KUNIT_EXPECT_MEMEQ(test, "ab", "ac", 1);
	KUNIT_EXPECT_MEMNEQ(test, "ab", "ac", 2);
	KUNIT_SUCCEED(test);
}

static void actions_are_done_when_the_case_ends_latest_first(struct kunit *test)
{
	static char a = 'a', b = 'b', c = 'c', d = 'd';

	KUNIT_ASSERT_EQ(test, kunit_add_action(test, note_action, &a), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, note_action, &b), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, note_action, &c), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action(test, note_action, &d), 0);
	kunit_release_action(test, note_action, &a);
	kunit_remove_action(test, note_action, &c);
}

static void a_skipped_case_is_left_at_once(struct kunit *test)
{
	kunit_skip(test, "there are %d reasons", 2);
	note('!');
}

static struct kunit_case first_cases[] = {
	KUNIT_CASE(what_holds_is_passed),
	KUNIT_CASE(actions_are_done_when_the_case_ends_latest_first),
	KUNIT_CASE_SLOW(a_skipped_case_is_left_at_once),
	{ .run_case = NULL },
};

static struct kunit_suite first_suite = {
	.name = "first",
	.suite_init = begin_suite,
	.suite_exit = end_suite,
	.init = begin,
	.exit = end,
	.test_cases = first_cases,
};

static void a_suite_runs_after_the_ones_before(struct kunit *test)
{
	KUNIT_EXPECT_STREQ(test, trace, "(ieiaedbie)");
}

static struct kunit_case last_cases[] = {
	KUNIT_CASE(a_suite_runs_after_the_ones_before),
	{ .run_case = NULL },
};

static struct kunit_suite last_suite = {
	.name = "last",
	.test_cases = last_cases,
};

kunit_test_suites(&first_suite, &last_suite);
MODULE_LICENSE("Dual MIT/GPL");
