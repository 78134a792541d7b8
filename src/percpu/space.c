/* SPDX-License-Identifier: MIT */
/*
 * percpu/space.c - addresses: windows, chunk numbers, and arrays that grow
 *
 * Units of one object are QUIRE_PERCPU_STRIDE apart, for every object of every instance.  So
 * chunks lie side by side in windows: a window is one stride for each CPU, rounded up to a power
 * of two so that an address is taken apart by shifts.  All windows are one reservation, made at
 * first use; a chunk's units become usable with the chunk.  Addresses are plenty: four times the
 * limit, at most 16 GiB for each CPU, so that a granule's number fits into 32 bits, and at most
 * what this part may take of the process's addresses (mem_reserve_share()).
 *
 * Metadata of chunks is in arrays indexed by chunk number, which are also reserved at once and
 * committed as they grow; committed parts count against the limit.  Any number of threads may
 * grow an array at the same time, each with its own system calls; none waits for another.
 */
#include "percpu/space.h"
#include "percpu/index.h"
#include "percpu/map.h"

#include "base/round.h"
#include "machine/cpu.h"

#define WINDOWS_MAX (1u << 14)
#define GROW_BYTES  ((size_t)16 << 10)

static uint32_t log2_up(uint64_t x)
{
	uint32_t shift = 0;

	while ((uint64_t)1 << shift < x)
		shift++;
	return shift;
}

/* As page_charge(), but legal with locks held, since it does not make room (R29). */
int percpu_charge(struct percpu *pc, uint64_t pages, unsigned flags)
{
	return page_charge(pc->q, pages, flags | QUIRE_NORETRY);
}

/* To how many bytes an array with @ready usable bytes is extended, so that @bytes are usable. */
static size_t next_bytes(const struct percpu *pc, const struct grown *grown, size_t ready,
			 size_t bytes)
{
	size_t next = round_up(bytes, (size_t)1 << pc->page_shift);

	CHECK_VALUES(next <= grown->span_bytes, next, grown->span_bytes);
	if (next - ready < GROW_BYTES && ready >= 4 * GROW_BYTES)
		next = ready + GROW_BYTES;
	return next < grown->span_bytes ? next : grown->span_bytes;
}

/* Counts and charges the bytes committed from @ready on, unless another caller has done so. */
static int grown_count(struct percpu *pc, struct grown *grown, size_t ready, size_t next,
		       unsigned flags)
{
	lock_token token = lock_acquire(&pc->lock);
	int error = 0;

	if (grown->ready_bytes == ready)
		error = percpu_charge(pc, (next - ready) >> pc->page_shift, flags);
	if (!error && grown->ready_bytes == ready)
		store_release(&grown->ready_bytes, next); /* pairs with grown_to() */
	percpu_unlock(pc, token);
	return error;
}

/* Committing memory that other callers already use changes nothing, so nothing needs to be known
 * about them. */
int grown_to(struct percpu *pc, struct grown *grown, size_t bytes, unsigned flags)
{
	size_t ready = load_acquire(&grown->ready_bytes); /* pairs with grown_count() */
	int error = 0;

	/* Relaxed, here: up to @bytes this call has committed all that it did not find ready. */
	for (; !error && ready < bytes; ready = load_relaxed(&grown->ready_bytes)) {
		size_t next = next_bytes(pc, grown, ready, bytes);

		if (mem_commit_apart(grown->base + ready, next - ready) != 0)
			return -ENOMEM;
		error = grown_count(pc, grown, ready, next, flags);
	}
	return error;
}

/* Makes a chunk's units usable.  Parts of the window between them may not be usable yet; the window
 * is one mapping again when all its chunks exist.  A refusal may leave some units usable, which
 * does not harm the next attempt. */
int units_ready(struct percpu *pc, uint32_t chunk)
{
	uint32_t ready = load_acquire(&pc->chunks_ready); /* pairs with the swap below */

	if (chunk < ready)
		return 0;
	CHECK_VALUES(chunk == ready, chunk, ready);
	for (uint32_t unit = 0; unit < pc->units; unit++) {
		char *addr = chunk_ptr(pc, chunk) + unit * QUIRE_PERCPU_STRIDE;

		if (mem_commit(addr, (size_t)1 << pc->unit_shift) != 0)
			return -ENOMEM;
	}
	(void)cas_release(&pc->chunks_ready, &ready, chunk + 1); /* unless another caller did */
	return 0;
}

static void set_geometry(struct percpu *pc)
{
	uint32_t pages = (uint32_t)(QUIRE_PERCPU_STRIDE >> pc->q->page_shift);

	pc->page_shift = pc->q->page_shift;
	pc->pages_shift = (uint8_t)log2_up(pages < UNIT_PAGES_MAX ? pages : UNIT_PAGES_MAX);
	pc->unit_shift = (uint8_t)(pc->page_shift + pc->pages_shift);
	pc->page_granules_shift = (uint8_t)(pc->page_shift - GRANULE_SHIFT);
	pc->map_shift = (uint8_t)(pc->page_granules_shift - 2); /* 2 bits a granule */
	pc->window_shift = (uint8_t)(20 + log2_up(pc->units));
	pc->half_words = map_half(pc);
	pc->granule_mask = page_granules(pc) - 1;
	pc->home_bytes = pc->home * QUIRE_PERCPU_STRIDE;
}

/* ---- the arrays ---- */

struct layout {
	size_t chunks, pages, maps, owners, deferred, index, written, end;
};

static struct layout layout_of(const struct percpu *pc)
{
	size_t unit = (size_t)1 << pc->page_shift, chunks = pc->chunks_max;
	size_t pages = chunks << pc->pages_shift;
	struct layout at = { .chunks = 0 };

	at.pages = round_up(chunks * sizeof(struct percpu_chunk), unit);
	at.maps = at.pages + round_up(pages * sizeof(struct percpu_page), unit);
	at.owners = at.maps + round_up(pages << pc->map_shift, unit);
	at.deferred = at.owners + round_up(pages * sizeof(uint32_t), unit);
	at.index = at.deferred + round_up(chunks << (pc->unit_shift - 2 - 3), unit);
	at.written = at.index + round_up(index_bytes(pc->chunks_max), unit);
	at.end = at.written;
	if (pc->sparse)
		at.end += round_up(chunks * pc->units * sizeof(uint64_t), unit);
	return at;
}

static void grown_init(struct grown *grown, char *meta, size_t from, size_t end)
{
	*grown = (struct grown){ .base = meta + from, .span_bytes = end - from };
}

static void arrays_init(struct percpu *pc, char *meta, const struct layout *at)
{
	grown_init(&pc->grown_chunks, meta, at->chunks, at->pages);
	grown_init(&pc->grown_pages, meta, at->pages, at->maps);
	grown_init(&pc->grown_maps, meta, at->maps, at->owners);
	grown_init(&pc->grown_owners, meta, at->owners, at->deferred);
	grown_init(&pc->grown_deferred, meta, at->deferred, at->index);
	grown_init(&pc->grown_index, meta, at->index, at->written);
	grown_init(&pc->grown_written, meta, at->written, at->end);
	pc->chunk = (struct percpu_chunk *)(void *)(meta + at->chunks);
	pc->page = (struct percpu_page *)(void *)(meta + at->pages);
	pc->maps = meta + at->maps;
	pc->map_page = (uint32_t *)(void *)(meta + at->owners);
	pc->deferred = (uint32_t *)(void *)(meta + at->deferred);
	pc->index = (uint64_t *)(void *)(meta + at->index);
	pc->written = (uint64_t *)(void *)(meta + at->written);
	pc->arrays = meta;
	pc->arrays_bytes = at->end;
}

static int reserve_windows(struct percpu *pc, uint32_t windows)
{
	struct layout at;
	char *meta;

	pc->chunks_max = windows << (20 - pc->unit_shift);
	pc->span_bytes = (size_t)windows << pc->window_shift;
	at = layout_of(pc);
	pc->base = mem_reserve(pc->span_bytes, QUIRE_PERCPU_STRIDE, "quire-percpu");
	if (pc->base == NULL)
		return -ENOMEM;
	meta = mem_reserve(at.end, (size_t)1 << pc->page_shift, "quire-chunks");
	if (meta == NULL) {
		mem_release(pc->base, pc->span_bytes);
		return -ENOMEM;
	}
	mem_advise_huge(pc->base, pc->span_bytes, false);
	arrays_init(pc, meta, &at);
	return 0;
}

/* Tells the operations on this CPU's copy which CPUs may have no unit. */
static int tell_units(const struct percpu *pc)
{
	if (pc->units >= process_cpus_possible())
		return 0;
	return cpu_units_add(pc->base, pc->span_bytes, pc->units);
}

static void space_release(struct percpu *pc)
{
	mem_release(pc->base, pc->span_bytes);
	mem_release(pc->arrays, pc->arrays_bytes);
}

/* Reserves all addresses, and halves the size until the system grants them. */
int space_init(struct percpu *pc)
{
	uint64_t limit, share, windows;

	set_geometry(pc);
	limit = pc->q->most_pages << pc->page_shift;
	share = mem_reserve_share();
	windows = 4 * limit / pc->units / QUIRE_PERCPU_STRIDE;
	if (share >> pc->window_shift < windows)
		windows = share >> pc->window_shift;
	windows = windows < 2 ? 2 : windows > WINDOWS_MAX ? WINDOWS_MAX : windows;
	for (; windows != 0; windows /= 2)
		if (reserve_windows(pc, (uint32_t)windows) == 0)
			break;
	if (windows == 0)
		return -ENOMEM;
	if (tell_units(pc) == 0)
		return 0;
	space_release(pc);
	return -ENOMEM;
}

/* The pages charged for the arrays. */
size_t space_charged_pages(const struct percpu *pc)
{
	size_t bytes = pc->grown_chunks.ready_bytes + pc->grown_pages.ready_bytes +
		       pc->grown_maps.ready_bytes + pc->grown_owners.ready_bytes +
		       pc->grown_deferred.ready_bytes + pc->grown_written.ready_bytes +
		       pc->grown_index.ready_bytes;

	return bytes >> pc->page_shift;
}

void space_fini(struct percpu *pc)
{
	page_uncharge(pc->q, space_charged_pages(pc));
	cpu_units_remove(pc->base);
	space_release(pc);
}
