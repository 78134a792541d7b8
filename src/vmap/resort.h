/* SPDX-License-Identifier: MIT */
/* vmap/resort.h - before anything is refused */
#ifndef VMAP_RESORT_H
#define VMAP_RESORT_H

#include <stdbool.h>

struct vmap;

/* Something that was refused and is to be tried again. */
struct resort {
	int (*attempt)(struct vmap *v, struct resort *resort); /* 0 or -errno; under purge_mutex */
	bool mappings; /* it may lack mappings: those of blocks in use are given back as well */
};
/* The attempt once all that vmap holds is purged; it waits for that.  What the attempt said last. */
int resort_try(struct vmap *v, struct resort *resort);
/* The same; and, for -ENOMEM, once more when pages and other modules have given up what they cache. */
int resort_try_all(struct vmap *v, struct resort *resort);

#endif
