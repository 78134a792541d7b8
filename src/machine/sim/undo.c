/* SPDX-License-Identifier: MIT */
/*
 * undo.c - what memory held before a run wrote to it
 *
 * Every write passes a hook, so a log of old values, played backwards, restores a scene in time
 * proportional to the writes of a run: finer than copying dirty pages, which would have to be
 * found.  The first entry for an address is the one that counts; later ones are overwritten by it.
 *
 * If each value is exchanged with memory as the log is played backwards, the log also tells how the
 * run has changed the scene: the sum over entries of hash(address, value after) - hash(address,
 * value before) depends only on the last and the first value of each address.  A run that ends in a
 * state whose checks have passed before need not be checked again; otherwise the log is played
 * forwards and the run goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/sim/internal.h"

#define LOG_ENTRIES (UINT64_C(1) << 25) /* 512 MiB of addresses: a run that zeroes 256 MiB fits */
#define SIZE_SHIFT  56

struct undo *undo_entries;
size_t undo_nr, undo_room;
uint64_t undo_noted[UNDO_NOTED];

/* On the first entry, and when the log is full. */
void undo_make_room(void)
{
	if (undo_room != 0)
		sim_fail("too much written", "the undo log is full");
	undo_entries = mmap(NULL, LOG_ENTRIES * sizeof(*undo_entries), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (undo_entries == MAP_FAILED) {
		fprintf(stderr, "quire-explore: no memory for the undo log\n");
		exit(2);
	}
	undo_room = LOG_ENTRIES;
}

/* For the machine's own tables: the word may contain neighbours that are never restored. */
void undo_note_elsewhere(void *addr, unsigned bytes)
{
	if (undo_nr == undo_room)
		undo_make_room();
	undo_entries[undo_nr++] = (struct undo){
		.where = (uint64_t)(uintptr_t)addr | (uint64_t)bytes << SIZE_SHIFT,
		.value = undo_load(addr, bytes),
	};
}

void undo_note_range(void *addr, size_t bytes)
{
	char *at = addr;

	for (; bytes > 8; bytes -= 8, at += 8)
		undo_note_small(at, 8);
	if (bytes != 0)
		undo_note_small(at, (unsigned)bytes);
}

static void *where_of(const struct undo *entry)
{
	return (void *)(uintptr_t)(entry->where & ((UINT64_C(1) << SIZE_SHIFT) - 1));
}

static unsigned bytes_of(const struct undo *entry)
{
	unsigned bytes = (unsigned)(entry->where >> SIZE_SHIFT);

	return bytes != 0 ? bytes : 8;
}

void undo_all(void)
{
	while (undo_nr != 0) {
		const struct undo *entry = &undo_entries[--undo_nr];

		undo_store(where_of(entry), bytes_of(entry), entry->value);
	}
}

static uint64_t mix(uint64_t where, uint64_t value)
{
	uint64_t z = (value ^ where * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

	z = (z ^ z >> 32) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 29;
}

static uint64_t exchange(struct undo *entry)
{
	void *addr = where_of(entry);
	unsigned bytes = bytes_of(entry);
	uint64_t after = undo_load(addr, bytes), before = entry->value;

	undo_store(addr, bytes, before);
	entry->value = after;
	return after == before ? 0 : mix(entry->where, after) - mix(entry->where, before);
}

/* Undoes a run, keeping its values in the log.  Returns the hash of the difference. */
uint64_t undo_swap(void)
{
	uint64_t sum = 0;

	for (size_t i = undo_nr; i-- != 0;)
		sum += exchange(&undo_entries[i]);
	return sum;
}

/* Redoes what undo_swap() has undone. */
void undo_redo(void)
{
	for (size_t i = 0; i < undo_nr; i++)
		exchange(&undo_entries[i]);
}

void undo_forget(void)
{
	undo_nr = 0;
}
