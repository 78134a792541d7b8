/* SPDX-License-Identifier: MIT */
/*
 * object_target.h - what a replay of areas, of per-CPU objects or of slab objects runs against, as a table of calls
 *
 * The counterpart of target.h, which is for pages.  The calls are the public ones; the calling
 * thread acts for all recorded CPUs, or for one of them.
 */
#ifndef QUIRE_TOOL_OBJECT_TARGET_H
#define QUIRE_TOOL_OBJECT_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/percpu.h>
#include <quire/slab.h>
#include <quire/vmap.h>

#include "replay/plan.h"
#include "replay/target.h"

/* What an instance holds and has done; the parts of other kinds are zero. */
struct object_stat {
	struct quire_vmap_stat vmap;
	struct quire_percpu_stat percpu;
	struct quire_slab_stat slab;
	uint64_t large_bytes; /* slab: of blocks that are too large for slabs */
	uint64_t live_nr;
};

/*
 * A block is there once, or as copies at constant distances, of which the first and the last are
 * filled and checked: they lie furthest apart, in a chunk's first unit and its last.
 */
struct object_target {
	size_t stride_bytes; /* from one copy to the next */
	bool is_zeroed;	     /* blocks begin as zeroes */
	/* 0 and @heap, or -1 with one line in @error. */
	int (*open)(const struct target_request *request, void **heap, char *error,
		    size_t error_bytes);
	void (*close)(void *heap);
	void *(*alloc)(void *heap, const struct plan_request *request); /* NULL: errno */
	/* As it was allocated. */
	void (*free)(void *heap, void *addr, const struct plan_request *request);
	/* Does due work, as quire_poll().  Milliseconds until more is due; -1: none will be. */
	int (*poll)(void *heap);
	void (*read_stat)(void *heap, struct object_stat *stat);
	int (*verify)(void *heap);	/* 0, or the label of a broken rule */
	unsigned (*copies)(void *heap); /* NULL: one */
};

extern const struct object_target object_target_vmap;
extern const struct object_target object_target_percpu;
extern const struct object_target object_target_slab;
extern const struct object_target object_target_nothing;
/* What serves a kind that has sizes in bytes. */
const struct object_target *object_target_of(enum katr_kind kind);

#endif
