/* SPDX-License-Identifier: MIT */
/* page/map.h - a map of pageblocks, as text: map.c */
#ifndef PAGE_MAP_H
#define PAGE_MAP_H

#include <stddef.h>

struct quire;

/* More fit into no text that is made of it. */
#define MAP_ROWS_MAX 32u
#define MAP_COLUMNS  64u

/* Of at most MAP_ROWS_MAX rows, and one more for each zone.  Returns as the calls of quire/page.h that write texts do. */
size_t page_text_map(const struct quire *q, char *buffer, size_t bytes);

#endif
