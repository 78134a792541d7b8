/* SPDX-License-Identifier: MIT */
/* page/grow.h - bringing more of a zone online: zone.c */
#ifndef PAGE_GROW_H
#define PAGE_GROW_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/lock.h"

struct quire;
struct zone;

/*
 * Blocks handed out to a caller who commits them: zone.c.  The first is for the holder of grow_mutex,
 * the others for callers that may not wait for it.  One more of those than there are steps is refused
 * (quire/page.h), which takes 16 threads at once in the middle of a system call: 32 bytes each.
 */
#define GROWERS_MAX 16
enum {
	GROW_NONE,
	GROW_BUSY, /* being committed by its grower, whose the blocks are */
	GROW_LEFT, /* nobody's, until the next grower takes it up */
};
struct grow_step {
	struct mutex mutex; /* RANK_GROW_STEP; unused in the first */
	uint32_t first, blocks_nr;
	uint8_t state;
	bool was_offline;
};

/* Commits more sections: 0 if a whole run of the order was there at its end, -ENOMEM, or -EAGAIN (only
 * locks may be tried). */
int zone_grow(struct quire *q, struct zone *zone, unsigned flags, unsigned order);
/* In the child of a fork, whose growers stayed in the parent. */
void zone_fork_child_locked(struct zone *zone);

#endif
