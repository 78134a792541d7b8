/* SPDX-License-Identifier: MIT */
/*
 * stacks_test.c - sets of per-CPU stacks in shapes that no user of today has (stacks/stacks.h)
 *
 * A cache of small objects is a set of some hundred classes.  What one CPU keeps of all of them
 * together has a bound, and what it keeps of each follows use.  The tests' own policy is the simplest
 * of that kind: a class doubles after a slow path; at an idle visit, an unused class keeps half.
 */
#include "quire_test.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "confine.h"
#include "machine/mem.h"
#include "stacks/stacks.h"

#define CLASSES_NR 200u
#define ROOM	   64u
#define CAP	   1000u
#define ENTRIES_NR 20000u

/* As much as a region has room for. */
#define MANY_NR	  127u
#define MANY_ROOM 245u

static const uint8_t guard;
static uint64_t isolated[4096 / 64];
static cpu_set_t affinity_at_start;

struct cache {
	struct stacks s;
	struct stacks_class class[CLASSES_NR];
	struct stacks_door *door;    /* by slot */
	size_t bytes;		     /* of the doors and the regions behind them */
	unsigned slot;		     /* where the test runs */
	unsigned misses_nr;	     /* slow paths */
	bool used[CLASSES_NR];	     /* since the last idle visit */
	uint8_t outside[ENTRIES_NR]; /* by entry: it is with us, not on a stack */
};

static struct cache cache;

static void cache_make(unsigned classes_nr, unsigned room, uint32_t cap, bool rseq)
{
	struct stacks *s = &cache.s;

	cache = (struct cache){ .misses_nr = 0 };
	assert_int_equal(sched_getaffinity(0, sizeof(affinity_at_start), &affinity_at_start), 0);
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	stack_setup(&s->cpu, 0, true, rseq);
	s->isolated = isolated;
	s->class = cache.class;
	s->classes_nr = (uint16_t)classes_nr;
	s->cap = cap;
	for (unsigned i = 0; i < classes_nr; i++)
		s->class[i] =
			(struct stacks_class){ .header = (uint16_t)i, .room = (uint16_t)room };
	stacks_lay_out(s, classes_nr);
	cache.door = stacks_reserve(s, s->cpu.all_slots_nr * sizeof(*cache.door), "quire-cpus",
				    &cache.bytes);
	assert_non_null(cache.door);
	for (unsigned slot = 0; slot < s->cpu.all_slots_nr; slot++)
		stacks_door_init(&cache.door[slot], RANK_PCP, slot, 0, classes_nr);
	cache.slot = (unsigned)stack_slot(&s->cpu);
}

static void cache_make_many(void)
{
	cache_make(CLASSES_NR, ROOM, CAP, true);
	if (cache.s.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	memset(cache.outside, 1, sizeof(cache.outside));
}

static int cache_drop(void **state)
{
	(void)state;
	mem_release(cache.door, cache.bytes);
	memset(isolated, 0, sizeof(isolated));
	return sched_setaffinity(0, sizeof(affinity_at_start), &affinity_at_start);
}

static struct stacks_door *own_door(lock_token *token)
{
	struct stacks_door *door = &cache.door[cache.slot];

	*token = lock_acquire(&door->lock);
	if (!door->ready)
		assert_int_equal(stacks_begin_locked(&cache.s, door), 0);
	return door;
}

static uint32_t held_of_all(void)
{
	uint32_t sum = 0;

	for (unsigned i = 0; i < cache.s.classes_nr; i++)
		sum += stacks_held(&cache.s, &cache.door[cache.slot], i);
	return sum;
}

/* ---- the policy ---- */

static void came_out(uint32_t entry)
{
	assert_true(entry < ENTRIES_NR);
	assert_int_equal(cache.outside[entry], 0);
	cache.outside[entry] = 1;
}

/* The class is full, cold, or not made ready: it keeps more, or gives half of what it has away. */
static void put_slow(unsigned class, uint32_t entry)
{
	uint32_t entries[ROOM];
	lock_token token;
	struct stacks_door *door = own_door(&token);
	unsigned n;

	cache.misses_nr++;
	stacks_grow_locked(&cache.s, door, class, 4, ROOM);
	if (stack_push_n(&cache.s.cpu, class, &entry, 1) == 1) {
		cache.outside[entry] = 0;
	} else {
		n = stacks_held(&cache.s, door, class) / 2;
		n = stack_pop_n(&cache.s.cpu, class, entries, n);
		while (n != 0)
			came_out(entries[--n]);
	}
	assert_true(door->keeps_weight <= CAP);
	lock_release(&door->lock, token);
}

static void put(unsigned class, uint32_t entry)
{
	assert_int_equal(cache.outside[entry], 1);
	cache.used[class] = true;
	if (stack_push(&cache.s.cpu, class, entry, &guard, 0))
		cache.outside[entry] = 0;
	else
		put_slow(class, entry);
	assert_true(held_of_all() <= CAP);
}

static bool take(unsigned class)
{
	uint32_t entry = stack_pop(&cache.s.cpu, class);

	cache.used[class] = true;
	if (entry != STACK_NONE)
		came_out(entry);
	return entry != STACK_NONE;
}

/* Unused classes keep half, and give up what is over.  This CPU's, so nothing has to be closed. */
static void visit_idle(void)
{
	uint32_t entries[ROOM];
	lock_token token;
	struct stacks_door *door = own_door(&token);

	for (unsigned i = 0; i < CLASSES_NR; i++) {
		unsigned keeps, held, n = 0;

		if (!cache.used[i]) {
			keeps = stacks_keeps_locked(&cache.s, door, i);
			keeps = stacks_set_keeps_locked(&cache.s, door, i, keeps / 2);
			held = stacks_held(&cache.s, door, i);
			if (held > keeps)
				n = stack_pop_n(&cache.s.cpu, i, entries, held - keeps);
		}
		while (n != 0)
			came_out(entries[--n]);
		cache.used[i] = false;
	}
	lock_release(&door->lock, token);
}

static unsigned keeps_of(unsigned class)
{
	lock_token token;
	unsigned keeps = stacks_keeps_locked(&cache.s, own_door(&token), class);

	lock_release(&cache.door[cache.slot].lock, token);
	return keeps;
}

/* ---- tests ---- */

static void each_class_has_room_of_its_own(void **state)
{
	uint32_t end = CLASSES_NR * sizeof(struct stack_header) / sizeof(uint32_t);

	(void)state;
	cache_make(CLASSES_NR, ROOM, CAP, true);
	for (unsigned i = 0; i < CLASSES_NR; i++) {
		assert_u64_eq(cache.class[i].low, end);
		end += ROOM;
	}
	assert_true(end * sizeof(uint32_t) <= STACKS_STRIDE);
}

static void lay_out(void *arg)
{
	struct stacks s = *(const struct stacks *)arg;

	stacks_lay_out(&s, MANY_NR);
}

static void a_region_has_room_for_headers_and_entries(void **state)
{
	(void)state;
	cache_make(MANY_NR, MANY_ROOM, CAP, true);
	expect_life(lay_out, &cache.s);
	for (unsigned i = 0; i < MANY_NR; i++)
		cache.class[i].room = MANY_ROOM + 1; /* without the headers it would fit */
	expect_death(lay_out, &cache.s, "quire: bug: CHECK(end * sizeof(uint32_t)");
}

static void all_room_of_a_region_can_be_used(void **state)
{
	struct cpu_stacks *cpu = &cache.s.cpu;
	uint32_t entries[MANY_ROOM];
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make(MANY_NR, MANY_ROOM, MANY_NR * MANY_ROOM, true);
	if (cpu->slots_nr == 0)
		skip_because("no per-CPU sequences here");
	door = own_door(&token);
	for (unsigned i = 0; i < MANY_NR; i++)
		assert_u64_eq(stacks_set_keeps_locked(&cache.s, door, i, MANY_ROOM), MANY_ROOM);
	for (unsigned i = 0; i < MANY_NR; i++) {
		for (uint32_t n = 0; n < MANY_ROOM; n++)
			entries[n] = i * MANY_ROOM + n;
		assert_u64_eq(stack_push_n(cpu, i, entries, MANY_ROOM - 1), MANY_ROOM - 1);
		assert_true(stack_push(cpu, i, entries[MANY_ROOM - 1], &guard, 0));
		assert_false(stack_push(cpu, i, 0, &guard, 0));
	}
	for (unsigned i = 0; i < MANY_NR; i++) {
		assert_u64_eq(stacks_held(&cache.s, door, i), MANY_ROOM);
		assert_u64_eq(stacks_entries(&cache.s, door, i)[0], i * MANY_ROOM);
		assert_u64_eq(stack_pop(cpu, i), i * MANY_ROOM + MANY_ROOM - 1);
		assert_u64_eq(stack_pop_n(cpu, i, entries, MANY_ROOM), MANY_ROOM - 1);
		for (uint32_t n = 0; n < MANY_ROOM - 1; n++)
			assert_u64_eq(entries[n], i * MANY_ROOM + n);
	}
	lock_release(&door->lock, token);
}

static void two_hundred_classes_stay_below_one_cap(void **state)
{
	(void)state;
	cache_make_many();
	for (uint32_t entry = 0; entry < ENTRIES_NR; entry++)
		if (cache.outside[entry])
			put(entry * 7 % CLASSES_NR, entry);
	assert_u64_eq(cache.door[cache.slot].keeps_weight, CAP); /* it is used up */
	assert_true(held_of_all() > CAP / 2);
	for (unsigned i = 0; i < CLASSES_NR; i++)
		while (take(i))
			;
	for (uint32_t entry = 0; entry < ENTRIES_NR; entry++)
		assert_int_equal(cache.outside[entry], 1);
}

static void a_class_in_use_grows_and_an_idle_one_makes_room(void **state)
{
	unsigned hot = 17, before;

	(void)state;
	cache_make_many();
	for (uint32_t entry = 0; entry < 4 * CAP; entry++)
		put(entry % CLASSES_NR, entry);
	assert_u64_eq(cache.door[cache.slot].keeps_weight, CAP);
	before = keeps_of(hot);
	assert_true(before < ROOM);
	for (unsigned visit = 0; visit < 8; visit++) {
		for (uint32_t n = 0; n < 2 * ROOM; n++)
			put(hot, 4 * CAP + visit * 2 * ROOM + n);
		visit_idle();
		assert_true(held_of_all() <= cache.door[cache.slot].keeps_weight);
	}
	assert_u64_eq(keeps_of(hot), ROOM);
	for (unsigned i = 0; i < CLASSES_NR; i++)
		assert_true(i == hot || keeps_of(i) == 0);
	assert_u64_eq(cache.door[cache.slot].keeps_weight, ROOM);
}

/* The cap of a cache of objects of several sizes is in bytes. */
static void a_cap_in_bytes_is_shared_by_sizes(void **state)
{
	uint32_t cap = 1 << 20, bytes = 0, left;
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	cache.s.cap = cap;
	for (unsigned i = 0; i < CLASSES_NR; i++)
		cache.class[i].weight = (uint16_t)((i + 1) * 160); /* up to 32,000 bytes */
	door = own_door(&token);
	for (unsigned i = 0; i < CLASSES_NR; i++) {
		left = cap - bytes;
		assert_u64_eq(stacks_set_keeps_locked(&cache.s, door, i, 8),
			      left / cache.class[i].weight < 8 ? left / cache.class[i].weight : 8);
		bytes += stacks_keeps_locked(&cache.s, door, i) * cache.class[i].weight;
		assert_u64_eq(door->keeps_weight, bytes);
	}
	assert_true(bytes <= cap && cap - bytes < cache.class[CLASSES_NR - 1].weight);
	/* A class that already keeps some may have what it keeps, and what is left. */
	assert_u64_eq(stacks_set_keeps_locked(&cache.s, door, 0, ROOM), 8 + (cap - bytes) / 160);
	stacks_cool_locked(&cache.s, door);
	assert_u64_eq(door->keeps_weight, 0);
	assert_u64_eq(stacks_set_keeps_locked(&cache.s, door, CLASSES_NR - 1, ROOM), cap / 32000);
	lock_release(&door->lock, token);
}

static void weights_are_one_unless_the_user_says_so(void **state)
{
	(void)state;
	cache_make_many();
	for (unsigned i = 0; i < CLASSES_NR; i++)
		assert_u64_eq(cache.class[i].weight, 1);
}

static void the_first_step_is_bounded_too(void **state)
{
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	door = own_door(&token);
	assert_u64_eq(stacks_grow_locked(&cache.s, door, 7, 8, 3), 3);
	assert_u64_eq(stacks_grow_locked(&cache.s, door, 7, 8, 5), 5);
	assert_u64_eq(stacks_grow_locked(&cache.s, door, 7, 8, 5), 5);
	assert_u64_eq(stacks_grow_locked(&cache.s, door, 7, 8, ROOM), 10);
	assert_u64_eq(door->keeps_weight, 10);
	lock_release(&door->lock, token);
}

static void what_is_kept_needs_no_slow_path(void **state)
{
	(void)state;
	cache_make_many();
	for (unsigned turn = 0; turn < 10; turn++) {
		cache.misses_nr = 0;
		for (uint32_t entry = 0; entry < ROOM / 2; entry++)
			put(3, entry);
		while (take(3))
			;
	}
	assert_u64_eq(cache.misses_nr, 0);
}

static void a_cold_class_can_still_be_popped(void **state)
{
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	put(5, 1);
	put(5, 2);
	assert_true(cache.door[cache.slot].warm);
	door = own_door(&token);
	stacks_cool_locked(&cache.s, door);
	lock_release(&door->lock, token);
	assert_false(door->warm);
	assert_u64_eq(door->keeps_weight, 0);
	assert_false(stack_push(&cache.s.cpu, 5, 3, &guard, 0));
	assert_true(take(5) && take(5));
	assert_false(take(5));
}

/* Whoever shrinks classes one by one never calls stacks_cool_locked(). */
static void a_door_is_cold_when_its_last_class_is(void **state)
{
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	door = own_door(&token);
	assert_false(door->warm);
	stacks_set_keeps_locked(&cache.s, door, 3, 4);
	stacks_set_keeps_locked(&cache.s, door, 8, 4);
	stacks_set_keeps_locked(&cache.s, door, 3, 0);
	assert_true(door->warm);
	stacks_set_keeps_locked(&cache.s, door, 8, 0);
	assert_false(door->warm);
	lock_release(&door->lock, token);
}

static void closers_are_counted(void **state)
{
	lock_token token;
	struct stacks_door *door;
	const uint32_t *entries;

	(void)state;
	cache_make_many();
	put(5, 1);
	door = own_door(&token);
	stacks_close_locked(&cache.s, door);
	stacks_close_locked(&cache.s, door);
	stacks_fence_slot(&cache.s, cache.slot);
	stacks_set_keeps_locked(&cache.s, door, 5, ROOM);
	assert_u64_eq(stack_pop(&cache.s.cpu, 5), STACK_NONE);
	assert_u64_eq(stacks_take_locked(&cache.s, door, 5, ROOM, &entries), 1);
	assert_u64_eq(entries[0], 1);
	stacks_open_locked(&cache.s, door);
	assert_false(stack_push(&cache.s.cpu, 5, 2, &guard, 0));
	stacks_open_locked(&cache.s, door);
	assert_true(stack_push(&cache.s.cpu, 5, 2, &guard, 0));
	lock_release(&door->lock, token);
	assert_u64_eq(stack_pop(&cache.s.cpu, 5), 2);
}

static void the_newest_are_taken_first(void **state)
{
	lock_token token;
	struct stacks_door *door;
	const uint32_t *entries;

	(void)state;
	cache_make_many();
	for (uint32_t entry = 0; entry < 4; entry++)
		put(9, entry);
	door = own_door(&token);
	stacks_close_locked(&cache.s, door);
	stacks_fence_all(&cache.s);
	assert_u64_eq(stacks_take_locked(&cache.s, door, 9, 3, &entries), 3);
	assert_u64_eq(entries[0], 1);
	assert_u64_eq(entries[2], 3);
	assert_u64_eq(stacks_held(&cache.s, door, 9), 1);
	assert_u64_eq(stacks_entries(&cache.s, door, 9)[0], 0);
	stacks_open_locked(&cache.s, door);
	lock_release(&door->lock, token);
}

/* What a door without stacks is asked for is refused, and counted all the same. */
static void refuses_everything(void)
{
	lock_token token;
	struct stacks_door *door = own_door(&token);
	const uint32_t *entries;

	assert_false(stacks_has(&cache.s, cache.slot));
	assert_true(door->ready && !door->usable);
	assert_u64_eq(stacks_set_keeps_locked(&cache.s, door, 1, 8), 0);
	assert_true(door->warm);
	assert_false(stack_push(&cache.s.cpu, 1, 1, &guard, 0));
	stacks_close_locked(&cache.s, door);
	stacks_fence_slot(&cache.s, cache.slot);
	stacks_fence_all(&cache.s);
	assert_u64_eq(stacks_take_locked(&cache.s, door, 1, 8, &entries), 0);
	stacks_open_locked(&cache.s, door);
	assert_false(stack_push(&cache.s.cpu, 1, 1, &guard, 0));
	stacks_cool_locked(&cache.s, door);
	assert_false(door->warm);
	assert_u64_eq(door->closed_nr, 0);
	lock_release(&door->lock, token);
}

static void an_isolated_cpu_has_none(void **state)
{
	(void)state;
	memset(isolated, 0xff, sizeof(isolated));
	cache_make(4, 8, 0, true);
	if (cache.s.cpu.slots_nr == 0)
		skip_because("no per-CPU sequences here");
	refuses_everything();
}

static void fences_where_all_are_isolated(void *arg)
{
	(void)arg;
	confine_deny(SYS_membarrier, EPERM); /* a fence stops the process */
	stacks_fence_slot(&cache.s, cache.slot);
	stacks_fence_all(&cache.s);
}

static void an_isolated_cpu_is_not_fenced(void **state)
{
	(void)state;
	memset(isolated, 0xff, sizeof(isolated));
	cache_make(4, 8, 0, true);
	expect_life(fences_where_all_are_isolated, NULL);
}

static void without_sequences_there_are_none(void **state)
{
	(void)state;
	cache_make(4, 8, 0, false);
	refuses_everything();
}

static void a_door_without_memory_refuses_and_is_ready(void **state)
{
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	door = &cache.door[cache.slot];
	assert_false(stack_push(&cache.s.cpu, 0, 1, &guard, 0));
	assert_u64_eq(stack_pop(&cache.s.cpu, 0), STACK_NONE);
	assert_u64_eq(stacks_held(&cache.s, door, 0), 0);
	token = lock_acquire(&door->lock);
	stacks_begin_bare_locked(&cache.s, door); /* as if its memory had been refused */
	assert_u64_eq(stacks_set_keeps_locked(&cache.s, door, 0, 8), 0);
	lock_release(&door->lock, token);
	assert_true(door->ready && !door->usable);
	assert_false(stack_push(&cache.s.cpu, 0, 1, &guard, 0));
}

static void begin_bare(void *arg)
{
	struct stacks_door *door = arg;
	lock_token token = lock_acquire(&door->lock);

	stacks_begin_bare_locked(&cache.s, door);
	lock_release(&door->lock, token);
}

/* In a fork, a ready door would be closed once more than the end of the fork opens it. */
static void only_an_unused_door_begins_without_memory(void **state)
{
	struct stacks_door *door;
	lock_token token;

	(void)state;
	cache_make_many();
	expect_life(begin_bare, &cache.door[cache.slot]);
	door = own_door(&token);
	lock_release(&door->lock, token);
	expect_death(begin_bare, door, "quire: bug: CHECK(!door->ready");
}

static size_t resident_pages(const char *from, const char *end)
{
	size_t page = mem_page_bytes(), n = 0;
	unsigned char in;

	for (; from < end; from += page) {
		assert_int_equal(mincore((void *)(uintptr_t)from, page, &in), 0);
		n += in & 1;
	}
	return n;
}

/* One page of headers, and one for the first entry: class 5's room does not begin in the first. */
static void a_region_has_memory_only_where_it_is_used(void **state)
{
	const char *base, *own, *end;
	size_t page;

	(void)state;
	cache_make_many();
	page = mem_page_bytes();
	base = cache.s.cpu.base;
	own = base + cache.slot * STACKS_STRIDE;
	end = (const char *)cache.door + cache.bytes;
	assert_u64_eq(resident_pages(base, end), 0);
	put(5, 1);
	assert_true(CLASSES_NR * sizeof(struct stack_header) <= page);
	assert_u64_eq(resident_pages(own, own + STACKS_STRIDE), 2);
	assert_u64_eq(resident_pages(base, end), 2);
}

static void a_touch_brings_memory_and_changes_nothing(void **state)
{
	const char *first;
	struct stacks_door *door;
	lock_token token;

	(void)state;
	cache_make_many();
	door = own_door(&token);
	first = (const char *)stacks_entries(&cache.s, door, 100);
	first -= (uintptr_t)first % mem_page_bytes();
	assert_u64_eq(resident_pages(first, first + 1), 0);
	stacks_touch_locked(&cache.s, door, 100);
	assert_u64_eq(resident_pages(first, first + 1), 1);
	lock_release(&door->lock, token);
	put(100, 7);
	door = own_door(&token);
	stacks_touch_locked(&cache.s, door, 100);
	lock_release(&door->lock, token);
	assert_u64_eq(stack_pop(&cache.s.cpu, 100), 7);
}

/* Two doors in one region, as the page allocator has one for each zone. */
static void a_door_closes_its_classes_only(void **state)
{
	struct stacks_door other;
	lock_token token, other_token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	door = &cache.door[cache.slot];
	door->end = CLASSES_NR / 2;
	stacks_door_init(&other, RANK_DEPOT, cache.slot, CLASSES_NR / 2, CLASSES_NR);
	own_door(&token);
	other_token = lock_acquire(&other.lock);
	assert_int_equal(stacks_begin_locked(&cache.s, &other), 0);
	stacks_set_keeps_locked(&cache.s, door, 0, 1);
	stacks_set_keeps_locked(&cache.s, &other, CLASSES_NR / 2, 1);
	stacks_close_locked(&cache.s, &other);
	assert_true(stack_push(&cache.s.cpu, 0, 1, &guard, 0));
	assert_false(stack_push(&cache.s.cpu, CLASSES_NR / 2, 1, &guard, 0));
	stacks_open_locked(&cache.s, &other);
	assert_true(stack_push(&cache.s.cpu, CLASSES_NR / 2, 1, &guard, 0));
	assert_u64_eq(door->keeps_weight, 1);
	assert_u64_eq(other.keeps_weight, 1);
	lock_release(&other.lock, other_token);
	lock_release(&door->lock, token);
}

/* Calls on a class that is another door's. */
enum stranger {
	STRANGER_KEEPS,
	STRANGER_HELD,
	STRANGER_ENTRIES,
	STRANGER_TOUCHED,
	STRANGERS_NR,
};

static void use_a_stranger(void *arg)
{
	const enum stranger *how = arg;
	lock_token token;
	struct stacks_door *door = own_door(&token);

	door->end = CLASSES_NR / 2;
	switch (*how) {
	case STRANGER_KEEPS:
		stacks_set_keeps_locked(&cache.s, door, CLASSES_NR / 2, 1);
		break;
	case STRANGER_HELD:
		(void)stacks_held(&cache.s, door, CLASSES_NR / 2);
		break;
	case STRANGER_ENTRIES:
		(void)stacks_entries(&cache.s, door, CLASSES_NR / 2);
		break;
	case STRANGER_TOUCHED:
		stacks_touch_locked(&cache.s, door, CLASSES_NR / 2);
		break;
	default:
		break;
	}
	lock_release(&door->lock, token);
}

/* All but the first only in a debug build. */
static void a_class_of_another_door_is_a_bug(void **state)
{
	(void)state;
	cache_make_many();
	for (enum stranger how = 0; how < STRANGERS_NR; how++) {
		if (how == STRANGER_KEEPS || QUIRE_DEBUG)
			expect_death(use_a_stranger, &how,
				     "quire: bug: CHECK(index >= door->first");
		else
			expect_life(use_a_stranger, &how);
	}
}

/* Under the locks that the fork keeps; its end opens every door that is in use then.  The mutex stands for
 * the process's list of instances: no order of locks is checked under it. */
static void fork_begins(struct mutex *instances, unsigned all_slots_nr)
{
	uint32_t begun;

	mutex_init(instances, RANK_INSTANCES);
	mutex_acquire(instances);
	begun = lock_keep_begin();
	for (unsigned slot = 0; slot < all_slots_nr; slot++)
		stacks_fork_prepare(&cache.s, &cache.door[slot]);
	stacks_fence_all(&cache.s);
	lock_keep_end(begun);
}

static void fork_ends(struct mutex *instances, unsigned all_slots_nr)
{
	(void)lock_unkeep();
	for (unsigned slot = all_slots_nr; slot-- != 0;)
		stacks_fork_done(&cache.s, &cache.door[slot], false);
	mutex_release(instances);
}

static void a_first_use_in_a_fork_waits_for_its_end(void **state)
{
	struct mutex instances;
	unsigned all_slots_nr;
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	all_slots_nr = cache.s.cpu.all_slots_nr;
	fork_begins(&instances, all_slots_nr);
	door = own_door(&token);
	stacks_set_keeps_locked(&cache.s, door, 7, ROOM);
	lock_release(&door->lock, token);
	assert_false(stack_push(&cache.s.cpu, 7, 1, &guard, 0));
	fork_ends(&instances, all_slots_nr);
	assert_u64_eq(door->closed_nr, 0);
	assert_true(stack_push(&cache.s.cpu, 7, 1, &guard, 0));
}

/* The first use that gets no memory: the end of the fork opens this door, too, and finds it closed. */
static void a_first_use_without_memory_in_a_fork_is_closed_too(void **state)
{
	struct mutex instances;
	unsigned slots_nr;
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	slots_nr = cache.s.cpu.all_slots_nr;
	door = &cache.door[cache.slot];
	fork_begins(&instances, slots_nr);
	token = lock_acquire(&door->lock);
	stacks_begin_bare_locked(&cache.s, door);
	lock_release(&door->lock, token);
	assert_u64_eq(door->closed_nr, 1);
	fork_ends(&instances, slots_nr);
	assert_u64_eq(door->closed_nr, 0);
	assert_true(door->ready && !door->usable);
}

/* A thread that forks may have locks kept that are not this set's, as when a handler of the program
 * creates an instance.  The end of the fork opens what the fork has closed, and no other door. */
static void a_fork_closes_no_door_that_it_does_not_keep(void **state)
{
	struct mutex instances;
	lock_token token;
	struct stacks_door *door;

	(void)state;
	cache_make_many();
	fork_begins(&instances, 0);
	door = own_door(&token);
	stacks_set_keeps_locked(&cache.s, door, 7, ROOM);
	lock_release(&door->lock, token);
	fork_ends(&instances, 0);
	assert_u64_eq(door->closed_nr, 0);
	assert_true(stack_push(&cache.s.cpu, 7, 1, &guard, 0));
}

#define stacks_test(name) cmocka_unit_test_teardown(name, cache_drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		stacks_test(each_class_has_room_of_its_own),
		stacks_test(a_region_has_room_for_headers_and_entries),
		stacks_test(all_room_of_a_region_can_be_used),
		stacks_test(two_hundred_classes_stay_below_one_cap),
		stacks_test(a_class_in_use_grows_and_an_idle_one_makes_room),
		stacks_test(a_cap_in_bytes_is_shared_by_sizes),
		stacks_test(weights_are_one_unless_the_user_says_so),
		stacks_test(the_first_step_is_bounded_too),
		stacks_test(what_is_kept_needs_no_slow_path),
		stacks_test(a_cold_class_can_still_be_popped),
		stacks_test(a_door_is_cold_when_its_last_class_is),
		stacks_test(closers_are_counted),
		stacks_test(the_newest_are_taken_first),
		stacks_test(an_isolated_cpu_has_none),
		stacks_test(an_isolated_cpu_is_not_fenced),
		stacks_test(without_sequences_there_are_none),
		stacks_test(a_door_without_memory_refuses_and_is_ready),
		stacks_test(only_an_unused_door_begins_without_memory),
		stacks_test(a_region_has_memory_only_where_it_is_used),
		stacks_test(a_touch_brings_memory_and_changes_nothing),
		stacks_test(a_door_closes_its_classes_only),
		stacks_test(a_class_of_another_door_is_a_bug),
		stacks_test(a_first_use_in_a_fork_waits_for_its_end),
		stacks_test(a_first_use_without_memory_in_a_fork_is_closed_too),
		stacks_test(a_fork_closes_no_door_that_it_does_not_keep),
	};

	return cmocka_run_group_tests_name("stacks", tests, NULL, NULL);
}
