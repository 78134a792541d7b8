/* SPDX-License-Identifier: MIT */
/* page/grow.h - bringing more of a zone online: zone.c */
#ifndef PAGE_GROW_H
#define PAGE_GROW_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/lock.h"

struct page_request;
struct pages;
struct zone;

/*
 * Blocks claimed by a caller (their grower) that commits them: zone.c.  The first step is for the holder
 * of grow_mutex, the others for callers that may not wait for it.  If all of those are in use, one more
 * caller is refused (quire/page.h): that takes 16 threads in system calls at once.  A step has 32 bytes.
 */
#define GROWERS_MAX 16

/* Metadata is committed for so many blocks at a time, 64 MiB: 288 KiB, of which memory comes with use. */
#define META_STEP_BLOCKS 32u

enum {
	GROW_NONE,
	GROW_BUSY, /* its grower owns the blocks and is committing them */
	GROW_LEFT, /* has blocks but no grower; the next grower continues it */
};
struct grow_step {
	struct mutex mutex; /* RANK_GROW_STEP; unused in the first */
	uint32_t first, blocks_nr;
	uint8_t state;
	bool was_offline;
};

/* Commits more blocks.  0: there is a whole run of the order now.  -ENOMEM: there is no room, or the system
 * refused.  -EAGAIN: the flags allow only tries of locks, or other growers have all blocks or steps. */
int zone_grow(struct pages *p, struct zone *zone, const struct page_request *request);
/* In the child of a fork: leaves the steps of growers that exist only in the parent. */
void zone_fork_child_locked(struct zone *zone);

#endif
