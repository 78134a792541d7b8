/* SPDX-License-Identifier: MIT */
/*
 * slab/emptying.c - sparse slabs that get no new users
 *
 * Taking from the fullest slab first does not suffice to empty the others: an object that is freed goes onto a
 * sheaf and comes back from there, wherever it lies, so after random churn a class stays evenly half
 * empty.  So sparse slabs are marked: the bytes of their frames get BYTE_EMPTYING.  A free reads that byte
 * anyhow, refuses the sheaf, and puts the object into its slab, and no object is taken from a marked slab.
 * Each object of it takes the class's lock once, then the slab is empty.  Objects of it on sheaves may be
 * allocated once more; they are caught when they come back.
 *
 * How many: the class keeps class_wanted_free() free objects in unmarked slabs.  What is free beyond that is in slabs
 * that may be marked, the sparsest bins first, down to those that are half full: emptying a fuller slab takes
 * more frees than it gains objects.  If the class would have to grow, the slab that was chosen last is unmarked:
 * it was the fullest of them.
 *
 * When: a turn marks at most CHOOSE_MAX slabs, and there is one every CHOOSE_EVERY gives and takes, so their cost is
 * bounded.  Takes count because a class whose sheaves and barn have enough gives nothing for long.  The worker's visit
 * and a shrink take turns until none is left: a program that goes on afterwards then uses its fullest slabs only.
 */
#include "slab/emptying.h"

#include "base/check.h"
#include "machine/lock.h"
#include "slab/record.h"

#define CHOOSE_EVERY 16u
#define CHOOSE_MAX   8u
#define SPARSE_BINS  (BINS_NR / 2)

/* The sparsest slab, or SLAB_NONE if none is sparse. */
static uint32_t sparsest_locked(const struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	uint32_t bins = c->lists_used & ((1u << SPARSE_BINS) - 1);

	return bins == 0 ? SLAB_NONE : c->head[__builtin_ctz(bins)];
}

bool slab_emptying_choose_locked(struct slabs *s, struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	unsigned chosen = 0;

	for (; chosen < CHOOSE_MAX; chosen++) {
		uint32_t record = sparsest_locked(c);

		if (record == SLAB_NONE ||
		    class_usable_free(c) < class_wanted_free(c) + slab_at(s, record)->free_nr)
			break;
		slab_mark_locked(s, c, record, true);
	}
	return chosen == CHOOSE_MAX;
}

void slab_emptying_turn_locked(struct slabs *s, struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	if (++c->turns < CHOOSE_EVERY)
		return;
	c->turns = 0;
	slab_emptying_choose_locked(s, c);
}

bool slab_emptying_undo_locked(struct slabs *s, struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	uint32_t record = c->head[LIST_EMPTYING];

	if (record == SLAB_NONE)
		return false;
	slab_mark_locked(s, c, record, false);
	return true;
}
