/* SPDX-License-Identifier: MIT */
/*
 * hash.c - how many schedules were really different
 *
 * Two runs are the same if every access saw the same last write and every write the same readers
 * before it: then only accesses that do not conflict changed places.  Each access adds a hash of
 * (task, the task's count of points, version of the location) to a sum, so the order of what does
 * not conflict does not matter.
 */
#include <stdlib.h>
#include <string.h>

#include "machine/sim/internal.h"

#define PLACES 16384

struct place {
	uint64_t tag;	  /* run and address */
	uint64_t version; /* by the last write */
	uint64_t readers; /* since then */
};

static struct place places[PLACES];
/* A set of hashes: open addressing, at most half full. */
struct set {
	uint64_t *slots;
	size_t room, nr;
};

static struct set schedules, states;

static uint64_t mix(uint64_t z)
{
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Half of mix(): each value that is added up has passed through it twice. */
static uint64_t stir(uint64_t z)
{
	z = (z ^ z >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
	return z ^ z >> 29;
}

/* The run in the upper half; in the lower half the 4-byte word, of the arena or of the program,
 * neither of which exceeds 4 GiB. */
static inline uint64_t tag_of(const volatile void *addr)
{
	uint32_t outside = in_arena(addr) ? 0 : UINT32_C(1) << 31;

	return (uint64_t)sim_run_number << 32 | outside | (uint32_t)(uintptr_t)addr >> 2;
}

static inline void access_place(struct place *place, uint64_t event, bool write)
{
	uint64_t seen = stir(event ^ place->version ^ (write ? place->readers : 0));

	if (write)
		place->version = seen;
	place->readers = write ? 0 : place->readers + seen;
	sim_run_.trace_hash += seen;
}

/* The first access to a word, and one to a word whose place another word has taken. */
static NOINLINE void access_elsewhere(struct place *place, uint64_t tag, uint64_t event, bool write)
{
	while (place->tag != tag && place->tag >> 32 == sim_run_number)
		place = place + 1 < places + PLACES ? place + 1 : places;
	if (place->tag != tag)
		*place = (struct place){ .tag = tag };
	access_place(place, event, write);
}

void hash_access(const volatile void *addr, bool write)
{
	uint64_t tag = tag_of(addr), word = (uint32_t)tag;
	struct place *place =
		&places[(word ^ word >> 14) % PLACES]; /* neighbours share a cache line */
	uint64_t event =
		((uint64_t)sim_run_.current << 56 ^ (uint64_t)current_task()->steps << 32 ^ word) *
		UINT64_C(0x9e3779b97f4a7c15);

	if (UNLIKELY(place->tag != tag))
		access_elsewhere(place, tag, event, write);
	else
		access_place(place, event, write);
}

void hash_late(unsigned stores)
{
	if (sim_mode & MODE_HASH)
		sim_run_.trace_hash += stir((uint64_t)sim_run_.current << 40 ^
					    (uint64_t)current_task()->steps << 8 ^ stores);
}

static bool set_add(struct set *set, uint64_t hash);

static void grow(struct set *set)
{
	struct set old = *set;

	set->room = old.room == 0 ? 1u << 16 : old.room * 2;
	set->slots = calloc(set->room, sizeof(*set->slots));
	CHECK(set->slots != NULL);
	set->nr = 0;
	for (size_t i = 0; i < old.room; i++)
		if (old.slots[i] != 0)
			set_add(set, old.slots[i]);
	free(old.slots);
}

static size_t find(const struct set *set, uint64_t hash)
{
	size_t slot = mix(hash) & (set->room - 1);

	while (set->slots[slot] != 0 && set->slots[slot] != hash)
		slot = (slot + 1) & (set->room - 1);
	return slot;
}

/* True if it was there before. */
static bool set_add(struct set *set, uint64_t hash)
{
	size_t slot;

	if (set->nr * 2 >= set->room)
		grow(set);
	hash |= hash == 0;
	slot = find(set, hash);
	if (set->slots[slot] == hash)
		return true;
	set->slots[slot] = hash;
	set->nr++;
	return false;
}

bool hash_seen(uint64_t hash)
{
	return set_add(&schedules, hash);
}

uint64_t hash_distinct(void)
{
	return schedules.nr;
}

bool hash_state_seen(uint64_t hash)
{
	hash |= hash == 0;
	return states.room != 0 && states.slots[find(&states, hash)] == hash;
}

void hash_state_keep(uint64_t hash)
{
	set_add(&states, hash);
}

void hash_forget(void)
{
	free(schedules.slots);
	free(states.slots);
	schedules = (struct set){ .slots = NULL };
	states = (struct set){ .slots = NULL };
}
