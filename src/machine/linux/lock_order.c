/* SPDX-License-Identifier: MIT */
/*
 * lock_order.c - the order of locks, checked at every acquire of a debug build
 *
 * A thread records how many locks of each rank it holds, not which: a fork holds the locks of
 * every CPU of every instance, and the rule concerns only ranks.  For the ordered acquire, the
 * address of the last lock of the rank is recorded too.
 *
 * Locks acquired by a try count as well, since an acquire under them must obey their rank.
 */
#include "machine/lock.h"
#include "machine/lock_names.h"

#if QUIRE_DEBUG

#include <quire/quire.h>

#include "base/check.h"
#include "base/text.h"

#define LINE_BYTES 256

struct rank_held {
	uint32_t locks_nr;
	const void *last;
};

static _Thread_local struct rank_held held[RANKS_NR];

/* One line that names the wanted rank and all that are held, outermost first. */
static _Noreturn void order_broken(uint16_t rank)
{
	char line[LINE_BYTES];
	const struct quire_stop stop = { .struct_bytes = sizeof(stop),
					 .cause = QUIRE_STOP_BUG,
					 .rule = "lock order",
					 .call = __func__,
					 .line = line,
					 .cpu = check_cpu() };
	struct text text;

	text_init(&text, line, sizeof(line));
	text_put(&text, "quire: bug: lock order: ");
	text_put(&text, lock_rank_names[rank]);
	text_put(&text, " wanted while holding");
	for (unsigned i = 0; i < RANKS_NR; i++) {
		if (held[i].locks_nr != 0) {
			text_put(&text, " ");
			text_put(&text, lock_rank_names[i]);
		}
	}
	text_put(&text, ", CPU ");
	text_put_u64(&text, stop.cpu);
	text_put(&text, "\n");
	check_die(&stop);
}

void lock_order_check(const void *lock, uint16_t rank, bool ordered)
{
	CHECK_VALUES(rank < RANKS_NR, rank, RANKS_NR);
	/* Under INSTANCES only a fork takes locks: one instance's, then the next one's.  Forks
	 * exclude each other by it, and no other call holds locks of two instances. */
	if (held[RANK_INSTANCES].locks_nr != 0)
		return;
	if (held[rank].locks_nr != 0 && !(ordered && lock > held[rank].last))
		order_broken(rank);
	for (unsigned i = rank + 1u; i < RANKS_NR; i++) {
		if (held[i].locks_nr != 0)
			order_broken(rank);
	}
}

void lock_order_take(const void *lock, uint16_t rank)
{
	held[rank].locks_nr++;
	held[rank].last = lock;
}

void lock_order_put(uint16_t rank)
{
	CHECK_VALUES(held[rank].locks_nr != 0, rank, 0);
	held[rank].locks_nr--;
}

#else

/* A translation unit may not be empty. */
extern int lock_order_is_checked_in_debug_builds_only;

#endif
