/* SPDX-License-Identifier: MIT */
/*
 * percpu/cache.c - free offsets on per-CPU stacks, for sizes that are freed and allocated
 * alternately
 *
 * An offset that is freed and soon allocated again need not pass through the maps.  For sizes up
 * to 512 bytes each CPU has a stack of such offsets, which sequences push and pop.  In the maps a
 * cached object is still an object.  A mark in its copy on the home CPU (the first CPU that used
 * per-CPU memory) shows that it is free: a number computed from its address and a secret.  A free
 * that finds the mark searches all stacks, with their doors closed, before it reports "double
 * free"; otherwise the free writes the mark.  The mark is cleared with the rest of the object
 * when it is allocated.
 *
 *   Marks rather than a third bit in the maps: two CPUs change objects of one word without a lock, so a
 *   bit would need an atomic operation in every call, two thirds of the cost allowed for a pair.  The
 *   home CPU's copy rather than the current CPU's: the second free may come from any CPU.
 *
 * Only sizes that are freed and allocated alternately are cached (warm).  A burst of frees caches
 * nothing, so it pins no page, and a burst of allocations is placed in the order of time.  Stacks
 * are not filled ahead: when a stack is empty, the object comes from the maps.
 *
 * cpu->lock is the door: its holder may close the stacks, and after a fence owns them.  Stacks are
 * emptied when idle at the worker's visit, before chunks are depopulated, and when memory is short,
 * always by a holder of alloc_mutex; so fork, which takes it, never meets a stack half emptied.
 */
#include "percpu/cache.h"
#include "percpu/balance.h"
#include "percpu/object.h"
#include "percpu/place.h"

#include "machine/clock.h"

#define FIRST_HIGH    4u
#define LOW_OF(class) (CACHE_CLASSES_NR * 4u + (class) * CACHE_ENTRIES)

_Static_assert((CACHE_CLASSES_NR * 4u + CACHE_CLASSES_NR * CACHE_ENTRIES) * 4 <= STACKS_STRIDE,
	       "all classes fit into a slot's region");

/* ---- marks ---- */

/* Looks only where a stack may have had such an object: a look puts a page table behind a copy that
 * nobody touched. */
bool cache_has_mark_locked(const struct percpu *pc, struct place place, uint32_t granules)
{
	const char *ptr = place_ptr(pc, place);

	DCHECK(lock_is_held(&pc->lock));
	return granules - 1 < CACHE_CLASSES_NR && load_relaxed(&pc->learn[granules - 1].opened) &&
	       *(const uint64_t *)(const void *)(ptr + pc->home_bytes) == cache_mark(pc, ptr);
}

/* ---- one CPU's stacks ---- */

static void set_limits(struct stack_header *header, uint32_t low, uint32_t high)
{
	union {
		struct {
			uint32_t low, high;
		} part;
		uint64_t whole;
	} limits = { .part = { .low = low, .high = high } };

	/* Pairs with the loads inside the sequences, which read a bound before top. */
	store_release((uint64_t *)(void *)&header->low, limits.whole);
}

static bool has_stacks(const struct percpu *pc, uint32_t slot)
{
	return pc->stacks.slots_nr != 0 && !(pc->q->isolated_cpus != NULL &&
					     (pc->q->isolated_cpus[slot / 64] >> slot % 64 & 1));
}

static void close_locked(struct percpu *pc, uint32_t slot)
{
	DCHECK(lock_is_held(&pc->cpu[slot].lock));
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++)
		set_limits(stack_header(&pc->stacks, slot, class), UINT32_MAX, 0);
}

static void open_locked(struct percpu *pc, uint32_t slot)
{
	DCHECK(lock_is_held(&pc->cpu[slot].lock));
	if (lock_kept()) /* the fork opens all that is ready */
		return;
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		struct stack_header *header = stack_header(&pc->stacks, slot, class);

		if (header->top < LOW_OF(class)) /* pairs with cpu_count(): a hint */
			store_relaxed(&header->top, LOW_OF(class));
		set_limits(header, LOW_OF(class), LOW_OF(class) + pc->cpu[slot].high[class]);
	}
}

/* Entries of one CPU: exact when closed. */
static uint32_t cpu_count(const struct percpu *pc, uint32_t slot)
{
	uint32_t n = 0;

	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		/* Pairs with the sequences' commits; a hint. */
		uint32_t top = load_relaxed(&stack_header(&pc->stacks, slot, class)->top);

		n += top > LOW_OF(class) ? top - LOW_OF(class) : 0;
	}
	return n;
}

uint64_t cache_count(struct percpu *pc)
{
	uint64_t n = 0;

	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++)
		n += load_relaxed(&pc->cpu[slot].ready) ? cpu_count(pc, slot) : 0; /* a hint */
	return n;
}

/* May a free put something on a stack? */
bool cache_is_open(const struct percpu *pc)
{
	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++)
		if (load_relaxed(&pc->cpu[slot].open)) /* a hint: who opens one kicks the worker */
			return true;
	return false;
}

/* ---- learning ---- */

static struct learn *learn_of(struct percpu *pc, uint32_t granules)
{
	return granules <= CACHE_CLASSES_NR ? &pc->learn[granules - 1] : NULL;
}

static void set_score(struct learn *learn, uint8_t score)
{
	learn->score = score;
	store_relaxed(&learn->warm, score >= SCORE_WARM); /* read by push() in free.c: a hint */
}

/* An allocation that found its stack empty. */
void cache_learn_alloc_locked(struct percpu *pc, uint32_t granules)
{
	struct learn *learn = learn_of(pc, granules);

	DCHECK(lock_is_held(&pc->lock));
	if (learn == NULL)
		return;
	if (learn->freed && learn->score < SCORE_MAX)
		set_score(learn, (uint8_t)(learn->score + 1));
	learn->freed = false;
}

/* A free that found its stack full or cold. */
void cache_learn_free_locked(struct percpu *pc, uint32_t granules)
{
	struct learn *learn = learn_of(pc, granules);

	DCHECK(lock_is_held(&pc->lock));
	if (learn == NULL)
		return;
	if (learn->freed && learn->score != 0)
		set_score(learn, (uint8_t)(learn->score - 1));
	learn->freed = true;
}

/* False if there is no memory for the CPU's stacks: they stay as they were made, and the next try may
 * have it. */
static bool cpu_ready_locked(struct percpu *pc, uint32_t slot)
{
	DCHECK(lock_is_held(&pc->cpu[slot].lock));
	if (stacks_commit(&pc->stacks, slot) != 0)
		return false;
	/* As in page/door.c: an all-zero header refuses too, but not while top is being written. */
	close_locked(pc, slot);
	stack_fence_slot(&pc->stacks, slot);
	open_locked(pc, slot);
	store_relaxed(&pc->cpu[slot].ready, true);
	return true;
}

/* After a slow free of a warm size: lets this CPU's stack keep more of it. */
void cache_warm(struct percpu *pc, uint32_t granules)
{
	struct learn *learn = learn_of(pc, granules);
	uint32_t slot, high, lines, class = granules - 1;
	struct percpu_cpu *cpu;
	lock_token token;

	if (!pc->cache || learn == NULL || !load_relaxed(&learn->warm))
		return;
	slot = (uint32_t)stack_slot(&pc->stacks);
	if (slot >= pc->stacks.slots_nr || !has_stacks(pc, slot))
		return;
	cpu = &pc->cpu[slot];
	if (!lock_try(&cpu->lock, &token))
		return;
	if (!cpu->ready && !cpu_ready_locked(pc, slot)) {
		lock_release(&cpu->lock, token);
		return;
	}
	/* Before an object can be there: check_mark_locked(), cache_has_mark_locked(). */
	store_relaxed(&pc->opened, 1u);
	store_relaxed(&learn->opened, 1);
	high = cpu->high[class] != 0 ? cpu->high[class] * 2u : FIRST_HIGH;
	high = high > CACHE_ENTRIES ? CACHE_ENTRIES : high;
	lines = load_relaxed(&cpu->lines[class]) + high - cpu->high[class];
	store_relaxed(&cpu->lines[class], (uint8_t)(lines > CACHE_ENTRIES ? CACHE_ENTRIES : lines));
	cpu->high[class] = (uint8_t)high;
	if (!cpu->closed && !lock_kept())
		set_limits(stack_header(&pc->stacks, slot, class), LOW_OF(class),
			   LOW_OF(class) + cpu->high[class]);
	store_relaxed(&cpu->open, true); /* read by cache_is_open() */
	lock_release(&cpu->lock, token);
	/* Frees to the stack tell nobody: the worker comes until it finds the CPU idle. */
	if (load_relaxed(&pc->due_ns) == WORK_IDLE)
		balance_kick(pc, clock_now_ns() + pc->q->decay_base_ns);
}

/*
 * What goes through a stack is written each time, its mark at least; where two CPUs do that in
 * one cache line a pair takes 20 ns instead of 8.  So what a CPU takes for a stack that has just
 * grown begins a line, if that is to be had: as many as it keeps more than before, which is
 * CACHE_ENTRIES lines at most each time a stack is opened, however many are allocated.
 */
static uint8_t *lines_of(struct percpu *pc, uint32_t granules)
{
	uint32_t slot = (uint32_t)stack_slot(&pc->stacks);

	return slot < pc->stacks.slots_nr ? &pc->cpu[slot].lines[granules - 1] : NULL;
}

bool cache_wants_line(struct percpu *pc, uint32_t granules, uint32_t align)
{
	const struct learn *learn = learn_of(pc, granules);
	const uint8_t *lines;

	if (align > 1 || learn == NULL || !load_relaxed(&learn->opened))
		return false; /* larger alignments are not served by stacks */
	lines = lines_of(pc, granules);
	return lines != NULL && load_relaxed(lines) != 0;
}

/* One too many or too few is no harm. */
void cache_had_line(struct percpu *pc, uint32_t granules)
{
	uint8_t *lines = lines_of(pc, granules);

	if (lines != NULL && load_relaxed(lines) != 0)
		store_relaxed(lines, (uint8_t)(load_relaxed(lines) - 1));
}

/* ---- emptying ---- */

static size_t give_locked(struct percpu *pc, uint32_t slot)
{
	const uint32_t *entries = stack_entries(&pc->stacks, slot);
	size_t n = 0;
	lock_token token = lock_acquire(&pc->lock);

	DCHECK(lock_is_held(&pc->cpu[slot].lock));
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		struct stack_header *header = stack_header(&pc->stacks, slot, class);

		for (; header->top > LOW_OF(class); n++) {
			struct place place = place_of_granule(entries[header->top - 1]);

			store_relaxed(&header->top, header->top - 1);
			object_free_locked(pc, place);
			chunk_after_free_locked(pc, place_chunk(pc, place));
		}
	}
	percpu_unlock(pc, token);
	return n;
}

static bool close_door(struct percpu *pc, uint32_t slot, bool idle_only)
{
	struct percpu_cpu *cpu = &pc->cpu[slot];
	lock_token token = lock_acquire(&cpu->lock);
	uint32_t tops = cpu->ready ? cpu_count(pc, slot) : 0;
	bool chosen = cpu->ready && (!idle_only || (tops == cpu->tops_seen && cpu->open));

	cpu->tops_seen = tops;
	if (chosen) {
		cpu->closed = true;
		close_locked(pc, slot);
	}
	lock_release(&cpu->lock, token);
	return chosen;
}

static size_t empty_door(struct percpu *pc, uint32_t slot)
{
	struct percpu_cpu *cpu = &pc->cpu[slot];
	lock_token token = lock_acquire(&cpu->lock);
	size_t n = 0;

	if (cpu->closed) {
		n = give_locked(pc, slot);
		memset(cpu->high, 0, sizeof(cpu->high));
		store_relaxed(&cpu->open, false);
		cpu->closed = false;
		open_locked(pc, slot);
	}
	lock_release(&cpu->lock, token);
	return n;
}

/* Takes in what is cached, on every CPU or on those that were idle since the last visit.  One fence.
 * Returns objects. */
size_t cache_drain(struct percpu *pc, bool idle_only)
{
	bool any = false;
	size_t n = 0;

	CHECK(mutex_is_held(&pc->alloc_mutex));
	if (!idle_only)
		store_relaxed(&pc->opened, 0u);
	for (uint32_t class = 0; !idle_only && class < CACHE_CLASSES_NR; class ++)
		store_relaxed(&pc->learn[class].opened, 0); /* whoever opens it again says so */
	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++)
		any = close_door(pc, slot, idle_only) || any;
	if (!any)
		return 0;
	stack_fence_all(&pc->stacks, pc->q->isolated_cpus);
	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++)
		n += empty_door(pc, slot);
	fetch_add_relaxed(&pc->drains, 1);
	return n;
}

static bool is_on_stack(struct percpu *pc, uint32_t slot, uint32_t granule)
{
	const uint32_t *entries = stack_entries(&pc->stacks, slot);

	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++)
		for (uint32_t i = LOW_OF(class); i < stack_header(&pc->stacks, slot, class)->top;
		     i++)
			if (entries[i] == granule)
				return true;
	return false;
}

/* Is that object on a stack?  Stops every CPU's: only for a free that found the mark. */
bool cache_holds(struct percpu *pc, struct place place)
{
	bool found = false;

	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++) {
		lock_token token = lock_acquire(&pc->cpu[slot].lock);

		if (pc->cpu[slot].ready) {
			close_locked(pc, slot);
			stack_fence_slot(&pc->stacks, slot);
			found = found || is_on_stack(pc, slot, place_granule(place));
			if (!pc->cpu[slot].closed)
				open_locked(pc, slot);
		}
		lock_release(&pc->cpu[slot].lock, token);
	}
	return found;
}

/* ---- P13 ---- */

/* Does one CPU's stacks hold objects of their classes only, each with a mark?  The marks are inverted on
 * the way, so that an offset which is met a second time has none. */
static bool is_slot_sound(struct percpu *pc, uint32_t slot, bool inverted)
{
	const uint32_t *entries = stack_entries(&pc->stacks, slot);
	lock_token door = lock_acquire(&pc->cpu[slot].lock), token = lock_acquire(&pc->lock);
	bool sound = true;

	for (uint32_t class = 0; pc->cpu[slot].ready && class < CACHE_CLASSES_NR; class ++) {
		for (uint32_t i = LOW_OF(class); i < stack_header(&pc->stacks, slot, class)->top;
		     i++) {
			struct place place = place_of_granule(entries[i]);
			char *ptr = place_ptr(pc, place);
			uint64_t mark, *copy;

			mark = cache_mark(pc, ptr) ^ (inverted ? ~(uint64_t)0 : 0);
			copy = (uint64_t *)(void *)(ptr + pc->home_bytes);
			if (object_bytes_locked(pc, place) != (class + 1) << GRANULE_SHIFT ||
			    *copy != mark)
				sound = false;
			else
				*copy = ~mark;
		}
	}
	lock_release(&pc->lock, token);
	lock_release(&pc->cpu[slot].lock, door);
	return sound;
}

/* P13, while no other thread uses the instance. */
bool cache_is_sound(struct percpu *pc)
{
	bool sound = true;

	for (unsigned inverted = 0; inverted <= 1; inverted++)
		for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++)
			sound = is_slot_sound(pc, slot, inverted != 0) && sound;
	return sound;
}

/* ---- fork: all doors ---- */

void cache_close_all(struct percpu *pc)
{
	bool any = false;

	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++) {
		pc->cpu[slot].kept = lock_acquire_ordered(&pc->cpu[slot].lock);
		if (pc->cpu[slot].ready) {
			close_locked(pc, slot);
			any = true;
		}
	}
	if (any)
		stack_fence_all(&pc->stacks, pc->q->isolated_cpus);
}

/* In a child every stack takes nothing: the first free is to call for another worker. */
void cache_open_all(struct percpu *pc, bool child)
{
	for (uint32_t slot = pc->stacks.slots_nr; slot-- != 0;) {
		if (child)
			memset(pc->cpu[slot].high, 0, sizeof(pc->cpu[slot].high));
		if (pc->cpu[slot].ready)
			open_locked(pc, slot);
		lock_release(&pc->cpu[slot].lock, pc->cpu[slot].kept);
	}
}

/* ---- making ---- */

int cache_init(struct percpu *pc)
{
	size_t unit = mem_page_bytes(), doors, stacks;
	char *addr;

	stack_setup(&pc->stacks, pc->q->options.cpus,
		    pc->q->isolated_cpus != NULL || pc->q->zones_nr > 1,
		    pc->q->options.rseq != QUIRE_OFF);
	if (pc->stacks.slots_nr > SLOTS_MAX || !pc->cache)
		pc->stacks.slots_nr = 0;
	doors = (pc->stacks.slots_nr + 1) * sizeof(struct percpu_cpu);
	doors = (doors + unit - 1) / unit * unit;
	stacks = (size_t)pc->stacks.slots_nr << STACKS_STRIDE_SHIFT;
	pc->cpu_bytes = doors + stacks;
	addr = mem_reserve(pc->cpu_bytes, unit, "quire-cpus");
	if (addr == NULL)
		return -ENOMEM;
	pc->stacks.base = addr + doors;
	if (mem_commit(addr, doors, "quire-cpus") != 0 ||
	    stacks_commit_readable(&pc->stacks, addr + pc->cpu_bytes) != 0) {
		mem_release(addr, pc->cpu_bytes);
		return -ENOMEM;
	}
	mem_advise_huge(addr, pc->cpu_bytes, false);
	pc->cpu = (struct percpu_cpu *)(void *)addr;
	for (uint32_t slot = 0; slot < pc->stacks.slots_nr; slot++)
		lock_init(&pc->cpu[slot].lock, RANK_PERCPU_CPU);
	return 0;
}

void cache_fini(struct percpu *pc)
{
	mem_release(pc->cpu, pc->cpu_bytes);
}
