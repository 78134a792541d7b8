/* SPDX-License-Identifier: MIT */
/*
 * vmap/meta.c - the metadata of the span: the map, the heads, the sections' states
 *
 * All metadata is readable from the start and reads zero, so any address may be looked up.  It
 * becomes writable where areas lie, in steps of 64 MiB of the span; with pages of 4 KiB a step is
 * 64 KiB of the map and one page of each other array.  All of it together would be 100 MB for a
 * limit of 24 GiB, which strict overcommit and RLIMIT_DATA would charge at once and mlockall()
 * would populate.
 *
 *   map       written where a range begins that is not FREE
 *   heads     levels 0 and 1 likewise; those above are one page for 64 GiB and written from the start
 *   section   written when a section is committed
 *   mapped    written where a guard is a mapping, or frames are
 *   guarded   written where a guard is
 *
 * All steps of a range that is not FREE are ready, since it may be cut anywhere.  So steps are
 * made ready before a range is taken from the free ones: the caller checks them under the lock,
 * drops the lock to commit, and checks again.
 *
 * A step needs no lock: committing it twice changes nothing, nothing is counted, and steps are
 * never decommitted.  The first caller to finish marks the step ready; others that are still
 * committing it do no harm.
 */
#include "vmap/meta.h"

#include <quire/quire.h>

#include "base/errno.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "vmap/commit.h"
#include "vmap/guarded.h"
#include "vmap/heads.h"
#include "vmap/vmap.h"

#define STEP_SHIFT    26u
#define GATHER_RANGES 1024u

static unsigned step_page_shift(const struct vmap *v)
{
	return STEP_SHIFT - v->page_shift;
}

/* A word for 32 pages: mapped.c. */
static size_t mapped_bytes(uint32_t pages)
{
	return ((size_t)pages + 31) / 32 * sizeof(uint64_t);
}

static int commit_part(void *array, size_t from, size_t end)
{
	return mem_commit_part(mem_commit_apart, array, from, end - from);
}

/* Commits the upper levels, and the arrays from @written on: both are written wherever areas lie. */
static int commit_whole(struct vmap *v, char *written)
{
	size_t upper = (size_t)((char *)v->heads[2] - (char *)v->heads[0]);
	int error = commit_part(v->heads[0], upper, heads_bytes(v->span_pages));

	return error ? error : commit_part(written, 0, v->meta_bytes - (size_t)(written - v->meta));
}

int meta_reserve(struct vmap *v)
{
	size_t page = mem_page_bytes();
	size_t map = round_up((size_t)v->span_pages * sizeof(uint32_t), page);
	size_t heads = round_up(heads_bytes(v->span_pages), page);
	size_t sections = round_up((v->span_bytes >> SECTION_SHIFT) + 1, page);
	size_t mapped = round_up(mapped_bytes(v->span_pages), page);
	size_t ranges = round_up(GATHER_RANGES * sizeof(struct mem_range), page);
	size_t vector = round_up(GATHER_RANGES * sizeof(struct mem_vector), page);
	size_t steps = round_up((v->span_bytes >> STEP_SHIFT) + 1, page);
	size_t guarded = round_up(guarded_bytes(v->span_pages), page);
	size_t read = map + heads + sections + mapped + guarded;

	v->meta_bytes = read + ranges + vector + steps;
	v->meta = mem_reserve(v->meta_bytes, page, "quire-area-map");
	if (v->meta == NULL)
		return -ENOMEM;
	v->map = (uint32_t *)(void *)v->meta;
	heads_place(v, (uint64_t *)(void *)(v->meta + map));
	v->section = (uint8_t *)(v->meta + map + heads);
	v->mapped = (uint64_t *)(void *)(v->meta + map + heads + sections);
	v->guarded = (uint64_t *)(void *)(v->meta + map + heads + sections + mapped);
	v->ranges = (struct mem_range *)(void *)(v->meta + read);
	v->vector = (struct mem_vector *)(void *)(v->meta + read + ranges);
	v->step_ready = (uint8_t *)(v->meta + read + ranges + vector);
	if (mem_commit_readonly(v->meta, read) != 0 || commit_whole(v, v->meta + read) != 0) {
		mem_release(v->meta, v->meta_bytes);
		return -ENOMEM;
	}
	mem_advise_huge(v->meta, v->meta_bytes, false);
	return 0;
}

bool meta_is_ready(const struct vmap *v, uint32_t first, uint32_t end)
{
	unsigned shift = step_page_shift(v);

	for (uint32_t i = first >> shift; i <= (end - 1) >> shift; i++) {
		if (!load_acquire(&v->step_ready[i])) /* pairs with meta_ready() */
			return false;
	}
	return true;
}

static int make_step_ready(struct vmap *v, uint32_t step)
{
	size_t first = (size_t)step << step_page_shift(v);
	size_t end = first + ((size_t)1 << step_page_shift(v));
	int error;

	if (end > v->span_pages)
		end = v->span_pages;
	error = commit_part(v->map, first * sizeof(uint32_t), end * sizeof(uint32_t));
	for (unsigned level = 0; level < 2 && !error; level++) {
		unsigned shift = 6 * (level + 1);

		error = commit_part(v->heads[level], (first >> shift) * sizeof(uint64_t),
				    (((end - 1) >> shift) + 1) * sizeof(uint64_t));
	}
	if (!error)
		error = commit_part(v->section, first >> section_page_shift(v),
				    ((end - 1) >> section_page_shift(v)) + 1);
	if (!error)
		error = commit_part(v->mapped, first / 32 * sizeof(uint64_t),
				    mapped_bytes((uint32_t)end));
	if (!error)
		error = commit_part(v->guarded, first / 64 * sizeof(uint64_t),
				    guarded_bytes((uint32_t)end));
	return error;
}

int meta_ready(struct vmap *v, uint32_t first, uint32_t end, unsigned flags)
{
	unsigned shift = step_page_shift(v);
	int error = 0;

	if (meta_is_ready(v, first, end))
		return 0;
	if (flags & QUIRE_NOLOCK)
		return -EAGAIN;
	for (uint32_t i = first >> shift; !error && i <= (end - 1) >> shift; i++) {
		if (load_relaxed(&v->step_ready[i]))
			continue;
		error = make_step_ready(v, i);
		if (!error)
			store_release(&v->step_ready[i], 1); /* pairs with meta_is_ready() */
	}
	return error;
}
