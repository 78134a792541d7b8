/* SPDX-License-Identifier: MIT */
/*
 * vmap/resort.c - the last resort: an attempt when nothing is cached, lazy or in flight
 *
 * An allocation can lack addresses, memory under the limit, or mappings, of which a process has
 * vm.max_map_count.  Areas that were freed and not yet purged hold all three: on CPUs' stacks,
 * among the pooled ranges, on the lazy lists, and in a purge in flight.  Blocks of small mappings
 * that are still in use hold mappings, too.
 *
 * So the attempt is repeated under purge_mutex, after any purge in flight, and with every CPU's
 * stacks closed, so areas that are freed meanwhile are on the lazy list, where the attempt finds
 * them.  If it fails, no sequence of purges would have helped (V11).
 */
#include "vmap/resort.h"

#include "base/errno.h"
#include "instance/shrinker.h"
#include "machine/atomic.h"
#include "page/charge.h"
#include "vmap/cpu.h"
#include "vmap/purge.h"
#include "vmap/ram.h"
#include "vmap/vmap.h"

#define LAST_ROUNDS 64u

int resort_try(struct vmap *v, struct resort *resort)
{
	int error = -ENOMEM;

	if (!mutex_try(&v->purge_mutex)) {
		fetch_add_relaxed(&v->purge_waits, 1);
		mutex_acquire(&v->purge_mutex);
	}
	cpus_close(v);
	for (unsigned round = 0; round < LAST_ROUNDS; round++) {
		purge_everything(v);
		if (resort->mappings)
			ram_unmap_aliases_locked(v);
		error = resort->attempt(v, resort);
		/* 0 means that nothing was freed since the purge: a free counts its area before it
		 * publishes it. */
		if (error == 0 || load_relaxed(&v->lazy_pages) == 0)
			break;
	}
	cpus_open(v);
	mutex_release(&v->purge_mutex);
	return error;
}

int resort_try_all(struct vmap *v, struct resort *resort)
{
	struct shrinkers_walk walk = shrinkers_walk_begin(v->q, resort->bytes);
	int error = resort_try(v, resort);

	if (error == -ENOMEM) {
		page_make_room(v->q);
		error = resort_try(v, resort);
	}
	while ((error == -ENOMEM || error == -ENOSPC) && shrinkers_step(v->q, &walk)) {
		page_make_room(v->q);
		error = resort_try(v, resort);
	}
	return error;
}
