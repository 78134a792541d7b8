/* SPDX-License-Identifier: MIT */
/*
 * check.h - stopping the process: because of a bug in Quire, or because of misuse by the caller
 *
 * CHECK is O(1) and always on.  DCHECK may cost O(log n) and exists only in debug and simulator
 * builds (QUIRE_DEBUG=1).  misuse() reports a rule that the caller violated.  All of them print one
 * line, call the program's hook (quire_set_stop_hook()) and abort; none allocates.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stdint.h>

#ifndef QUIRE_DEBUG
#define QUIRE_DEBUG 0
#endif

#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

struct quire_stop;

/* What quire_set_stop_hook() sets; @call is NULL if there is none. */
struct check_hook {
	void (*call)(const struct quire_stop *stop, void *arg);
	void *arg;
};

/*
 * Supplied by each machine: the CPU for the message; the end, which writes @stop's line, calls the hook
 * unless one was called before, and aborts; and what that hook is, which returns the one before it.
 */
unsigned check_cpu(void);
_Noreturn void check_die(const struct quire_stop *stop);
struct check_hook check_set_hook(struct check_hook hook);

_Noreturn void check_failed(const char *condition, const char *function);
_Noreturn void check_failed_values(const char *condition, const char *function, uint64_t a,
				   uint64_t b);

/*
 * Stop because the caller broke a rule: "quire: misuse: RULE: address 0x... in CALL, CPU n".
 * @rule is one that docs/invariants.md lists: "double free", "foreign pointer", ...  The second adds a
 * number and what it is, behind the address: "(order 3)".
 */
_Noreturn void misuse(const char *rule, const char *function, const void *addr);
_Noreturn void misuse_number(const char *rule, const char *function, const void *addr,
			     const char *what, uint64_t number);
/* The same for an address inside something larger: "(offset 64, size 96, slab 0x7f0000000000)".  A hook is told
 * @number.  All that is NULL, or 0, is left out. */
struct misuse_place {
	const char *what;
	uint64_t number;
	const char *of; /* a second number; NULL: none */
	uint64_t of_number;
	const char *whole; /* NULL: nothing larger */
	const void *start;
	const char *more; /* whole lines that follow, less than MISUSE_MORE_BYTES; NULL: none */
};
#define MISUSE_MORE_BYTES 1536
_Noreturn void misuse_placed(const char *rule, const char *function, const void *addr,
			     const struct misuse_place *place);

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
