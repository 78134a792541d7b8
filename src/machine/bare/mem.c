/* SPDX-License-Identifier: MIT */
/*
 * mem.c - reserving addresses and committing memory (machine/mem.h)
 *
 * Reservations are listed by address, and a new one takes the first gap that is large enough.  Committing charges, and
 * memory comes with the first access.  The memory of any reservation can be mapped again.
 *
 * Guards and aliases are marks in page tables, so there may be any number of them.
 */
#include "machine/mem.h"

#include "base/check.h"
#include "base/errno.h"
#include "machine/bare/frames.h"
#include "machine/bare/spin.h"
#include "machine/bare/tables.h"

#define RESERVATIONS_MAX 1024u

struct reservation {
	uintptr_t start, end;
};

static struct {
	struct spin spin;
	unsigned nr;
	struct reservation list[RESERVATIONS_MAX]; /* by address */
} reservations;

static uint64_t mappings_used[MAPPINGS_KINDS_NR]; /* atomic */

size_t mem_page_bytes(void)
{
	return FRAME_BYTES;
}

uint64_t mem_machine_bytes(void)
{
	return (uint64_t)frames_nr() << FRAME_SHIFT;
}

struct mem_limit mem_limit_read(void)
{
	return (struct mem_limit){ .bytes = mem_machine_bytes(), .source = MEM_LIMIT_MACHINE };
}

/* ---- addresses ---- */

size_t mem_reserve_share(void)
{
	return (TABLES_END - TABLES_BEGIN) / 2;
}

static uintptr_t align_up(uintptr_t value, size_t align_bytes)
{
	return (value + align_bytes - 1) & ~((uintptr_t)align_bytes - 1);
}

static void insert_locked(unsigned at, struct reservation reservation)
{
	CHECK(spin_is_held(&reservations.spin));
	for (unsigned i = reservations.nr; i > at; i--)
		reservations.list[i] = reservations.list[i - 1];
	reservations.list[at] = reservation;
	reservations.nr++;
}

/* Address 0 if there is no gap. */
static uintptr_t take_gap_locked(size_t bytes, size_t align_bytes)
{
	uintptr_t start = align_up(TABLES_BEGIN, align_bytes);

	CHECK(spin_is_held(&reservations.spin));
	if (reservations.nr == RESERVATIONS_MAX)
		return 0;
	for (unsigned i = 0; i <= reservations.nr; i++) {
		uintptr_t end = i < reservations.nr ? reservations.list[i].start : TABLES_END;

		if (start <= end && end - start >= bytes) {
			insert_locked(i, (struct reservation){ start, start + bytes });
			return start;
		}
		if (i < reservations.nr)
			start = align_up(reservations.list[i].end, align_bytes);
	}
	return 0;
}

void *mem_reserve(size_t bytes, size_t align_bytes, const char *name)
{
	uint64_t flags = spin_acquire(&reservations.spin);
	uintptr_t start =
		take_gap_locked(bytes, align_bytes < FRAME_BYTES ? FRAME_BYTES : align_bytes);

	(void)name;
	spin_release(&reservations.spin, flags);
	return (void *)start;
}

void *mem_reserve_shared(size_t bytes, size_t align_bytes, const char *name)
{
	return mem_reserve(bytes, align_bytes, name);
}

void mem_forget_shared(size_t bytes)
{
	(void)bytes;
}

static void put_gap(uintptr_t start, uintptr_t end)
{
	uint64_t flags = spin_acquire(&reservations.spin);
	unsigned i = 0;

	while (i < reservations.nr && reservations.list[i].start != start)
		i++;
	CHECK_VALUES(i < reservations.nr && reservations.list[i].end == end, start, end);
	reservations.nr--;
	for (; i < reservations.nr; i++)
		reservations.list[i] = reservations.list[i + 1];
	spin_release(&reservations.spin, flags);
}

/* Applies one change to one range, to the end. */
static void change_now(void *addr, size_t bytes, enum tables_change change)
{
	struct tables_batch batch = TABLES_BATCH_INIT;

	tables_change((uintptr_t)addr, bytes, change, &batch);
	tables_flush(&batch);
}

void mem_release(void *addr, size_t bytes)
{
	change_now(addr, bytes, TABLES_UNMAP);
	put_gap((uintptr_t)addr, (uintptr_t)addr + bytes);
}

/* ---- memory ---- */

int mem_commit(void *addr, size_t bytes)
{
	return tables_commit((uintptr_t)addr, bytes) ? 0 : -ENOMEM;
}

int mem_commit_apart(void *addr, size_t bytes)
{
	return mem_commit(addr, bytes);
}

void *mem_map(size_t bytes, const char *name)
{
	void *addr = mem_reserve(bytes, FRAME_BYTES, name);

	if (addr != NULL && mem_commit(addr, bytes) != 0) {
		mem_release(addr, bytes);
		addr = NULL;
	}
	return addr;
}

int mem_commit_readonly(void *addr, size_t bytes)
{
	return tables_commit_readonly((uintptr_t)addr, bytes) ? 0 : -ENOMEM;
}

int mem_decommit(void *addr, size_t bytes, const char *name)
{
	(void)name;
	change_now(addr, bytes, TABLES_UNMAP);
	return 0;
}

int mem_move(void *from, void *to, size_t bytes)
{
	struct tables_batch batch = TABLES_BATCH_INIT;

	tables_move((uintptr_t)from, (uintptr_t)to, bytes, &batch);
	tables_flush(&batch);
	mem_mappings_add(MAPPINGS_MOVES, MAPPINGS_A_MOVE);
	return 0;
}

int mem_find_written(const struct mem_stretches *stretches, uint64_t *masks)
{
	for (unsigned i = 0; i < stretches->nr; i++) {
		uintptr_t at = (uintptr_t)stretches->addr + i * stretches->stride_bytes;

		masks[i] = 0;
		for (unsigned page = 0; page < stretches->pages; page++)
			if (tables_has_memory(at + page * stretches->page_bytes,
					      stretches->page_bytes))
				masks[i] |= UINT64_C(1) << page;
	}
	return 0;
}

bool mem_reading_takes_memory(void)
{
	return true; /* only read-only pages share their zeroes */
}

bool mem_is_locked(void)
{
	return false;
}

bool mem_commits_lock(void)
{
	return false;
}

/* ---- huge pages: none ---- */

void mem_advise_huge(void *addr, size_t bytes, bool huge)
{
	(void)addr;
	(void)bytes;
	(void)huge;
}

bool mem_huge_is_given(void)
{
	return false;
}

int mem_collapse_huge(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	return -EINVAL;
}

void mem_split_huge(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
}

/* ---- mappings, of which there is no end ---- */

bool mem_mappings_take(enum mem_mappings kind, uint32_t nr)
{
	mem_mappings_add(kind, nr);
	return true;
}

void mem_mappings_add(enum mem_mappings kind, uint32_t nr)
{
	fetch_add_relaxed(&mappings_used[kind], (uint64_t)nr);
}

void mem_mappings_give(enum mem_mappings kind, uint32_t nr)
{
	fetch_sub_relaxed(&mappings_used[kind], (uint64_t)nr);
}

void mem_mappings_read(struct mem_mappings_stat *stat)
{
	*stat = (struct mem_mappings_stat){ .max = UINT64_MAX };
	for (unsigned i = 0; i < MAPPINGS_KINDS_NR; i++)
		stat->used[i] = load_relaxed(&mappings_used[i]);
}

/* ---- guards ---- */

int mem_guard(void *addr, size_t bytes, bool *mapped)
{
	change_now(addr, bytes, TABLES_GUARD);
	*mapped = false;
	return 0;
}

int mem_unguard(void *addr, size_t bytes)
{
	change_now(addr, bytes, TABLES_UNGUARD);
	return 0;
}

void mem_unguard_ranges(struct mem_range *ranges, unsigned ranges_nr)
{
	for (unsigned i = 0; i < ranges_nr; i++)
		ranges[i].error = mem_unguard(ranges[i].addr, ranges[i].bytes);
}

bool mem_guard_works(void)
{
	return true;
}

/* ---- frames and gathers ---- */

int mem_map_frames(void *addr, void *const *frames, size_t frames_nr, size_t frame_bytes)
{
	for (size_t i = 0; i < frames_nr; i++)
		for (size_t at = 0; at < frame_bytes; at += FRAME_BYTES)
			tables_alias((uintptr_t)frames[i] + at,
				     (uintptr_t)addr + i * frame_bytes + at);
	return 0;
}

/* An alias is a frame that is counted once more, so unmapping one is unbacking it. */
size_t gather_finish(struct gather *gather)
{
	enum tables_change change = gather->kind == GATHER_UNMAP ? TABLES_UNMAP : TABLES_UNBACK;
	struct tables_batch batch = TABLES_BATCH_INIT;
	size_t taken_bytes = 0;

	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		struct mem_range *range = &gather->ranges[i];

		tables_change((uintptr_t)range->addr, range->bytes, change, &batch);
		taken_bytes += range->bytes;
		range->error = 0;
	}
	tables_flush(&batch);
	return taken_bytes;
}
