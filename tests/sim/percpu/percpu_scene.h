/* SPDX-License-Identifier: MIT */
/*
 * percpu_scene.h - per-CPU memory and its users, for scenarios
 *
 * An object is filled with a unique number in every unit, and its copies are checked when it is
 * freed.  percpu_scene_check() frees nothing: it counts objects and holes, and calls quire_verify().
 */
#ifndef TESTS_SIM_PERCPU_SCENE_H
#define TESTS_SIM_PERCPU_SCENE_H

#include "machine/atomic.h"
#include "machine/sim/sim.h"
#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/grow.h"
#include "percpu/object.h"
#include "percpu/place.h"
#include "percpu/populate.h"
#include "percpu/refill.h"
#include "percpu/sparse.h"

#define PAGE_BYTES 4096u
#define OBJECTS_NR 24u

struct percpu_scene {
	struct quire *q;
	struct percpu *pc;
	uint32_t live; /* atomic: objects of the scenario's tasks */
	uint32_t refused;
	uint32_t turn;
	void *object[OBJECTS_NR]; /* pages, given to tasks at the start */
	void *small[8];
};

/* A second chunk with pages of it in use: object[8..] lie in it, from its first page on. */
struct percpu_scene *percpu_scene_make(struct sim *sim, bool stacks);
/* The same with so many units that who writes is asked for, and no stacks. */
struct percpu_scene *percpu_scene_make_sparse(struct sim *sim);
/* The same with stacks. */
struct percpu_scene *percpu_scene_make_sparse_stacks(struct sim *sim);
/* No objects yet, in an instance of these options with two units. */
struct percpu_scene *percpu_scene_make_empty(struct sim *sim, struct quire_options options);
void *percpu_take(struct percpu_scene *scene, size_t bytes, unsigned flags);
void percpu_give(struct percpu_scene *scene, void *ptr, size_t bytes);
/* Frees objects [from, end) and isolates the second chunk, whatever the thresholds say. */
void percpu_isolate(struct percpu_scene *scene, unsigned from, unsigned end);
/* What the worker does, now. */
void percpu_balance(struct percpu_scene *scene, bool all);
/* Charges all that callers with these flags have left of the limit; returns the pages. */
uint64_t percpu_use_up_limit(struct percpu_scene *scene, unsigned flags);
/* Pages that the instance is to be charged with: objects' and arrays'. */
uint64_t percpu_charged(const struct percpu_scene *scene);
void percpu_scene_check(struct percpu_scene *scene);

/* Objects are placed as Linux does; no stacks. */
struct percpu_scene *percpu_scene_make_linux(struct sim *sim);
/* The same as the first, with stacks of 8 and of 16 bytes open on CPU 0: small[0] to small[5] have 8, the others 16. */
struct percpu_scene *percpu_scene_make_warm(struct sim *sim);
/* Opens this CPU's stack of a size. */
void percpu_open_stack(struct percpu *pc, uint32_t granules);

/* Is it the page of this address whose map is the last? */
bool percpu_has_last_map(const struct percpu_scene *scene, const void *ptr);

/* Tasks of several files. */
void percpu_drains(void *arg);
/* The map of the emptied page moves into another's place. */
void percpu_empties_a_page_and_fills_another(void *arg);
/* The last map moves into the place of object[2]'s, which gets a new one where the last was. */
void percpu_moves_the_last_map(void *arg);

#endif
