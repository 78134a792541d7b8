/* SPDX-License-Identifier: MIT */
/*
 * cache_scene.h - a cache and its users, for scenarios
 *
 * An object carries its number in its first word while it is in use.  Sheaves keep few objects, so that a handful of calls
 * refill and spill them.
 */
#ifndef TESTS_SIM_CACHE_SCENE_H
#define TESTS_SIM_CACHE_SCENE_H

#include <quire/quire.h>
#include <quire/slab.h>

#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/sim/sim.h"
#include "machine/work.h"
#include "slab/cache.h"
#include "slab/objects.h"
#include "slab/sheaf.h"

#define OBJECTS_NR 16u

struct cache_scene {
	struct quire *q;
	struct quire_cache *cache;
	struct slabs *s;
	unsigned class;
	uint32_t live; /* atomic: objects of the scenario's tasks */
	uint32_t turn;
	uint64_t *object[OBJECTS_NR]; /* given to tasks at the start */
};

/* @keeps: what a sheaf keeps at most. */
struct cache_scene *cache_scene_make(struct sim *sim, bool sheaves, unsigned keeps);
/* Its callers do what is due. */
struct cache_scene *cache_scene_make_inline(struct sim *sim);
/* Its pages are shared, so a child of fork has none. */
struct cache_scene *cache_scene_make_shared(struct sim *sim);
/* NULL if refused, which only calls with @flags are. */
uint64_t *object_take(struct cache_scene *scene, unsigned flags);
void object_give(struct cache_scene *scene, uint64_t *object);
/* The scene's object @i, which it has no more. */
void object_give_at(struct cache_scene *scene, unsigned i);
/* The rules hold, and what is in use is what tasks have. */
void cache_scene_check(struct cache_scene *scene);
/* Frees what the scene still has, and destroys the cache. */
void cache_scene_end(struct cache_scene *scene);
/* All of that with @body as the only task. */
void cache_scene_run_alone(struct sim *sim, unsigned keeps, void (*body)(void *arg));

#endif
