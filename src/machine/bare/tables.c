/* SPDX-License-Identifier: MIT */
/*
 * tables.c - the page tables of what may be reserved
 *
 * Four levels, of which the lowest has an entry for each page.  The processor ignores three bits of an entry, and all
 * of one without PRESENT:
 *
 *   entry                            the page
 *   0                                is not committed
 *   COMMITTED                        reads zero, and gets a frame at the first access
 *   COMMITTED, PRESENT, WRITE        has a frame
 *   COMMITTED, READONLY              reads zero, and takes a frame of zeroes for that; not charged
 *   COMMITTED, GUARD                 faults
 *
 * One lock guards all tables; it is held for the entries of one table at most.  Tables are never given back: the next
 * reservation at their addresses uses them.  They are charged for good.
 *
 * A change only collects frames.  They are free after the flush, which asks all CPUs once for all changes of a batch.
 */
#include "machine/bare/tables.h"

#include "base/check.h"
#include "machine/bare/ipi.h"
#include "machine/bare/spin.h"

#define PRESENT	  UINT64_C(1)
#define WRITE	  UINT64_C(2)
#define COMMITTED (UINT64_C(1) << 9)
#define READONLY  (UINT64_C(1) << 10)
#define GUARD	  (UINT64_C(1) << 11)
#define MARKS	  (COMMITTED | READONLY | GUARD)
#define ADDRESS	  UINT64_C(0x000ffffffffff000)

#define ERROR_WRITE UINT64_C(2)

#define LEVELS	    4u
#define LEVEL_BITS  9u
#define TABLE_BYTES ((size_t)1 << (FRAME_SHIFT + LEVEL_BITS)) /* which one lowest table maps */

extern uint64_t boot_level4[];

static struct spin tables_spin;
static uint32_t zeroes; /* the frame that read-only pages share; 0: not yet taken */

static uint64_t *table_of(uint64_t entry)
{
	return (uint64_t *)(uintptr_t)(entry & ADDRESS);
}

static uint32_t frame_of(uint64_t entry)
{
	return (uint32_t)((entry & ADDRESS) >> FRAME_SHIFT);
}

static uint64_t *index_in(uint64_t *table, uintptr_t addr, unsigned level)
{
	return &table[addr >> (FRAME_SHIFT + level * LEVEL_BITS) & ((1u << LEVEL_BITS) - 1)];
}

/* The entry of a page; NULL if there is no table for it. */
static uint64_t *entry_of_locked(uintptr_t addr)
{
	uint64_t *table = boot_level4;

	CHECK(spin_is_held(&tables_spin));
	for (unsigned level = LEVELS - 1; level != 0; level--) {
		uint64_t entry = *index_in(table, addr, level);

		if ((entry & PRESENT) == 0)
			return NULL;
		table = table_of(entry);
	}
	return index_in(table, addr, 0);
}

/* The same, with tables made as needed; NULL if there is no memory for them. */
static uint64_t *make_entry_locked(uintptr_t addr)
{
	uint64_t *table = boot_level4;

	CHECK(spin_is_held(&tables_spin));
	for (unsigned level = LEVELS - 1; level != 0; level--) {
		uint64_t *entry = index_in(table, addr, level);

		if ((*entry & PRESENT) == 0) {
			if (!frames_charge(1))
				return NULL;
			*entry = (uint64_t)frame_take() << FRAME_SHIFT | PRESENT | WRITE;
		}
		table = table_of(*entry);
	}
	return index_in(table, addr, 0);
}

/* The end of the part of a range that one lowest table maps. */
static uintptr_t part_end(uintptr_t addr, uintptr_t end)
{
	uintptr_t next = (addr & ~(TABLE_BYTES - 1)) + TABLE_BYTES;

	return next < end ? next : end;
}

/* ---- committing ---- */

/* Marks pages, and returns how many of them need the charge; or -1 if there is no memory for a table.  *@flush is set if
 * some CPU may go on reading zeroes where another writes from now on. */
static long mark_part(uintptr_t addr, uintptr_t end, bool readonly, bool *flush)
{
	uint64_t flags = spin_acquire(&tables_spin);
	uint64_t *entry = make_entry_locked(addr);
	uint64_t marks = COMMITTED | (readonly ? READONLY : 0);
	long nr = 0;

	for (; entry != NULL && addr < end; addr += FRAME_BYTES, entry++) {
		if (*entry == 0) {
			*entry = marks;
			nr++;
		} else if (!readonly && (*entry & READONLY) != 0) {
			*flush = *flush || (*entry & PRESENT) != 0;
			*entry = marks;
			nr++;
		}
	}
	spin_release(&tables_spin, flags);
	return entry != NULL ? nr : -1;
}

static bool commit(uintptr_t addr, size_t bytes, bool readonly)
{
	uintptr_t end = addr + bytes, at = addr, next;
	size_t pages = bytes >> FRAME_SHIFT, used = 0;
	bool flush = false;
	long nr = 0;

	CHECK_VALUES(addr >= TABLES_BEGIN && end <= TABLES_END, addr, bytes);
	if (!readonly && !frames_charge(pages))
		return false;
	for (; at < end && nr >= 0; at = next) {
		next = part_end(at, end);
		nr = mark_part(at, next, readonly, &flush);
		used += nr > 0 ? (size_t)nr : 0;
	}
	if (!readonly)
		frames_uncharge(pages - used);
	if (flush)
		ipi_all(true);
	return nr >= 0;
}

bool tables_commit(uintptr_t addr, size_t bytes)
{
	return commit(addr, bytes, false);
}

bool tables_commit_readonly(uintptr_t addr, size_t bytes)
{
	return commit(addr, bytes, true);
}

/* ---- changes ---- */

/* Takes the frame of an entry away and leaves @marks there. */
static void strip_locked(uint64_t *entry, uint64_t marks, struct tables_batch *batch)
{
	uint64_t old;

	CHECK(spin_is_held(&tables_spin));
	old = exchange_acq_rel(entry, marks); /* the processor notes accesses there */
	if ((old & PRESENT) == 0)
		return;
	batch->flush = true;
	if ((old & READONLY) == 0)
		frame_drop(frame_of(old), &batch->chain);
}

static void change_locked(uint64_t *entry, enum tables_change change, struct tables_batch *batch)
{
	uint64_t marks = *entry & MARKS;

	CHECK(spin_is_held(&tables_spin));
	if (marks == 0)
		return;
	switch (change) {
	case TABLES_UNBACK:
		strip_locked(entry, marks, batch);
		break;
	case TABLES_UNMAP:
		batch->uncharged_nr += (marks & READONLY) == 0;
		strip_locked(entry, 0, batch);
		break;
	case TABLES_GUARD:
		strip_locked(entry, marks | GUARD, batch);
		break;
	case TABLES_UNGUARD:
		*entry &= ~GUARD;
		break;
	}
}

/* The end of the range that has no table because entry @addr of some level has none. */
static uintptr_t gap_end_locked(uintptr_t addr, uintptr_t end)
{
	uint64_t *table = boot_level4;

	CHECK(spin_is_held(&tables_spin));
	for (unsigned level = LEVELS - 1; level != 0; level--) {
		uint64_t entry = *index_in(table, addr, level);
		uintptr_t bytes = (uintptr_t)1 << (FRAME_SHIFT + level * LEVEL_BITS);

		if ((entry & PRESENT) == 0) {
			uintptr_t next = (addr & ~(bytes - 1)) + bytes;

			return next < end ? next : end;
		}
		table = table_of(entry);
	}
	return part_end(addr, end);
}

void tables_change(uintptr_t addr, size_t bytes, enum tables_change change,
		   struct tables_batch *batch)
{
	uintptr_t end = addr + bytes;

	while (addr < end) {
		uint64_t flags = spin_acquire(&tables_spin);
		uintptr_t next = gap_end_locked(addr, end);
		uint64_t *entry = entry_of_locked(addr);

		for (uintptr_t at = addr; entry != NULL && at < next; at += FRAME_BYTES, entry++)
			change_locked(entry, change, batch);
		spin_release(&tables_spin, flags);
		addr = next;
	}
}

void tables_flush(struct tables_batch *batch)
{
	if (batch->flush)
		ipi_all(true);
	frames_put(batch->chain);
	frames_uncharge(batch->uncharged_nr);
	*batch = (struct tables_batch)TABLES_BATCH_INIT;
}

/* ---- frames ---- */

static uint64_t fill_locked(uint64_t *entry)
{
	CHECK(spin_is_held(&tables_spin));
	if ((*entry & PRESENT) == 0)
		*entry |= (uint64_t)frame_take() << FRAME_SHIFT | PRESENT | WRITE;
	return *entry;
}

void tables_alias(uintptr_t from, uintptr_t to)
{
	uint64_t flags = spin_acquire(&tables_spin);
	uint64_t *source = entry_of_locked(from), *target = entry_of_locked(to);

	CHECK_VALUES(source != NULL && (*source & MARKS) == COMMITTED, from, to);
	CHECK_VALUES(target != NULL && *target == COMMITTED, from, to);
	frame_count_again(frame_of(fill_locked(source)));
	*target |= (*source & ADDRESS) | PRESENT | WRITE;
	spin_release(&tables_spin, flags);
}

void tables_move(uintptr_t from, uintptr_t to, size_t bytes, struct tables_batch *batch)
{
	for (size_t at = 0; at < bytes; at += FRAME_BYTES) {
		uint64_t flags = spin_acquire(&tables_spin);
		uint64_t *source = entry_of_locked(from + at), *target = entry_of_locked(to + at);
		uint64_t old;

		CHECK_VALUES(source != NULL && (*source & MARKS) == COMMITTED, from + at, to + at);
		CHECK_VALUES(target != NULL && (*target & MARKS) == COMMITTED, from + at, to + at);
		old = exchange_acq_rel(source, COMMITTED);
		strip_locked(target, old, batch);
		batch->flush = batch->flush || (old & PRESENT) != 0;
		spin_release(&tables_spin, flags);
	}
}

bool tables_has_memory(uintptr_t addr, size_t bytes)
{
	uint64_t flags = spin_acquire(&tables_spin);
	bool found = false;

	for (size_t at = 0; at < bytes && !found; at += FRAME_BYTES) {
		const uint64_t *entry = entry_of_locked(addr + at);

		found = entry != NULL && (*entry & PRESENT) != 0;
	}
	spin_release(&tables_spin, flags);
	return found;
}

static bool back_locked(uint64_t *entry, bool writes)
{
	CHECK(spin_is_held(&tables_spin));
	if (entry == NULL || (*entry & COMMITTED) == 0 || (*entry & GUARD) != 0)
		return false;
	if ((*entry & READONLY) == 0) {
		(void)fill_locked(entry);
		return true;
	}
	if (writes)
		return false;
	if (zeroes == 0) {
		if (!frames_charge(1))
			return false;
		zeroes = frame_take();
	}
	*entry |= (uint64_t)zeroes << FRAME_SHIFT | PRESENT;
	return true;
}

bool tables_fault(uint64_t addr, uint64_t error)
{
	uint64_t flags;
	bool backed;

	if (addr < TABLES_BEGIN || addr >= TABLES_END)
		return false;
	flags = spin_acquire(&tables_spin);
	backed = back_locked(entry_of_locked(addr), (error & ERROR_WRITE) != 0);
	spin_release(&tables_spin, flags);
	return backed;
}
