/* SPDX-License-Identifier: MIT */
/* vmap/tree.h - ranges by address, with the largest of each subtree; under the lock of struct
 * vmap */
#ifndef VMAP_TREE_H
#define VMAP_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct vmap;

struct range_tree {
	uint32_t root;
	uint32_t nr;
	uint64_t pages;
};

struct fit {
	uint32_t pages;	    /* wanted */
	uint32_t align;	    /* pages, a power of two */
	uint32_t low, high; /* the result lies in [low, high) */
	uint32_t index;	    /* found: the range */
	uint32_t start;	    /* and where in it */
};
/* The lowest place that holds what is wanted; false: there is none. */
bool tree_fit_locked(struct vmap *v, const struct range_tree *tree, struct fit *fit);
/* Put and take keep the sums of nr and pages. */
void tree_put_locked(struct vmap *v, struct range_tree *tree, uint32_t index);
void tree_take_locked(struct vmap *v, struct range_tree *tree, uint32_t index);
/* Moves a range's bounds, without passing a neighbour. */
void tree_resize_locked(struct vmap *v, struct range_tree *tree, uint32_t index, uint32_t start,
			uint32_t pages);
/* The last range that begins at or below @page; RANGE_NONE. */
uint32_t tree_floor_locked(struct vmap *v, const struct range_tree *tree, uint32_t page);
/* In the order of addresses; RANGE_NONE at the end. */
uint32_t tree_first(const struct vmap *v, const struct range_tree *tree);
uint32_t tree_next(const struct vmap *v, uint32_t index);
/* 0, or 2 (V2). */
int tree_verify(const struct vmap *v, const struct range_tree *tree);

#endif
