/* SPDX-License-Identifier: MIT */
/*
 * instance/shrinker.c - calling the program's own caches before an allocation is refused, or when the worker
 * finds that memory is short
 *
 * Words
 *   turn   the right to call shrinkers.  A process has one, whatever the number of its instances
 *   walk   one allocation's way through the shrinkers of its instance, in the order of (cost, id)
 *   step   a part of it, under one turn: calls until a shrinker gives up something
 *
 * One turn has two reasons.  A shrinker is never called by two threads at once, and an allocation
 * that finds another thread in a call waits for it, and repeats its attempt if any call gave up
 * something since, so no caller is refused while memory that it needs is being given up.  And no two
 * threads can wait for each other's turn: with a turn for each instance, two shrinkers that allocate
 * from each other's instance could.
 *
 * The turn is a mutex that its holder lays aside for the call (lock.h): it excludes other threads, but
 * the shrinker runs with no lock held, as any code of the program does, and may make any call.  An
 * allocation in it finds that the turn is its own thread's, and calls no shrinker.
 *
 * A walk keeps no pointer into the table, only where it was in the order, so entries may come and go
 * between steps, and during a call.  A shrinker that gave up something is asked again, for twice as much
 * each time: what it frees is rarely all in one place.  It is passed over once it gives up nothing, or
 * was asked for the instance's whole limit, so a walk has at most 32 x 33 calls.
 *
 * The worker makes calls of its own (relief.c), each under the turn too, and only while no other thread has it.
 * So it never waits for a shrinker that is called elsewhere, and a thread that joins the worker waits for
 * one call at most.  What its calls give up counts like any other, for the allocations that wait for the turn.
 *
 * Life of an entry
 *
 *   from         when                                           to           under
 *   free         quire_shrinker_register()                      registered   mutex
 *   registered   quire_shrinker_unregister()                    free         turn, mutex
 *
 * Unregistering takes the turn, so no other thread is in a call when it returns, and none begins one.  In a
 * shrinker it finds the turn its own: the entry is removed while its call is under way, and the walk
 * goes on behind it.
 *
 * Fork.  A fork takes the mutex, but does not wait for the turn: a shrinker may fork, or wait for what the
 * forking thread holds.  In the child the turn of another thread is free again; what that thread's call
 * was doing is lost with the thread.
 */
#include "instance/shrinker.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/sized.h"
#include "base/text.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/lock.h"
#include "machine/process.h"

void shrinkers_init(struct shrinkers *shrinkers)
{
	mutex_init(&shrinkers->mutex, RANK_SHRINKERS);
}

/* ---- the turn ---- */

/* Only the calling thread stores its own number, so another's store is never mistaken for it. */
static bool turn_is_own(void)
{
	return load_relaxed(&process_turn()->thread) == process_thread();
}

static void turn_took(struct process_turn *turn, struct quire *q)
{
	turn->q = q;
	store_relaxed(&turn->thread, process_thread());
}

static void turn_take(struct process_turn *turn, struct quire *q)
{
	mutex_acquire(&turn->mutex);
	turn_took(turn, q);
}

static void turn_drop(struct process_turn *turn)
{
	store_relaxed(&turn->thread, UINT64_C(0));
	mutex_release(&turn->mutex);
}

bool shrinkers_call_this(const struct quire *q)
{
	return turn_is_own() && process_turn()->q == q;
}

/* ---- the order ---- */

/* The entry that follows (cost, id), or NULL. */
static struct shrinker *next_locked(struct shrinkers *s, uint32_t cost, uint64_t id)
{
	struct shrinker *next = NULL;

	CHECK(mutex_is_held(&s->mutex));
	for (unsigned i = 0; i < SHRINKERS_MAX; i++) {
		struct shrinker *one = &s->shrinker[i];

		if (one->id == 0 || one->cost < cost || (one->cost == cost && one->id <= id))
			continue;
		if (next == NULL || one->cost < next->cost ||
		    (one->cost == next->cost && one->id < next->id))
			next = one;
	}
	return next;
}

/* The entry with that id, 0: a free one; or NULL. */
static struct shrinker *find_locked(struct shrinkers *s, uint64_t id)
{
	CHECK(mutex_is_held(&s->mutex));
	for (unsigned i = 0; i < SHRINKERS_MAX; i++) {
		if (s->shrinker[i].id == id)
			return &s->shrinker[i];
	}
	return NULL;
}

/* Copies the entry whose turn it is in the walk; false if none is left. */
static bool choose(struct shrinkers *s, struct shrinkers_walk *walk, struct shrinker *chosen)
{
	struct shrinker *one = NULL;

	mutex_acquire(&s->mutex);
	if (walk->again_bytes != 0)
		one = find_locked(s, walk->id);
	if (one == NULL) {
		one = next_locked(s, walk->cost, walk->id);
		walk->again_bytes = walk->bytes != 0 ? walk->bytes : 1;
	}
	if (one != NULL) {
		*chosen = *one;
		walk->cost = one->cost;
		walk->id = one->id;
	}
	mutex_release(&s->mutex);
	return one != NULL;
}

/* ---- a step ---- */

/* A hint: it may change with the cgroup's. */
static size_t limit_bytes(const struct quire *q)
{
	return (size_t)load_relaxed(&q->limit_pages) << q->page_shift;
}

/* Under the turn, without which given_nr is read. */
static void count(struct shrinkers *s, uint64_t id, size_t given)
{
	struct shrinker *one;

	if (given != 0)
		store_relaxed(&s->given_nr, s->given_nr + 1);
	mutex_acquire(&s->mutex);
	one = find_locked(s, id);
	if (one != NULL) { /* not removed by its own call */
		one->calls++;
		one->given_bytes += given;
	}
	mutex_release(&s->mutex);
}

/* Calls one shrinker under the turn, with no lock held.  Sets *@given; false if none is left. */
static bool call(struct shrinkers *s, struct process_turn *turn, struct shrinkers_walk *walk,
		 size_t *given)
{
	size_t limit = limit_bytes(turn->q);
	struct shrinker chosen;

	if (!choose(s, walk, &chosen))
		return false;
	mutex_lay_aside(&turn->mutex);
	*given = chosen.scan(walk->again_bytes, chosen.arg);
	mutex_take_up(&turn->mutex);
	if (*given == 0 || walk->again_bytes >= limit)
		walk->again_bytes = 0;
	else
		walk->again_bytes = walk->again_bytes < limit / 2 ? walk->again_bytes * 2 : limit;
	count(s, chosen.id, *given);
	return true;
}

/* The relaxed load: a caller that finds too little repeats an attempt in vain. */
struct shrinkers_walk shrinkers_walk_begin(const struct quire *q, size_t bytes)
{
	return (struct shrinkers_walk){
		.bytes = bytes,
		.seen_nr = load_relaxed(&q->shrinkers->given_nr),
	};
}

bool shrinkers_step(struct quire *q, struct shrinkers_walk *walk)
{
	struct process_turn *turn = process_turn();
	struct shrinkers *s = q->shrinkers;
	size_t given = 0;
	bool again;

	/* Clauses: none is registered (a hint: one that is registered at the same time may be missed); no
	 * shrinker can serve a request beyond the limit; the places where none may be called. */
	if (load_relaxed(&s->nr) == 0 || walk->bytes > limit_bytes(q) || lock_nested() ||
	    lock_kept() || turn_is_own())
		return false;
	turn_take(turn, q);
	/* If others were given something since the attempt, it may serve this caller, too. */
	if (s->given_nr == walk->seen_nr)
		while (given == 0 && call(s, turn, walk, &given))
			continue;
	again = s->given_nr != walk->seen_nr;
	walk->seen_nr = s->given_nr;
	turn_drop(turn);
	return again;
}

/* As long as no other thread has the turn: what that is given serves as well. */
static bool relieve_some(struct quire *q, struct shrinkers_walk *walk, size_t *given)
{
	struct process_turn *turn = process_turn();
	bool called;

	if (!mutex_try(&turn->mutex))
		return false;
	turn_took(turn, q);
	called = call(q->shrinkers, turn, walk, given);
	turn_drop(turn);
	return called;
}

size_t shrinkers_relieve(struct quire *q, size_t bytes)
{
	struct shrinkers_walk walk = { .bytes = bytes };
	size_t given = 0, some;

	/* The first is a hint. */
	if (load_relaxed(&q->shrinkers->nr) == 0 || lock_kept() || turn_is_own())
		return 0;
	while (given < bytes && relieve_some(q, &walk, &some)) {
		given += some < bytes - given ? some : bytes - given;
		/* Only what is still short, not twice as much. */
		walk.bytes = bytes - given;
		if (walk.again_bytes > walk.bytes)
			walk.again_bytes = walk.bytes;
	}
	return given;
}

/* ---- the calls ---- */

static void copy_name(char *to, const char *name)
{
	struct text text;

	text_init(&text, to, SHRINKER_NAME_BYTES);
	text_put(&text, name);
}

int quire_shrinker_register(struct quire *q, const struct quire_shrinker *shrinker, uint64_t *id)
{
	struct shrinkers *s = q->shrinkers;
	struct quire_shrinker known;
	struct shrinker *one;
	int error = sized_read(&known, sizeof(known), shrinker);

	if (error)
		return error;
	if (known.scan == NULL || known.name == NULL)
		return -EINVAL;
	mutex_acquire(&s->mutex);
	one = find_locked(s, 0);
	if (one != NULL) {
		*one = (struct shrinker){
			.id = ++s->last_id, .scan = known.scan, .arg = known.arg, .cost = known.cost
		};
		copy_name(one->name, known.name);
		store_relaxed(&s->nr, s->nr + 1); /* a hint */
		*id = one->id;
	}
	mutex_release(&s->mutex);
	if (one != NULL && q->report) /* so that it watches for memory pressure */
		worker_kick(q, clock_now_ns() + q->decay_base_ns);
	return one != NULL ? 0 : -ENOSPC;
}

void quire_shrinker_unregister(struct quire *q, uint64_t id)
{
	struct process_turn *turn = process_turn();
	struct shrinkers *s = q->shrinkers;
	bool own = turn_is_own();
	struct shrinker *one;

	if (id == 0)
		return;
	if (!own)
		mutex_acquire(&turn->mutex);
	mutex_acquire(&s->mutex);
	one = find_locked(s, id);
	if (one != NULL) {
		*one = (struct shrinker){ .id = 0 };
		store_relaxed(&s->nr, s->nr - 1); /* a hint */
	}
	mutex_release(&s->mutex);
	if (!own)
		mutex_release(&turn->mutex);
	if (one == NULL)
		misuse("without its pair", __func__, q);
}

size_t quire_text_shrinkers(const struct quire *q, char *buffer, size_t bytes)
{
	struct shrinkers *s = q->shrinkers;
	const struct shrinker *one = NULL;
	struct text text;

	text_init(&text, buffer, bytes);
	text_put(&text, "name                          cost      calls          bytes\n");
	mutex_acquire(&s->mutex);
	for (one = next_locked(s, 0, 0); one != NULL; one = next_locked(s, one->cost, one->id)) {
		text_put_width(&text, one->name, SHRINKER_NAME_BYTES);
		text_put_u64_width(&text, one->cost, 10);
		text_put_u64_width(&text, one->calls, 11);
		text_put_u64_width(&text, one->given_bytes, 15);
		text_put(&text, "\n");
	}
	mutex_release(&s->mutex);
	return text.bytes;
}
