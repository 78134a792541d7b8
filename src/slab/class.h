/* SPDX-License-Identifier: MIT */
/* slab/class.h - which classes there are, and how a size is cut: class.c */
#ifndef SLAB_CLASS_H
#define SLAB_CLASS_H

#include "slab/slab.h"

enum class_kind {
	CLASS_PLAIN,	   /* may be shared by caches */
	CLASS_OWN,	   /* one cache's own, as it asked for */
	CLASS_CONSTRUCTED, /* one cache's own: its constructor ran on each object */
	CLASS_CHECKED,	   /* one cache's own: red zones, poison */
};

/* Objects of @size bytes at multiples of @align (a power of two, up to a page): rounds the size so that both
 * hold.  Largest: 32 KiB. */
#define OBJECT_BYTES_MAX 32768u

/* The class for plain objects of this size, made if need be; or a class of its own.  Under s->mutex.  Returns its
 * number, or -EINVAL, -ENOSPC (all are in use), -ENOMEM. */
int class_get_locked(struct slabs *s, size_t size, size_t align, enum class_kind kind,
		     unsigned page_flags);
/* A user less.  The last one's class gives all its slabs back, so all objects must be free by then (not on
 * sheaves, nor in the barn), and its number can be used again. */
void class_put_locked(struct slabs *s, unsigned class);
/* Fills in what follows from a size, a multiple of 16: how slabs are cut, and what sheaves keep. */
void class_cut(const struct slabs *s, struct slab_class *c, uint32_t size);
/* Bytes of a slab of objects of this size, a multiple of 16. */
uint32_t class_slab_bytes(uint32_t size);
/* Bytes of a slab for each object of this size, a multiple of 16: what is left over at a slab's end is shared out. */
uint32_t class_cost(uint32_t size);
/* The numbers up to @n are malloc's: a cache may share its classes, but gets none of these numbers for its own. */
void class_reserve(struct slabs *s, unsigned n);
/* Makes class @class (of malloc, which numbers its own) of this size, a multiple of 16, when its first slow path comes.  Any
 * thread that holds no lock of ours; idempotent.  0, or -EAGAIN in a signal handler that interrupted a call like it. */
int class_make(struct slabs *s, unsigned class, uint32_t size);

#endif
