/* SPDX-License-Identifier: MIT */
/*
 * huge.h - the books of the huge-page advice for blocks of 2 MiB, and its cost in mappings
 *
 * A block whose advice differs from its neighbour's is a mapping of its own.  A map stores the
 * advice of each block of one reservation, so it can compute the mappings that a change adds, and
 * requests them from the process's budget (machine/mem.h):
 *
 *   from            when                                        to       if the budget refuses
 *   UNUSED          made usable                                 PLAIN, ADVISED   counted all the same
 *   UNUSED          in use without advice, as PLAIN below       PLAIN, ADVISED   as below
 *   UNUSED          made usable by a caller that may not wait   UNCOUNTED        -
 *   UNCOUNTED       huge_count(); or as UNUSED in use           PLAIN, ADVISED   counted all the same
 *   PLAIN           huge pages are wanted                       ADVISED  WISHED
 *   WISHED          a neighbour became ADVISED                  ADVISED  -
 *   ADVISED         a part is given back                        PLAIN    PLAIN, and all blocks up to the
 *                                                                        nearest edge become WISHED
 *   WISHED          a part is given back                        PLAIN    -
 *   PLAIN           the worker finds it written                 FULL     -
 *   FULL            it finds it written again                   ADVISED  WISHED
 *   FULL            it finds it written no more                 PLAIN    -
 *
 * A returned part stays away only without the advice: khugepaged fills advised blocks in which it
 * finds a page.
 *
 * policy.h says when; look.h is how the worker finds what is written.
 *
 * Every function is called under the mutex (RANK_HUGE), except huge_init(), huge_fini() and
 * huge_usable_uncounted().  Its holder makes only system calls that give advice or that query which
 * pages were written.  A kind may be read without the mutex as a hint.
 */
#ifndef HUGE_HUGE_H
#define HUGE_HUGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/atomic.h"
#include "machine/lock.h"

#define HUGE_SHIFT 21
#define HUGE_BYTES ((size_t)1 << HUGE_SHIFT)

enum huge_kind {
	HUGE_UNUSED =
		0,   /* not committed, or committed while nobody could advise: as the reservation */
	HUGE_PLAIN,  /* advised against huge pages; none stands behind */
	HUGE_WISHED, /* the same for want of mappings; one may stand behind */
	HUGE_ADVISED,
	HUGE_FULL,	/* as PLAIN; was written at the last look */
	HUGE_UNCOUNTED, /* committed and advised while nobody could count: to the counts as UNUSED */
};

struct huge_map {
	struct mutex *mutex;
	char *base;	    /* of block 0 */
	uint8_t *kind;	    /* by block: enum huge_kind; atomic */
	uint32_t blocks_nr; /* (c) */
	uint32_t edges;	    /* neighbours that differ: mappings counted */
};

static inline char *huge_addr(const struct huge_map *map, uint32_t block)
{
	return map->base + ((size_t)block << HUGE_SHIFT);
}
static inline enum huge_kind huge_kind(const struct huge_map *map, uint32_t block)
{
	return (enum huge_kind)load_relaxed(&map->kind[block]);
}

/* Advises against huge pages in the whole reservation, so that blocks are committed without. */
void huge_init(struct huge_map *map, struct mutex *mutex, char *base, uint8_t *kind,
	       uint32_t blocks_nr);
/* Gives back what was counted. */
void huge_fini(struct huge_map *map);
/* Blocks [first, end) are committed now, with or without the advice.  Publishes their kind (release). */
void huge_usable(struct huge_map *map, uint32_t first, uint32_t end, bool advise);
/* The same, without the mutex, for the one caller that commits them. */
void huge_usable_uncounted(struct huge_map *map, uint32_t first, uint32_t end, bool advise);
/* huge_usable() for those of [first, end) that were not counted. */
void huge_count(struct huge_map *map, uint32_t first, uint32_t end, bool advise);
/* Asks for huge pages behind blocks that are committed. */
void huge_allow(struct huge_map *map, uint32_t first, uint32_t end);
/* For none; true if one may stand behind a block of them. */
bool huge_deny(struct huge_map *map, uint32_t first, uint32_t end);
/* Blocks of which nothing is in use: @advise, or not, if there are fewer mappings then. */
void huge_settle(struct huge_map *map, uint32_t first, uint32_t end, bool advise);
/* Notes for a block that is PLAIN or FULL whether a look found it written. */
void huge_note_full(struct huge_map *map, uint32_t block, bool full);

#endif
