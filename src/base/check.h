/* SPDX-License-Identifier: MIT */
/*
 * check.h - stopping the process: because of a bug in Quire, or because of misuse by the caller
 *
 * CHECK is O(1) and always on.  DCHECK may cost O(log n) and exists only in debug and simulator
 * builds (QUIRE_DEBUG=1).  misuse() reports a rule that the caller violated.  All of them print one
 * line and abort; none allocates.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#ifndef QUIRE_DEBUG
#define QUIRE_DEBUG 0
#endif

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Supplied by each machine: the CPU for the message, and the end (writes the line, aborts). */
unsigned check_cpu(void);
_Noreturn void check_die(const char *line, size_t bytes);

_Noreturn void check_failed(const char *condition, const char *function);
_Noreturn void check_failed_values(const char *condition, const char *function, uint64_t a,
				   uint64_t b);

/*
 * Stop for a broken rule of the caller: "quire: RULE: address 0x... (detail N), CPU n".
 * @rule names it in the words of docs/tour.md: "double free", "foreign pointer", ...
 */
_Noreturn void misuse(const char *rule, const char *function, const void *addr, uint64_t detail);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (UNLIKELY(!(condition)))                                                        \
			check_failed(#condition, __func__);                                        \
	} while (0)

#define CHECK_VALUES(condition, a, b)                                                              \
	do {                                                                                       \
		if (UNLIKELY(!(condition)))                                                        \
			check_failed_values(#condition, __func__, (uint64_t)(a), (uint64_t)(b));   \
	} while (0)

#if QUIRE_DEBUG
#define DCHECK(condition) CHECK(condition)
#else
#define DCHECK(condition)                                                                          \
	do {                                                                                       \
		if (0)                                                                             \
			(void)(condition);                                                         \
	} while (0)
#endif

#endif
