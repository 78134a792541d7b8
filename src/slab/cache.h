/* SPDX-License-Identifier: MIT */
/* slab/cache.h - struct quire_cache: a user of a class */
#ifndef SLAB_CACHE_H
#define SLAB_CACHE_H

#include <quire/slab.h>

#include "slab/slab.h"

#define CACHE_NAME_BYTES 32u
#define BYTE_NEVER	 0x100u /* no frame has this byte */

/*
 * A slot is what the class cuts slabs into: the red zone in front, if there is one, the object, and the rest up to
 * the next slot, which is the red zone behind.
 *
 * Keys: (c) constant; (m) under slabs->mutex.
 */
struct quire_cache {
	struct slabs *slabs;  /* (c); NULL: it was destroyed */
	uint8_t fast_class;   /* (c) its class; 0, which refuses, if fast paths do not serve it */
	uint8_t class;	      /* (c) */
	uint16_t fast_byte;   /* (c) its class, or BYTE_NEVER likewise */
	uint16_t front_bytes; /* (c) from a slot to its object */
	uint32_t flags;	      /* (c) QUIRE_CACHE_... */
	uint32_t size;	      /* (c) of an object, as its user asked */
	uint32_t align;	      /* (c) */
	void (*construct)(void *object, void *arg); /* (c) the user's, or NULL */
	void *arg;				    /* (c) */
	uint32_t next;		     /* (m) in the instance's list: index in the pool */
	char name[CACHE_NAME_BYTES]; /* (c) */
};

/* ---- checked.c: caches with QUIRE_CACHE_POISON or QUIRE_CACHE_RED_ZONE ---- */

/* The class's constructor: makes a slot of a new slab look freed. */
void cache_prepare(void *slot, void *arg);
/* A slot that an allocation has taken: stops the process if it was written to while it was free.  Returns the
 * object. */
void *cache_check_alloc(const struct quire_cache *cache, void *slot);
/* An object that is being freed: stops the process if something was written beside it.  Returns the slot. */
void *cache_check_free(const struct quire_cache *cache, void *object);

#endif
