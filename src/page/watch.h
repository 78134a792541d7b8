/* SPDX-License-Identifier: MIT */
/*
 * page/watch.h - what is done besides with pages that come and go, in an instance that is watched
 *
 * Tools are told of them (annotate.h).  With page_poison:on a free page is filled with POISON_PAGE, and an
 * allocation finds what was written to it since.  A page without memory reads zero, before its first use and after it was
 * given back; so each 4 KiB of a free page are either all poison or all zero.  Such an instance works without
 * sequences, so that every call comes here.
 */
#ifndef PAGE_WATCH_H
#define PAGE_WATCH_H

#include <stddef.h>

struct pages;

/* A run with this address and state is allocated. */
void page_watch_alloc(const struct pages *p, void *addr, size_t bytes, unsigned state);
/* A run is freed, and not yet anyone else's. */
void page_watch_free(const struct pages *p, void *addr, size_t bytes);

#endif
