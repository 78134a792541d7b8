/* SPDX-License-Identifier: MIT */
/*
 * malloc/records.c - what debug:on knows of each block
 *
 * A record for each 32 bytes of the pages' addresses, and for each page of the areas' (beside.h).  Blocks that are in use have
 * a record each: with red zones (debug.c) two addresses that users have are at least 32 bytes apart, in whatever classes,
 * since 16 bytes of red zone are behind the one block and in front of the other.
 *
 * A record outlives its block: until another block has it, it tells a second free who was first.
 */
#include "malloc/records.h"

#include "malloc/beside.h"

/* Of pages' addresses: two blocks of 16-byte red zones are at least so far apart. */
#define UNIT_SHIFT 5

static struct beside records;

/* ---- words ---- */

struct record_facts record_read(uint64_t word)
{
	return (struct record_facts){
		.state = (enum record_state)(word & 3),
		.odd = (word >> 2 & 1) != 0,
		.align_shift = (uint8_t)(word >> 3 & 63),
		.generation = (uint8_t)(word >> 9 & (GENERATIONS - 1)),
		.bytes = (size_t)(word >> 16),
	};
}

uint64_t record_word(struct record_facts facts)
{
	return (uint64_t)facts.state | (uint64_t)facts.odd << 2 | (uint64_t)facts.align_shift << 3 |
	       (uint64_t)facts.generation << 9 | (uint64_t)facts.bytes << 16;
}

/* ---- where ---- */

int records_init(void)
{
	return beside_init(&records, UNIT_SHIFT, sizeof(struct record), "quire-debug");
}

struct record *records_at(const void *block)
{
	return beside_at(&records, block);
}

struct record *records_make(const void *block)
{
	return beside_make(&records, block);
}

/* ---- all ---- */

struct each {
	void (*call)(const struct record *record, void *arg);
	void *arg;
};

static void call_each(const void *element, void *arg)
{
	const struct each *each = arg;

	each->call(element, each->arg);
}

void records_each(void (*call)(const struct record *record, void *arg), void *arg)
{
	struct each each = { .call = call, .arg = arg };

	beside_each(&records, call_each, &each);
}
