/* SPDX-License-Identifier: MIT */
/*
 * vmap_scene.h - an instance and its users, for the scenarios of areas
 *
 * The span is 512 pages, so a few areas exhaust it.  vtake() and vgive() register the owner of an
 * area with the machine, so an address that is allocated twice is detected at once.
 * vmap_scene_check() checks at the end that every rule of quire_verify() holds and that the areas
 * in use are those the tasks hold.
 */
#ifndef TESTS_SIM_VMAP_SCENE_H
#define TESTS_SIM_VMAP_SCENE_H

#include "huge/huge.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/sim/sim.h"
#include "pool/pool.h"
#include "vmap/claim.h"
#include "vmap/commit.h"
#include "vmap/cpu.h"
#include "vmap/purge.h"
#include "vmap/range.h"
#include "vmap/request.h"

#define SPAN_PAGES 512u

struct vmap_scene {
	struct quire *q;
	struct vmap *v;
	uint32_t held_areas; /* by the scenario's tasks */
	uint32_t refused;
	uint32_t turn;
	char *area[8]; /* given to tasks at the start */
	uint32_t pages[8];
	char *had[4]; /* what a task was given */
};

/* Without guards, huge pages and worker; the rest as the options say. */
struct vmap_scene *vmap_scene_make(struct sim *sim, struct quire_options options);
/* cache:off: what is freed is lazy at once. */
struct vmap_scene *vmap_scene_make_lazy(struct sim *sim);
/* With sequences: what is freed stands on this CPU's stack. */
struct vmap_scene *vmap_scene_make_cached(struct sim *sim);
/* An area for a task; counted, and owned by it.  NULL is counted as refused. */
char *vtake(struct vmap_scene *scene, uint32_t pages, unsigned flags);
/* The same at a given page of the span; it is not refused. */
char *vtake_at(struct vmap_scene *scene, uint32_t page, uint32_t pages, unsigned flags);
void vgive(struct vmap_scene *scene, char *addr, uint32_t pages);
/* Takes area[i] of pages[i] pages each, for the first @nr. */
void vmap_scene_fill(struct vmap_scene *scene, unsigned nr, uint32_t pages);
/* Gives area[i] back. */
void vmap_scene_give(struct vmap_scene *scene, unsigned i);
void vmap_scene_check(struct vmap_scene *scene);

#endif
