/* SPDX-License-Identifier: MIT */
/*
 * slab/grow.c - one more slab for a class
 *
 * The caller found no free object, holds no lock of ours, and will look again.  What is tried, cheapest first:
 *
 *   1. a slab that was to become empty gets users again (emptying.c)
 *   2. a run for one slab.  Never a longer one for several: it would take fresh memory beside free pieces of a
 *      slab's size, which a program that frees and fills in turn then never uses again
 *   3. if memory is refused: an object that has come back meanwhile, or will when a slab of the class is no more held
 *      (unback.c), which is waited for
 *
 * A new slab is complete before it is on a list: its record is written, each object was constructed, and the
 * bytes of its frames say the class.  So whoever frees the first object of it finds them.  That is done without the class's lock,
 * because it may commit metadata, and because a constructor is the program's.
 */
#include "slab/objects.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "page/alloc.h"
#include "page/page.h"
#include "page/pages.h"
#include "slab/emptying.h"
#include "slab/hardened.h"
#include "slab/meta.h"
#include "slab/record.h"

/* What an allocation's flags mean to pages.  Whoever wants zeroes writes them into the object. */
#define FLAGS_PAGE (QUIRE_NOWAIT | QUIRE_ATOMIC | QUIRE_NOLOCK | QUIRE_NORETRY)

static int undo_emptying(struct slabs *s, struct slab_class *c, unsigned flags)
{
	lock_token token;
	bool undone;

	if (load_relaxed(&c->emptying_nr) == 0) /* a hint */
		return -ENOMEM;
	if (!class_lock_for(c, flags, &token))
		return -EAGAIN;
	undone = slab_emptying_undo_locked(s, c);
	lock_release(&c->lock, token);
	return undone ? 0 : -ENOMEM;
}

/* ---- pages ---- */

static char *alloc_run(struct slabs *s, const struct slab_class *c, unsigned flags, int *error)
{
	if (UNLIKELY(s->hardened != NULL))
		return hardened_run(s, c, flags, error);
	return page_alloc_run(s->q, c->order, flags, error);
}

/* Pages for a slab, whose record can be written: @record is its number. */
static int alloc_pages(struct slabs *s, const struct slab_class *c, unsigned flags,
		       uint32_t *record)
{
	int error = 0;
	char *addr = alloc_run(s, c, flags, &error);

	if (addr == NULL)
		return error;
	*record = (uint32_t)((size_t)(addr - s->base) >> SLAB_SHIFT);
	error = slabs_meta_enter(s, *record, flags);
	if (error)
		quire_free_pages(s->q, addr, c->order);
	return error;
}

/* ---- slabs ---- */

/* Writes all of a record but its class: until that is said, no slab begins here. */
static void write_record(const struct slabs *s, const struct slab_class *c, uint32_t record)
{
	struct slab *slab = slab_at(s, record);
	uint64_t *map = slab_map(s, c, record);
	uint32_t left = c->per_slab;

	slab->prev = slab->next = SLAB_NONE;
	slab->free_nr = (uint16_t)left;
	slab->low = 0;
	slab->list = LIST_NONE;
	slab->flags = 0;
	slab->unbacked = 0;
	for (unsigned word = 0; left != 0; word++) {
		uint32_t some = left < 64 ? left : 64;

		map[word] = UINT64_MAX >> (64 - some);
		left -= some;
	}
}

static void make_slab(struct slabs *s, const struct slab_class *c, uint32_t record)
{
	char *addr = slab_addr(s, record);

	for (uint32_t i = 0; c->construct != NULL && i < c->per_slab; i++)
		c->construct(addr + (size_t)i * c->size, c->construct_arg);
	write_record(s, c, record);
	hardened_guard(s, record, c->order);
	slab_set_bytes(s, c, record, (unsigned)(c - s->class));
}

static void add_slab_locked(struct slabs *s, struct slab_class *c, uint32_t record)
{
	DCHECK(lock_is_held(&c->lock));
	store_relaxed(&slab_at(s, record)->class, (uint8_t)(c - s->class)); /* put_locked() */
	/* A hardened slab's objects are taken anywhere. */
	objects_set_fresh_locked(s, c,
				 c->slabs_nr == 0 && c->construct == NULL && s->hardened == NULL
					 ? (uint8_t)(slab_bytes(s, c) >> s->page_shift)
					 : 0);
	count_add(c->slabs_nr, 1);
	count_add(c->free_nr, c->per_slab);
	slab_file_locked(s, c, record);
}

/* The slab leaves as it came: the flags allow only tries, and the lock is taken. */
static int unmake(struct slabs *s, const struct slab_class *c, uint32_t record)
{
	bool unguarded;

	slab_set_bytes(s, c, record, 0);
	unguarded = hardened_unguard(s, record, c->order);
	slabs_meta_leave(s, record);
	if (unguarded) /* else as in free_leavers() */
		quire_free_pages(s->q, slab_addr(s, record), c->order);
	return -EAGAIN;
}

static int add_slab(struct slabs *s, struct slab_class *c, unsigned flags)
{
	lock_token token;
	uint32_t record = SLAB_NONE;
	int error = alloc_pages(s, c, flags, &record);

	if (error)
		return error;
	make_slab(s, c, record);
	if (!class_lock_for(c, flags, &token))
		return unmake(s, c, record);
	add_slab_locked(s, c, record);
	lock_release(&c->lock, token);
	return 0;
}

/* There is no memory.  Is there an object by now, or a slab that is held and will have some? */
static int after_refusal(struct slabs *s, struct slab_class *c, unsigned flags)
{
	lock_token token;
	bool found, held;

	if (!class_lock_for(c, flags, &token))
		return -EAGAIN;
	found = c->lists_used != 0;
	held = c->held_nr != 0;
	lock_release(&c->lock, token);
	if (found)
		return 0;
	if (!held || (flags & FLAGS_NO_WAIT) != 0)
		return -ENOMEM;
	mutex_acquire(&s->unback_mutex);
	mutex_release(&s->unback_mutex);
	return 0;
}

int objects_grow(struct slabs *s, unsigned class, unsigned flags)
{
	struct slab_class *c = &s->class[class];
	int error = undo_emptying(s, c, flags);

	if (error)
		error = add_slab(s, c, (flags & FLAGS_PAGE) | c->page_flags);
	return error == -ENOMEM ? after_refusal(s, c, flags) : error;
}
