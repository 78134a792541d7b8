/* SPDX-License-Identifier: MIT */
/*
 * vmap/cpu.c - one CPU's freed areas, by class
 *
 * Where there are sequences they stand on the CPU's stacks, one a class; elsewhere on lists under the
 * CPU's lock.  That lock is also the stacks' door: who drains another CPU's holds it, closes, fences,
 * empties, opens.  The CPU itself takes from its stacks without closing them.
 *
 * A stack keeps at most lazy_max of its size, and no more than its room; what finds none is spilled
 * by halves to the lazy list.
 */
#include "vmap/vmap.h"

#define HEADERS_NR (CLASSES_NR + 1) /* the last one always refuses */

_Static_assert(HEADERS_NR * sizeof(struct stack_header) + 4096 +
			       4 * (12 * 512 + 20 * 128 + (CLASSES_NR - 32) * 32) <=
		       STACKS_STRIDE,
	       "headers and entries fit into one slot's region");

static uint32_t stack_low(unsigned class)
{
	uint32_t low = HEADERS_NR * sizeof(struct stack_header) / sizeof(uint32_t);

	for (unsigned i = 0; i < class; i++)
		low += class_entries_max(i);
	return low;
}

/* What is kept of a class: its room, but no more bytes than lazy_max; two at least. */
static uint32_t class_high(const struct vmap *v, unsigned class)
{
	uint64_t most = v->lazy_max_pages / class_pages(class);

	if (!v->cache)
		return 0;
	if (most < 2)
		most = 2;
	return most < class_entries_max(class) ? (uint32_t)most : class_entries_max(class);
}

static void set_limits(struct stack_header *header, uint32_t low, uint32_t high)
{
	union {
		struct {
			uint32_t low, high;
		} part;
		uint64_t whole;
	} limits = { .part = { .low = low, .high = high } };

	/* Pairs with the sequences' loads, a bound before top. */
	store_release((uint64_t *)(void *)&header->low, limits.whole);
}

static bool has_stacks(const struct vmap *v, unsigned slot)
{
	return v->stacks.slots_nr != 0 && !load_relaxed(&v->cpu[slot].bare) &&
	       (v->q->isolated_cpus == NULL || !(v->q->isolated_cpus[slot / 64] >> slot % 64 & 1));
}

void cpu_close_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	CHECK(lock_is_held(&cpu->lock));
	if (cpu->closed_nr++ != 0 || !has_stacks(v, cpu->slot))
		return;
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		set_limits(stack_header(&v->stacks, cpu->slot, class), UINT32_MAX, 0);
}

void cpu_open_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	CHECK(lock_is_held(&cpu->lock));
	CHECK(cpu->closed_nr != 0);
	if (--cpu->closed_nr != 0 || !has_stacks(v, cpu->slot))
		return;
	for (unsigned class = 0, low = stack_low(0); class < CLASSES_NR;
	     low += class_entries_max(class ++)) {
		struct stack_header *header = stack_header(&v->stacks, cpu->slot, class);

		if (header->top < low)
			store_relaxed(&header->top, low); /* looked at by cpu_pages() */
		set_limits(header, low, low + (cpu->cold ? 0 : class_high(v, class)));
	}
}

/* The first free since the worker was here: stacks take again, and the worker comes again. */
static void warm_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	CHECK(lock_is_held(&cpu->lock));
	cpu->cold = false;
	for (unsigned class = 0, low = stack_low(0); class < CLASSES_NR && has_stacks(v, cpu->slot);
	     low += class_entries_max(class ++))
		set_limits(stack_header(&v->stacks, cpu->slot, class), low,
			   low + class_high(v, class));
	decay_kick(v);
}

static void fence(struct vmap *v, const struct vmap_cpu *cpu)
{
	if (has_stacks(v, cpu->slot))
		stack_fence_slot(&v->stacks, cpu->slot);
}

static void make_ready_locked(struct vmap *v, struct vmap_cpu *cpu)
{
	CHECK(lock_is_held(&cpu->lock));
	for (unsigned class = 0; class < CLASSES_NR; class ++)
		cpu->list[class] = RANGE_NONE;
	/* Before ready: cpu_take() asks for both without the lock, as a hint. */
	if (has_stacks(v, cpu->slot))
		store_relaxed(&cpu->bare, stacks_commit(&v->stacks, cpu->slot) != 0);
	store_relaxed(&cpu->ready, true);
	cpu->cold = true;
	/* An all-zero header refuses, but not while top is written: close, fence, open. */
	cpu_close_locked(v, cpu);
	fence(v, cpu);
	if (!lock_kept()) /* else the fork opens it, like those that it has closed */
		cpu_open_locked(v, cpu);
}

struct vmap_cpu *cpu_lock(struct vmap *v, unsigned slot, lock_token *token)
{
	struct vmap_cpu *cpu = &v->cpu[slot];

	*token = lock_acquire(&cpu->lock);
	if (!cpu->ready)
		make_ready_locked(v, cpu);
	return cpu;
}

struct vmap_cpu *cpu_current_try(struct vmap *v, lock_token *token)
{
	struct vmap_cpu *cpu = &v->cpu[(unsigned)stack_slot(&v->stacks)];

	if (!lock_try(&cpu->lock, token))
		return NULL;
	if (!cpu->ready)
		make_ready_locked(v, cpu);
	return cpu;
}

/* A write that changes nothing, and undoes nothing that a sequence pushes meanwhile, brings the page that
 * a class's first entry is in.  Whoever empties the stacks holds the lock. */
static void bring_entries_locked(struct vmap *v, struct vmap_cpu *cpu, unsigned class)
{
	uint32_t *entry = &stack_entries(&v->stacks, cpu->slot)[stack_low(class)];
	uint32_t found = load_relaxed(entry);

	CHECK(lock_is_held(&cpu->lock));
	(void)cas_relaxed(entry, &found, found);
}

void cpu_make_ready(struct vmap *v, unsigned class, unsigned flags)
{
	struct vmap_cpu *cpu = &v->cpu[(unsigned)stack_slot(&v->stacks)];
	lock_token token;

	if (class == CLASS_NONE || (flags & (QUIRE_NOLOCK | QUIRE_ATOMIC | QUIRE_NOWAIT)) ||
	    !v->cache || load_relaxed(&cpu->prepared[class])) /* a hint */
		return;
	cpu = cpu_current_try(v, &token);
	if (cpu == NULL)
		return;
	if (has_stacks(v, cpu->slot))
		bring_entries_locked(v, cpu, class);
	store_relaxed(&cpu->prepared[class], true); /* read as a hint */
	lock_release(&cpu->lock, token);
}

/* ---- one area ---- */

static uint32_t list_pop_locked(struct vmap *v, struct vmap_cpu *cpu, unsigned class)
{
	uint32_t index = cpu->list[class];

	CHECK(lock_is_held(&cpu->lock));
	if (index != RANGE_NONE) {
		cpu->list[class] = range_at(v, index)->next;
		store_relaxed(&cpu->list_nr[class], (uint16_t)(cpu->list_nr[class] - 1));
	}
	return index;
}

uint32_t cpu_take(struct vmap *v, unsigned class)
{
	uint32_t index = stack_pop(&v->stacks, class);
	struct vmap_cpu *cpu;
	lock_token token;

	if (index != STACK_NONE)
		return index;
	cpu = &v->cpu[(unsigned)stack_slot(&v->stacks)];
	/* A hint: has_stacks() CPUs have no lists, and an unused one has nothing. */
	if (has_stacks(v, cpu->slot) || !load_relaxed(&cpu->ready) || !lock_try(&cpu->lock, &token))
		return RANGE_NONE;
	index = cpu->closed_nr == 0 ? list_pop_locked(v, cpu, class) : RANGE_NONE;
	lock_release(&cpu->lock, token);
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
 * Puts a chain that was taken off a stack or list where others find it: large areas among the pooled
 * ranges, since a page fault costs more than merging; small ones, in many, on the lazy list.  The
 * CPU's lock is still held: who closes all CPUs waits for it, and so finds everything (V11).
 */
static void hand_on_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t chain)
{
	CHECK(lock_is_held(&cpu->lock));
	if (chain == RANGE_NONE)
		return;
	if (range_at(v, chain)->pages < v->block_pages)
		lazy_publish_chain(v, chain);
	else
		purge_pool_chain(v, chain);
}

/* Half of a full list, and the range that found no room. */
static uint32_t list_spill_locked(struct vmap *v, struct vmap_cpu *cpu, unsigned class,
				  uint32_t index)
{
	uint32_t chain = link_chain(v, &index, 1, RANGE_NONE);

	CHECK(lock_is_held(&cpu->lock));
	for (unsigned n = (cpu->list_nr[class] + 1u) / 2; n != 0; n--) {
		uint32_t other = list_pop_locked(v, cpu, class);

		chain = link_chain(v, &other, 1, chain);
	}
	return chain;
}

static uint32_t stack_spill(struct vmap *v, unsigned class, uint32_t index)
{
	uint32_t entries[256];
	unsigned n = stack_pop_n(&v->stacks, class, entries, (class_high(v, class) + 1) / 2);

	return link_chain(v, entries, n, link_chain(v, &index, 1, RANGE_NONE));
}

static bool put_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t index)
{
	unsigned class = range_at(v, index)->class;

	CHECK(lock_is_held(&cpu->lock));
	if (cpu->closed_nr != 0)
		return false;
	if (cpu->cold)
		warm_locked(v, cpu);
	if (has_stacks(v, cpu->slot)) {
		/* It was cold, or it is full. */
		if (!stack_push(&v->stacks, class, index, &v->push_allowed, 1))
			hand_on_locked(v, cpu, stack_spill(v, class, index));
	} else if (cpu->list_nr[class] < class_high(v, class)) {
		range_at(v, index)->next = cpu->list[class];
		cpu->list[class] = index;
		/* Looked at by cpu_pages(). */
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
	lock_release(&cpu->lock, token);
	return put;
}

/* ---- all of them ---- */

static uint32_t lists_take_all_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t chain)
{
	CHECK(lock_is_held(&cpu->lock));
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

/* Without closing: by the sequences that everybody uses. */
static uint32_t stacks_take_open(struct vmap *v, unsigned slot)
{
	uint32_t chain = RANGE_NONE, entries[64];

	for (unsigned class = 0, low = stack_low(0); class < CLASSES_NR;
	     low += class_entries_max(class ++)) {
		/* A hint: pairs with the sequences' commits.  One go a class is enough. */
		if (load_relaxed(&stack_header(&v->stacks, slot, class)->top) > low)
			chain = link_chain(v, entries, stack_pop_n(&v->stacks, class, entries, 64),
					   chain);
	}
	return chain;
}

void cpu_pool_own(struct vmap *v)
{
	uint32_t chain = RANGE_NONE;
	lock_token token;
	struct vmap_cpu *cpu = cpu_current_try(v, &token);

	if (cpu == NULL)
		return;
	if (cpu->closed_nr == 0)
		chain = has_stacks(v, cpu->slot) ? stacks_take_open(v, cpu->slot)
						 : lists_take_all_locked(v, cpu, RANGE_NONE);
	purge_pool_chain(v, chain);
	lock_release(&cpu->lock, token);
}

/* Empties closed and fenced stacks. */
static uint32_t stacks_take_all_locked(struct vmap *v, struct vmap_cpu *cpu, uint32_t chain)
{
	const uint32_t *entries = stack_entries(&v->stacks, cpu->slot);

	CHECK(lock_is_held(&cpu->lock));
	CHECK(cpu->closed_nr != 0);
	for (unsigned class = 0, low = stack_low(0); class < CLASSES_NR;
	     low += class_entries_max(class ++)) {
		struct stack_header *header = stack_header(&v->stacks, cpu->slot, class);
		uint32_t top = load_relaxed(&header->top);

		if (top <= low)
			continue;
		chain = link_chain(v, &entries[low], top - low, chain);
		store_relaxed(&header->top, low); /* looked at by cpu_pages() */
	}
	return chain;
}

bool cpu_drain(struct vmap *v, unsigned slot)
{
	struct vmap_cpu *cpu = &v->cpu[slot];
	lock_token token = lock_acquire(&cpu->lock);
	uint32_t chain = RANGE_NONE;

	if (cpu->ready) {
		cpu_close_locked(v, cpu);
		fence(v, cpu);
		if (has_stacks(v, slot))
			chain = stacks_take_all_locked(v, cpu, chain);
		chain = lists_take_all_locked(v, cpu, chain);
		purge_pool_chain(v, chain);
		cpu->cold = true;
		cpu_open_locked(v, cpu);
	}
	lock_release(&cpu->lock, token);
	return chain != RANGE_NONE;
}

/* Closes all and pools what they held.  Until cpus_open() everybody's frees go to the lazy list. */
void cpus_close(struct vmap *v)
{
	for (unsigned slot = 0; slot < v->stacks.doors_nr; slot++) {
		lock_token token;
		struct vmap_cpu *cpu = cpu_lock(v, slot, &token);

		cpu_close_locked(v, cpu);
		lock_release(&cpu->lock, token);
	}
	if (v->stacks.slots_nr != 0)
		stack_fence_all(&v->stacks, v->q->isolated_cpus);
	for (unsigned slot = 0; slot < v->stacks.doors_nr; slot++) {
		lock_token token;
		struct vmap_cpu *cpu = cpu_lock(v, slot, &token);
		uint32_t chain = RANGE_NONE;

		if (has_stacks(v, slot))
			chain = stacks_take_all_locked(v, cpu, chain);
		purge_pool_chain(v, lists_take_all_locked(v, cpu, chain));
		lock_release(&cpu->lock, token);
	}
}

void cpus_open(struct vmap *v)
{
	for (unsigned slot = 0; slot < v->stacks.doors_nr; slot++) {
		lock_token token;
		struct vmap_cpu *cpu = cpu_lock(v, slot, &token);

		cpu_open_locked(v, cpu);
		lock_release(&cpu->lock, token);
	}
}

/* What a CPU holds: a hint, but for who keeps everybody else away. */
uint64_t cpu_pages(struct vmap *v, unsigned slot, uint64_t *areas)
{
	struct vmap_cpu *cpu = &v->cpu[slot];
	uint64_t pages = 0;

	if (!load_relaxed(&cpu->ready))
		return 0;
	for (unsigned class = 0, low = stack_low(0); class < CLASSES_NR;
	     low += class_entries_max(class ++)) {
		uint32_t n = load_relaxed(&cpu->list_nr[class]);

		if (has_stacks(v, slot)) {
			/* Pairs with the sequences' commits. */
			uint32_t top = load_relaxed(&stack_header(&v->stacks, slot, class)->top);

			n += top > low ? top - low : 0;
		}
		pages += (uint64_t)n * class_pages(class);
		*areas += n;
	}
	return pages;
}
