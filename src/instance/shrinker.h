/* SPDX-License-Identifier: MIT */
/*
 * instance/shrinker.h - the program's own caches, asked for memory before a call is refused
 *
 * An allocation that found nothing after every other attempt walks the shrinkers, and repeats its last
 * attempt after each step that gave up something:
 *
 *	struct shrinkers_walk walk = { .bytes = wanted };
 *
 *	while (refused && shrinkers_step(q, &walk))
 *		refused = the last attempt fails again;
 */
#ifndef INSTANCE_SHRINKER_H
#define INSTANCE_SHRINKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/lock.h"

struct quire;

/* Registered at one time.  A walk looks at all of them for each step, and a program has a few. */
#define SHRINKERS_MAX	    32u
/* Of a name, its NUL included; longer ones are cut. */
#define SHRINKER_NAME_BYTES 24u

struct shrinker {
	uint64_t id; /* from 1, never given twice by one instance; 0: the entry is free */
	size_t (*scan)(size_t bytes, void *arg);
	void *arg;
	uint64_t calls, given_bytes;
	uint32_t cost;
	char name[SHRINKER_NAME_BYTES];
};

struct shrinkers {
	struct mutex mutex; /* guards all but given_nr; never held while a shrinker is called */
	uint32_t nr;	    /* atomic: read as a hint without the mutex */
	uint64_t given_nr;  /* calls that gave up something: changed under the process's turn */
	uint64_t last_id;
	struct shrinker shrinker[SHRINKERS_MAX];
};

/* Where an allocation is among the shrinkers: behind the one of this cost and id. */
struct shrinkers_walk {
	size_t bytes;	    /* that the allocation lacks */
	size_t again_bytes; /* ask the same shrinker for so much next; 0: ask the next one */
	uint32_t cost;
	uint64_t id;
	uint64_t seen_nr; /* given_nr before the last attempt */
};

/* To call before the last attempt without shrinkers, which may already find what others were given. */
struct shrinkers_walk shrinkers_walk_begin(const struct quire *q, size_t bytes);

void shrinkers_init(struct shrinkers *shrinkers);

/*
 * Waits for another thread's call; then, unless that gave up something, calls shrinkers, cheapest first,
 * until one does.  Returns true if the attempt should be repeated, false if no shrinker has anything
 * left, or none may be called here: with a lock held, in a shrinker, or in a fork.  The caller may wait.
 */
bool shrinkers_step(struct quire *q, struct shrinkers_walk *walk);
/* For the worker: calls shrinkers, cheapest first, until they have given up @bytes or have nothing left, or another
 * thread calls some.  Returns the bytes given up.  No lock is held. */
size_t shrinkers_relieve(struct quire *q, size_t bytes);
/* The calling thread is in a call of one of the shrinkers of @q. */
bool shrinkers_call_this(const struct quire *q);

#endif
