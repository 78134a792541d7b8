/* SPDX-License-Identifier: MIT */
/*
 * slab/barn.c - a class's stock of objects between the sheaves of all slots and its slabs
 *
 * When one CPU allocates and another frees, an object would pass through its slab each time, at the price of its
 * bit and its slab's bin.  Here a full sheaf's half is copied as one array, and an empty sheaf is refilled with
 * one copy.  A barn takes as much as full sheaves of all slots could, up to BARN_BYTES of objects, since a
 * batch that one CPU frees another may allocate.
 *
 * A thread without sequences, or whose CPU's door is taken, exchanges single objects with the barn.
 *
 * Stale objects.  If sizes of a program change at random, some class is always at the height of what it ever had, and
 * the others' barns keep what they will not need.  So a barn notes the lowest number of objects that it had while
 * WINDOW_BYTES of objects, and twice as many as it has, were put into it.  That many objects at its bottom were not
 * wanted: they are stale, and each later put gives some of them to their slabs, which may become empty.  A stock that
 * is used up and filled again, as by bursts, has none.
 *
 * What is in a barn is in use as far as slabs know.  The worker empties a barn that nobody used between two of
 * its visits.  The lock is held until an object has arrived where it goes, so a thread that finds the barn empty
 * finds the objects in their slabs.
 */
#include "slab/sheaf.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "slab/objects.h"

#define BARN_BYTES   ((size_t)8 << 20)
/* Two sheaves of 64 KiB: what two CPUs hand to each other in turn passes within it.  And a stock that is put as a
 * whole, and taken as a whole later, is not looked at in between. */
#define WINDOW_BYTES ((size_t)128 << 10)

static bool lock_for(struct barn *barn, unsigned flags, lock_token *token)
{
	return lock_acquire_or_try(&barn->lock, flags & QUIRE_NOLOCK, token);
}

static uint32_t barn_most(const struct slabs *s, const struct slab_class *c)
{
	size_t most = (size_t)c->sheaf_most * s->lean->all_slots_nr;

	if (most > BARN_BYTES / c->size)
		most = BARN_BYTES / c->size;
	return most < s->barn_room ? (uint32_t)most : s->barn_room;
}

/* ---- what nobody wanted ---- */

static void note_low_locked(struct barn *barn)
{
	DCHECK(lock_is_held(&barn->lock));
	if (barn->low > barn->nr)
		barn->low = barn->nr;
	if (barn->stale > barn->nr)
		barn->stale = barn->nr;
}

/* Takes @n of those below `stale` out; others from the top take their places. */
static void close_gap_locked(struct barn *barn, unsigned n)
{
	uint32_t above = barn->nr - barn->stale, moved = above < n ? above : n;

	DCHECK(lock_is_held(&barn->lock));
	memcpy(barn->object + barn->stale - n, barn->object + barn->nr - moved,
	       moved * sizeof(*barn->object));
	barn->stale -= n;
	barn->low -= n;
	store_relaxed(&barn->nr, barn->nr - n); /* as in barn_put() */
}

/* After @put objects were put: gives some that are stale to their slabs. */
static void give_stale_locked(struct slabs *s, unsigned class, unsigned put)
{
	struct barn *barn = &s->class[class].barn;
	unsigned n = barn->stale < SHEAF_MOVE_MAX ? barn->stale : SHEAF_MOVE_MAX;

	DCHECK(lock_is_held(&barn->lock));
	CHECK_VALUES(barn->stale <= barn->low && barn->low <= barn->nr, barn->stale, barn->low);
	if (n != 0) {
		objects_give(s, class, barn->object + barn->stale - n, n, 0);
		close_gap_locked(barn, n);
	}
	barn->put_nr += put;
	if (barn->put_nr < WINDOW_BYTES / s->class[class].size || barn->put_nr < 2 * barn->nr)
		return;
	barn->put_nr = 0;
	barn->stale = barn->low;
	barn->low = barn->nr;
}

/* ---- in and out ---- */

unsigned barn_put(struct slabs *s, unsigned class, void *const *objects, unsigned n, unsigned flags)
{
	struct barn *barn = &s->class[class].barn;
	lock_token token;
	uint32_t room;

	if (!lock_for(barn, flags, &token))
		return 0;
	/* Without sequences this is where an object is that was freed just before. */
	if (UNLIKELY(barn->nr != 0 && n != 0 && barn->object[barn->nr - 1] == objects[0]))
		objects_freed_twice(s, class, objects[0]);
	room = barn_most(s, &s->class[class]);
	room = room > barn->nr ? room - barn->nr : 0;
	if (n > room)
		n = room;
	memcpy(barn->object + barn->nr, objects, n * sizeof(*objects));
	store_relaxed(&barn->nr, barn->nr + n); /* pairs with barn_take()'s hint */
	barn->used = true;
	if (!(flags & QUIRE_NOLOCK))
		give_stale_locked(s, class, n);
	lock_release(&barn->lock, token);
	return n;
}

unsigned barn_take(struct slabs *s, unsigned class, void **objects, unsigned n, unsigned flags)
{
	struct barn *barn = &s->class[class].barn;
	lock_token token;

	if (load_relaxed(&barn->nr) == 0 || !lock_for(barn, flags, &token)) /* a hint */
		return 0;
	if (n > barn->nr)
		n = barn->nr;
	memcpy(objects, barn->object + barn->nr - n, n * sizeof(*objects));
	store_relaxed(&barn->nr, barn->nr - n); /* as above */
	note_low_locked(barn);
	barn->used = true;
	lock_release(&barn->lock, token);
	return n;
}

/* Puts the newest into slabs.  Returns objects. */
static unsigned drain_some_locked(struct slabs *s, unsigned class)
{
	struct barn *barn = &s->class[class].barn;
	unsigned n = barn->nr < SHEAF_MOVE_MAX ? barn->nr : SHEAF_MOVE_MAX;

	DCHECK(lock_is_held(&barn->lock));
	store_relaxed(&barn->nr, barn->nr - n); /* as above */
	note_low_locked(barn);
	objects_give(s, class, barn->object + barn->nr, n, 0);
	return n;
}

size_t barn_drain(struct slabs *s, unsigned class)
{
	struct barn *barn = &s->class[class].barn;
	size_t objects = 0;
	unsigned n;

	if (!load_acquire(&s->ready[class])) /* pairs with class_make() */
		return 0;
	do {
		lock_token token = lock_acquire(&barn->lock);

		n = drain_some_locked(s, class);
		lock_release(&barn->lock, token);
		objects += n;
		lock_let_others_in(&barn->lock);
	} while (n == SHEAF_MOVE_MAX);
	return objects;
}

bool barn_tick(struct slabs *s, unsigned class)
{
	struct barn *barn = &s->class[class].barn;
	lock_token token;
	bool idle;

	/* Also if it seems to be empty: who has the lock later, and fills it, finds this visit begun, and kicks. */
	token = lock_acquire(&barn->lock);
	idle = !barn->used && barn->nr != 0;
	barn->used = false;
	lock_release(&barn->lock, token);
	if (idle)
		barn_drain(s, class);
	return load_relaxed(&barn->nr) != 0;
}
