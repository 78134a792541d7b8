/* SPDX-License-Identifier: MIT */
/*
 * vmap/tree.c - ranges by address: an augmented red-black tree
 *
 * Links are indexes of records, so a tree allocates nothing.  Each node stores the size of the
 * largest range in its subtree, so the search for the lowest address that fits skips subtrees
 * without such a range: O(log n), plus one visit for each range that is large enough but
 * misaligned.  (Linux searches for size + align - 1 instead, and may miss a hole that fits.)
 *
 * The rules of the colours are the usual ones: a red node has black children, and every path from
 * a node down to a missing child passes as many black nodes.  tree_verify() checks them, the
 * order, that no two neighbours touch, and each largest.
 */
#include "vmap/tree.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "vmap/layout.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

static uint32_t largest_of(const struct vmap *v, uint32_t i)
{
	return i == RANGE_NONE ? 0 : range_at(v, i)->largest;
}

static bool is_red(const struct vmap *v, uint32_t i)
{
	return i != RANGE_NONE && !(range_at(v, i)->flags & RANGE_BLACK);
}

static void set_red(struct range *r, bool red)
{
	r->flags = (uint8_t)(red ? r->flags & ~RANGE_BLACK : r->flags | RANGE_BLACK);
}

static uint32_t computed_largest(const struct vmap *v, const struct range *r)
{
	uint32_t left = largest_of(v, r->left), right = largest_of(v, r->right);
	uint32_t below = left > right ? left : right;

	return r->pages > below ? r->pages : below;
}

/* Corrects `largest` from @i upwards, until nothing changes; with @whole, up to the root. */
static void propagate(struct vmap *v, uint32_t i, bool whole)
{
	while (i != RANGE_NONE) {
		struct range *r = range_at(v, i);
		uint32_t largest = computed_largest(v, r);

		if (largest == r->largest && !whole)
			return;
		r->largest = largest;
		i = r->parent;
	}
}

/* The link to @i, which is in its parent or is the root. */
static uint32_t *link_to(struct vmap *v, struct range_tree *tree, uint32_t i)
{
	uint32_t parent = range_at(v, i)->parent;

	if (parent == RANGE_NONE)
		return &tree->root;
	return range_at(v, parent)->left == i ? &range_at(v, parent)->left
					      : &range_at(v, parent)->right;
}

/* Rotates the child on the @left side above @i. */
static void rotate(struct vmap *v, struct range_tree *tree, uint32_t i, bool left)
{
	struct range *r = range_at(v, i);
	uint32_t up = left ? r->left : r->right;
	struct range *u = range_at(v, up);
	uint32_t inner = left ? u->right : u->left;

	*link_to(v, tree, i) = up;
	u->parent = r->parent;
	r->parent = up;
	*(left ? &u->right : &u->left) = i;
	*(left ? &r->left : &r->right) = inner;
	if (inner != RANGE_NONE)
		range_at(v, inner)->parent = i;
	u->largest = r->largest; /* it has the same subtree now */
	r->largest = computed_largest(v, r);
}

/* ---- inserting ---- */

static void balance_after_put(struct vmap *v, struct range_tree *tree, uint32_t i)
{
	while (is_red(v, range_at(v, i)->parent)) {
		uint32_t parent = range_at(v, i)->parent;
		uint32_t above = range_at(v, parent)->parent; /* a red node has a parent */
		bool left = range_at(v, above)->left == parent;
		uint32_t uncle = left ? range_at(v, above)->right : range_at(v, above)->left;

		if (is_red(v, uncle)) {
			set_red(range_at(v, parent), false);
			set_red(range_at(v, uncle), false);
			set_red(range_at(v, above), true);
			i = above;
			continue;
		}
		if ((range_at(v, parent)->left == i) != left) {
			rotate(v, tree, parent, !left);
			parent = i;
		}
		set_red(range_at(v, parent), false);
		set_red(range_at(v, above), true);
		rotate(v, tree, above, left);
		break;
	}
	set_red(range_at(v, tree->root), false);
}

void tree_put_locked(struct vmap *v, struct range_tree *tree, uint32_t index)
{
	struct range *r = range_at(v, index);
	uint32_t *link = &tree->root, parent = RANGE_NONE;

	CHECK(lock_is_held(&v->lock));
	while (*link != RANGE_NONE) {
		parent = *link;
		v->tree_compares++;
		link = r->start < range_at(v, parent)->start ? &range_at(v, parent)->left
							     : &range_at(v, parent)->right;
	}
	*link = index;
	r->parent = parent;
	r->left = r->right = RANGE_NONE;
	r->largest = r->pages;
	set_red(r, true);
	propagate(v, parent, false);
	balance_after_put(v, tree, index);
	count_add(tree->nr, 1); /* read without the lock as a hint */
	count_add(tree->pages, r->pages);
	v->tree_operations++;
}

/* ---- removing ---- */

/* Repairs the colours: the side of @i, which may be missing, is one black short below @parent. */
static void balance_after_take(struct vmap *v, struct range_tree *tree, uint32_t i, uint32_t parent)
{
	while (i != tree->root && !is_red(v, i)) {
		bool left = range_at(v, parent)->left == i;
		uint32_t other = left ? range_at(v, parent)->right : range_at(v, parent)->left;
		struct range *o;
		uint32_t near, far;

		if (is_red(v, other)) {
			set_red(range_at(v, other), false);
			set_red(range_at(v, parent), true);
			rotate(v, tree, parent, !left);
			other = left ? range_at(v, parent)->right : range_at(v, parent)->left;
		}
		o = range_at(v, other); /* it exists, since its side has one black more */
		near = left ? o->left : o->right;
		far = left ? o->right : o->left;
		if (!is_red(v, near) && !is_red(v, far)) {
			set_red(o, true);
			i = parent;
			parent = range_at(v, i)->parent;
			continue;
		}
		if (!is_red(v, far)) {
			set_red(range_at(v, near), false);
			set_red(o, true);
			rotate(v, tree, other, left);
			far = other;
			other = near;
		}
		set_red(range_at(v, other), is_red(v, parent));
		set_red(range_at(v, parent), false);
		set_red(range_at(v, far), false);
		rotate(v, tree, parent, !left);
		return;
	}
	if (i != RANGE_NONE)
		set_red(range_at(v, i), false);
}

static void replace(struct vmap *v, struct range_tree *tree, uint32_t old, uint32_t by)
{
	*link_to(v, tree, old) = by;
	if (by != RANGE_NONE)
		range_at(v, by)->parent = range_at(v, old)->parent;
}

static uint32_t leftmost(const struct vmap *v, uint32_t i)
{
	while (i != RANGE_NONE && range_at(v, i)->left != RANGE_NONE)
		i = range_at(v, i)->left;
	return i;
}

/* Puts the next node, which has at most a right child, in the place of a node with two children. */
static void take_inner(struct vmap *v, struct range_tree *tree, uint32_t index)
{
	struct range *r = range_at(v, index);
	uint32_t next = leftmost(v, r->right);
	struct range *n = range_at(v, next);
	uint32_t child = n->right, parent = n->parent;
	bool was_red = is_red(v, next);

	if (parent == index) {
		parent = next;
	} else {
		replace(v, tree, next, child);
		n->right = r->right;
		range_at(v, n->right)->parent = next;
	}
	replace(v, tree, index, next);
	n->left = r->left;
	range_at(v, n->left)->parent = next;
	set_red(n, is_red(v, index));
	propagate(v, parent, true);
	if (!was_red)
		balance_after_take(v, tree, child, parent);
}

void tree_take_locked(struct vmap *v, struct range_tree *tree, uint32_t index)
{
	struct range *r = range_at(v, index);

	CHECK(lock_is_held(&v->lock));
	if (r->left != RANGE_NONE && r->right != RANGE_NONE) {
		take_inner(v, tree, index);
	} else {
		uint32_t child = r->left != RANGE_NONE ? r->left : r->right, parent = r->parent;

		replace(v, tree, index, child);
		propagate(v, parent, false);
		if (!is_red(v, index))
			balance_after_take(v, tree, child, parent);
	}
	count_add(tree->nr, (uint32_t)-1);
	count_add(tree->pages, 0 - (uint64_t)r->pages);
	v->tree_operations++;
}

void tree_resize_locked(struct vmap *v, struct range_tree *tree, uint32_t index, uint32_t start,
			uint32_t pages)
{
	struct range *r = range_at(v, index);

	CHECK(lock_is_held(&v->lock));
	count_add(tree->pages, (uint64_t)pages - r->pages); /* at once: it is read as a hint */
	r->start = start;
	r->pages = pages;
	propagate(v, index, false);
}

/* ---- searching ---- */

static bool fit_in_range(const struct range *r, struct fit *fit)
{
	uint64_t start = r->start > fit->low ? r->start : fit->low;
	uint64_t end = range_end(r) < fit->high ? range_end(r) : fit->high;

	start = (start + fit->align - 1) & ~(uint64_t)(fit->align - 1);
	if (start + fit->pages > end)
		return false;
	fit->start = (uint32_t)start;
	return true;
}

/* Depth: at most twice log2 of the ranges. */
static bool fit_below(struct vmap *v, uint32_t i, struct fit *fit)
{
	const struct range *r;

	if (i == RANGE_NONE)
		return false;
	r = range_at(v, i);
	if (r->largest < fit->pages)
		return false;
	v->tree_compares++;
	if (r->start > fit->low && fit_below(v, r->left, fit))
		return true;
	if (r->pages >= fit->pages && fit_in_range(r, fit)) {
		fit->index = i;
		return true;
	}
	return range_end(r) < fit->high && fit_below(v, r->right, fit);
}

bool tree_fit_locked(struct vmap *v, const struct range_tree *tree, struct fit *fit)
{
	CHECK(lock_is_held(&v->lock));
	v->tree_operations++;
	return fit_below(v, tree->root, fit);
}

uint32_t tree_floor_locked(struct vmap *v, const struct range_tree *tree, uint32_t page)
{
	uint32_t i = tree->root, floor = RANGE_NONE;

	CHECK(lock_is_held(&v->lock));
	v->tree_operations++;
	while (i != RANGE_NONE) {
		const struct range *r = range_at(v, i);

		v->tree_compares++;
		if (r->start <= page)
			floor = i;
		i = r->start <= page ? r->right : r->left;
	}
	return floor;
}

uint32_t tree_first(const struct vmap *v, const struct range_tree *tree)
{
	return leftmost(v, tree->root);
}

uint32_t tree_next(const struct vmap *v, uint32_t index)
{
	uint32_t parent;

	if (range_at(v, index)->right != RANGE_NONE)
		return leftmost(v, range_at(v, index)->right);
	for (parent = range_at(v, index)->parent;
	     parent != RANGE_NONE && range_at(v, parent)->right == index;
	     parent = range_at(v, parent)->parent)
		index = parent;
	return parent;
}

/* ---- checking ---- */

/* Number of black nodes on each path down from @i, or -1 if a rule is broken. */
static int verify_below(const struct vmap *v, uint32_t i, uint32_t parent)
{
	const struct range *r;
	int left, right;

	if (i == RANGE_NONE)
		return 0;
	r = range_at(v, i);
	if (r->parent != parent || r->largest != computed_largest(v, r) ||
	    (is_red(v, i) && (is_red(v, r->left) || is_red(v, r->right))))
		return -1;
	left = verify_below(v, r->left, i);
	right = verify_below(v, r->right, i);
	if (left < 0 || left != right)
		return -1;
	return left + !is_red(v, i);
}

int tree_verify(const struct vmap *v, const struct range_tree *tree)
{
	uint64_t pages = 0, end = 0;
	uint32_t nr = 0;

	if (is_red(v, tree->root) || verify_below(v, tree->root, RANGE_NONE) < 0)
		return 2;
	for (uint32_t i = tree_first(v, tree); i != RANGE_NONE; i = tree_next(v, i)) {
		const struct range *r = range_at(v, i);

		if (nr++ != 0 && r->start <= end)
			return 2;
		end = range_end(r);
		pages += r->pages;
	}
	return nr == tree->nr && pages == tree->pages ? 0 : 2;
}
