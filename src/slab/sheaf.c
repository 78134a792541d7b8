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
 * An object whose slab is emptying goes into its slab at once.
 *
 * How much.  A new sheaf keeps SHEAF_SMALL_ROOM objects.  A sheaf that was full and is then found empty was too small,
 * since as many objects were wanted again, and so was one that keeps less than class.c's sheaf_first and was refilled
 * STREAK_LONG times without a spill, or spilled as often without a refill.  If that happened as often as the CPU's other sheaves keep 4 KiB, it keeps twice as
 * many: a program that uses one size much has large sheaves at once, and 200 threads that use 46 sizes in turn do
 * not make each CPU keep 3 MiB.  At most it keeps SHEAF_ROOM_MAX or SHEAF_MOST_BYTES, and all
 * sheaves of a CPU SHEAVES_UNITS (cpu.c).  A refill takes
 * REFILL_LEAST objects at first and twice as many each time, up to half of what the sheaf keeps.  Taking
 * an object out of its slab touches no byte of it, so a large refill costs no memory.
 *
 * Objects on their way between a sheaf, the barn and slabs are under the door, or the barn's lock, until they
 * have arrived.  So a fork, or a drain, which takes all doors and then the barn, misses none.  The thread may
 * be moved to another CPU meanwhile; then the sequences use that CPU's sheaf, and any door of the set does.
 */
#include "slab/sheaf.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lean.h"
#include "machine/lock.h"
#include "machine/usdt.h"
#include "page/page.h"
#include "slab/fast.h"
#include "slab/hardened.h"
#include "slab/objects.h"

#define REFILL_LEAST 4u
#define STREAK_MAX   5u /* REFILL_LEAST << it is SHEAF_MOVE_MAX */

#define STREAK_LONG 3u
#define WANTS_SHIFT 8u /* 4 KiB in units of 16 bytes */

_Static_assert(REFILL_LEAST << STREAK_MAX == SHEAF_MOVE_MAX, "the longest streak moves the most");

/* A new sheaf keeps a few; one that was too small often enough twice what it did. */
static unsigned keep_more_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
				 bool too_small)
{
	const struct slab_class *c = &s->class[class];
	struct sheaf *sheaf = &cpu->sheaf[class];
	unsigned keeps = sheaf->keeps;
	uint32_t others = cpu->keeps_units - keeps * (c->size >> ENTRY_SHIFT);

	DCHECK(lock_is_held(&cpu->lock));
	if (keeps == 0)
		keeps = c->sheaf_first < SHEAF_SMALL_ROOM ? c->sheaf_first : SHEAF_SMALL_ROOM;
	else if (too_small && ++sheaf->wants > others >> WANTS_SHIFT) {
		sheaf->wants = 0;
		keeps *= 2;
	}
	if (keeps != sheaf->keeps)
		sheaf_set_keeps_locked(s, cpu, class, keeps);
	return sheaf->keeps;
}

/* A hint for the worker: not atomic as a whole. */
static void count_move(struct slab_class *c)
{
	store_relaxed(&c->moves, load_relaxed(&c->moves) + 1);
}

/* ---- between sheaves, barns and slabs ---- */

/* To the barn, else into slabs.  The caller holds a door. */
static void put_away(struct slabs *s, unsigned class, void *const *objects, unsigned n)
{
	unsigned put = n != 0 ? barn_put(s, class, objects, n, 0) : 0;

	if (put < n)
		objects_give(s, class, objects + put, n - put, 0);
}

/* ---- allocating ---- */

static unsigned fetch(struct slabs *s, unsigned class, void **objects, unsigned n, unsigned flags)
{
	unsigned got = barn_take(s, class, objects, n, flags);

	if (got != 0)
		return got;
	got = objects_take(s, class, objects, n, flags);
	/* They come with rising addresses, and the last one is the next to be popped. */
	for (unsigned i = 0; i < got / 2; i++) {
		void *low = objects[i];

		objects[i] = objects[got - 1 - i];
		objects[got - 1 - i] = low;
	}
	return got;
}

/* Its CPU only allocates, or only frees: @streak refills, or spills, came in a row. */
static bool is_one_way(const struct slab_class *c, const struct sheaf *sheaf, unsigned streak)
{
	return streak >= STREAK_LONG && sheaf->keeps < c->sheaf_first;
}

/* As many objects were wanted again as did not fit, or more and more are taken. */
static bool is_too_small(const struct slab_class *c, const struct sheaf *sheaf)
{
	return sheaf->overflowed || is_one_way(c, sheaf, sheaf->refill_streak);
}

/* How many to fetch: one for the caller, and more each time in a row. */
static unsigned refill_nr_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class,
				 unsigned flags)
{
	const struct slab_class *c = &s->class[class];
	struct sheaf *sheaf = &cpu->sheaf[class];
	unsigned keeps, n;

	DCHECK(lock_is_held(&cpu->lock));
	/* What is not pushed a nested call could not put away; a closed sheaf takes nothing. */
	if ((flags & QUIRE_NOLOCK) || load_relaxed(&s->lean->slots_nr) == 0) /* a hint */
		return 1;
	keeps = keep_more_locked(s, cpu, class, is_too_small(c, sheaf));
	sheaf->overflowed = false;
	sheaf->spill_streak /= 2;
	sheaf_move_locked(s, cpu, class); /* it is empty */
	n = REFILL_LEAST << sheaf->refill_streak;
	if (sheaf->refill_streak < STREAK_MAX)
		sheaf->refill_streak++;
	return n <= keeps / 2 + 1 ? n : keeps / 2 + 1;
}

static void *refill_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, unsigned flags)
{
	void *objects[SHEAF_MOVE_MAX];
	unsigned n = refill_nr_locked(s, cpu, class, flags), pushed;

	DCHECK(lock_is_held(&cpu->lock));
	n = fetch(s, class, objects, n, flags);
	if (n == 0)
		return NULL;
	count_add(cpu->refills, 1);
	n--;
	pushed = lean_push_n(s->lean, class, objects, n);
	put_away(s, class, objects + pushed, n - pushed);
	return objects[n];
}

/* From a slab that exists. */
static void *alloc_from_stock(struct slabs *s, unsigned class, unsigned flags)
{
	lock_token token;
	struct slab_cpu *cpu;
	void *object = NULL;

	if (UNLIKELY(s->hardened != NULL))
		return hardened_take(s, class, flags);
	cpu = sheaf_cpu_try(s, flags, &token);
	if (cpu != NULL) {
		object = refill_locked(s, cpu, class, flags);
		lock_release(&cpu->lock, token);
	} else {
		fetch(s, class, &object, 1, flags);
	}
	return object;
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
		sheaf_take_flagged(s);
	object = alloc_any(s, class, flags);
	if (object == NULL)
		*error = ENOMEM;
	count_move(&s->class[class]);
	slabs_kick(s);
	slabs_ensure_worker(s, flags);
	/* The call site is not known here: a stack trace shows it. */
	USDT(kmem_cache_alloc, 0, (uintptr_t)object, s->class[class].size, s->class[class].size,
	     flags, UINT64_MAX);
	return object;
}

unsigned sheaf_alloc_bulk(struct slabs *s, unsigned class, unsigned flags, unsigned n,
			  void **objects, int *error)
{
	unsigned done = 0;

	while (done < n) {
		unsigned got = lean_pop_n(s->lean, class, objects + done, n - done);

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

/*
 * The sheaf refused @object.  Either its newest object is the same one, freed twice; or it is full, and half of it
 * goes away.  One that is to keep more than fits where it is moves instead.
 */
static void spill_locked(struct slabs *s, struct slab_cpu *cpu, unsigned class, const void *object)
{
	const struct slab_class *c = &s->class[class];
	struct sheaf *sheaf = &cpu->sheaf[class];
	void *objects[SHEAF_MOVE_MAX];
	bool cramped = sheaf_is_cramped_locked(s, cpu, class);
	unsigned half = (sheaf->keeps + 1u) / 2, n, back;

	DCHECK(lock_is_held(&cpu->lock));
	n = lean_pop_n(s->lean, class, objects,
		       cramped || half > SHEAF_MOVE_MAX ? SHEAF_MOVE_MAX : half);
	if (n == 0)
		return;
	if (UNLIKELY(objects[0] == object))
		objects_freed_twice(s, class, object);
	if (cramped) {
		sheaf_move_locked(s, cpu, class);
		for (back = n; back != 0 && lean_push(s->lean, class, objects[back - 1]);)
			back--;
		put_away(s, class, objects, back);
		return;
	}
	sheaf->overflowed = true;
	sheaf->refill_streak /= 2;
	if (sheaf->spill_streak < STREAK_MAX)
		sheaf->spill_streak++;
	if (is_one_way(c, sheaf, sheaf->spill_streak))
		keep_more_locked(s, cpu, class, true);
	count_add(cpu->spills, 1);
	put_away(s, class, objects, n);
}

/* Onto this CPU's sheaf.  A nested call only pushes: spilling could wait. */
static bool free_to_sheaf(struct slabs *s, unsigned class, void *object, unsigned flags)
{
	lock_token token;
	struct slab_cpu *cpu = sheaf_cpu_try(s, flags, &token);
	bool pushed;

	if (cpu == NULL)
		return false;
	if ((flags & QUIRE_NOLOCK) == 0)
		keep_more_locked(s, cpu, class, false);
	pushed = lean_push(s->lean, class, object);
	if (!pushed && (flags & QUIRE_NOLOCK) == 0) {
		spill_locked(s, cpu, class, object);
		pushed = lean_push(s->lean, class, object);
	}
	lock_release(&cpu->lock, token);
	return pushed;
}

static bool free_to_stock(struct slabs *s, void *object, unsigned byte, unsigned flags)
{
	unsigned class = byte & (BYTE_EMPTYING - 1);

	if (byte < BYTE_EMPTYING && s->hardened == NULL &&
	    (free_to_sheaf(s, class, object, flags) || barn_put(s, class, &object, 1, flags) == 1))
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
	USDT(kmem_cache_free, 0, (uintptr_t)object);
	if (!nested)
		sheaf_take_flagged(s);
	if (!free_to_stock(s, object, byte, nested ? QUIRE_NOLOCK : 0))
		sheaf_defer(s, class, object);
	count_move(&s->class[class]);
	slabs_kick(s);
	slabs_ensure_worker_freed(s);
}
