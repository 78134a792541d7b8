/* SPDX-License-Identifier: MIT */
/*
 * malloc_scene.h - malloc's heap and its users, for scenarios
 *
 * The heap is the process's, as everywhere.  What the library has from Linux (malloc/linux) is here: how far the process
 * has come, and malloc() and free() themselves, which are the same few steps in front of the cold paths.  So
 * is what counts for `quire run` (malloc/counted.c): here it sums up what it is told, which is to be what tasks have.
 *
 * A block is filled with its own address while a task has it, so two owners are found when it is freed.
 */
#ifndef TESTS_SIM_MALLOC_SCENE_H
#define TESTS_SIM_MALLOC_SCENE_H

#include <quire/quire.h>

#include "base/errno.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/sim/sim.h"
#include "malloc/boot.h"
#include "malloc/count.h"
#include "malloc/heap.h"
#include "slab/slab.h"
#include "vmap/vmap.h"

#define BLOCKS_NR 48u

struct malloc_block {
	uint64_t *words; /* NULL: none */
	size_t bytes;	 /* that were asked for */
};

struct malloc_scene {
	uint32_t small, large; /* atomic: blocks that tasks have */
	uint32_t turn;
	struct malloc_block block[BLOCKS_NR]; /* given to tasks at the start */
};

/* A process that has started, and has no heap yet.  @conf: options of the instance, beside those that every scene has. */
struct malloc_scene *malloc_scene_make(struct sim *sim, const char *conf);
/* From here on, until the end of the run, the process is not relocated, or not bound (malloc/heap.h). */
void malloc_scene_set_stage(bool relocated, bool bound);
/* Every call is cold, and counted. */
void malloc_scene_count(void);

/* A block, filled.  Without words if refused, which leaves ENOMEM; any other outcome leaves errno alone. */
struct malloc_block block_take(struct malloc_scene *scene, size_t bytes);
/* The same at a multiple of @align. */
struct malloc_block block_take_aligned(struct malloc_scene *scene, size_t align, size_t bytes);
/* The same, that reads zero. */
struct malloc_block block_take_zeroed(struct malloc_scene *scene, size_t bytes);
/* It is scene->block[@place] from here on.  To a function, since gcc shows the machine no write of a structure that a
 * call returns straight into memory (docs/simulator.md). */
void scene_keep(struct malloc_scene *scene, unsigned place, struct malloc_block block);
void block_resize(struct malloc_scene *scene, struct malloc_block *block, size_t bytes);
/* Frees what it holds, if anything. */
void block_give(struct malloc_scene *scene, struct malloc_block *block);
/* Fails unless it holds what its owner wrote. */
void block_check(const struct malloc_block *block);
/* Is it one of the sample (sample:N)? */
bool block_is_sampled(const struct malloc_block *block);

/* The rules hold, and what is in use, and counted, is what tasks have. */
void malloc_scene_check(struct malloc_scene *scene);
/* Frees all that the scene has, and checks. */
void malloc_scene_end(struct malloc_scene *scene);

#endif
