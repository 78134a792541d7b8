/* SPDX-License-Identifier: MIT */
/* page/isolate.h - taking pageblocks out of circulation, and away */
#ifndef PAGE_ISOLATE_H
#define PAGE_ISOLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pages;

/* Sets or clears a block's ISOLATE: 0; -EBUSY if it is so already, or not online.  Nothing is drained.  The
 * second is called under giveback_mutex. */
int page_set_isolate(struct pages *p, uint32_t block, bool isolate);
int page_set_isolate_locked(struct pages *p, uint32_t block, bool isolate);

/* Takes offline all whole blocks whose memory was given back.  Returns how many. */
size_t offline_whole_blocks(struct pages *p);

#endif
