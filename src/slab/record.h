/* SPDX-License-Identifier: MIT */
/* slab/record.h - addresses, slabs and objects, computed from one another; lists of slabs: bins.c */
#ifndef SLAB_RECORD_H
#define SLAB_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slab/slab.h"

static inline struct slab *slab_at(const struct slabs *s, uint32_t record)
{
	return (struct slab *)(void *)(s->records + (size_t)record * RECORD_BYTES);
}

static inline char *slab_addr(const struct slabs *s, uint32_t record)
{
	return s->base + ((size_t)record << SLAB_SHIFT);
}

static inline size_t slab_bytes(const struct slabs *s, const struct slab_class *c)
{
	return (size_t)1 << (c->order + s->page_shift);
}

/* Records of one slab of the class: 1 or 4. */
static inline uint32_t slab_records(const struct slabs *s, const struct slab_class *c)
{
	return (uint32_t)(slab_bytes(s, c) >> SLAB_SHIFT);
}

/* 65,536 / 48: 0 -> 0, 48 -> 1, 96 -> 2; any other multiple of 16 -> the object that it is inside. */
static inline uint32_t object_number(const struct slab_class *c, uint32_t offset)
{
	return (uint32_t)((uint64_t)offset * c->reciprocal >> 32);
}

/* A record's place in slabs->maps.  Of the 256 KiB of a step the deferred frees' maps are the second half. */
static inline size_t slab_far_word(uint32_t record)
{
	return ((size_t)(record & ~(STEP_RECORDS - 1)) + record) * MAP_WORDS;
}

/* A bit for each object of a slab, by number: set if the object is free. */
static inline uint64_t *slab_map(const struct slabs *s, const struct slab_class *c, uint32_t record)
{
	return c->per_slab <= RECORD_BITS ? slab_at(s, record)->map
					  : s->maps + slab_far_word(record);
}

/* The same for objects that a handler freed.  Atomic. */
static inline uint64_t *deferred_map(const struct slabs *s, uint32_t record)
{
	return s->maps + slab_far_word(record) + (size_t)STEP_RECORDS * MAP_WORDS;
}

/* Where an object is. */
struct object_place {
	uint32_t record; /* its slab */
	uint32_t offset; /* in the slab */
};

static inline struct object_place object_place(const struct slabs *s, const struct slab_class *c,
					       const void *object)
{
	size_t offset = (uintptr_t)object - (uintptr_t)s->base;
	uint32_t mask = slab_records(s, c) - 1, record = (uint32_t)(offset >> SLAB_SHIFT);

	return (struct object_place){
		.record = record & ~mask,
		.offset = (uint32_t)(offset & (slab_bytes(s, c) - 1)),
	};
}

/* An object at @from of its slab is taken now: the pages that it touches have a user again. */
void slab_touch_pages(const struct slabs *s, const struct slab_class *c, struct slab *slab,
		      size_t from);
/* Sets what every frame of a slab says. */
void slab_set_bytes(struct slabs *s, const struct slab_class *c, uint32_t record, unsigned byte);
/* Puts a slab on the list that its objects and its flags call for. */
void slab_file_locked(struct slabs *s, struct slab_class *c, uint32_t record);
/* Takes it off its list, so that it is the caller's. */
void slab_unfile_locked(struct slabs *s, struct slab_class *c, uint32_t record);
/* Marks it, or no more.  It is filed anew. */
void slab_mark_locked(struct slabs *s, struct slab_class *c, uint32_t record, bool emptying);

/* How many free objects a class keeps for the allocations to come: an eighth of those in use, and 64 KiB. */
static inline uint64_t class_wanted_free(const struct slab_class *c)
{
	return (c->slabs_nr * c->per_slab - c->free_nr) / 8 + c->spare;
}

/* Free objects that allocations may have. */
static inline uint64_t class_usable_free(const struct slab_class *c)
{
	return c->free_nr - c->emptying_free_nr;
}

/* The class's lock, or with QUIRE_NOLOCK a try of it. */
bool class_lock_for(struct slab_class *c, unsigned flags, lock_token *token);

#endif
