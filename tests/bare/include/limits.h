/* SPDX-License-Identifier: MIT */
/* limits.h - gcc's own asks for libc's */
#ifndef BARE_LIMITS_H
#define BARE_LIMITS_H

#define CHAR_BIT  __CHAR_BIT__
#define INT_MAX	  __INT_MAX__
#define INT_MIN	  (-INT_MAX - 1)
#define UINT_MAX  (INT_MAX * 2u + 1)
#define LONG_MAX  __LONG_MAX__
#define LONG_MIN  (-LONG_MAX - 1)
#define ULONG_MAX (LONG_MAX * 2ul + 1)

#endif
