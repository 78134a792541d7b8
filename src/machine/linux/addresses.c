/* SPDX-License-Identifier: MIT */
/*
 * addresses.c - the budget of addresses for all reservations of the process
 *
 * Reservations cost no memory, but they count against RLIMIT_AS like any mapping, and the program
 * needs addresses too, for its stacks, its malloc and its files.  So all instances and their
 * modules share one budget: half of RLIMIT_AS, or of the address space if there is no such limit.
 * mem_reserve() refuses reservations beyond it.
 *
 * Shares.  Pages are reserved when an instance is created, areas and per-CPU memory at their first
 * use, and more instances may follow.  So no module may take all that is left: it gets at most half
 * of the rest of the budget, and at most a quarter of what RLIMIT_AS still allows.  In an otherwise
 * empty process with limit L, pages get L/4, areas L/8, per-CPU memory L/16, and the program keeps
 * more than half.  Where the program's malloc is this library (mem_reserve_most()), its addresses are the
 * program's: the budget is seven eighths, and under RLIMIT_AS a part takes three quarters of what is left.
 *
 * The limit is read for each reservation, since a program may lower it while it runs; a share that was asked
 * for just before counts as that.
 */
#include "machine/linux/addresses.h"

#include <sys/auxv.h>
#include <sys/resource.h>

#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/mem.h"

/* Atomic, relaxed: bytes in all reservations.  A child of fork inherits them and the count. */
static uint64_t taken_bytes;

/* Atomic, relaxed: RLIMIT_AS as the last share was computed, for one reservation; 0: none. */
static uint64_t limit_in_hand;

static bool takes_most; /* atomic, relaxed */

void mem_reserve_most(void)
{
	store_relaxed(&takes_most, true);
}

uint64_t addresses_limit_bytes(void)
{
	struct rlimit limit;

	if (SYSTEM_CALL(SYS_prlimit64, 0, RLIMIT_AS, NULL, &limit) != 0 ||
	    limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

/* The initial thread's stack is at the top, so the length of its addresses tells the largest
 * one. */
static uint64_t space_bytes(void)
{
	uint64_t top = (uint64_t)getauxval(AT_RANDOM);

	return top != 0 ? UINT64_C(2) << (63 - __builtin_clzll(top)) : UINT64_C(1) << 47;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t budget_bytes(uint64_t limit)
{
	uint64_t all = least(limit, space_bytes());

	return load_relaxed(&takes_most) ? all - all / 8 : all / 2;
}

/* "14317 ...": the first number of statm is the address space in use, in pages.  0: not known. */
static uint64_t used_bytes(void)
{
	char text[64];
	uint64_t pages = 0;

	if (system_read_line("/proc/self/statm", text, sizeof(text)) <= 0)
		return 0;
	for (const char *at = text; *at >= '0' && *at <= '9'; at++)
		pages = pages * 10 + (uint64_t)(*at - '0');
	return pages * mem_page_bytes();
}

bool addresses_take(size_t bytes)
{
	/* Another thread's is as new. */
	uint64_t limit = exchange_acq_rel(&limit_in_hand, UINT64_C(0));
	uint64_t budget = budget_bytes(limit != 0 ? limit : addresses_limit_bytes());
	uint64_t taken = load_relaxed(&taken_bytes);

	do {
		if (taken > budget || bytes > budget - taken)
			return false;
	} while (!cas_relaxed(&taken_bytes, &taken, taken + bytes));
	return true;
}

void addresses_add(size_t bytes)
{
	fetch_add_relaxed(&taken_bytes, (uint64_t)bytes);
}

void addresses_put(size_t bytes)
{
	fetch_sub_relaxed(&taken_bytes, (uint64_t)bytes);
}

size_t mem_reserve_share(void)
{
	uint64_t limit = addresses_limit_bytes(), budget = budget_bytes(limit);
	uint64_t taken = load_relaxed(&taken_bytes);
	uint64_t room = budget > taken ? budget - taken : 0;
	uint64_t used, left;

	store_relaxed(&limit_in_hand, limit);
	if (limit != UINT64_MAX) {
		used = used_bytes();
		left = used < limit ? limit - used : 0;
		if (load_relaxed(&takes_most))
			return (size_t)(least(room, left) / 4 * 3);
		room = least(room, left / 2);
	}
	return (size_t)(room / 2);
}
