/* SPDX-License-Identifier: MIT */
/*
 * undo.c - what memory held before a run wrote to it
 *
 * Every write passes a hook, so a log of old values, played backwards, restores a scene in time
 * proportional to what a run did: finer than copying dirty pages, and nothing has to find them.
 * The first entry for an address is the one that counts; later ones are overwritten by it.
 *
 * Played backwards with each value exchanged for what memory held, the log also tells what the run
 * has made of the scene: the sum over entries of hash(address, value after) - hash(address, value
 * before) keeps only the last and the first value of each address.  A run that ends in a state
 * whose checks have passed before need not be checked again; otherwise the log is played forwards
 * and the run goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/sim/internal.h"

#define LOG_ENTRIES (UINT64_C(1) << 25) /* 512 MiB of addresses: a run that zeroes 256 MiB fits */
#define SIZE_SHIFT  56

struct undo {
	uint64_t where; /* address, and size (1..8) in the top byte */
	uint64_t value;
};

static struct undo *entries;
static size_t entries_nr;

static void make_room(void)
{
	if (entries == NULL) {
		entries = mmap(NULL, LOG_ENTRIES * sizeof(*entries), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (entries == MAP_FAILED) {
			fprintf(stderr, "quire-explore: no memory for the undo log\n");
			exit(2);
		}
	}
	if (entries_nr == LOG_ENTRIES)
		sim_fail("too much written", "the undo log is full");
}

uint64_t undo_load(const void *addr, unsigned bytes)
{
	uint64_t value = 0;

	switch (bytes) {
	case 1:
		return *(const uint8_t *)addr;
	case 2:
		memcpy(&value, addr, 2);
		return value;
	case 4:
		memcpy(&value, addr, 4);
		return value;
	case 8:
		memcpy(&value, addr, 8);
		return value;
	default:
		memcpy(&value, addr, bytes);
		return value;
	}
}

void undo_store(void *addr, unsigned bytes, uint64_t value)
{
	switch (bytes) {
	case 1:
		memcpy(addr, &value, 1);
		break;
	case 2:
		memcpy(addr, &value, 2);
		break;
	case 4:
		memcpy(addr, &value, 4);
		break;
	case 8:
		memcpy(addr, &value, 8);
		break;
	default:
		memcpy(addr, &value, bytes);
	}
}

void undo_note_small(void *addr, unsigned bytes)
{
	if (UNLIKELY(entries == NULL || entries_nr == LOG_ENTRIES))
		make_room();
	entries[entries_nr++] = (struct undo){
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
	return (unsigned)(entry->where >> SIZE_SHIFT);
}

void undo_all(void)
{
	while (entries_nr != 0) {
		const struct undo *entry = &entries[--entries_nr];

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

/* Undoes, keeping what was; returns the hash of the difference. */
uint64_t undo_swap(void)
{
	uint64_t sum = 0;

	for (size_t i = entries_nr; i-- != 0;)
		sum += exchange(&entries[i]);
	return sum;
}

/* Does again what undo_swap() has undone. */
void undo_redo(void)
{
	for (size_t i = 0; i < entries_nr; i++)
		exchange(&entries[i]);
}

void undo_forget(void)
{
	entries_nr = 0;
}
