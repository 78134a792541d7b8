/* SPDX-License-Identifier: MIT */
/*
 * slab/bins.c - on which list a slab is
 *
 * Objects and flags of a slab determine its list:
 *
 *   objects                     flags      list
 *   none is free                any        none
 *   some are free               HELD       none
 *   some are free               EMPTYING   LIST_EMPTYING
 *   all are free                not HELD   LIST_EMPTY, and EMPTYING is cleared
 *   some are free, some not     none       a bin, by the share that is in use
 *
 * Whatever changes objects or flags files the slab anew, in the same hold of the class's lock (C3).  Each list is
 * last in, first out: the slab that changed last is the likeliest to be in the processor's cache.
 *
 * There are 16 bins because emptying lives on them.  With one list for all partial slabs the sparse ones
 * hide among the others.
 */
#include "slab/record.h"

#include <quire/quire.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"

bool class_lock_for(struct slab_class *c, unsigned flags, lock_token *token)
{
	return lock_acquire_or_try(&c->lock, flags & QUIRE_NOLOCK, token);
}

void slab_set_bytes(struct slabs *s, const struct slab_class *c, uint32_t record, unsigned byte)
{
	size_t frame = (size_t)record << (SLAB_SHIFT - s->page_shift);

	/* Relaxed: a free of an object reads what was stored before the object was handed out, or since; a
	 * push reads it again inside its sequence. */
	for (size_t i = 0; i < (size_t)1 << c->order; i++)
		store_relaxed(&s->byte[frame + i], (uint8_t)byte);
}

/* ---- lists ---- */

static void link_slab(struct slabs *s, struct slab_class *c, uint32_t record, unsigned list)
{
	struct slab *slab = slab_at(s, record);

	slab->list = (uint8_t)list;
	slab->prev = SLAB_NONE;
	slab->next = c->head[list];
	if (slab->next != SLAB_NONE)
		slab_at(s, slab->next)->prev = record;
	c->head[list] = record;
	c->lists_used |= 1u << list;
	c->empty_nr += list == LIST_EMPTY;
}

void slab_unfile_locked(struct slabs *s, struct slab_class *c, uint32_t record)
{
	DCHECK(lock_is_held(&c->lock));
	struct slab *slab = slab_at(s, record);

	if (slab->list == LIST_NONE)
		return;
	if (slab->next != SLAB_NONE)
		slab_at(s, slab->next)->prev = slab->prev;
	if (slab->prev != SLAB_NONE)
		slab_at(s, slab->prev)->next = slab->next;
	else
		c->head[slab->list] = slab->next;
	if (c->head[slab->list] == SLAB_NONE)
		c->lists_used &= ~(1u << slab->list);
	if (slab->list == LIST_EMPTY && --c->empty_nr < c->empty_least)
		c->empty_least = c->empty_nr;
	slab->list = LIST_NONE;
}

/* ---- the list that a slab belongs on ---- */

static unsigned list_of(const struct slab_class *c, const struct slab *slab)
{
	uint32_t used = c->per_slab - slab->free_nr;

	if (slab->free_nr == 0 || (slab->flags & SLAB_HELD))
		return LIST_NONE;
	if (used == 0)
		return LIST_EMPTY;
	if (slab->flags & SLAB_EMPTYING)
		return LIST_EMPTYING;
	return used * c->bin_scale >> BIN_SHIFT;
}

static void set_emptying(struct slabs *s, struct slab_class *c, uint32_t record, bool emptying)
{
	struct slab *slab = slab_at(s, record);

	if (emptying == ((slab->flags & SLAB_EMPTYING) != 0))
		return;
	slab->flags ^= SLAB_EMPTYING;
	slab_set_bytes(s, c, record, slab->class | (emptying ? BYTE_EMPTYING : 0));
	/* Of the class's counts these two are read without its lock, as hints. */
	if (emptying) {
		count_add(c->emptying_nr, 1);
		c->emptying_free_nr += slab->free_nr;
	} else {
		count_add(c->emptying_nr, (uint64_t)-1);
		c->emptying_free_nr -= slab->free_nr;
	}
}

void slab_file_locked(struct slabs *s, struct slab_class *c, uint32_t record)
{
	DCHECK(lock_is_held(&c->lock));
	struct slab *slab = slab_at(s, record);
	unsigned list = list_of(c, slab);

	if (list == LIST_EMPTY)
		set_emptying(s, c, record, false);
	if (list == slab->list)
		return;
	slab_unfile_locked(s, c, record);
	if (list != LIST_NONE)
		link_slab(s, c, record, list);
}

void slab_mark_locked(struct slabs *s, struct slab_class *c, uint32_t record, bool emptying)
{
	DCHECK(lock_is_held(&c->lock));
	set_emptying(s, c, record, emptying);
	slab_file_locked(s, c, record);
}
