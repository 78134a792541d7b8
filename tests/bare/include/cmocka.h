/* SPDX-License-Identifier: MIT */
/* cmocka.h - the part of cmocka that the model and race tests use */
#ifndef BARE_CMOCKA_H
#define BARE_CMOCKA_H

/*
 * A failed assertion prints what failed and ends the machine: other threads may run, and hold what the next test
 * needs.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/bare/console.h"

#define print_message console_print
#define print_error   console_print

struct CMUnitTest {
	const char *name;
	void (*test)(void **state);
	int (*setup)(void **state);
	int (*teardown)(void **state);
};

#define cmocka_unit_test(function)                                                                 \
	{                                                                                          \
		.name = #function, .test = (function)                                              \
	}
#define cmocka_unit_test_setup_teardown(function, before, after)                                   \
	{                                                                                          \
		.name = #function, .test = (function), .setup = (before), .teardown = (after)      \
	}

int cmocka_run(const char *name, const struct CMUnitTest *tests, size_t tests_nr);

#define cmocka_run_group_tests_name(name, tests, before, after)                                    \
	cmocka_run(name, tests, sizeof(tests) / sizeof((tests)[0]))
#define cmocka_run_group_tests(tests, before, after)                                               \
	cmocka_run_group_tests_name(#tests, tests, before, after)

__attribute__((format(__printf__, 3, 4))) _Noreturn void cmocka_fail(const char *file, int line,
								     const char *format, ...);
void cmocka_assert_equal(uint64_t a, uint64_t b, const char *file, int line);
void cmocka_assert_range(uint64_t a, uint64_t least, uint64_t most, const char *file, int line);
void cmocka_assert(bool holds, const char *what, const char *file, int line);

#define fail_msg(...) cmocka_fail(__FILE__, __LINE__, __VA_ARGS__)

#define assert_int_equal(a, b) cmocka_assert_equal((uint64_t)(a), (uint64_t)(b), __FILE__, __LINE__)
#define assert_ptr_equal(a, b)                                                                     \
	cmocka_assert_equal((uintptr_t)(a), (uintptr_t)(b), __FILE__, __LINE__)
#define assert_in_range(a, least, most)                                                            \
	cmocka_assert_range((uint64_t)(a), (uint64_t)(least), (uint64_t)(most), __FILE__, __LINE__)
#define assert_true(c)	   cmocka_assert((c), #c, __FILE__, __LINE__)
#define assert_non_null(p) cmocka_assert((p) != NULL, #p " != NULL", __FILE__, __LINE__)

#endif
