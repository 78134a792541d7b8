/* SPDX-License-Identifier: MIT */
/* percpu/cache.h - free objects on per-CPU stacks: cache.c */
#ifndef PERCPU_CACHE_H
#define PERCPU_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stacks/stacks.h"

struct percpu;
struct place;

#define CACHE_CLASSES_NR 64u /* 8..512 bytes, by granules */
#define CACHE_ENTRIES	 64u
#define LINE_GRANULES	 8u

/* One CPU's stacks.  Under its door's lock where nothing else is said. */
struct percpu_cpu {
	struct stacks_door door;	 /* RANK_PERCPU_CPU */
	bool emptying;			 /* a drain has closed it */
	uint32_t tops_seen;		 /* the worker's: objects at its last visit */
	uint8_t lines[CACHE_CLASSES_NR]; /* atomic, relaxed: see cache_wants_line() */
} __attribute__((aligned(64)));

/* Learning which sizes come and go in turns.  Under percpu.h's lock where nothing else is said. */
struct learn {
	bool freed;	/* the latest slow call was a free */
	uint8_t score;	/* 0..SCORE_MAX */
	uint8_t warm;	/* atomic, relaxed: frees go to the stacks */
	uint8_t opened; /* atomic, relaxed: some stack was open for it at some time */
};
#define SCORE_MAX  16u
#define SCORE_WARM 8u

int cache_init(struct percpu *pc);
void cache_fini(struct percpu *pc);

/* An allocation found its stack empty; a free found it full or cold. */
void cache_learn_alloc_locked(struct percpu *pc, uint32_t granules);
void cache_learn_free_locked(struct percpu *pc, uint32_t granules);
/* After a slow free of a warm size: lets this CPU's stack keep more of it.  No lock held. */
void cache_warm(struct percpu *pc, uint32_t granules);
/* Should an object of that size begin a cache line, and one did. */
bool cache_wants_line(struct percpu *pc, uint32_t granules, uint32_t align);
void cache_had_line(struct percpu *pc, uint32_t granules);

/* Takes in what is cached, on every CPU or on idle ones.  Under alloc_mutex.  Returns objects. */
size_t cache_drain(struct percpu *pc, bool idle_only);
/* Objects on all stacks: a gauge. */
uint64_t cache_count(struct percpu *pc);
/* May a free put something on a stack, or is something there? */
bool cache_is_open(const struct percpu *pc);
/* Is it on a stack?  Stops every CPU's, one after the other; no lock held. */
bool cache_holds(struct percpu *pc, struct place place);
/* Does the home CPU's copy carry the mark of a cached object? */
bool cache_has_mark_locked(const struct percpu *pc, struct place place, uint32_t granules);
/* P13, while no other thread uses the instance. */
bool cache_is_sound(struct percpu *pc);

/* A fork: all doors. */
void cache_close_all(struct percpu *pc);
void cache_open_all(struct percpu *pc, bool child);

#endif
