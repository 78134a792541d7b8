/* SPDX-License-Identifier: MIT */
/*
 * slab/objects.h - objects in and out of slabs, by the batch; slabs that come, go, empty: objects.c, grow.c,
 * emptying.c, unback.c;
 * which ones are in use: used.c
 *
 * All of these take class locks themselves; the caller may hold a door's lock, and a barn's.  A class
 * number given here is of a class that is ready.
 */
#ifndef SLAB_OBJECTS_H
#define SLAB_OBJECTS_H

#include "slab/slab.h"

/*
 * Takes up to @n free objects out of slabs, fullest slabs first, and those of a slab with rising addresses.  Never makes
 * a slab; returns how many: 0 if no slab has a free object, or if QUIRE_NOLOCK is in @flags and the class's lock
 * is taken.
 */
unsigned objects_take(struct slabs *s, unsigned class, void **objects, unsigned n, unsigned flags);
/*
 * Makes one more slab.  The caller holds no lock of ours.  0, -ENOMEM, or -EAGAIN (QUIRE_NOLOCK, a lock was
 * taken).  Another thread may empty it before the caller's objects_take(), so callers loop.
 */
int objects_grow(struct slabs *s, unsigned class, unsigned flags);
/*
 * Puts objects into their slabs, and checks each: an object that is free already stops the process with "double
 * free", an address that is no object's with "the middle of an object".  Gives empty slabs beyond those that
 * the class keeps back to the pages.  Returns how many it put back: all, but with QUIRE_NOLOCK perhaps none.
 */
unsigned objects_give(struct slabs *s, unsigned class, void *const *objects, unsigned n,
		      unsigned flags);
/* One object.  NULL if no slab has one.  objects_give_one() is false if only tried. */
void *objects_take_one(struct slabs *s, unsigned class, unsigned flags);
bool objects_give_one(struct slabs *s, unsigned class, void *object, unsigned flags);
/* Puts the objects of a word of a slab's deferred map back, if the slab is still the class's.  The bits are taken under the
 * class's lock, which fork holds: a child has the bits or the objects. */
void objects_give_deferred(struct slabs *s, unsigned class, uint32_t record, unsigned word);

/* Checks that @addr begins an object of its slab that is not free; stops the process if not.  Returns the
 * class (without BYTE_EMPTYING), or 0 if @addr is in no slab. */
unsigned objects_check(struct slabs *s, const void *addr, const char *function);

/* Stops the process because of an address in a slab of the class: the line has the size and the slab. */
_Noreturn void objects_misuse(const struct slabs *s, const char *rule, const char *function,
			      const void *object, unsigned class);
/* The same: @object was freed before, and is not in its slab yet. */
_Noreturn void objects_freed_twice(const struct slabs *s, unsigned class, const void *object);
/* The same: an address in a slab of the class where no object begins. */
_Noreturn void objects_misplaced(const struct slabs *s, const char *function, const void *object,
				 unsigned class);
/* Of the class's first slab, the last @pages are such as nobody can have written. */
void objects_set_fresh_locked(struct slabs *s, struct slab_class *c, uint8_t pages);

/* ---- giving back ---- */

/* Gives back all empty slabs of a class.  Returns bytes. */
size_t objects_shrink(struct slabs *s, unsigned class);
/* Gives back the memory of pages inside slabs that hold free objects only, of the classes whose bits are set, or of
 * all (NULL), in one gather for each few hundred ranges.  Returns bytes.  May wait, and walks all records. */
size_t objects_unback(struct slabs *s, const uint64_t *classes);
/* The worker's visit to a class: chooses slabs for emptying, gives empty ones back.  True if there is more
 * to come, so that another visit is due. */
bool objects_tick(struct slabs *s, unsigned class);

/* ---- books ---- */

struct objects_count {
	uint64_t slabs, emptying;
	uint64_t objects; /* in all slabs */
	uint64_t free;
};
void objects_count(struct slabs *s, unsigned class, struct objects_count *count);
/* While no other thread uses the class, and nothing is on its sheaves: stores the addresses of up to @most objects in use,
 * rising in each slab.  Returns how many there are. */
size_t objects_used(struct slabs *s, unsigned class, void **objects, size_t most);
/* While no other thread uses the instance: 0, or the number of the broken rule. */
int objects_verify(struct slabs *s, unsigned class);
/* All classes' locks, by address.  The caller holds s->mutex and s->unback_mutex. */
void objects_fork_prepare(struct slabs *s);
void objects_fork_done(struct slabs *s);

#endif
