/* SPDX-License-Identifier: MIT */
/* vmap/resort.h - purging everything and trying again before a call is refused */
#ifndef VMAP_RESORT_H
#define VMAP_RESORT_H

#include <stdbool.h>
#include <stdint.h>

struct vmap;

/* An attempt that was refused and is to be repeated. */
struct resort {
	int (*attempt)(struct vmap *v, struct resort *resort); /* 0 or -errno; under purge_mutex */
	uint64_t bytes;					       /* that it needs, for shrinkers */
	bool mappings; /* it may lack mappings, so dirty pages of blocks in use are unmapped too */
};
/* Waits for a purge in flight, purges everything, and repeats the attempt.  Returns the attempt's
 * last result. */
int resort_try(struct vmap *v, struct resort *resort);
/* The same.  If the result is -ENOMEM, also makes pages and other modules give up their caches, and
 * repeats the attempt.  As long as it is -ENOMEM or -ENOSPC the program's shrinkers are called, and the
 * attempt is repeated after each that gave up something.  No lock may be held. */
int resort_try_all(struct vmap *v, struct resort *resort);

#endif
