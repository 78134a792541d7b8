/* SPDX-License-Identifier: MIT */
/* percpu/object.h - placing objects in chunks and freeing them: object.c */
#ifndef PERCPU_OBJECT_H
#define PERCPU_OBJECT_H

#include "percpu/placement.h"

/* Puts an object at @place, where populated pages have room. */
void object_put_locked(struct percpu *pc, struct place place, const struct percpu_request *request,
		       struct placed *placed);
/* Frees the object that begins at @place; the caller has checked that one does.  Returns its
 * granules, or 0 for an object of 4 bytes.  The caller then calls chunk_after_free_locked(). */
uint32_t object_free_locked(struct percpu *pc, struct place place);
/* Objects whose maps are fetched ahead by a loop of frees: a fetch takes about 100 ns, a free 15. */
#define PREFETCH_AHEAD 8u
/* Fetch what freeing the object at @place reads: the records of its page and chunk, and its map. */
void object_prefetch(const struct percpu *pc, struct place place);
void object_prefetch_map_locked(const struct percpu *pc, struct place place);
/* True if an object begins at @place, which may be any place, even PLACE_NONE. */
bool object_is_at_locked(const struct percpu *pc, struct place place);
/* The bytes of the object that begins at @place, or 0 if there is none. */
uint32_t object_bytes_locked(const struct percpu *pc, struct place place);

/* To call when a stream enters a page, which searches for holes then skip, and when the stream
 * leaves it. */
void page_entered_locked(struct percpu *pc, uint32_t page);
void page_left_locked(struct percpu *pc, uint32_t page);

#endif
