/* SPDX-License-Identifier: MIT */
/*
 * mappings.c - the budget of mappings that Quire may use
 *
 * The system limits a process's mappings (vm.max_map_count, 65,530 by default).  At the limit
 * mmap(), mprotect() and munmap() fail, and so do the program's malloc and thread creation.  So
 * mappings that are not needed for correctness are counted, for all instances together, and
 * refused beyond a share.
 *
 * The share is an eighth: 8,191 by default, which leaves the program seven times as many.  Advice
 * has a sixteenth of that, 511: it only improves speed, while guards and aliases were requested
 * by the user.  Besides, advice can be extended to neighbouring blocks instead.  Moves have a quarter, 2,047:
 * they take theirs for good, and afterwards memory is copied.
 *
 * The few permanent mappings of a reservation (its committed and its unused part) are not counted.
 */
#include "machine/linux/mappings.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/mem.h"

#define SYSTEM_MAX_DEFAULT 65530u
#define OUR_SHARE	   8u
#define ADVICE_SHARE	   16u
#define MOVES_SHARE	   4u

/* All atomic and relaxed: counts, of which each change is one operation. */
static uint64_t system_max; /* 0 until known */
static uint64_t used[MAPPINGS_KINDS_NR], refused[MAPPINGS_KINDS_NR];
static uint64_t used_total;

void mappings_set_system_max(uint64_t max)
{
	store_relaxed(&system_max, max);
}

static uint64_t read_system_max(void)
{
	char digits[32];
	uint64_t max = 0;
	long got = system_read_line("/proc/sys/vm/max_map_count", digits, sizeof(digits));

	for (long i = 0; i < got && digits[i] >= '0' && digits[i] <= '9'; i++)
		max = max * 10 + (uint64_t)(digits[i] - '0');
	return max != 0 ? max : SYSTEM_MAX_DEFAULT;
}

/* Read once; two threads that read it at the same time get the same value. */
static uint64_t budget(void)
{
	uint64_t max = load_relaxed(&system_max);

	if (max == 0) {
		max = read_system_max();
		store_relaxed(&system_max, max);
	}
	return max / OUR_SHARE;
}

static uint64_t budget_of(enum mem_mappings kind)
{
	switch (kind) {
	case MAPPINGS_ADVICE:
		return budget() / ADVICE_SHARE;
	case MAPPINGS_MOVES:
		return budget() / MOVES_SHARE;
	default:
		return budget();
	}
}

/* Adds @nr to a count unless the sum would exceed @max. */
static bool add_within(uint64_t *count, uint64_t nr, uint64_t max)
{
	uint64_t found = load_relaxed(count);

	do {
		if (found > max || nr > max - found)
			return false;
	} while (!cas_acq_rel(count, &found, found + nr));
	return true;
}

bool mem_mappings_take(enum mem_mappings kind, uint32_t nr)
{
	CHECK(kind < MAPPINGS_KINDS_NR);
	if (add_within(&used[kind], nr, budget_of(kind))) {
		if (add_within(&used_total, nr, budget()))
			return true;
		fetch_sub_relaxed(&used[kind], (uint64_t)nr);
	}
	fetch_add_relaxed(&refused[kind], UINT64_C(1));
	return false;
}

void mem_mappings_add(enum mem_mappings kind, uint32_t nr)
{
	CHECK(kind < MAPPINGS_KINDS_NR);
	fetch_add_relaxed(&used[kind], (uint64_t)nr);
	fetch_add_relaxed(&used_total, (uint64_t)nr);
}

void mem_mappings_give(enum mem_mappings kind, uint32_t nr)
{
	uint64_t before;

	CHECK(kind < MAPPINGS_KINDS_NR);
	before = fetch_sub_relaxed(&used[kind], (uint64_t)nr);
	CHECK_VALUES(before >= nr, before, nr);
	fetch_sub_relaxed(&used_total, (uint64_t)nr);
}

void mem_mappings_read(struct mem_mappings_stat *stat)
{
	stat->max = budget();
	for (unsigned i = 0; i < MAPPINGS_KINDS_NR; i++) {
		stat->used[i] = load_relaxed(&used[i]);
		stat->refused[i] = load_relaxed(&refused[i]);
	}
}
