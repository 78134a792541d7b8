/* SPDX-License-Identifier: MIT */
/*
 * vmap/cpu.c - one CPU's freed areas, by class
 *
 * With sequences, freed areas are on the CPU's stacks, one for each class (stacks/stacks.h);
 * without, on lists under the lock of the stacks' door.  A drain of another CPU holds the door,
 * closes the stacks, fences, empties them, and reopens them.  On the CPU on which it runs a thread
 * pops up to 64 areas of each class without closing the stacks (cpu_pool_own()), or one area to be
 * cut (cpu_pool_larger()).
 *
 * A stack keeps areas of at most lazy_max in total, limited by its room.  When it is full, half of
 * it is handed on: large areas to the pooled ranges, small ones to the lazy list.
 */
#include "vmap/cpu.h"

#include <quire/quire.h>

#include "base/check.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/stack.h"
#include "stacks/stacks.h"
#include "vmap/class.h"
#include "vmap/decay.h"
#include "vmap/free.h"
#include "vmap/layout.h"
#include "vmap/lazy.h"
#include "vmap/purge.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

#define HEADERS_NR    (CLASSES_NR + 1) /* the last one always refuses */
#define ALIGNED_LOOKS 8u	       /* areas of a class that are looked at for an aligned one */

_Static_assert(HEADERS_NR * sizeof(struct stack_header) + STACKS_OFFSET_MAX +
			       4 * (12 * 512 + 20 * 128 + (CLASSES_NR - 32) * 32) <=
		       STACKS_STRIDE,
	       "headers and entries fit into one slot's region");

void cpus_init_stacks(struct vmap *v)
{
	v->stacks = (struct stacks){
		.cpu = v->q->cpus,
		.isolated = v->q->isolated_cpus,
		.class = v->stack_class,
		.classes_nr = CLASSES_NR,
	};
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		v->stack_class[class] = (struct stacks_class){
			.header = (uint16_t) class,
			.room = (uint16_t)class_entries_max(class),
		};
	stacks_lay_out(&v->stacks, HEADERS_NR);
}

/* Areas of a class that a CPU keeps: as many as the class has room for, but not more than lazy_max
 * in bytes, and at least two. */
static uint32_t class_high(const struct vmap *v, unsigned class)
{
	/* A hint: pairs with decay_tick(). */
	uint64_t most = load_relaxed(&v->lazy_max_pages) / class_pages(class);

	if (!v->cache)
		return 0;
	if (most < 2)
		most = 2;
	return most < class_entries_max(class) ? (uint32_t)most : class_entries_max(class);
}

/* A hint without the CPU's lock.  If there are stacks, the lists are empty. */
static bool has_stacks(const struct vmap_cpu *cpu)
{
	return load_relaxed(&cpu->door.usable);
}

/* To call at the first free since the worker's visit: makes the stacks accept areas, and a visit
 * due. */
static void warm_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	CHECK(lock_is_held(&cpu->door.lock));
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		stacks_set_keeps_locked(&v->stacks, &cpu->door, class, class_high(v, class));
	decay_kick(v);
}

static void begin_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	CHECK(lock_is_held(&cpu->door.lock));
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		cpu->list[class] = RANGE_NONE;
	if (stacks_begin_locked(&v->stacks, &cpu->door) != 0)
		stacks_begin_bare_locked(&v->stacks, &cpu->door); /* lists need no memory */
}

struct vmap_cpu *cpu_lock(struct vmap *v, unsigned slot, lock_token *token)
{
	struct vmap_cpu *cpu = &v->cpu[slot];

	*token = lock_acquire(&cpu->door.lock);
	if (!cpu->door.ready)
		begin_locked(v, cpu);
	return cpu;
}

struct vmap_cpu *cpu_current_try(struct vmap *v, lock_token *token)
{
	struct vmap_cpu *cpu = &v->cpu[(unsigned)stack_slot(&v->stacks.cpu)];

	if (!lock_try(&cpu->door.lock, token))
		return NULL;
	if (!cpu->door.ready)
		begin_locked(v, cpu);
	return cpu;
}

void cpu_make_ready(struct vmap *v, unsigned class, unsigned flags)
{
	struct vmap_cpu *cpu = &v->cpu[(unsigned)stack_slot(&v->stacks.cpu)];
	lock_token token;

	if (class == CLASS_NONE || (flags & (QUIRE_NOLOCK | QUIRE_ATOMIC | QUIRE_NOWAIT)) ||
	    !v->cache || load_relaxed(&cpu->prepared[class])) /* a hint */
		return;
	cpu = cpu_current_try(v, &token);
	if (cpu == NULL)
		return;
	stacks_touch_locked(&v->stacks, &cpu->door, class);
	store_relaxed(&cpu->prepared[class], true); /* read as a hint */
	lock_release(&cpu->door.lock, token);
}

/* ---- one area ---- */

static uint32_t list_pop_locked(struct vmap *v, struct vmap_cpu *cpu, unsigned class)
{
	uint32_t index = cpu->list[class];

	CHECK(lock_is_held(&cpu->door.lock));
	if (index != RANGE_NONE) {
		cpu->list[class] = range_at(v, index)->next;
		store_relaxed(&cpu->list_nr[class], (uint16_t)(cpu->list_nr[class] - 1));
	}
	return index;
}

static uint32_t link_chain(struct vmap *v, const uint32_t *indexes, unsigned n, uint32_t chain)
{
	for (unsigned i = 0; i < n; i++) {
		range_at(v, indexes[i])->next = chain;
		chain = indexes[i];
	}
	return chain;
}

/*
 * Puts a chain that was taken off a stack or list where other CPUs find it.  Large areas are pooled
 * at once: merging them costs less than the page faults of a new area.  Small ones, of which there
 * are many, go to the lazy list.  The CPU's lock is still held, so a thread that closes all CPUs'
 * stacks waits for this, and then finds every area (V11).
 */
static void hand_on_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t chain)
{
	CHECK(lock_is_held(&cpu->door.lock));
	if (chain == RANGE_NONE)
		return;
	if (range_at(v, chain)->pages < v->block_pages)
		lazy_publish_chain(v, chain);
	else
		purge_pool_chain(v, chain);
}

/* Hands on half of a full list, and the range that found no room. */
static uint32_t list_spill_locked(struct vmap *v, struct vmap_cpu *cpu, unsigned class,
				  uint32_t index)
{
	uint32_t chain = link_chain(v, &index, 1, RANGE_NONE);

	CHECK(lock_is_held(&cpu->door.lock));
	for (unsigned n = (cpu->list_nr[class] + 1u) / 2; n != 0; n--) {
		uint32_t other = list_pop_locked(v, cpu, class);

		chain = link_chain(v, &other, 1, chain);
	}
	return chain;
}

static uint32_t stack_spill(struct vmap *v, unsigned class, uint32_t index)
{
	uint32_t entries[256];
	unsigned n = stack_pop_n(&v->stacks.cpu, class, entries, (class_high(v, class) + 1) / 2);

	return link_chain(v, entries, n, link_chain(v, &index, 1, RANGE_NONE));
}

static bool put_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t index)
{
	unsigned class = range_at(v, index)->class;

	CHECK(lock_is_held(&cpu->door.lock));
	if (cpu->door.closed_nr != 0)
		return false;
	if (!cpu->door.warm) {
		warm_locked(v, cpu);
		store_relaxed(&v->common_class, (uint8_t) class); /* read by quire_vfree() */
	}
	if (has_stacks(cpu)) {
		/* The stack was cold, or it is full. */
		if (!stack_push(&v->stacks.cpu, class, index, &v->push_allowed, 1))
			hand_on_locked(v, cpu, stack_spill(v, class, index));
	} else if (cpu->list_nr[class] < class_high(v, class)) {
		range_at(v, index)->next = cpu->list[class];
		cpu->list[class] = index;
		/* Read by cpu_pages(). */
		store_relaxed(&cpu->list_nr[class], (uint16_t)(cpu->list_nr[class] + 1));
	} else {
		hand_on_locked(v, cpu, list_spill_locked(v, cpu, class, index));
	}
	return true;
}

bool cpu_put(struct vmap *v, uint32_t index)
{
	struct vmap_cpu *cpu;
	lock_token token;
	bool put;

	if (range_at(v, index)->class == CLASS_NONE || !v->cache)
		return false;
	cpu = cpu_current_try(v, &token);
	if (cpu == NULL)
		return false;
	put = put_locked(v, cpu, index);
	lock_release(&cpu->door.lock, token);
	return put;
}

/* ---- taking one ---- */

static bool is_aligned(struct vmap *v, uint32_t index, uint32_t align)
{
	return (range_at(v, index)->start & (align - 1)) == 0;
}

/* Removes the newest aligned area from @indexes, which are oldest first.  Returns it, or RANGE_NONE. */
static uint32_t pick_aligned(struct vmap *v, uint32_t *indexes, unsigned *n, uint32_t align)
{
	for (unsigned i = *n; i-- != 0;) {
		uint32_t index = indexes[i];

		if (!is_aligned(v, index, align))
			continue;
		for (--*n; i < *n; i++)
			indexes[i] = indexes[i + 1];
		return index;
	}
	return RANGE_NONE;
}

static uint32_t pick_from_list_locked(struct vmap *v, struct vmap_cpu *cpu, unsigned class,
				      uint32_t align)
{
	uint32_t *link = &cpu->list[class];

	CHECK(lock_is_held(&cpu->door.lock));
	for (unsigned i = 0; *link != RANGE_NONE && i < ALIGNED_LOOKS; i++) {
		uint32_t index = *link;

		if (is_aligned(v, index, align)) {
			*link = range_at(v, index)->next;
			/* Read by cpu_pages(). */
			store_relaxed(&cpu->list_nr[class], (uint16_t)(cpu->list_nr[class] - 1));
			return index;
		}
		link = &range_at(v, index)->next;
	}
	return RANGE_NONE;
}

/* Looks at @found, which was popped, and at those that were below it.  What is not taken goes back
 * before the lock is released, so that a thread that closes all CPUs' stacks finds it (V11). */
static uint32_t pick_from_stack_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t found,
				       uint32_t align)
{
	uint32_t indexes[ALIGNED_LOOKS], taken;
	unsigned class = range_at(v, found)->class, back;
	unsigned n = stack_pop_n(&v->stacks.cpu, class, indexes, ALIGNED_LOOKS - 1);

	CHECK(lock_is_held(&cpu->door.lock));
	indexes[n++] = found;
	taken = pick_aligned(v, indexes, &n, align);
	back = stack_push_n(&v->stacks.cpu, class, indexes, n);
	/* Fewer if the stacks were closed, or if this thread has moved to a CPU whose stack is full. */
	hand_on_locked(v, cpu, link_chain(v, indexes + back, n - back, RANGE_NONE));
	return taken;
}

uint32_t cpu_take(struct vmap *v, unsigned class, uint32_t align)
{
	uint32_t index = stack_pop(&v->stacks.cpu, class);
	struct vmap_cpu *cpu;
	lock_token token;

	if (index != STACK_NONE && is_aligned(v, index, align))
		return index;
	cpu = &v->cpu[(unsigned)stack_slot(&v->stacks.cpu)];
	/* A hint: has_stacks() CPUs have no lists, and an unused one has nothing. */
	if (index == STACK_NONE && (has_stacks(cpu) || !load_relaxed(&cpu->door.ready)))
		return RANGE_NONE;
	cpu = cpu_current_try(v, &token);
	if (cpu == NULL) {
		if (index != STACK_NONE)
			vmap_free_range(v, index);
		return RANGE_NONE;
	}
	if (index != STACK_NONE)
		index = pick_from_stack_locked(v, cpu, index, align);
	else if (cpu->door.closed_nr == 0)
		index = pick_from_list_locked(v, cpu, class, align);
	lock_release(&cpu->door.lock, token);
	return index;
}

/* ---- all of them ---- */

static uint32_t lists_take_all_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t chain)
{
	CHECK(lock_is_held(&cpu->door.lock));
	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		for (;;) {
			uint32_t index = list_pop_locked(v, cpu, class);

			if (index == RANGE_NONE)
				break;
			chain = link_chain(v, &index, 1, chain);
		}
	}
	return chain;
}

/* Pops the newest of each class, 64 at most, without closing the stacks.  One attempt per class is
 * enough. */
static uint32_t pop_some(struct vmap *v, struct vmap_cpu *cpu)
{
	uint32_t chain = RANGE_NONE, entries[64];

	for (unsigned class = 0; class < CLASSES_NR; class ++)
		if (stacks_held(&v->stacks, &cpu->door, class) != 0)
			chain = link_chain(v, entries,
					   stack_pop_n(&v->stacks.cpu, class, entries, 64), chain);
	return chain;
}

void cpu_pool_own(struct vmap *v)
{
	uint32_t chain = RANGE_NONE;
	lock_token token;
	struct vmap_cpu *cpu = cpu_current_try(v, &token);

	if (cpu == NULL)
		return;
	if (cpu->door.closed_nr == 0)
		chain = has_stacks(cpu) ? pop_some(v, cpu)
					: lists_take_all_locked(v, cpu, RANGE_NONE);
	purge_pool_chain(v, chain);
	lock_release(&cpu->door.lock, token);
}

/* A hint, unless no other thread uses the instance. */
static uint32_t held(const struct vmap *v, const struct vmap_cpu *cpu, unsigned class)
{
	return load_relaxed(&cpu->list_nr[class]) + stacks_held(&v->stacks, &cpu->door, class);
}

/* The area is pooled before the lock is released, so that a thread that closes all CPUs' stacks finds
 * it (V11). */
bool cpu_pool_larger(struct vmap *v, unsigned class, unsigned end)
{
	struct vmap_cpu *cpu = &v->cpu[(unsigned)stack_slot(&v->stacks.cpu)];
	uint32_t index = RANGE_NONE;
	lock_token token;

	if (!load_relaxed(&cpu->door.ready)) /* a hint: an unused CPU has nothing */
		return false;
	while (class < end && held(v, cpu, class) == 0)
		class ++;
	cpu = class < end ? cpu_current_try(v, &token) : NULL;
	if (cpu == NULL)
		return false;
	if (cpu->door.closed_nr == 0)
		index = has_stacks(cpu) ? stack_pop(&v->stacks.cpu, class)
					: list_pop_locked(v, cpu, class);
	if (index != RANGE_NONE)
		purge_pool_chain(v, link_chain(v, &index, 1, RANGE_NONE));
	lock_release(&cpu->door.lock, token);
	return index != RANGE_NONE;
}

/* Empties lists, and closed and fenced stacks. */
static uint32_t take_all_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	uint32_t chain = RANGE_NONE;

	CHECK(lock_is_held(&cpu->door.lock));
	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		const uint32_t *entries;
		unsigned n =
			stacks_take_locked(&v->stacks, &cpu->door, class, UINT32_MAX, &entries);

		chain = link_chain(v, entries, n, chain);
	}
	return lists_take_all_locked(v, cpu, chain);
}

bool cpu_drain(struct vmap *v, unsigned slot)
{
	struct vmap_cpu *cpu = &v->cpu[slot];
	lock_token token = lock_acquire(&cpu->door.lock);
	uint32_t chain = RANGE_NONE;

	if (cpu->door.ready) {
		stacks_close_locked(&v->stacks, &cpu->door);
		stacks_fence_slot(&v->stacks, slot);
		chain = take_all_locked(v, cpu);
		purge_pool_chain(v, chain);
		stacks_cool_locked(&v->stacks, &cpu->door);
		stacks_open_locked(&v->stacks, &cpu->door);
	}
	lock_release(&cpu->door.lock, token);
	return chain != RANGE_NONE;
}

void cpus_close(struct vmap *v)
{
	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++) {
		lock_token token;
		struct vmap_cpu *cpu = cpu_lock(v, slot, &token);

		stacks_close_locked(&v->stacks, &cpu->door);
		lock_release(&cpu->door.lock, token);
	}
	stacks_fence_all(&v->stacks);
	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++) {
		lock_token token;
		struct vmap_cpu *cpu = cpu_lock(v, slot, &token);

		purge_pool_chain(v, take_all_locked(v, cpu));
		lock_release(&cpu->door.lock, token);
	}
}

void cpus_open(struct vmap *v)
{
	for (unsigned slot = 0; slot < v->stacks.cpu.all_slots_nr; slot++) {
		lock_token token;
		struct vmap_cpu *cpu = cpu_lock(v, slot, &token);

		stacks_open_locked(&v->stacks, &cpu->door);
		lock_release(&cpu->door.lock, token);
	}
}

/* Pages of the areas that a CPU holds: a hint, exact only if no other thread uses the instance. */
uint64_t cpu_pages(struct vmap *v, unsigned slot, uint64_t *areas)
{
	struct vmap_cpu *cpu = &v->cpu[slot];
	uint64_t pages = 0;

	if (!load_relaxed(&cpu->door.ready))
		return 0;
	for (unsigned class = 0; class < CLASSES_NR; class ++) {
		uint32_t n = held(v, cpu, class);

		pages += (uint64_t)n * class_pages(class);
		*areas += n;
	}
	return pages;
}
