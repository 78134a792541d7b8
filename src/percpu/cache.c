/* SPDX-License-Identifier: MIT */
/*
 * percpu/cache.c - free objects on per-CPU stacks
 *
 * An object that is freed and soon allocated again need not pass through the maps.  For each size
 * up to 512 bytes each CPU has a stack of free objects' granules; sequences push and pop them.  In
 * the maps a cached object is still allocated.  A mark shows that it is free: a number computed
 * from its address and a secret, in its copy on the home CPU (the first CPU that used per-CPU
 * memory).  A free writes the mark.  If it finds the mark already there, it closes and searches
 * all stacks before it reports "double free".  Allocating the object clears the mark with the
 * rest of the object.
 *
 *   Why a mark, and not a third bit in the maps?  CPUs free and allocate objects of the same map word
 *   without a lock, so a bit would need an atomic operation in every call, which takes two thirds of the
 *   time allowed for a pair.  Why the home CPU's copy, and not the current CPU's?  The second free may
 *   run on another CPU.
 *
 * refill.c says how much a stack keeps, and moves objects between it and the maps by the batch.
 *
 * cpu->door is the door of that CPU's stacks (stacks/stacks.h).  Stacks are emptied in three cases: the
 * worker finds them idle, chunks are about to be depopulated, or memory is short.  Emptying requires
 * alloc_mutex.  Fork takes alloc_mutex too, so it never finds a stack half emptied.
 */
#include "percpu/cache.h"
#include "percpu/balance.h"
#include "percpu/object.h"
#include "percpu/place.h"
#include "percpu/refill.h"

/* ---- classes ---- */

uint32_t cache_class(const struct percpu *pc, uint32_t granules)
{
	if (granules <= CACHE_SMALL_NR)
		return granules - 1;
	if ((granules & pc->granule_mask) != 0 ||
	    granules >> pc->page_granules_shift > CACHE_PAGES_NR || pc->sparse)
		return NONE;
	return CACHE_SMALL_NR + (granules >> pc->page_granules_shift) - 1;
}

uint32_t cache_granules(const struct percpu *pc, uint32_t class)
{
	return class < CACHE_SMALL_NR ? class + 1 : page_granule(pc, class - CACHE_SMALL_NR + 1);
}

uint32_t cache_room(const struct percpu *pc, uint32_t class)
{
	uint32_t room = CACHE_ROOM_GRANULES / cache_granules(pc, class);

	if (room == 0)
		return 1;
	return room < CACHE_ROOM_MAX ? room : CACHE_ROOM_MAX;
}

/* ---- marks ---- */

static uint64_t *mark_word(const struct percpu *pc, uint32_t granule)
{
	return (uint64_t *)(void *)(granule_ptr(pc, granule) + pc->home_bytes);
}

void cache_set_mark(struct percpu *pc, uint32_t class, uint32_t granule)
{
	if (class < CACHE_SMALL_NR)
		*mark_word(pc, granule) = cache_mark(pc, granule_ptr(pc, granule));
	else /* read by frees */
		store_relaxed(&pc->page[granule_page(pc, granule)].cached, 1);
}

/* Reads the copy only if objects of this size may be cached: reading an untouched copy makes the
 * system allocate a page table. */
bool cache_has_mark_locked(const struct percpu *pc, struct place place, uint32_t granules)
{
	uint32_t class = granules == 0 ? NONE : cache_class(pc, granules);

	DCHECK(lock_is_held(&pc->lock));
	if (class == NONE || !load_relaxed(&pc->learn[class].opened))
		return false;
	if (class >= CACHE_SMALL_NR)
		return load_relaxed(&pc->page[place_page(pc, place)].cached) != 0; /* a stack's */
	return *mark_word(pc, place_granule(place)) == cache_mark(pc, place_ptr(pc, place));
}

/* ---- one CPU's stacks ---- */

/* Number of objects on one CPU's stacks.  Exact while its door is closed and fenced. */
static uint32_t cpu_count(const struct percpu *pc, uint32_t slot)
{
	uint32_t n = 0;

	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++)
		n += stacks_held(&pc->stacks, &pc->cpu[slot].door, class);
	return n;
}

uint64_t cache_count(struct percpu *pc)
{
	uint64_t n = 0;

	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		n += cpu_count(pc, slot);
	return n;
}

/* A hint.  A stack that becomes warm meanwhile is not missed: balance_kick_later().  After a
 * fork, cold stacks of the child may hold objects. */
bool cache_is_open(const struct percpu *pc)
{
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		if (load_relaxed(&pc->cpu[slot].door.warm) || cpu_count(pc, slot) != 0)
			return true;
	return false;
}

/* ---- cache lines ---- */

/*
 * Every pass through a stack writes to the object, at least its mark.  If two CPUs do that in the
 * same cache line, a pair takes 20 ns instead of 8.  So after a CPU's stack has grown, the next
 * objects that the CPU allocates start on a cache line of their own, if there is room for that.
 * lines[] counts how many still should: as many as the growth of the stack, so at most
 * LINES_MAX each time a stack is opened.  The first object of a refill starts on a line in any case, as
 * the others follow it in the same one.  Likewise objects of whole
 * pages begin with a page then, as stacks demand.
 */
static uint8_t *lines_of(struct percpu *pc, uint32_t class)
{
	uint32_t slot = (uint32_t)stack_slot(&pc->stacks.cpu);

	return slot < pc->stacks.cpu.slots_nr ? &pc->cpu[slot].lines[class] : NULL;
}

uint32_t cache_alignment(struct percpu *pc, uint32_t granules, uint32_t align)
{
	uint32_t class = cache_class(pc, granules);
	const uint8_t *lines;

	if (class == NONE || !load_relaxed(&pc->learn[class].opened))
		return 1;
	if (class < CACHE_SMALL_NR && align > 1)
		return 1; /* stacks do not serve larger alignments */
	lines = lines_of(pc, class);
	if (lines == NULL || load_relaxed(lines) == 0)
		return 1;
	return class < CACHE_SMALL_NR ? LINE_GRANULES : page_granules(pc);
}

/* Not atomic as a whole: the count may be off by one, which does no harm. */
void cache_had_alignment(struct percpu *pc, uint32_t granules)
{
	uint8_t *lines = lines_of(pc, cache_class(pc, granules));
	uint8_t left = lines != NULL ? load_relaxed(lines) : 0;

	if (left != 0) /* of the value that was found, or 0 would become 255 */
		store_relaxed(lines, (uint8_t)(left - 1));
}

/* ---- emptying ---- */

/* Empties one class of a closed and fenced door, a batch in each hold of the lock. */
static size_t give_class_locked(struct percpu *pc, struct stacks_door *door, uint32_t class)
{
	const uint32_t *entries;
	size_t given = 0;
	unsigned n;

	DCHECK(lock_is_held(&door->lock));
	stacks_set_keeps_locked(&pc->stacks, door, class, 0);
	do {
		n = stacks_take_locked(&pc->stacks, door, class, CACHE_BATCH, &entries);
		cache_give(pc, entries, n);
		given += n;
	} while (n != 0);
	return given;
}

/* Chooses the classes that are idle, and notes what each holds.  A stack that is popped and pushed in turns may
 * seem to be idle; then it is opened again soon.  Returns whether any is. */
static bool choose_idle_locked(struct percpu *pc, struct percpu_cpu *cpu)
{
	bool any = false;

	DCHECK(lock_is_held(&cpu->door.lock));
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		unsigned held = stacks_held(&pc->stacks, &cpu->door, class);
		bool used = held != 0 || stacks_keeps_locked(&pc->stacks, &cpu->door, class) != 0;

		cpu->idle[class] = used && held == cpu->seen[class];
		cpu->seen[class] = (uint16_t)held;
		any = any || cpu->idle[class] != 0;
	}
	return any;
}

static bool close_door(struct percpu *pc, uint32_t slot, bool idle_only)
{
	struct percpu_cpu *cpu = &pc->cpu[slot];
	lock_token token = lock_acquire(&cpu->door.lock);
	bool chosen = cpu->door.ready;

	if (chosen && idle_only)
		chosen = choose_idle_locked(pc, cpu);
	if (chosen) {
		cpu->emptying = true;
		stacks_close_locked(&pc->stacks, &cpu->door);
	}
	lock_release(&cpu->door.lock, token);
	return chosen;
}

static size_t empty_door(struct percpu *pc, uint32_t slot, bool idle_only)
{
	struct percpu_cpu *cpu = &pc->cpu[slot];
	lock_token token = lock_acquire(&cpu->door.lock);
	size_t n = 0;

	if (cpu->emptying) {
		for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
			if (idle_only && cpu->idle[class] == 0)
				continue;
			n += give_class_locked(pc, &cpu->door, class);
			if (idle_only)
				cache_forget(pc, class);
		}
		cpu->emptying = false;
		stacks_open_locked(&pc->stacks, &cpu->door);
	}
	lock_release(&cpu->door.lock, token);
	return n;
}

/* Only where it is noted, so that copies that were never cached stay untouched. */
static void change_opened(struct percpu *pc, uint8_t from, uint8_t to)
{
	uint32_t any = from;

	(void)cas_relaxed(&pc->opened, &any, (uint32_t)to);
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		uint8_t one = from;

		(void)cas_relaxed(&pc->learn[class].opened, &one, to);
	}
}

static size_t empty_closed(struct percpu *pc, bool idle_only)
{
	size_t n = 0;

	stacks_fence_all(&pc->stacks);
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		n += empty_door(pc, slot, idle_only);
	fetch_add_relaxed(&pc->drains, 1);
	return n;
}

/* Fences once for all CPUs.  Until every stack is empty a second free searches them.  Which stacks were opened
 * is forgotten then, but not what has been opened again meanwhile. */
size_t cache_drain(struct percpu *pc, bool idle_only)
{
	bool any = false;
	size_t n;

	CHECK(mutex_is_held(&pc->alloc_mutex));
	if (!idle_only)
		change_opened(pc, OPENED, OPENED_EMPTYING);
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		any = close_door(pc, slot, idle_only) || any;
	n = any ? empty_closed(pc, idle_only) : 0;
	if (!idle_only)
		change_opened(pc, OPENED_EMPTYING, OPENED_NOT);
	return n;
}

static bool is_on_stack(struct percpu *pc, uint32_t slot, uint32_t granule)
{
	const struct stacks_door *door = &pc->cpu[slot].door;

	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		const uint32_t *entries = stacks_entries(&pc->stacks, door, class);
		unsigned held = stacks_held(&pc->stacks, door, class);

		for (unsigned i = 0; i < held; i++)
			if (entries[i] == granule)
				return true;
	}
	return false;
}

/* True if the object is on a stack.  Closes and fences every CPU's stacks, one CPU at a time, so it
 * is called only if a free has found the mark. */
bool cache_holds(struct percpu *pc, struct place place)
{
	bool found = false;

	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++) {
		struct stacks_door *door = &pc->cpu[slot].door;
		lock_token token = lock_acquire(&door->lock);

		if (door->ready) {
			stacks_close_locked(&pc->stacks, door);
			stacks_fence_slot(&pc->stacks, slot);
			found = found || is_on_stack(pc, slot, place_granule(place));
			stacks_open_locked(&pc->stacks, door);
		}
		lock_release(&door->lock, token);
	}
	return found;
}

/* ---- P13 ---- */

/* True if the entry is an object of its class and carries the mark, or with @inverted the inverted
 * mark.  Inverts the mark, so that an object that is cached twice fails the second time. */
static bool is_entry_sound_locked(struct percpu *pc, uint32_t class, uint32_t granule,
				  bool inverted)
{
	uint64_t mark = cache_mark(pc, granule_ptr(pc, granule)) ^ (inverted ? ~(uint64_t)0 : 0);
	uint8_t *cached = &pc->page[granule_page(pc, granule)].cached;
	bool small = class < CACHE_SMALL_NR;

	DCHECK(lock_is_held(&pc->lock));
	if (object_bytes_locked(pc, place_of_granule(granule)) != cache_granules(pc, class)
									  << GRANULE_SHIFT ||
	    (small ? *mark_word(pc, granule) != mark : *cached != 1u + inverted))
		return false;
	if (small)
		*mark_word(pc, granule) = ~mark;
	else
		*cached = inverted ? 1 : 2;
	return true;
}

static bool is_slot_sound(struct percpu *pc, uint32_t slot, bool inverted)
{
	struct stacks_door *door = &pc->cpu[slot].door;
	lock_token door_token = lock_acquire(&door->lock), token = lock_acquire(&pc->lock);
	bool sound = true;

	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++) {
		const uint32_t *entries = stacks_entries(&pc->stacks, door, class);
		unsigned held = stacks_held(&pc->stacks, door, class);

		for (unsigned i = 0; i < held; i++)
			sound = is_entry_sound_locked(pc, class, entries[i], inverted) && sound;
	}
	lock_release(&pc->lock, token);
	lock_release(&door->lock, door_token);
	return sound;
}

/* P13, while no other thread uses the instance. */
bool cache_is_sound(struct percpu *pc)
{
	bool sound = true;

	for (unsigned inverted = 0; inverted <= 1; inverted++)
		for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
			sound = is_slot_sound(pc, slot, inverted != 0) && sound;
	return sound;
}

/* ---- fork ---- */

/* Pages close theirs later, on the same CPUs, and their fence is for these as well. */
void cache_close_all(struct percpu *pc)
{
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		stacks_fork_prepare(&pc->stacks, &pc->cpu[slot].door);
}

void cache_open_all(struct percpu *pc, bool child)
{
	for (uint32_t slot = pc->stacks.cpu.slots_nr; slot-- != 0;)
		stacks_fork_done(&pc->stacks, &pc->cpu[slot].door, child);
}

/* ---- creation ---- */

static void set_classes(struct percpu *pc)
{
	pc->stacks.isolated = pc->q->isolated_cpus;
	pc->stacks.class = pc->stack_class;
	pc->stacks.classes_nr = CACHE_CLASSES_NR;
	for (uint32_t class = 0; class < CACHE_CLASSES_NR; class ++)
		pc->stack_class[class] =
			(struct stacks_class){ .header = (uint16_t) class,
					       .room = (uint16_t)cache_room(pc, class) };
	stacks_lay_out(&pc->stacks, CACHE_CLASSES_NR);
}

int cache_init(struct percpu *pc)
{
	pc->stacks.cpu = pc->q->cpus;
	if (!pc->cache)
		pc->stacks.cpu.slots_nr = 0;
	set_classes(pc);
	/* One more: with no slot there would be nothing to reserve. */
	pc->cpu = stacks_reserve(&pc->stacks,
				 (pc->stacks.cpu.slots_nr + 1) * sizeof(struct percpu_cpu),
				 "quire-cpus", &pc->cpu_bytes);
	if (pc->cpu == NULL)
		return -ENOMEM;
	for (uint32_t slot = 0; slot < pc->stacks.cpu.slots_nr; slot++)
		stacks_door_init(&pc->cpu[slot].door, RANK_PERCPU_CPU, slot, 0, CACHE_CLASSES_NR);
	return 0;
}

void cache_fini(struct percpu *pc)
{
	mem_release(pc->cpu, pc->cpu_bytes);
}
