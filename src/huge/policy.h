/* SPDX-License-Identifier: MIT */
/*
 * huge/policy.h - what is asked of the system for a block of 2 MiB, of pages or of areas
 *
 * A huge page makes the first touch of a block nine times as fast (72 us instead of 512 faults), but takes
 * 2 MiB for a single byte.  So a block is advised where one of these speaks for it:
 *
 *   thp       reason      of      when
 *   on        ALWAYS      both    at once (areas: of 64 KiB and more)
 *   auto      POPULATED   areas   the caller says that it will write all (QUIRE_HUGE), or the library does: it
 *                                 clears memory that is used again
 *   auto      GROWN       areas   an area grows that is written so far
 *   auto      LIKELY      areas   similar areas were found written (vmap/dense.c); for fresh addresses, and
 *                                 for those that are used again with their memory
 *   auto      LARGE       pages   more than 16 MiB are in use, and a sample of them is written (page/advice.c)
 *   auto      -           both    two visits of the worker found it written (huge/look.h)
 *   off       none
 *
 * The rest is the same for whoever uses the block:
 *
 *   a part goes back      the advice goes first, and the huge page is split: huge_part_goes()
 *   all of it went back   it is advised if a fresh block would be, else it joins its neighbours,
 *                         so that it takes no mapping: huge_whole_went()
 *
 * What is different stays with the user: how pages and areas find out what speaks for a block, which blocks
 * are looked at, and that a block of pages is decided for when it is committed, one of areas whenever its
 * addresses are taken anew.
 */
#ifndef HUGE_POLICY_H
#define HUGE_POLICY_H

#include <stdbool.h>
#include <stdint.h>

struct huge_map;

/* What is known about a block without memory. */
struct huge_question {
	bool off, always; /* thp:off, thp:on */
	bool refused;	  /* QUIRE_NOHUGE */
	/* See above. */
	bool populated, grown_and_full, witness_was_dense, large;
	uint32_t covered_pages, block_pages; /* pages of the block that may be used; and all */
	uint32_t until_probe;		     /* blocks until similar areas are examined again */
};

enum huge_answer {
	HUGE_IS_OFF,
	HUGE_REFUSED,	  /* the caller wants none (QUIRE_NOHUGE) */
	HUGE_NOT_COVERED, /* too much of a huge page would be beyond the area */
	HUGE_UNKNOWN,	  /* nothing says that it will be written */
	HUGE_PROBE,	  /* similar areas were written; it becomes the next witness */
	HUGE_YES,	  /* this and all answers below: huge pages */
	HUGE_ALWAYS = HUGE_YES,
	HUGE_POPULATED,
	HUGE_GROWN,
	HUGE_LARGE,
	HUGE_LIKELY,
};

/* Is @part at least three quarters of @whole?  Huge pages then cost at most a third more than what is used. */
static inline bool huge_is_dense(uint64_t part, uint64_t whole)
{
	return part * 4 >= whole * 3;
}

/* Decides whether a block gets a huge page.  A pure function of @ask. */
enum huge_answer huge_decide(const struct huge_question *ask);

/* A part of blocks [first, end) is about to be given back: they lose the advice.  True if a huge page may
 * stand behind one of them, which its caller splits.  Takes the map's mutex. */
bool huge_part_goes(struct huge_map *map, uint32_t first, uint32_t end);
/* Nothing of blocks [first, end) is in use, and no memory is behind them: @advise, or whatever takes the
 * fewest mappings.  Under the map's mutex, if it may change anything, which is a hint. */
bool huge_whole_may_change(const struct huge_map *map, uint32_t first, uint32_t end, bool advise);
void huge_whole_went(struct huge_map *map, uint32_t first, uint32_t end, bool advise);

#endif
