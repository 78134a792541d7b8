/* SPDX-License-Identifier: MIT */
/* expect.h - what modules check: both values in a warning, which makes the module fail */
#ifndef LINUX_EXPECT_H
#define LINUX_EXPECT_H

#include <linux/bug.h>

#define EXPECT(condition) ((void)WARN(!(condition), "not so: %s", #condition))
#define EXPECT_EQ(got, expected)                                                                   \
	do {                                                                                       \
		long long got_ = (long long)(got), expected_ = (long long)(expected);              \
                                                                                                   \
		(void)WARN(got_ != expected_, "%s is %lld, expected %lld", #got, got_, expected_); \
	} while (0)

#endif
