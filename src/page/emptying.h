/* SPDX-License-Identifier: MIT */
/* page/emptying.h - which partial blocks get no new users, so that they become whole */
#ifndef PAGE_EMPTYING_H
#define PAGE_EMPTYING_H

struct pages;
struct zone;

/* Called by every slow path that had the zone lock; chooses afresh every few calls. */
void emptying_choose_locked(struct pages *p, struct zone *zone);

#endif
