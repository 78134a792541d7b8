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

/* Classes of objects: by granules, 8..512 bytes; and objects that are whole pages, by pages. */
#define CACHE_SMALL_NR	     64u
#define CACHE_PAGES_NR	     8u
#define CACHE_CLASSES_NR     (CACHE_SMALL_NR + CACHE_PAGES_NR)
#define LINE_GRANULES	     8u
/* The most objects of one size that a CPU's stack keeps: 1,024, but no more than take 64 KiB of each
 * CPU's copies.  All classes have 24,810 entries then, of 4 bytes, and a slot's region has 31,456 after
 * the headers (stacks_lay_out() checks it). */
#define CACHE_ROOM_MAX	     1024u
#define CACHE_ROOM_GRANULES  8192u
/* What a newly opened stack keeps, until a larger batch is known to come back: 32 objects, or 4 to 31 that take
 * 2 KiB of each CPU's copies. */
#define CACHE_FIRST	     32u
#define CACHE_FIRST_LEAST    4u
#define CACHE_FIRST_GRANULES 256u
/* Objects that move between a stack and the maps in one hold of pc->lock: at 20 ns each, about as long
 * as one wait for a lock. */
#define CACHE_BATCH	     64u

/* One CPU's stacks.  Fields are protected by the door's lock unless stated otherwise. */
struct percpu_cpu {
	struct stacks_door door;	 /* RANK_PERCPU_CPU */
	bool emptying;			 /* a drain has closed the door */
	uint8_t lines[CACHE_CLASSES_NR]; /* atomic, relaxed: see cache_alignment() */
	uint8_t idle[CACHE_CLASSES_NR];	 /* the drain in progress is to empty the class */
	uint16_t seen[CACHE_CLASSES_NR]; /* objects on the stacks at the worker's last visit */
} __attribute__((aligned(64)));

/* Whether a second free searches the stacks. */
enum opened {
	OPENED_NOT,
	OPENED,
	OPENED_EMPTYING, /* was so when a drain began that has not ended: objects may be on their way */
};

/* Learns how many objects of a size are freed and then allocated again: refill.c.  Protected by pc->lock
 * unless stated otherwise. */
struct learn {
	uint64_t since_ns; /* when the first of the turns that count ended */
	uint32_t pairs;	   /* in the maps, since then: at most PAIRS_MAX */
	uint16_t room;	   /* (r) what a stack of this size should keep; 0: what a new one keeps */
	uint16_t owed;	   /* (r) objects that full stacks gave back and no refill took since */
	uint16_t
		freed; /* objects freed to the maps that no allocation took since; FREED_MAX at most */
	uint8_t count;	 /* (r) turns in the maps, up to COUNT_WARM: warm */
	uint8_t opened;	 /* atomic, relaxed: enum opened; may a stack hold objects of this size? */
	bool overflowed; /* a stack was full since one was last found empty */
	bool turned;	 /* the latest call that took the lock was a free */
};
#define FREED_MAX  65535u
#define PAIRS_MAX  1000000u
#define COUNT_WARM 8u
/* A size that comes and goes more slowly than this, 20,000 times a second, takes less than 1 % of a CPU by way of
 * the maps, at 200 to 400 ns a pair.  A stack would save that and pin objects all the time. */
#define PAIR_NS	   50000u
#define OWED_MAX   2048u /* twice what the largest stack keeps */
#define LINES_MAX  64u

int cache_init(struct percpu *pc);
void cache_fini(struct percpu *pc);

/* The class of objects of so many granules, or NONE.  Of whole pages only those that begin with one
 * are on stacks. */
uint32_t cache_class(const struct percpu *pc, uint32_t granules);
/* The granules of a class's objects. */
uint32_t cache_granules(const struct percpu *pc, uint32_t class);
/* The most objects of a class that a stack keeps. */
uint32_t cache_room(const struct percpu *pc, uint32_t class);
/* The alignment, in granules, that the next object of this size should have for the stacks' sake; or
 * 1. */
uint32_t cache_alignment(struct percpu *pc, uint32_t granules, uint32_t align);
/* To call when it has been placed like that. */
void cache_had_alignment(struct percpu *pc, uint32_t granules);
/* Marks an object that no stack holds yet. */
void cache_set_mark(struct percpu *pc, uint32_t class, uint32_t granule);

/* Returns cached objects to the maps, from every stack or from idle ones only: those that hold as many as
 * at the last such call.  Requires alloc_mutex.  Returns the number of objects. */
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
