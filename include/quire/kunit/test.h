/* SPDX-License-Identifier: MIT */
/*
 * kunit/test.h - suites of tests, which the main() of linux/module.h runs when it loads the module
 *
 * Results are TAP lines on standard output: a line for each suite, and in front of it, indented, a line for each of its
 * cases.  A case that fails makes the module fail.  An assertion, and kunit_skip(), leave the case at once, so only the thread that
 * runs the case may make one; expectations may be any thread's.
 */
#ifndef QUIRE_KUNIT_TEST_H
#define QUIRE_KUNIT_TEST_H

#include <linux/err.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <setjmp.h>
#include <stdarg.h>

struct kunit;

enum kunit_status {
	KUNIT_SUCCESS,
	KUNIT_FAILURE,
	KUNIT_SKIPPED,
};

struct kunit_case {
	void (*run_case)(struct kunit *test);
	const char *name;
};

#define KUNIT_CASE(function)                                                                       \
	{                                                                                          \
		.run_case = (function), .name = #function                                          \
	}
#define KUNIT_CASE_SLOW(function) KUNIT_CASE(function)

/* Cases end with one without a function.  What is NULL is not called. */
struct kunit_suite {
	const char *name;
	int (*suite_init)(struct kunit_suite *suite);
	void (*suite_exit)(struct kunit_suite *suite);
	int (*init)(struct kunit *test);  /* before each case; refused, the case fails */
	void (*exit)(struct kunit *test); /* after each, whatever its result */
	struct kunit_case *test_cases;
};

typedef void kunit_action_t(void *context);

/* What is done when a case ends, the latest first. */
struct quire_kunit_action {
	struct quire_kunit_action *next;
	kunit_action_t *function;
	void *context;
};

/* One run of a case. */
struct kunit {
	void *priv; /* the case's own */
	const char *name;
	struct kunit_suite *suite;
	const struct kunit_case *test_case;
	enum kunit_status status;
	char status_comment[256]; /* why it was skipped */
	struct quire_kunit_action *actions;
	jmp_buf stop;
};

/* ---- what is printed ---- */

/* Each line is written at once, so that it is in order with what goes to standard error. */
static inline void quire_kunit_print_(const char *format, va_list arguments)
{
	(void)vprintf(format, arguments);
	(void)fflush(stdout);
}

/* The same of the arguments themselves; @format has the newline. */
static inline __attribute__((format(printf, 1, 2))) void quire_kunit_line_(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	quire_kunit_print_(format, arguments);
	va_end(arguments);
}

/* Texts mostly end with their newline. */
#define quire_kunit_say_(name, format, ...)                                                        \
	quire_kunit_line_("    # %s: " format "%s", name, ##__VA_ARGS__,                           \
			  sizeof(format) > 1 && (format)[sizeof(format) - 2] == '\n' ? "" : "\n")

/* @test: a case or a suite. */
#define kunit_info(test, format, ...) quire_kunit_say_((test)->name, format, ##__VA_ARGS__)
#define kunit_warn(test, format, ...) kunit_info(test, "WARNING: " format, ##__VA_ARGS__)
#define kunit_err(test, format, ...)  kunit_info(test, "ERROR: " format, ##__VA_ARGS__)

/* ---- ends of a case ---- */

/* Leaves the case, or its suite's exit(): quire_kunit_try_() returns. */
static inline void quire_kunit_stop_(struct kunit *test)
{
	longjmp(test->stop, 1);
}

/* Of its reason as much is kept as there is room for. */
#define kunit_mark_skipped(test, ...)                                                              \
	do {                                                                                       \
		(test)->status = KUNIT_SKIPPED;                                                    \
		(void)snprintf((test)->status_comment, sizeof((test)->status_comment),             \
			       __VA_ARGS__);                                                       \
	} while (0)
#define kunit_skip(test, ...)                                                                      \
	do {                                                                                       \
		kunit_mark_skipped(test, __VA_ARGS__);                                             \
		quire_kunit_stop_(test);                                                           \
	} while (0)

/* Begins to say what failed; quire_kunit_failed_() ends it. */
static inline void quire_kunit_fail_(struct kunit *test, bool stops, const char *file, int line)
{
	test->status = KUNIT_FAILURE;
	quire_kunit_line_("    # %s: %s FAILED at %s:%d\n", test->name,
			  stops ? "ASSERTION" : "EXPECTATION", file, line);
}

/* @format: what the caller has to say, or NULL. */
static inline void quire_kunit_failed_(struct kunit *test, bool stops, const char *format, ...)
{
	va_list arguments;

	if (format != NULL) {
		quire_kunit_line_("        ");
		va_start(arguments, format);
		quire_kunit_print_(format, arguments);
		va_end(arguments);
		quire_kunit_line_("\n");
	}
	if (stops)
		quire_kunit_stop_(test);
}

/* ---- memory and actions ---- */

/* Has @function called with @context when the case ends.  0; -ENOMEM: it will not be called. */
static inline int kunit_add_action(struct kunit *test, kunit_action_t *function, void *context)
{
	struct quire_kunit_action *action = (struct quire_kunit_action *)malloc(sizeof(*action));

	if (action == NULL)
		return -ENOMEM;
	*action = (struct quire_kunit_action){ test->actions, function, context };
	test->actions = action;
	return 0;
}

/* The same; without memory for it, @function is called at once. */
static inline int kunit_add_action_or_reset(struct kunit *test, kunit_action_t *function,
					    void *context)
{
	int error = kunit_add_action(test, function, context);

	if (error)
		function(context);
	return error;
}

/* Takes the latest action that is this one off the list; false: there is none. */
static inline bool quire_kunit_take_action_(struct kunit *test, kunit_action_t *function,
					    void *context)
{
	struct quire_kunit_action **at = &test->actions, *action;

	while (*at != NULL && ((*at)->function != function || (*at)->context != context))
		at = &(*at)->next;
	action = *at;
	if (action == NULL)
		return false;
	*at = action->next;
	free(action);
	return true;
}

/* Forgets an action, which is not called then. */
static inline void kunit_remove_action(struct kunit *test, kunit_action_t *function, void *context)
{
	(void)quire_kunit_take_action_(test, function, context);
}

/* Calls an action now, and not when the case ends.  One that was not added is not called. */
static inline void kunit_release_action(struct kunit *test, kunit_action_t *function, void *context)
{
	if (quire_kunit_take_action_(test, function, context))
		function(context);
}

/* Frees memory of the case, as actions are called. */
static inline void quire_kunit_kfree_(void *ptr)
{
	kfree(ptr);
}

/* Memory that is freed when the case ends.  NULL: there is none, or none for the action. */
static inline void *kunit_kmalloc_array(struct kunit *test, size_t count, size_t size, gfp_t gfp)
{
	void *ptr = kmalloc_array(count, size, gfp);

	if (ptr != NULL && kunit_add_action_or_reset(test, quire_kunit_kfree_, ptr) != 0)
		ptr = NULL;
	return ptr;
}

#define kunit_kmalloc(test, size, gfp) kunit_kmalloc_array(test, 1, size, gfp)
#define kunit_kzalloc(test, size, gfp) kunit_kmalloc(test, size, (gfp) | __GFP_ZERO)
#define kunit_kcalloc(test, count, size, gfp)                                                      \
	kunit_kmalloc_array(test, count, size, (gfp) | __GFP_ZERO)
#define kunit_kfree(test, ptr)                                                                     \
	kunit_release_action(test, quire_kunit_kfree_, (void *)(uintptr_t)(ptr))

/* ---- suites ---- */

struct quire_kunit_part {
	struct quire_kunit_part *next;
	struct kunit_suite **suites;
	unsigned suites_nr;
};

/* Of the whole program. */
struct quire_kunit {
	struct quire_kunit_part *parts;
	unsigned suites_nr;
	struct quire_linux_part init; /* which runs them */
	struct kunit *current;	      /* the case that runs */
};

extern struct quire_kunit quire_kunit;
QUIRE_LINUX_SHARED_ struct quire_kunit quire_kunit;

/* Calls a function that an assertion may leave. */
static noinline __maybe_unused void quire_kunit_try_(struct kunit *test,
						     void (*function)(struct kunit *test))
{
	if (setjmp(test->stop) == 0)
		function(test);
}

/* A case from its suite's init() on; its exit() is not in it, since an assertion may leave the case. */
static inline void quire_kunit_body_(struct kunit *test)
{
	int error = test->suite->init != NULL ? test->suite->init(test) : 0;

	if (error == 0) {
		test->test_case->run_case(test);
		return;
	}
	test->status = KUNIT_FAILURE;
	kunit_err(test, "init failed: %d", error);
}

/* Runs a case and prints its line, whose number is @number. */
static inline enum kunit_status quire_kunit_run_case_(struct kunit_suite *suite,
						      const struct kunit_case *test_case,
						      unsigned number)
{
	struct kunit test = { .name = test_case->name, .suite = suite, .test_case = test_case };

	quire_kunit.current = &test;
	quire_kunit_try_(&test, quire_kunit_body_);
	if (suite->exit != NULL)
		quire_kunit_try_(&test, suite->exit);
	while (test.actions != NULL)
		kunit_release_action(&test, test.actions->function, test.actions->context);
	quire_kunit.current = NULL;
	quire_kunit_line_("    %s %u %s%s%s\n", test.status == KUNIT_FAILURE ? "not ok" : "ok",
			  number, test.name, test.status == KUNIT_SKIPPED ? " # SKIP " : "",
			  test.status == KUNIT_SKIPPED ? test.status_comment : "");
	return test.status;
}

/* True if none of its cases has failed. */
static inline bool quire_kunit_run_suite_(struct kunit_suite *suite)
{
	unsigned cases_nr = 0, failed = 0;
	int error;

	while (suite->test_cases[cases_nr].run_case != NULL)
		cases_nr++;
	quire_kunit_line_("    KTAP version 1\n    # Subtest: %s\n    1..%u\n", suite->name,
			  cases_nr);
	error = suite->suite_init != NULL ? suite->suite_init(suite) : 0;
	if (error) {
		kunit_err(suite, "suite_init failed: %d", error);
		return false;
	}
	for (unsigned i = 0; i < cases_nr; i++)
		failed +=
			quire_kunit_run_case_(suite, &suite->test_cases[i], i + 1) == KUNIT_FAILURE;
	if (suite->suite_exit != NULL)
		suite->suite_exit(suite);
	return failed == 0;
}

/* What module.h's main() calls: failed suites are warnings, which it counts. */
static inline int quire_kunit_run_(void)
{
	unsigned number = 0;

	quire_kunit_line_("KTAP version 1\n1..%u\n", quire_kunit.suites_nr);
	for (struct quire_kunit_part *part = quire_kunit.parts; part != NULL; part = part->next) {
		for (unsigned i = 0; i < part->suites_nr; i++) {
			bool is_ok = quire_kunit_run_suite_(part->suites[i]);

			quire_kunit_line_("%s %u %s\n", is_ok ? "ok" : "not ok", ++number,
					  part->suites[i]->name);
			if (!is_ok)
				(void)__atomic_fetch_add(&quire_linux_warnings, 1,
							 __ATOMIC_RELAXED);
		}
	}
	return 0;
}

/* Adds a file's suites behind those of others.  The first part registers what runs them all as an init of the module. */
static inline void quire_kunit_add_(struct quire_kunit_part *part)
{
	struct quire_kunit_part **at = &quire_kunit.parts;

	if (*at == NULL) {
		quire_kunit.init =
			(struct quire_linux_part){ .name = "kunit", .init = quire_kunit_run_ };
		quire_linux_add_(&quire_linux_module.inits, &quire_kunit.init);
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = part;
	quire_kunit.suites_nr += part->suites_nr;
}

#define QUIRE_KUNIT_SUITES_(id, ...)                                                               \
	static __attribute__((constructor)) void quire_kunit_suites_##id(void)                     \
	{                                                                                          \
		static struct kunit_suite *suites[] = { __VA_ARGS__ };                             \
		static struct quire_kunit_part part = { NULL, suites, ARRAY_SIZE(suites) };        \
                                                                                                   \
		quire_kunit_add_(&part);                                                           \
	}                                                                                          \
	_Static_assert(1, "")
#define QUIRE_KUNIT_SUITES_AT_(line, ...) QUIRE_KUNIT_SUITES_(line, __VA_ARGS__)
#define kunit_test_suites(...)		  QUIRE_KUNIT_SUITES_AT_(__LINE__, __VA_ARGS__)
#define kunit_test_suite(suite)		  kunit_test_suites(&(suite))

/* ---- expectations and assertions: each in four forms ---- */

/* True: the condition is what it should be, @wanted. */
#define QUIRE_KUNIT_TRUE_(test, stops, condition, text, wanted, ...)                               \
	do {                                                                                       \
		if (unlikely(!!(condition) != (wanted))) {                                         \
			quire_kunit_fail_(test, stops, __FILE__, __LINE__);                        \
			quire_kunit_line_("        Expected %s to be %s, but is not\n", text,      \
					  (wanted) ? "true" : "false");                            \
			quire_kunit_failed_(test, stops, __VA_ARGS__);                             \
		}                                                                                  \
	} while (0)

/* Each operand is evaluated once, and may be a bit-field or a pointer. */
#define QUIRE_KUNIT_COMPARE_(test, stops, left, left_text, is, right, right_text, ...)             \
	do {                                                                                       \
		__typeof__((left) + 0) quire_left_ = (left);                                       \
		__typeof__((right) + 0) quire_right_ = (right);                                    \
                                                                                                   \
		if (unlikely(!(quire_left_ is quire_right_))) {                                    \
			quire_kunit_fail_(test, stops, __FILE__, __LINE__);                        \
			quire_kunit_line_(                                                         \
				"        Expected %s %s %s, but %lld (%#llx), %lld (%#llx)\n",     \
				left_text, #is, right_text, (long long)quire_left_,                \
				(unsigned long long)quire_left_, (long long)quire_right_,          \
				(unsigned long long)quire_right_);                                 \
			quire_kunit_failed_(test, stops, __VA_ARGS__);                             \
		}                                                                                  \
	} while (0)

#define QUIRE_KUNIT_POINTERS_(test, stops, left, left_text, is, right, right_text, ...)            \
	QUIRE_KUNIT_COMPARE_(test, stops, (uintptr_t)(left), left_text, is, (uintptr_t)(right),    \
			     right_text, __VA_ARGS__)

/* Texts are equal if @wanted, and else not. */
#define QUIRE_KUNIT_TEXTS_(test, stops, left, left_text, right, right_text, wanted, ...)           \
	do {                                                                                       \
		const char *quire_left_ = (left), *quire_right_ = (right);                         \
                                                                                                   \
		if (unlikely((strcmp(quire_left_, quire_right_) == 0) != (wanted))) {              \
			quire_kunit_fail_(test, stops, __FILE__, __LINE__);                        \
			quire_kunit_line_("        Expected %s %s %s, but \"%s\", \"%s\"\n",       \
					  left_text, (wanted) ? "==" : "!=", right_text,           \
					  quire_left_, quire_right_);                              \
			quire_kunit_failed_(test, stops, __VA_ARGS__);                             \
		}                                                                                  \
	} while (0)

#define QUIRE_KUNIT_BYTES_(test, stops, left, left_text, right, right_text, bytes, wanted, ...)    \
	do {                                                                                       \
		if (unlikely((memcmp(left, right, bytes) == 0) != (wanted))) {                     \
			quire_kunit_fail_(test, stops, __FILE__, __LINE__);                        \
			quire_kunit_line_(                                                         \
				"        Expected %zu bytes %s %s %s, but they are not\n",         \
				(size_t)(bytes), left_text, (wanted) ? "==" : "!=", right_text);   \
			quire_kunit_failed_(test, stops, __VA_ARGS__);                             \
		}                                                                                  \
	} while (0)

#define KUNIT_SUCCEED(test) ((void)(test))
#define KUNIT_FAIL(test, ...)                                                                      \
	do {                                                                                       \
		quire_kunit_fail_(test, false, __FILE__, __LINE__);                                \
		quire_kunit_failed_(test, false, __VA_ARGS__);                                     \
	} while (0)
#define KUNIT_FAIL_AND_ABORT(test, ...)                                                            \
	do {                                                                                       \
		quire_kunit_fail_(test, true, __FILE__, __LINE__);                                 \
		quire_kunit_failed_(test, true, __VA_ARGS__);                                      \
	} while (0)

#define KUNIT_EXPECT_TRUE(test, condition)                                                         \
	QUIRE_KUNIT_TRUE_(test, false, condition, #condition, true, NULL)
#define KUNIT_EXPECT_TRUE_MSG(test, condition, ...)                                                \
	QUIRE_KUNIT_TRUE_(test, false, condition, #condition, true, __VA_ARGS__)
#define KUNIT_ASSERT_TRUE(test, condition)                                                         \
	QUIRE_KUNIT_TRUE_(test, true, condition, #condition, true, NULL)
#define KUNIT_ASSERT_TRUE_MSG(test, condition, ...)                                                \
	QUIRE_KUNIT_TRUE_(test, true, condition, #condition, true, __VA_ARGS__)

#define KUNIT_EXPECT_FALSE(test, condition)                                                        \
	QUIRE_KUNIT_TRUE_(test, false, condition, #condition, false, NULL)
#define KUNIT_EXPECT_FALSE_MSG(test, condition, ...)                                               \
	QUIRE_KUNIT_TRUE_(test, false, condition, #condition, false, __VA_ARGS__)
#define KUNIT_ASSERT_FALSE(test, condition)                                                        \
	QUIRE_KUNIT_TRUE_(test, true, condition, #condition, false, NULL)
#define KUNIT_ASSERT_FALSE_MSG(test, condition, ...)                                               \
	QUIRE_KUNIT_TRUE_(test, true, condition, #condition, false, __VA_ARGS__)

#define KUNIT_EXPECT_EQ(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, ==, right, #right, NULL)
#define KUNIT_EXPECT_EQ_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, ==, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_EQ(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, ==, right, #right, NULL)
#define KUNIT_ASSERT_EQ_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, ==, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_NE(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, !=, right, #right, NULL)
#define KUNIT_EXPECT_NE_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, !=, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_NE(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, !=, right, #right, NULL)
#define KUNIT_ASSERT_NE_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, !=, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_LT(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, <, right, #right, NULL)
#define KUNIT_EXPECT_LT_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, <, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_LT(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, <, right, #right, NULL)
#define KUNIT_ASSERT_LT_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, <, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_LE(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, <=, right, #right, NULL)
#define KUNIT_EXPECT_LE_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, <=, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_LE(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, <=, right, #right, NULL)
#define KUNIT_ASSERT_LE_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, <=, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_GT(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, >, right, #right, NULL)
#define KUNIT_EXPECT_GT_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, >, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_GT(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, >, right, #right, NULL)
#define KUNIT_ASSERT_GT_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, >, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_GE(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, >=, right, #right, NULL)
#define KUNIT_EXPECT_GE_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, false, left, #left, >=, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_GE(test, left, right)                                                         \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, >=, right, #right, NULL)
#define KUNIT_ASSERT_GE_MSG(test, left, right, ...)                                                \
	QUIRE_KUNIT_COMPARE_(test, true, left, #left, >=, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_PTR_EQ(test, left, right)                                                     \
	QUIRE_KUNIT_POINTERS_(test, false, left, #left, ==, right, #right, NULL)
#define KUNIT_EXPECT_PTR_EQ_MSG(test, left, right, ...)                                            \
	QUIRE_KUNIT_POINTERS_(test, false, left, #left, ==, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_PTR_EQ(test, left, right)                                                     \
	QUIRE_KUNIT_POINTERS_(test, true, left, #left, ==, right, #right, NULL)
#define KUNIT_ASSERT_PTR_EQ_MSG(test, left, right, ...)                                            \
	QUIRE_KUNIT_POINTERS_(test, true, left, #left, ==, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_PTR_NE(test, left, right)                                                     \
	QUIRE_KUNIT_POINTERS_(test, false, left, #left, !=, right, #right, NULL)
#define KUNIT_EXPECT_PTR_NE_MSG(test, left, right, ...)                                            \
	QUIRE_KUNIT_POINTERS_(test, false, left, #left, !=, right, #right, __VA_ARGS__)
#define KUNIT_ASSERT_PTR_NE(test, left, right)                                                     \
	QUIRE_KUNIT_POINTERS_(test, true, left, #left, !=, right, #right, NULL)
#define KUNIT_ASSERT_PTR_NE_MSG(test, left, right, ...)                                            \
	QUIRE_KUNIT_POINTERS_(test, true, left, #left, !=, right, #right, __VA_ARGS__)

#define KUNIT_EXPECT_NULL(test, ptr)                                                               \
	QUIRE_KUNIT_POINTERS_(test, false, ptr, #ptr, ==, 0, "NULL", NULL)
#define KUNIT_EXPECT_NULL_MSG(test, ptr, ...)                                                      \
	QUIRE_KUNIT_POINTERS_(test, false, ptr, #ptr, ==, 0, "NULL", __VA_ARGS__)
#define KUNIT_ASSERT_NULL(test, ptr)                                                               \
	QUIRE_KUNIT_POINTERS_(test, true, ptr, #ptr, ==, 0, "NULL", NULL)
#define KUNIT_ASSERT_NULL_MSG(test, ptr, ...)                                                      \
	QUIRE_KUNIT_POINTERS_(test, true, ptr, #ptr, ==, 0, "NULL", __VA_ARGS__)

#define KUNIT_EXPECT_NOT_NULL(test, ptr)                                                           \
	QUIRE_KUNIT_POINTERS_(test, false, ptr, #ptr, !=, 0, "NULL", NULL)
#define KUNIT_EXPECT_NOT_NULL_MSG(test, ptr, ...)                                                  \
	QUIRE_KUNIT_POINTERS_(test, false, ptr, #ptr, !=, 0, "NULL", __VA_ARGS__)
#define KUNIT_ASSERT_NOT_NULL(test, ptr)                                                           \
	QUIRE_KUNIT_POINTERS_(test, true, ptr, #ptr, !=, 0, "NULL", NULL)
#define KUNIT_ASSERT_NOT_NULL_MSG(test, ptr, ...)                                                  \
	QUIRE_KUNIT_POINTERS_(test, true, ptr, #ptr, !=, 0, "NULL", __VA_ARGS__)

#define KUNIT_EXPECT_NOT_ERR_OR_NULL(test, ptr)                                                    \
	QUIRE_KUNIT_TRUE_(test, false, IS_ERR_OR_NULL(ptr), "IS_ERR_OR_NULL(" #ptr ")", false, NULL)
#define KUNIT_EXPECT_NOT_ERR_OR_NULL_MSG(test, ptr, ...)                                           \
	QUIRE_KUNIT_TRUE_(test, false, IS_ERR_OR_NULL(ptr), "IS_ERR_OR_NULL(" #ptr ")", false,     \
			  __VA_ARGS__)
#define KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ptr)                                                    \
	QUIRE_KUNIT_TRUE_(test, true, IS_ERR_OR_NULL(ptr), "IS_ERR_OR_NULL(" #ptr ")", false, NULL)
#define KUNIT_ASSERT_NOT_ERR_OR_NULL_MSG(test, ptr, ...)                                           \
	QUIRE_KUNIT_TRUE_(test, true, IS_ERR_OR_NULL(ptr), "IS_ERR_OR_NULL(" #ptr ")", false,      \
			  __VA_ARGS__)

#define KUNIT_EXPECT_STREQ(test, left, right)                                                      \
	QUIRE_KUNIT_TEXTS_(test, false, left, #left, right, #right, true, NULL)
#define KUNIT_EXPECT_STREQ_MSG(test, left, right, ...)                                             \
	QUIRE_KUNIT_TEXTS_(test, false, left, #left, right, #right, true, __VA_ARGS__)
#define KUNIT_ASSERT_STREQ(test, left, right)                                                      \
	QUIRE_KUNIT_TEXTS_(test, true, left, #left, right, #right, true, NULL)
#define KUNIT_ASSERT_STREQ_MSG(test, left, right, ...)                                             \
	QUIRE_KUNIT_TEXTS_(test, true, left, #left, right, #right, true, __VA_ARGS__)

#define KUNIT_EXPECT_STRNEQ(test, left, right)                                                     \
	QUIRE_KUNIT_TEXTS_(test, false, left, #left, right, #right, false, NULL)
#define KUNIT_EXPECT_STRNEQ_MSG(test, left, right, ...)                                            \
	QUIRE_KUNIT_TEXTS_(test, false, left, #left, right, #right, false, __VA_ARGS__)
#define KUNIT_ASSERT_STRNEQ(test, left, right)                                                     \
	QUIRE_KUNIT_TEXTS_(test, true, left, #left, right, #right, false, NULL)
#define KUNIT_ASSERT_STRNEQ_MSG(test, left, right, ...)                                            \
	QUIRE_KUNIT_TEXTS_(test, true, left, #left, right, #right, false, __VA_ARGS__)

#define KUNIT_EXPECT_MEMEQ(test, left, right, bytes)                                               \
	QUIRE_KUNIT_BYTES_(test, false, left, #left, right, #right, bytes, true, NULL)
#define KUNIT_EXPECT_MEMEQ_MSG(test, left, right, bytes, ...)                                      \
	QUIRE_KUNIT_BYTES_(test, false, left, #left, right, #right, bytes, true, __VA_ARGS__)
#define KUNIT_ASSERT_MEMEQ(test, left, right, bytes)                                               \
	QUIRE_KUNIT_BYTES_(test, true, left, #left, right, #right, bytes, true, NULL)
#define KUNIT_ASSERT_MEMEQ_MSG(test, left, right, bytes, ...)                                      \
	QUIRE_KUNIT_BYTES_(test, true, left, #left, right, #right, bytes, true, __VA_ARGS__)

#define KUNIT_EXPECT_MEMNEQ(test, left, right, bytes)                                              \
	QUIRE_KUNIT_BYTES_(test, false, left, #left, right, #right, bytes, false, NULL)
#define KUNIT_EXPECT_MEMNEQ_MSG(test, left, right, bytes, ...)                                     \
	QUIRE_KUNIT_BYTES_(test, false, left, #left, right, #right, bytes, false, __VA_ARGS__)
#define KUNIT_ASSERT_MEMNEQ(test, left, right, bytes)                                              \
	QUIRE_KUNIT_BYTES_(test, true, left, #left, right, #right, bytes, false, NULL)
#define KUNIT_ASSERT_MEMNEQ_MSG(test, left, right, bytes, ...)                                     \
	QUIRE_KUNIT_BYTES_(test, true, left, #left, right, #right, bytes, false, __VA_ARGS__)

#endif
