/* SPDX-License-Identifier: MIT */
/*
 * slab_scene.h - slabs without sheaves, for the scenarios of src/slab
 *
 * Objects are 32 KiB, so a slab has eight.  slab_take() notes who has an object, so that one that is handed out
 * twice is detected at once, and looks at the byte that its free would read.  slab_scene_check() checks at the end that
 * no object was lost and that the rules of slabs and pages hold.
 */
#ifndef TESTS_SIM_SLAB_SCENE_H
#define TESTS_SIM_SLAB_SCENE_H

#include <quire/page.h>
#include <quire/quire.h>

#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"
#include "page/pages.h"
#include "slab/class.h"
#include "slab/emptying.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/record.h"

#define SCENE_SIZE     32768u
#define SCENE_PER_SLAB 8u

struct slab_scene {
	struct quire *q;
	struct slabs *s;
	unsigned class, other; /* of one size; kept apart */
	uint32_t held;	       /* objects, by the scenario's tasks */
	uint32_t refused;
	uint8_t *taken;	  /* by 4 KiB of addresses */
	void *object[64]; /* given to tasks at the start */
	void *block;	  /* a run that a task frees */
};

struct slab_scene *slab_scene_make(struct sim *sim, uint64_t limit_bytes);
/* One object, with a new slab if need be.  NULL, and counted, if refused. */
void *slab_take(struct slab_scene *scene, unsigned class, unsigned flags);
void slab_give(struct slab_scene *scene, unsigned class, void *object, unsigned flags);
/* Takes @n of scene->class before the tasks run. */
void slab_scene_fill(struct slab_scene *scene, unsigned n);
void slab_scene_check(struct slab_scene *scene);

#endif
