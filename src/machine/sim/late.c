/* SPDX-License-Identifier: MIT */
/*
 * late.c - a load that gets what memory held a while ago
 *
 * A processor may perform a load before those that precede it in the program, unless an acquire, a fence or a
 * lock lies between them.  Here the program is executed in order, so such a load comes late: it returns what the
 * word held at an earlier time, to which nothing forbids the load to belong.
 *
 * Words
 *   time       counts the stores to watched units that have become visible to all CPUs
 *   unit       an aligned group of 4 bytes, watched in a run from its first marked access on
 *   perform    a load is performed at one time, and gets what all CPUs would have read then
 *   pin        of a task: its loads are performed at this time or later
 *
 * What raises a pin
 *   acquire load           to the time at which the load itself was performed
 *   acquire fence          to the latest time at which a load of the task was performed
 *   locked acquire, lock, full fence, membarrier, switch of tasks, wake-up    to now
 *
 * So there is one order of stores that all CPUs see: the machine is multi-copy atomic but for a CPU's own
 * stores, as aarch64 is and POWER is not.  Loads of one unit are performed in the order of the program (floors), and
 * a store that waits in the task's own buffer is read from there.
 *
 * Dependencies do not order loads here, as they do on both architectures: what relies on one alone is reported.
 * A load never gets what a store writes that comes after it in the execution, so load buffering is not seen.
 *
 * A locked operation's load gets the latest value, which no store follows but its own.  That one may wait in the
 * buffer (buffer.c), and then comes later than stores that follow the operation, and than the loads that it orders.
 *
 * Of each unit the last OLDS stores are kept.  A store by plain code counts, too, once the unit is watched.
 */
#include <string.h>

#include "machine/sim/internal.h"

#define UNITS 16384
#define OLDS  4 /* a load may be so many stores late; races that need more are not known */

/* A store: what it replaced, byte by byte. */
struct old {
	uint32_t time;
	uint32_t value;
	uint32_t mask; /* of the bits that it wrote */
};

struct unit {
	uint64_t tag;  /* run and address */
	uint32_t gone; /* values from before this time are not kept */
	uint32_t olds_nr;
	struct old olds[OLDS]; /* the newest is last */
	uint32_t floors
		[TASKS_MAX]; /* when the task's last load of it was performed, or its store left */
};

static struct unit units[UNITS];
static uint32_t now;
static uint32_t pins[TASKS_MAX], performed[TASKS_MAX];

/* ---- units ---- */

static uint64_t tag_of(uintptr_t at)
{
	uint32_t outside = in_arena((const void *)at) ? 0 : UINT32_C(1) << 31;

	return (uint64_t)sim_run_number << 32 | outside | (uint32_t)at >> 2;
}

/* The place of a unit, or the free one where it would be. */
static struct unit *place_of(uintptr_t at)
{
	uint64_t tag = tag_of(at);
	size_t slot = ((at >> 2) * UINT64_C(0x9e3779b97f4a7c15)) >> 50;

	for (unsigned i = 0; i < UNITS; i++, slot = (slot + 1) & (UNITS - 1))
		if (units[slot].tag == tag || units[slot].tag >> 32 != sim_run_number)
			return &units[slot];
	sim_fail("scenario", "more than %u words are watched", UNITS);
}

static struct unit *find(uintptr_t at)
{
	struct unit *unit = place_of(at);

	return unit->tag == tag_of(at) ? unit : NULL;
}

static struct unit *watch(uintptr_t at)
{
	struct unit *unit = place_of(at);

	if (unit->tag == tag_of(at))
		return unit;
	memset(unit->floors, 0, sizeof(unit->floors));
	unit->tag = tag_of(at);
	unit->olds_nr = 0;
	unit->gone = 0;
	return unit;
}

void late_watch(const volatile void *addr, unsigned bytes)
{
	uintptr_t at = (uintptr_t)addr;

	for (uintptr_t unit = at & ~(uintptr_t)3; unit < at + bytes; unit += 4)
		watch(unit);
}

/* ---- stores ---- */

static void push(struct unit *unit, struct old old)
{
	if (unit->olds_nr == OLDS) {
		unit->gone = unit->olds[0].time;
		memmove(&unit->olds[0], &unit->olds[1], (OLDS - 1) * sizeof(old));
		unit->olds_nr--;
	}
	unit->olds[unit->olds_nr++] = old;
}

/* The bytes from @at in the unit at @start, which a store to [@at, @at + @bytes) changes. */
static struct old old_in(uintptr_t start, uintptr_t at, size_t bytes, const char *values)
{
	struct old old = { .time = now };

	for (unsigned i = 0; i < 4; i++) {
		uintptr_t byte = start + i;

		if (byte < at || byte >= at + bytes)
			continue;
		old.mask |= UINT32_C(0xff) << 8 * i;
		old.value |= (uint32_t)(uint8_t)values[byte - at] << 8 * i;
	}
	return old;
}

/* A store by @task becomes visible to all CPUs: @values is what all have seen until now. */
void late_store_left(unsigned task, const volatile void *addr, size_t bytes, const void *values)
{
	uintptr_t at = (uintptr_t)addr;
	bool counted = false;

	for (uintptr_t start = at & ~(uintptr_t)3; start < at + bytes; start += 4) {
		struct unit *unit = find(start);

		if (unit == NULL)
			continue;
		now += !counted;
		counted = true;
		push(unit, old_in(start, at, bytes, values));
		unit->floors[task] = now;
	}
}

/* ---- what orders loads ---- */

void late_reset(void)
{
	now++;
	for (unsigned i = 0; i < TASKS_MAX; i++)
		pins[i] = performed[i] = now;
}

void late_pin(unsigned task)
{
	pins[task] = performed[task] = now;
}

void late_pin_everybody(void)
{
	for (unsigned i = 0; i < sim_run_.tasks_nr; i++)
		late_pin(i);
}

void late_fence(unsigned task, int order)
{
	if (order == __ATOMIC_SEQ_CST)
		late_pin(task);
	else if (order != __ATOMIC_RELEASE)
		pins[task] = performed[task];
}

/* ---- loads ---- */

/* A load that is being performed: of one unit, or of two that follow each other. */
struct look {
	struct unit *units[2];
	uint32_t masks[2]; /* of the bits that are loaded */
	unsigned units_nr;
	uint32_t least; /* it is performed at this time or later */
};

static struct look look_at(uintptr_t at, unsigned bytes)
{
	struct look look = { .least = pins[sim_run_.current] };

	for (uintptr_t start = at & ~(uintptr_t)3; start < at + bytes; start += 4) {
		struct unit *unit = watch(start);
		uint32_t floor = unit->floors[sim_run_.current];

		if (floor > look.least)
			look.least = floor;
		if (unit->gone > look.least)
			look.least = unit->gone;
		look.masks[look.units_nr] = old_in(start, at, bytes, (char[8]){ 0 }).mask;
		look.units[look.units_nr++] = unit;
	}
	return look;
}

/* The time of the last store to what is loaded, before @time; the least if there is none later. */
static uint32_t store_before(const struct look *look, uint32_t time)
{
	uint32_t last = look->least;

	for (unsigned i = 0; i < look->units_nr; i++)
		for (unsigned j = 0; j < look->units[i]->olds_nr; j++) {
			const struct old *old = &look->units[i]->olds[j];

			if (old->mask & look->masks[i] && old->time < time && old->time > last)
				last = old->time;
		}
	return last;
}

/* What all CPUs read at @time, given what they read @value now. */
static uint64_t value_at(const struct look *look, uintptr_t at, uint32_t time, uint64_t value)
{
	unsigned shift = 8 * (at & 3);
	uint64_t all = value << shift;

	for (unsigned i = 0; i < look->units_nr; i++)
		for (unsigned j = look->units[i]->olds_nr; j-- != 0;) {
			const struct old *old = &look->units[i]->olds[j];

			if (old->time <= time)
				break;
			all &= ~((uint64_t)old->mask << 32 * i);
			all |= (uint64_t)old->value << 32 * i;
		}
	return all >> shift;
}

/* Chooses one of the times between the stores, the latest by default. */
static uint32_t choose(const struct look *look)
{
	struct action actions[2 * OLDS + 1] = { { .kind = ACT_CONTINUE } };
	uint32_t times[2 * OLDS + 1];
	unsigned nr = 1, choice;

	times[0] = store_before(look, UINT32_MAX);
	while (times[nr - 1] > look->least && nr < sizeof(times) / sizeof(times[0])) {
		times[nr] = store_before(look, times[nr - 1]);
		actions[nr] = (struct action){ .kind = ACT_LATE, .arg = (uint16_t)nr };
		nr++;
	}
	if (nr == 1)
		return times[0];
	choice = strategy_choose(actions, nr, false);
	if (choice != 0) {
		trace_note("the load gets an earlier value: stores since then", choice);
		hash_late(choice);
	}
	return times[choice];
}

/* An access that may be unaligned is not late. */
static bool may_be_late(uintptr_t at, unsigned bytes, int order)
{
	return order != __ATOMIC_SEQ_CST && (bytes == 8 ? (at & 7) == 0 : (at & 3) + bytes <= 4);
}

/* The task's load is performed at @time. */
static void perform(const struct look *look, int order, uint32_t time)
{
	unsigned self = sim_run_.current;

	for (unsigned i = 0; i < look->units_nr; i++)
		look->units[i]->floors[self] = time;
	if (time > performed[self])
		performed[self] = time;
	if (order == __ATOMIC_SEQ_CST)
		late_pin(self);
	else if (order != __ATOMIC_RELAXED && time > pins[self])
		pins[self] = time;
}

/* Is the load watched?  The task reads its own store from its buffer. */
static bool is_watched(const volatile void *addr, unsigned bytes)
{
	return sim_mode & MODE_RUN && !in_stacks(addr) && !buffer_has(current_task(), addr, bytes);
}

uint64_t late_load_slow(const volatile void *addr, unsigned bytes, int order, uint64_t value)
{
	uintptr_t at = (uintptr_t)addr;
	struct look look;
	uint32_t time = now;

	if (!is_watched(addr, bytes))
		return value;
	look = look_at(at, bytes);
	if (may_be_late(at, bytes, order)) {
		time = choose(&look);
		value = value_at(&look, at, time, value);
		if (bytes < 8)
			value &= (UINT64_C(1) << 8 * bytes) - 1;
	}
	perform(&look, order, time);
	return value;
}

void late_load_now(const volatile void *addr, unsigned bytes, int order)
{
	struct look look;

	if (!is_watched(addr, bytes))
		return;
	look = look_at((uintptr_t)addr, bytes);
	perform(&look, order, now);
}

void late_rmw(const volatile void *addr, unsigned bytes, int order)
{
	struct look look;

	if (!(sim_mode & MODE_RUN))
		return;
	look = look_at((uintptr_t)addr, bytes);
	perform(&look, order == __ATOMIC_RELEASE ? __ATOMIC_RELAXED : order, now);
}

bool late_rmw_waits(void)
{
	const struct action actions[2] = { { .kind = ACT_CONTINUE },
					   { .kind = ACT_LATE, .arg = 1 } };

	if (strategy_choose(actions, 2, false) == 0)
		return false;
	trace_note("its store waits", 0);
	hash_late(1);
	return true;
}
