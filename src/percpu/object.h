/* SPDX-License-Identifier: MIT */
/* percpu/object.h - objects put into chunks and taken out: object.c */
#ifndef PERCPU_OBJECT_H
#define PERCPU_OBJECT_H

#include "percpu/placement.h"

/* Puts an object where there is room in populated pages. */
void object_put_locked(struct percpu *pc, struct place place, const struct percpu_request *request,
		       struct placed *placed);
/* Frees the one that begins there, which was looked up.  Returns its granules, 0 for one of 4 bytes.  The
 * caller asks what becomes of the chunk. */
uint32_t object_free_locked(struct percpu *pc, struct place place);
/* Does an object begin there?  Any place will do, PLACE_NONE too. */
bool object_is_at_locked(const struct percpu *pc, struct place place);
/* The bytes of the object that begins there, or 0. */
uint32_t object_bytes_locked(const struct percpu *pc, struct place place);

/* A stream begins in a page: the search for holes passes it over; and the stream goes elsewhere. */
void page_entered_locked(struct percpu *pc, uint32_t page);
void page_left_locked(struct percpu *pc, uint32_t page);

#endif
