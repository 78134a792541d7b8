/* SPDX-License-Identifier: MIT */
/* page/stat.h - what an instance's pages hold and have done */
#ifndef PAGE_STAT_H
#define PAGE_STAT_H

#include <quire/page.h>

struct pages;

/* All but what takes a walk (count.h) and what is the process's (mappings).  allocated_pages is what is neither free nor cached: pages in
 * the hands of other threads are in it. */
void page_stat_collect(struct pages *p, struct quire_page_stat *stat);

#endif
