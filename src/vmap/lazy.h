/* SPDX-License-Identifier: MIT */
/* vmap/lazy.h - the lock-free list of freed areas that wait for a purge */
#ifndef VMAP_LAZY_H
#define VMAP_LAZY_H

#include <stdbool.h>
#include <stdint.h>

struct vmap;

/* Counts a chain of freed areas, then publishes it.  After that only a purge may touch it (R15,
 * R16). */
void lazy_publish_chain(struct vmap *v, uint32_t chain);
/* Take the whole list, as a chain. */
uint32_t lazy_splice(struct vmap *v);
uint32_t lazy_splice_frames(struct vmap *v);
/* Puts back a range that was spliced and could not be purged; it is still counted. */
void lazy_put_back(struct vmap *v, uint32_t index);
/* Takes at most @most ranges, the newest first.  Requires purge_mutex. */
uint32_t lazy_pop(struct vmap *v, unsigned most);
/* Keeps the lists as they are when a fork begins.  Requires purge_mutex; v->forking is set until it is done. */
void lazy_fork_prepare(struct vmap *v);
/* The child has these lists again, and counts what is on them.  Ranges that were published later are lost there. */
void lazy_fork_done(struct vmap *v, bool child);
/* Subtracts areas that have been purged or pooled. */
void lazy_uncount(struct vmap *v, uint64_t pages, uint64_t areas);

#endif
