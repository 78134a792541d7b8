/* SPDX-License-Identifier: MIT */
/*
 * percpu/sparse.c - clearing a reused object when few CPUs have written it
 *
 * Every copy of a reused object must read zero.  With few units all copies are checked.  With
 * many, most of which are never written, the check itself would cost a page table for each CPU,
 * and on some systems a page.  But only copies whose page has memory can differ from zero, and
 * the system knows which have.  Asking the system is a *look*.
 *
 *   written   one bit per page and unit: the page may have memory.  Looks set bits, populating the page
 *             clears them, so no page that a look found is missing.
 *   seen      said of a page: its free granules read zero in every unit whose bit is clear.  True when
 *             the page is populated; false after a free; true again after a look that began after the
 *             latest free.
 *
 * An object popped from a stack was freed after any look.  The few pages of a stack are checked
 * copy by copy if reading costs a page table at most; the system is asked each time only if it
 * would cost a page.
 *
 * So a burst of allocations into holes costs one look per chunk, and an object in a page without
 * frees since the last look costs none.
 *
 * One caller at a time looks, with no lock held, on behalf of all: unseen pages become PENDING
 * before the look and SEEN after it, unless a free has reset them meanwhile.  A caller that finds
 * a look in progress looks at its own pages only.  Looks only add bits; a superfluous bit is
 * harmless and costs the read of a copy.
 */
#include "percpu/sparse.h"
#include "percpu/alloc.h"
#include "percpu/place.h"

#define BATCH_UNITS 64u

static uint64_t *written_of(const struct percpu *pc, uint32_t chunk)
{
	return pc->written + (size_t)chunk * pc->units;
}

/* True if most copies are written: then reading each copy is cheaper than asking the system. */
static bool is_dense(const struct percpu *pc, uint32_t chunk, uint64_t pages)
{
	const uint64_t *written = written_of(pc, chunk);
	uint32_t n = 0;

	for (uint32_t unit = 0; unit < pc->units; unit++)
		n += (load_relaxed(&written[unit]) & pages) == pages; /* a hint */
	return n * 2 > pc->units;
}

/* Pages that were just populated have no memory.  Requires lock, since the result of a look may
 * arrive. */
void sparse_populate_locked(struct percpu *pc, uint32_t chunk, uint64_t pages)
{
	uint64_t *written = written_of(pc, chunk);

	DCHECK(lock_is_held(&pc->lock));
	for (uint32_t unit = 0; pc->sparse && unit < pc->units; unit++)
		if ((load_relaxed(&written[unit]) & pages) != 0) /* only looks write it too */
			fetch_and_relaxed(&written[unit], ~pages);
	for (; pages != 0; pages &= pages - 1)
		pc->page[page_number(pc, chunk, bit_lowest(pages))].seen = PAGE_SEEN;
}

static bool all_seen_locked(const struct percpu *pc, uint32_t chunk, uint64_t pages)
{
	DCHECK(lock_is_held(&pc->lock));
	for (; pages != 0; pages &= pages - 1)
		if (pc->page[page_number(pc, chunk, bit_lowest(pages))].seen != PAGE_SEEN)
			return false;
	return true;
}

/* Returns true if the caller is to look at @pages on behalf of all.  Sets *@seen if another caller
 * has looked since the object was placed. */
static bool begin(struct percpu *pc, uint32_t chunk, uint64_t pages, bool *seen)
{
	lock_token token;

	if (!lock_try(&pc->lock, &token))
		return false;
	*seen = all_seen_locked(pc, chunk, pages);
	if (pc->looking || *seen) {
		percpu_unlock(pc, token);
		return false;
	}
	pc->looking = true;
	for (uint32_t i = 0; i < unit_pages(pc); i++) {
		struct percpu_page *page = &pc->page[page_number(pc, chunk, i)];

		if (page->seen == PAGE_NOT_SEEN)
			page->seen = PAGE_PENDING;
	}
	percpu_unlock(pc, token);
	return true;
}

/* Ends a look on behalf of all.  @told: the system has answered. */
static void end(struct percpu *pc, uint32_t chunk, bool told)
{
	lock_token token = lock_acquire(&pc->lock);

	for (uint32_t i = 0; i < unit_pages(pc); i++) {
		struct percpu_page *page = &pc->page[page_number(pc, chunk, i)];

		if (page->seen == PAGE_PENDING)
			page->seen = told ? PAGE_SEEN : PAGE_NOT_SEEN;
	}
	pc->looking = false;
	percpu_unlock(pc, token);
}

/* Asks the system about the units from @first on, and notes the answer.  False if the system cannot
 * answer, so any page may have been written. */
static bool find(struct percpu *pc, uint32_t chunk, uint32_t first, uint32_t nr, uint64_t *masks)
{
	uint64_t *written = written_of(pc, chunk) + first;
	const struct mem_stretches stretches = {
		.addr = chunk_ptr(pc, chunk) + first * QUIRE_PERCPU_STRIDE,
		.stride_bytes = QUIRE_PERCPU_STRIDE,
		.page_bytes = (size_t)1 << pc->page_shift,
		.nr = nr,
		.pages = unit_pages(pc),
	};

	if (mem_find_written(&stretches, masks) != 0) {
		memset(masks, 0xff, nr * sizeof(masks[0]));
		return false;
	}
	for (uint32_t i = 0; i < nr; i++)
		if ((load_relaxed(&written[i]) & masks[i]) != masks[i]) /* only if it adds bits */
			fetch_or_relaxed(&written[i], masks[i]);	/* end() makes it known */
	return true;
}

static void known(const struct percpu *pc, uint32_t chunk, uint32_t first, uint32_t nr,
		  uint64_t *masks)
{
	const uint64_t *written = written_of(pc, chunk) + first;

	for (uint32_t i = 0; i < nr; i++)
		masks[i] = load_relaxed(&written[i]); /* a superset of the bits when it was seen */
}

/* Clears a new object before it is handed out.  @seen: its pages were PAGE_SEEN when it was
 * placed.  @for_all: a look may take lock, and then serves later callers too. */
void sparse_zero(struct percpu *pc, struct place place, size_t bytes, bool seen, bool for_all)
{
	uint32_t chunk = place_chunk(pc, place);
	uint64_t pages = place_pages(pc, place, bytes), masks[BATCH_UNITS];
	char *ptr = place_ptr(pc, place);
	bool all = !seen && is_dense(pc, chunk, pages), told = true;

	for_all = for_all && !seen && !all && begin(pc, chunk, pages, &seen);
	for (uint32_t unit = 0; unit < pc->units; unit += BATCH_UNITS) {
		uint32_t nr = pc->units - unit < BATCH_UNITS ? pc->units - unit : BATCH_UNITS;

		if (all)
			memset(masks, 0xff, sizeof(masks));
		else if (seen)
			known(pc, chunk, unit, nr, masks);
		else
			told = find(pc, chunk, unit, nr, masks) && told;
		for (uint32_t i = 0; i < nr; i++)
			if ((masks[i] & pages) != 0)
				percpu_zero_copy(ptr + (unit + i) * QUIRE_PERCPU_STRIDE, bytes);
	}
	if (for_all)
		end(pc, chunk, told);
}
