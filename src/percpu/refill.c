/* SPDX-License-Identifier: MIT */
/*
 * percpu/refill.c - how much a CPU's stack keeps, and batches between it and the maps
 *
 * A pair is an allocation from the maps that takes no more than earlier frees of its size gave them; a turn is
 * one that directly follows a free.  A size is warm after COUNT_WARM turns, if pairs came at least every PAIR_NS
 * meanwhile.  So objects that come and go one by one count, and batches of any length, but neither a burst
 * of frees alone nor one of allocations.  The next free on a CPU opens that CPU's stack.  A free that finds it
 * full returns half of it to the maps in one hold of the lock, with their maps prefetched.
 *
 * Why by the rate?  Each object on a stack may pin a page.  When any size was warm after eight frees, a
 * program with 60 sizes that each came and went 75 times a second had 3 % more memory populated.
 *
 * What a stack keeps follows the batch.  A stack that overflowed and is then found empty was too
 * small: as many objects were wanted again.  So the size's room doubles, up to cache_room(), on every
 * CPU, since a batch that one CPU allocates another may free.  A burst of frees alone does not raise
 * it.  Each time the worker empties an idle CPU's stack, the room of what it held halves.
 *
 * An empty stack is refilled with half of what it keeps, but with no more than full stacks have given
 * back (owed).  So a burst of allocations is placed one by one, in the order of time, and the objects
 * that are placed ahead of need are those that were there before.  With many units nothing is placed
 * ahead: an object from a stack is checked on every CPU, an object from the maps where the system
 * has memory (sparse.c).
 *
 * Both directions hold the door of a CPU until each object has arrived where it goes.  So fork, which
 * takes all doors, leaves none behind, and a free that searches the stacks for an object waits
 * (cache_holds()).  The thread may be moved to another CPU meanwhile; then the sequences use that
 * CPU's stack, and any door of the set does.
 */
#include "percpu/refill.h"
#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/cache.h"
#include "percpu/object.h"
#include "percpu/place.h"

static struct learn *learn_of(struct percpu *pc, uint32_t granules)
{
	uint32_t class = pc->cache ? cache_class(pc, granules) : NONE;

	return class != NONE ? &pc->learn[class] : NULL;
}

static uint32_t class_of(const struct percpu *pc, const struct learn *learn)
{
	return (uint32_t)(learn - pc->learn);
}

/* ---- learning ---- */

/* What a newly opened stack keeps. */
static uint32_t first_kept(const struct percpu *pc, uint32_t class)
{
	uint32_t first = CACHE_FIRST_GRANULES / cache_granules(pc, class);

	if (first < CACHE_FIRST_LEAST)
		return CACHE_FIRST_LEAST;
	return first < CACHE_FIRST ? first : CACHE_FIRST;
}

uint32_t cache_keeps(const struct percpu *pc, uint32_t class)
{
	uint32_t room = load_relaxed(&pc->learn[class].room),
		 most = cache_room(pc, class); /* a hint */

	room = room != 0 ? room : first_kept(pc, class);
	return room < most ? room : most;
}

/* After a turn. */
static void count_locked(struct percpu *pc, struct learn *learn)
{
	uint32_t class = class_of(pc, learn);

	DCHECK(lock_is_held(&pc->lock));
	if (learn->count == COUNT_WARM)
		return;
	if (learn->count == 0) {
		learn->since_ns = clock_now_ns();
		learn->pairs = 1;
	}
	store_relaxed(&learn->count, (uint8_t)(learn->count + 1)); /* cache_after_free() */
	if (learn->count < COUNT_WARM)
		return;
	if (clock_now_ns() - learn->since_ns > (uint64_t)learn->pairs * PAIR_NS)
		store_relaxed(&learn->count, 0);
	else if (class < CACHE_SMALL_NR)
		store_relaxed(&pc->warm, pc->warm | (uint64_t)1 << class); /* push() in free.c */
}

void cache_learn_free_locked(struct percpu *pc, uint32_t granules)
{
	struct learn *learn = learn_of(pc, granules);

	DCHECK(lock_is_held(&pc->lock));
	if (learn == NULL)
		return;
	learn->turned = true;
	if (learn->freed < FREED_MAX)
		learn->freed++;
}

void cache_learn_alloc_locked(struct percpu *pc, uint32_t granules)
{
	struct learn *learn = learn_of(pc, granules);

	DCHECK(lock_is_held(&pc->lock));
	if (learn == NULL || learn->freed == 0)
		return;
	learn->freed--;
	if (learn->pairs < PAIRS_MAX)
		learn->pairs++;
	if (learn->turned)
		count_locked(pc, learn);
	learn->turned = false;
}

/* After an allocation that found its stack empty. */
static void learn_empty_locked(struct percpu *pc, uint32_t class)
{
	struct learn *learn = &pc->learn[class];
	uint32_t room = cache_keeps(pc, class) * 2, most = cache_room(pc, class);

	DCHECK(lock_is_held(&pc->lock));
	if (!learn->overflowed)
		return;
	learn->overflowed = false;
	store_relaxed(&learn->room, (uint16_t)(room < most ? room : most));
}

static void learn_overflow_locked(struct percpu *pc, uint32_t class, uint32_t n)
{
	struct learn *learn = &pc->learn[class];
	uint32_t owed = learn->owed + n;

	DCHECK(lock_is_held(&pc->lock));
	learn->overflowed = true;
	store_relaxed(&learn->owed, (uint16_t)(owed < OWED_MAX ? owed : OWED_MAX));
}

void cache_forget(struct percpu *pc, uint32_t class)
{
	lock_token token = lock_acquire(&pc->lock);
	uint32_t room = cache_keeps(pc, class) / 2;
	struct learn *learn = &pc->learn[class];

	store_relaxed(&learn->room, (uint16_t)(room > first_kept(pc, class) ? room : 0));
	store_relaxed(&learn->owed, 0);
	store_relaxed(&learn->count, 0);
	learn->freed = 0;
	if (class < CACHE_SMALL_NR)
		store_relaxed(&pc->warm, pc->warm & ~((uint64_t)1 << class));
	percpu_unlock(pc, token);
}

/* ---- to the maps ---- */

static void give_locked(struct percpu *pc, const uint32_t *granules, unsigned n, bool *wanted)
{
	DCHECK(lock_is_held(&pc->lock));
	for (unsigned i = 0; i < n && i < PREFETCH_AHEAD; i++)
		object_prefetch_map_locked(pc, place_of_granule(granules[i]));
	for (unsigned i = 0; i < n; i++) {
		struct place place = place_of_granule(granules[i]);

		if (i + PREFETCH_AHEAD < n)
			object_prefetch_map_locked(pc,
						   place_of_granule(granules[i + PREFETCH_AHEAD]));
		/* Freed again while it was on its way: misuse that no search of the stacks could see. */
		if (!object_is_at_locked(pc, place))
			misuse("double free", "quire_free_percpu", place_ptr(pc, place));
		if (load_relaxed(&pc->page[place_page(pc, place)].cached) != 0) /* this object's */
			store_relaxed(&pc->page[place_page(pc, place)].cached, 0);
		object_free_locked(pc, place);
		if (chunk_after_free_locked(pc, place_chunk(pc, place)))
			*wanted = true;
	}
}

/* @full: the class whose full stack gives them, or NONE. */
static void give(struct percpu *pc, const uint32_t *granules, unsigned n, uint32_t full)
{
	bool wanted = false;
	lock_token token;

	CHECK(n <= CACHE_BATCH);
	if (n == 0)
		return;
	for (unsigned i = 0; i < n; i++)
		object_prefetch(pc, place_of_granule(granules[i]));
	token = lock_acquire(&pc->lock);
	give_locked(pc, granules, n, &wanted);
	if (full != NONE)
		learn_overflow_locked(pc, full, n);
	percpu_unlock(pc, token);
	if (wanted)
		balance_kick(pc, 0);
}

void cache_give(struct percpu *pc, const uint32_t *granules, unsigned n)
{
	give(pc, granules, n, NONE);
}

/* Returns half of a full stack to the maps.  A stack that has room stays: the free came to the lock for another
 * reason, such as an object of whole pages that does not begin with a page. */
static void spill_locked(struct percpu *pc, struct percpu_cpu *cpu, uint32_t class)
{
	unsigned keeps = stacks_keeps_locked(&pc->stacks, &cpu->door, class), half = keeps / 2;
	uint32_t granules[CACHE_BATCH];

	DCHECK(lock_is_held(&cpu->door.lock));
	if (stacks_held(&pc->stacks, &cpu->door, class) < keeps) /* a hint */
		return;
	half = half < CACHE_BATCH ? half : CACHE_BATCH;
	give(pc, granules, stack_pop_n(&pc->stacks.cpu, class, granules, half), class);
}

/* ---- opening ---- */

/* Lets this CPU's stack keep what the size should.  False if it does already. */
static bool keep_more_locked(struct percpu *pc, struct percpu_cpu *cpu, uint32_t class)
{
	unsigned before = stacks_keeps_locked(&pc->stacks, &cpu->door, class), now;
	uint32_t room = cache_keeps(pc, class), lines;

	DCHECK(lock_is_held(&cpu->door.lock));
	if (before >= room)
		return false;
	/* Before any object can be cached: check_mark_locked() and cache_has_mark_locked() read
	 * these. */
	store_relaxed(&pc->opened, (uint32_t)OPENED);
	store_relaxed(&pc->learn[class].opened, OPENED);
	if (class < CACHE_SMALL_NR)
		store_relaxed(&pc->frequent, class);
	now = stacks_set_keeps_locked(&pc->stacks, &cpu->door, class, room);
	lines = load_relaxed(&cpu->lines[class]) + now - before;
	store_relaxed(&cpu->lines[class], (uint8_t)(lines < LINES_MAX ? lines : LINES_MAX));
	fence_seq_cst(); /* before balance_kick_later() looks; pairs with balance_tick()'s */
	return true;
}

/* If there is no memory for the CPU's stacks, they keep refusing, and a later call tries again. */
void cache_after_free(struct percpu *pc, uint32_t granules)
{
	struct learn *learn = learn_of(pc, granules);
	struct percpu_cpu *cpu;
	lock_token token;
	uint32_t slot;
	bool ready;

	if (learn == NULL || load_relaxed(&learn->count) < COUNT_WARM)
		return;
	slot = (uint32_t)stack_slot(&pc->stacks.cpu);
	if (!stacks_has(&pc->stacks, slot))
		return;
	cpu = &pc->cpu[slot];
	if (!lock_try(&cpu->door.lock, &token))
		return;
	ready = cpu->door.ready || stacks_begin_locked(&pc->stacks, &cpu->door) == 0;
	if (ready && !keep_more_locked(pc, cpu, class_of(pc, learn)))
		spill_locked(pc, cpu, class_of(pc, learn));
	lock_release(&cpu->door.lock, token);
	if (ready)
		balance_kick_later(pc);
}

/* ---- from the maps ---- */

/* Places the caller's object, aligned as @request says if that costs nothing. */
static int place_first_locked(struct percpu *pc, const struct percpu_request *request,
			      uint32_t align, struct placed *placed)
{
	struct percpu_request here = *request;

	DCHECK(lock_is_held(&pc->lock));
	here.may_use_reserve = (request->flags & FLAGS_NO_WAIT) != 0;
	if (percpu_put_locked(pc, &here, placed) == 0)
		return 0;
	here.align = align;
	return percpu_put_locked(pc, &here, placed);
}

/* Places up to @n more.  Returns how many. */
static unsigned place_more_locked(struct percpu *pc, const struct percpu_request *request,
				  uint32_t *granules, unsigned n)
{
	struct placed placed;
	unsigned i;

	DCHECK(lock_is_held(&pc->lock));
	for (i = 0; i < n && percpu_place_locked(pc, request, &placed) == 0; i++)
		granules[i] = place_granule(placed.place);
	return i;
}

/* How many objects to place ahead: half of what the stack keeps, if as many are owed. */
static unsigned refill_nr_locked(struct percpu *pc, uint32_t class, unsigned keeps)
{
	struct learn *learn = &pc->learn[class];
	unsigned n = keeps / 2 < CACHE_BATCH ? keeps / 2 : CACHE_BATCH;

	DCHECK(lock_is_held(&pc->lock));
	if (n > learn->owed)
		n = learn->owed;
	store_relaxed(&learn->owed, (uint16_t)(pc->sparse ? 0 : learn->owed - n));
	return pc->sparse ? 0 : n;
}

/* Marks objects, which are on no stack yet, and pushes them, so that the first is the next to be
 * popped. */
static void push(struct percpu *pc, uint32_t class, uint32_t *granules, unsigned n)
{
	uint32_t reverse[CACHE_BATCH];
	unsigned pushed;

	for (unsigned i = 0; i < n; i++) {
		cache_set_mark(pc, class, granules[i]);
		reverse[n - 1 - i] = granules[i];
	}
	pushed = stack_push_n(&pc->stacks.cpu, class, reverse, n);
	cache_give(pc, reverse + pushed, n - pushed);
}

static int refill_locked(struct percpu *pc, struct percpu_cpu *cpu,
			 const struct percpu_request *request, struct placed *placed)
{
	struct percpu_request here = *request;
	uint32_t granules[CACHE_BATCH], class = cache_class(pc, request->n);
	unsigned keeps, n = 0;
	lock_token token;
	int error;

	DCHECK(lock_is_held(&cpu->door.lock));
	here.populated_only = true;
	here.align = class < CACHE_SMALL_NR ? LINE_GRANULES : page_granules(pc);
	token = lock_acquire(&pc->lock);
	learn_empty_locked(pc, class);
	error = place_first_locked(pc, &here, request->align, placed);
	if (class < CACHE_SMALL_NR)
		here.align = 1;
	if (!error) {
		(void)keep_more_locked(pc, cpu, class);
		keeps = stacks_keeps_locked(&pc->stacks, &cpu->door, class);
		n = place_more_locked(pc, &here, granules, refill_nr_locked(pc, class, keeps));
	}
	percpu_unlock(pc, token);
	push(pc, class, granules, n);
	return error;
}

int cache_refill(struct percpu *pc, const struct percpu_request *request, struct placed *placed)
{
	struct learn *learn = request->fours ? NULL : learn_of(pc, request->n);
	struct percpu_cpu *cpu;
	int error = -EAGAIN;
	lock_token token;
	uint32_t slot;

	/* Stacks do not serve larger alignments.  What is owed is a hint. */
	if (learn == NULL || (request->flags & QUIRE_NOLOCK) || load_relaxed(&learn->owed) == 0 ||
	    (request->align > 1 && request->n <= CACHE_SMALL_NR))
		return -EAGAIN;
	slot = (uint32_t)stack_slot(&pc->stacks.cpu);
	if (!stacks_has(&pc->stacks, slot))
		return -EAGAIN;
	cpu = &pc->cpu[slot];
	if (!lock_try(&cpu->door.lock, &token))
		return -EAGAIN;
	if (cpu->door.ready && cpu->door.closed_nr == 0)
		error = refill_locked(pc, cpu, request, placed);
	lock_release(&cpu->door.lock, token);
	if (!error)
		balance_kick_later(pc);
	return error;
}
