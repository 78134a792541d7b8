/* SPDX-License-Identifier: MIT */
/* kunit/test-bug.h - the case that runs now, for code that is not told which it is */
#ifndef QUIRE_KUNIT_TEST_BUG_H
#define QUIRE_KUNIT_TEST_BUG_H

#include <kunit/test.h>

/* NULL: none. */
static inline struct kunit *kunit_get_current_test(void)
{
	return quire_kunit.current;
}

#define kunit_fail_current_test(format, ...)                                                       \
	do {                                                                                       \
		if (kunit_get_current_test() != NULL)                                              \
			KUNIT_FAIL(kunit_get_current_test(), format, ##__VA_ARGS__);               \
	} while (0)

#endif
