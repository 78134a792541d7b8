/* SPDX-License-Identifier: MIT */
/*
 * slab/sheaf.c - what an allocation and a free do when their CPU's sheaf cannot serve
 *
 * An allocation tries, in this order:
 *   1. this CPU's door, which it never waits for.  If it has the door, it refills the sheaf and keeps one
 *      object: from the barn, else from slabs
 *   2. without the door, one object of the barn, else of a slab
 *   3. a new slab, made with no lock held; then all of this again
 *   4. when pages are refused: what all sheaves and the barn of the class hold
 * A free tries
 *   1. the door.  If the sheaf is full, half of it goes to the barn, and what the barn has no room for into slabs
 *   2. without the door, the barn, else the object's slab
 *   3. in a handler that can have no lock at all, a bit in the deferred map (defer.c)
 * An object whose slab is emptying goes into its slab at once, and so does one that has no entry.
 *
 * How much.  A new sheaf keeps SHEAF_FIRST_BYTES of objects.  A sheaf that was full and is then found empty was
 * too small, since as many objects were wanted again: it keeps twice as many from then on, at most
 * SHEAF_ROOM_MAX or SHEAF_BYTES, and all sheaves of a CPU at most SHEAVES_BYTES (drain.c).  A refill takes
 * REFILL_LEAST objects at first and twice as many each time, up to half of what the sheaf keeps.  Taking
 * an object out of its slab touches no byte of it, so a large refill costs no memory.
 *
 * Entries on their way between a sheaf, the barn and slabs are under the door, or the barn's lock, until they
 * have arrived.  So a fork, or a drain, which takes all doors and then the barn, misses none.  The thread may
 * be moved to another CPU meanwhile; then the sequences use that CPU's sheaf, and any door of the set does.
 */
#include "slab/sheaf.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "page/page.h"
#include "slab/fast.h"
#include "slab/objects.h"

#define REFILL_LEAST 4u
#define STREAK_MAX   6u /* REFILL_LEAST << it is SHEAF_MOVE_MAX */

_Static_assert(REFILL_LEAST << STREAK_MAX == SHEAF_MOVE_MAX, "the longest streak moves the most");

/* ---- the door ---- */

/* Tries this CPU's door, and makes its sheaves ready at their first use.  NULL: it is taken, or there are no
 * sheaves. */
static struct slab_cpu *current_try(struct slabs *s, unsigned flags, lock_token *token)
{
	unsigned slot = (unsigned)stack_slot(&s->stacks.cpu);
	struct slab_cpu *cpu;

	if (!stacks_has(&s->stacks, slot))
		return NULL;
	cpu = &s->cpu[slot];
	if (!lock_try(&cpu->door.lock, token))
		return NULL;
	if (LIKELY(cpu->door.ready))
		return cpu;
	if (!(flags & QUIRE_NOLOCK) && stacks_begin_locked(&s->stacks, &cpu->door) == 0)
		return cpu;
	lock_release(&cpu->door.lock, *token);
	return NULL;
}

static unsigned push_n(struct slabs *s, unsigned class, const uint32_t *entries, unsigned n)
{
	return stack_push_n_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, class, entries, n);
}

/* A new sheaf keeps what all do at first; one that was too small, twice what it did. */
static unsigned keep_more_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
				 bool too_small)
{
	const struct slab_class *c = &s->class[class];
	unsigned keeps = stacks_keeps_locked(&s->stacks, &cpu->door, class);

	DCHECK(lock_is_held(&cpu->door.lock));
	if (keeps != 0 && !too_small)
		return keeps;
	return stacks_grow_locked(&s->stacks, &cpu->door, class, c->sheaf_first, c->sheaf_most);
}

/* A hint for the worker: not atomic as a whole. */
static void count_move(struct slab_class *c)
{
	store_relaxed(&c->moves, load_relaxed(&c->moves) + 1);
}

/* To the barn, else into slabs.  The caller holds a door. */
static void put_away(struct slabs *s, unsigned class, const uint32_t *entries, unsigned n)
{
	unsigned put = n != 0 ? barn_put(s, class, entries, n, 0) : 0;

	if (put < n)
		objects_give(s, class, entries + put, n - put, 0);
}

/* ---- allocating ---- */

/* Objects from slabs come with rising addresses, and the last entry is the next to be popped. */
static void reverse(uint32_t *entries, unsigned n)
{
	for (unsigned i = 0; i < n / 2; i++) {
		uint32_t other = entries[n - 1 - i];

		entries[n - 1 - i] = entries[i];
		entries[i] = other;
	}
}

static unsigned fetch(struct slabs *s, unsigned class, uint32_t *entries, unsigned n,
		      unsigned flags)
{
	unsigned got = barn_take(s, class, entries, n, flags);

	if (got != 0)
		return got;
	got = objects_take(s, class, entries, n, flags);
	reverse(entries, got);
	return got;
}

/* How many to fetch: one for the caller, and more each time in a row. */
static unsigned refill_nr_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
				 unsigned flags)
{
	struct sheaf *sheaf = &cpu->sheaf[class];
	unsigned keeps, n;

	DCHECK(lock_is_held(&cpu->door.lock));
	/* What is not pushed a nested call could not put away; a closed sheaf takes nothing. */
	if ((flags & QUIRE_NOLOCK) || cpu->door.closed_nr != 0)
		return 1;
	keeps = keep_more_locked(s, cpu, class, sheaf->overflowed);
	sheaf->overflowed = false;
	n = REFILL_LEAST << sheaf->streak;
	if (sheaf->streak < STREAK_MAX)
		sheaf->streak++;
	return n <= keeps / 2 + 1 ? n : keeps / 2 + 1;
}

static void *refill_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned flags)
{
	uint32_t entries[SHEAF_MOVE_MAX];
	unsigned n = refill_nr_locked(s, cpu, class, flags), pushed;

	DCHECK(lock_is_held(&cpu->door.lock));
	n = fetch(s, class, entries, n, flags);
	if (n == 0)
		return NULL;
	count_add(cpu->refills, 1);
	n--;
	pushed = push_n(s, class, entries, n);
	put_away(s, class, entries + pushed, n - pushed);
	return slab_object(s, entries[n]);
}

/* From a slab that exists. */
static void *alloc_from_stock(struct slabs *s, unsigned class, unsigned flags)
{
	lock_token token;
	struct slab_cpu *cpu = current_try(s, flags, &token);
	void *object = NULL;
	uint32_t entry;

	if (cpu != NULL) {
		object = refill_locked(s, cpu, class, flags);
		lock_release(&cpu->door.lock, token);
	} else if (barn_take(s, class, &entry, 1, flags) == 1) {
		object = slab_object(s, entry);
	}
	return object != NULL ? object : objects_take_one(s, class, flags);
}

/* Pages were refused, after every module gave up what it caches.  What sheaves and barn of this class held may be in
 * its slabs now. */
static void *alloc_refused(struct slabs *s, unsigned class, unsigned flags)
{
	if (flags & (FLAGS_NO_WAIT | QUIRE_NORETRY))
		return NULL;
	sheaves_drain(s, class);
	return objects_take_one(s, class, flags);
}

static void *alloc_any(struct slabs *s, unsigned class, unsigned flags)
{
	for (;;) {
		void *object = alloc_from_stock(s, class, flags);

		if (object != NULL)
			return object;
		/* Another thread may empty the new slab, so this loops; each turn has served somebody. */
		if (objects_grow(s, class, flags) != 0)
			return alloc_refused(s, class, flags);
	}
}

void *sheaf_alloc_slow(struct slabs *s, unsigned class, unsigned flags, int *error)
{
	bool nested = lock_nested();
	void *object;

	if (UNLIKELY(s->q->dead)) {
		*error = EOWNERDEAD;
		return NULL;
	}
	if (nested)
		flags |= QUIRE_NOLOCK;
	else if (!(flags & QUIRE_NOLOCK))
		sheaf_take_deferred(s);
	object = alloc_any(s, class, flags);
	if (object == NULL)
		*error = ENOMEM;
	count_move(&s->class[class]);
	slabs_kick(s);
	slabs_ensure_worker(s, flags);
	return object;
}

/* Pops up to a batch; returns how many. */
static unsigned pop_some(struct slabs *s, unsigned class, unsigned n, void **objects)
{
	uint32_t entries[64];
	unsigned got = stack_pop_n_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, class, entries,
					   n < 64 ? n : 64);

	for (unsigned i = 0; i < got; i++) /* in the order of single pops */
		objects[i] = slab_object(s, entries[got - 1 - i]);
	return got;
}

unsigned sheaf_alloc_bulk(struct slabs *s, unsigned class, unsigned flags, unsigned n,
			  void **objects, int *error)
{
	unsigned done = 0;

	while (done < n) {
		unsigned got = pop_some(s, class, n - done, objects + done);

		if (got == 0) {
			objects[done] = sheaf_alloc_slow(s, class, flags, error);
			if (objects[done] == NULL)
				break;
			got = 1;
		}
		done += got;
	}
	return done;
}

/* ---- freeing ---- */

/* The sheaf is full: half of it goes away. */
static void spill_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned keeps)
{
	struct sheaf *sheaf = &cpu->sheaf[class];
	uint32_t entries[SHEAF_MOVE_MAX];
	unsigned half = (keeps + 1) / 2, n;

	DCHECK(lock_is_held(&cpu->door.lock));
	n = stack_pop_n_strided(&s->stacks.cpu, SLAB_STRIDE_SHIFT, class, entries,
				half < SHEAF_MOVE_MAX ? half : SHEAF_MOVE_MAX);
	if (n == 0)
		return;
	sheaf->overflowed = true;
	sheaf->streak /= 2;
	count_add(cpu->spills, 1);
	put_away(s, class, entries, n);
}

/* Onto this CPU's sheaf.  A nested call only pushes: spilling could wait. */
static bool free_to_sheaf(struct slabs *s, unsigned class, uint32_t entry, unsigned flags)
{
	lock_token token;
	struct slab_cpu *cpu = current_try(s, flags, &token);
	bool pushed;

	if (cpu == NULL)
		return false;
	if (flags & QUIRE_NOLOCK) {
		pushed = push_n(s, class, &entry, 1) == 1;
	} else {
		unsigned keeps = keep_more_locked(s, cpu, class, false);

		pushed = push_n(s, class, &entry, 1) == 1;
		if (!pushed) {
			spill_locked(s, cpu, class, keeps);
			pushed = push_n(s, class, &entry, 1) == 1;
		}
	}
	lock_release(&cpu->door.lock, token);
	return pushed;
}

static bool free_to_stock(struct slabs *s, void *object, unsigned byte, unsigned flags)
{
	unsigned class = byte & (BYTE_EMPTYING - 1);
	uint32_t entry = slab_entry(s, object);

	if (byte < BYTE_EMPTYING && slab_is_near(s, object) &&
	    (free_to_sheaf(s, class, entry, flags) || barn_put(s, class, &entry, 1, flags) == 1))
		return true;
	return objects_give_one(s, class, object, flags);
}

void sheaf_free_slow(struct slabs *s, void *object, unsigned byte)
{
	unsigned class = byte & (BYTE_EMPTYING - 1);
	bool nested = lock_nested();

	if (UNLIKELY(s->q->dead))
		return;
	CHECK(class != 0);
	if (!nested)
		sheaf_take_deferred(s);
	if (!free_to_stock(s, object, byte, nested ? QUIRE_NOLOCK : 0))
		sheaf_defer(s, class, object);
	count_move(&s->class[class]);
	slabs_kick(s);
	slabs_ensure_worker_freed(s);
}

void sheaf_free_bulk(struct slabs *s, unsigned class, unsigned n, void *const *objects)
{
	for (unsigned i = 0; i < n; i++)
		if (UNLIKELY(!slab_free_fast(s, objects[i], class)))
			sheaf_free_slow(s, objects[i], slab_byte(s, objects[i]));
}
