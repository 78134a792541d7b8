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

/* One CPU's stacks.  Fields are protected by the door's lock unless stated otherwise. */
struct percpu_cpu {
	struct stacks_door door;	 /* RANK_PERCPU_CPU */
	bool emptying;			 /* a drain has closed the door */
	uint32_t tops_seen;		 /* objects on the stacks at the last drain */
	uint8_t lines[CACHE_CLASSES_NR]; /* atomic, relaxed: see cache_wants_line() */
} __attribute__((aligned(64)));

/* Learns whether a size is freed and allocated alternately.  Protected by pc->lock unless stated
 * otherwise. */
struct learn {
	bool freed;	/* the latest slow call was a free */
	uint8_t score;	/* 0..SCORE_MAX */
	uint8_t warm;	/* atomic, relaxed: frees go to the stacks */
	uint8_t opened; /* atomic, relaxed: a stack may hold objects of this size */
};
#define SCORE_MAX  16u
#define SCORE_WARM 8u

int cache_init(struct percpu *pc);
void cache_fini(struct percpu *pc);

/* To call when an allocation has found its stack empty, and when a free has found it full or
 * cold. */
void cache_learn_alloc_locked(struct percpu *pc, uint32_t granules);
void cache_learn_free_locked(struct percpu *pc, uint32_t granules);
/* To call after a slow free, without a lock.  If the size is warm, lets this CPU's stack keep
 * more. */
void cache_warm(struct percpu *pc, uint32_t granules);
/* True if the next object of this size should begin a cache line. */
bool cache_wants_line(struct percpu *pc, uint32_t granules, uint32_t align);
/* To call when one did. */
void cache_had_line(struct percpu *pc, uint32_t granules);

/* Returns cached objects to the maps, from every CPU or from idle ones only.  Requires alloc_mutex.
 * Returns the number of objects. */
size_t cache_drain(struct percpu *pc, bool idle_only);
/* Number of objects on all stacks: a statistic. */
uint64_t cache_count(struct percpu *pc);
/* True if some stack accepts objects or holds any.  A hint. */
bool cache_is_open(const struct percpu *pc);
/* True if the object is on a stack.  Closes every CPU's stacks, one CPU after the other; the caller
 * holds no lock. */
bool cache_holds(struct percpu *pc, struct place place);
/* True if the home CPU's copy carries the mark of a cached object. */
bool cache_has_mark_locked(const struct percpu *pc, struct place place, uint32_t granules);
/* Checks P13, while no other thread uses the instance. */
bool cache_is_sound(struct percpu *pc);

/* For a fork: closes and opens the doors of all CPUs. */
void cache_close_all(struct percpu *pc);
void cache_open_all(struct percpu *pc, bool child);

#endif
