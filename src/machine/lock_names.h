/* SPDX-License-Identifier: MIT */
/* lock_names.h - what messages call a lock's rank; each machine's order check includes it once */
#ifndef MACHINE_LOCK_NAMES_H
#define MACHINE_LOCK_NAMES_H

#include "machine/lock.h"

/* In the order of enum lock_rank.  A rank without a name is a NULL at its place, or leaves the array too short. */
static const char *const lock_rank_names[] = {
	[RANK_TURN] = "TURN",
	[RANK_DEFAULT] = "DEFAULT",
	[RANK_INSTANCES] = "INSTANCES",
	[RANK_WORKER] = "WORKER",
	[RANK_SHRINKERS] = "SHRINKERS",
	[RANK_MODULES] = "MODULES",
	[RANK_VISIT] = "VISIT",
	[RANK_SLAB_CACHES] = "SLAB_CACHES",
	[RANK_SLAB_UNBACK] = "SLAB_UNBACK",
	[RANK_PERCPU_ALLOC] = "PERCPU_ALLOC",
	[RANK_VMAP_PURGE] = "VMAP_PURGE",
	[RANK_VMAP_COMMIT] = "VMAP_COMMIT",
	[RANK_VMAP_CLAIM] = "VMAP_CLAIM",
	[RANK_POOL_GROW] = "POOL_GROW",
	[RANK_LIMIT] = "LIMIT",
	[RANK_PCP_DISABLE] = "PCP_DISABLE",
	[RANK_GIVEBACK] = "GIVEBACK",
	[RANK_GROW] = "GROW",
	[RANK_GROW_STEP] = "GROW_STEP",
	[RANK_HUGE] = "HUGE",
	[RANK_SLAB_CLOSE] = "SLAB_CLOSE",
	[RANK_SLAB_CPU] = "SLAB_CPU",
	[RANK_SLAB_BARN] = "SLAB_BARN",
	[RANK_SLAB] = "SLAB",
	[RANK_PERCPU_CPU] = "PERCPU_CPU",
	[RANK_PERCPU] = "PERCPU",
	[RANK_VMAP_CPU] = "VMAP_CPU",
	[RANK_VMAP_SPACE] = "VMAP_SPACE",
	[RANK_POOL] = "POOL",
	[RANK_PCP] = "PCP",
	[RANK_DEPOT] = "DEPOT",
	[RANK_ZONE] = "ZONE",
	[RANK_SWITCH] = "SWITCH",
	[RANK_MACHINE] = "MACHINE",
};

_Static_assert(sizeof(lock_rank_names) / sizeof(*lock_rank_names) == RANKS_NR,
	       "every rank of a lock has a name");

#endif
