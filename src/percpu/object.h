/* SPDX-License-Identifier: MIT */
/* percpu/object.h - objects put into chunks and taken out: object.c */
#ifndef PERCPU_OBJECT_H
#define PERCPU_OBJECT_H

#include "percpu/place.h"

/* Puts an object where there is room in populated pages. */
void object_put_locked(struct percpu *pc, uint32_t chunk, const struct percpu_request *request,
		       uint32_t at, struct placed *placed);
/* Frees the one that begins there; returns its granules.  The caller asks what becomes of the chunk. */
uint32_t object_free_locked(struct percpu *pc, uint32_t chunk, uint32_t at, bool half);
/* Does an object begin there? */
bool object_is_at_locked(const struct percpu *pc, uint64_t linear);
/* The size of the object that begins there, or 0. */
uint32_t object_bytes_locked(const struct percpu *pc, uint64_t linear);

/* A stream begins in a page: the search for holes passes it over; and the stream goes elsewhere. */
void page_entered_locked(struct percpu *pc, uint32_t page);
void page_left_locked(struct percpu *pc, uint32_t page);

#endif
