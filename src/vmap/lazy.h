/* SPDX-License-Identifier: MIT */
/* vmap/lazy.h - the lock-free list of freed areas that wait for a purge */
#ifndef VMAP_LAZY_H
#define VMAP_LAZY_H

#include <stdint.h>

struct vmap;

/* Counts a chain of freed areas, then publishes it; nobody touches it afterwards but the purge (R15, R16). */
void lazy_publish_chain(struct vmap *v, uint32_t chain);
/* Takes the whole list: a chain. */
uint32_t lazy_splice(struct vmap *v);
uint32_t lazy_splice_frames(struct vmap *v);
/* One that was spliced and could not be purged; it is still counted. */
void lazy_put_back(struct vmap *v, uint32_t index);
/* At most @most of the newest, for the holder of purge_mutex. */
uint32_t lazy_pop(struct vmap *v, unsigned most);
/* In a child of fork: what others had counted and not yet published is lost, and not waited for. */
void lazy_recount(struct vmap *v);
/* So many have been purged. */
void lazy_uncount(struct vmap *v, uint64_t pages, uint64_t areas);

#endif
