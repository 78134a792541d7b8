/* SPDX-License-Identifier: MIT */
/* page/isolate.h - taking pageblocks out of circulation, and away */
#ifndef PAGE_ISOLATE_H
#define PAGE_ISOLATE_H

#include <stddef.h>

struct pages;

/* Takes offline all whole blocks whose memory was given back.  Returns how many. */
size_t offline_whole_blocks(struct pages *p);

#endif
