/* SPDX-License-Identifier: MIT */
/*
 * vmap/mapped.c - counting what in the span is a mapping of its own
 *
 * A guard that is a mapping, and each run of frames, count against the process's budget
 * (machine/mem.h) until they are removed.  Ranges are joined and cut in between, so the counts
 * are kept by page and not in the ranges' records: a word for 32 pages has for each of them
 *
 *   in       lower half: a guard that is a mapping, or a part of one, stands on it
 *   begins   upper half: something that is counted begins on it
 *
 * The owner of a range writes the bits of its pages.  Removing the first part of a guard of many
 * pages makes the next page the beginning of the rest; its owner may remove the rest
 * concurrently, so this is a compare-and-swap.  Nothing here waits, because guards are set in
 * signal handlers too.
 *
 * A guard counts as two, since it splits the mapping around it; a run of frames counts as one.
 */
#include "vmap/mapped.h"

#include "machine/atomic.h"
#include "machine/mem.h"
#include "vmap/guarded.h"
#include "vmap/vmap.h"

#define PAGES_A_WORD 32u

static uint64_t in_bits(uint32_t at, uint32_t n)
{
	return (((UINT64_C(1) << n) - 1) & UINT32_MAX) << at;
}

static uint64_t begins_bits(uint32_t at, uint32_t n)
{
	return in_bits(at, n) << PAGES_A_WORD;
}

static uint32_t count_begins(uint64_t word)
{
	uint32_t n = 0;

	for (word >>= PAGES_A_WORD; word != 0; word &= word - 1)
		n++;
	return n;
}

/* What begins on some pages.  No page of frames is in a guard. */
struct begun {
	uint32_t guards, frames;
};

/* Clears both bits of pages [page, page + n).  Returns what had begun there. */
static struct begun clear(struct vmap *v, uint32_t page, uint32_t n)
{
	struct begun begun = { 0, 0 };

	while (n != 0) {
		uint32_t at = page % PAGES_A_WORD;
		uint32_t some = PAGES_A_WORD - at < n ? PAGES_A_WORD - at : n;
		uint64_t bits = in_bits(at, some) | begins_bits(at, some);
		uint64_t *word = &v->mapped[page / PAGES_A_WORD];

		/* Words that are not ready were never written, so they read zero. */
		if ((load_relaxed(word) & bits) != 0) {
			/* Pairs with begin_rest(). */
			uint64_t cleared = fetch_and_acquire(word, ~bits) & bits;
			uint64_t guards = cleared & cleared << PAGES_A_WORD;

			begun.guards += count_begins(guards);
			begun.frames += count_begins(cleared & ~guards);
		}
		page += some;
		n -= some;
	}
	return begun;
}

static void give(uint64_t *count, enum mem_mappings kind, uint32_t nr)
{
	if (nr == 0)
		return;
	fetch_sub_relaxed(count, (uint64_t)nr);
	mem_mappings_give(kind, nr);
}

/* ---- guards ---- */

/* Counts the rest of a guard whose first part was removed, before its owner can find that it is counted. */
static void begin_rest(struct vmap *v, uint32_t page)
{
	uint32_t at = page % PAGES_A_WORD;
	uint64_t *word = &v->mapped[page / PAGES_A_WORD];
	uint64_t found;

	if (page >= v->span_pages)
		return;
	found = load_relaxed(word);
	if (!(found & in_bits(at, 1)) || (found & begins_bits(at, 1)))
		return;
	fetch_add_relaxed(&v->mapped_guards, (uint64_t)MAPPINGS_A_GUARD);
	mem_mappings_add(MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
	while ((found & in_bits(at, 1)) && !(found & begins_bits(at, 1))) {
		if (cas_release(word, &found, found | begins_bits(at, 1)))
			return;
	}
	give(&v->mapped_guards, MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
}

static void note_guard(struct vmap *v, uint32_t page, uint32_t n)
{
	uint64_t begins = begins_bits(page % PAGES_A_WORD, 1);

	while (n != 0) {
		uint32_t at = page % PAGES_A_WORD;
		uint32_t some = PAGES_A_WORD - at < n ? PAGES_A_WORD - at : n;

		/* Orders nothing: as guarded_note(). */
		fetch_or_relaxed(&v->mapped[page / PAGES_A_WORD], in_bits(at, some) | begins);
		begins = 0;
		page += some;
		n -= some;
	}
}

void mapped_forget(struct vmap *v, uint32_t page, uint32_t n)
{
	struct begun begun;

	/* The owner of the range knows of everything in it. */
	if (load_relaxed(&v->mapped_guards) == 0 && load_relaxed(&v->mapped_frames) == 0)
		return;
	begin_rest(v, page + n);
	begun = clear(v, page, n);
	give(&v->mapped_guards, MAPPINGS_GUARDS, begun.guards * MAPPINGS_A_GUARD);
	give(&v->mapped_frames, MAPPINGS_FRAMES, begun.frames);
}

int mapped_guard(struct vmap *v, uint32_t page, uint32_t n)
{
	bool mapped = false;
	int error;

	guarded_note(v, page, n);
	error = mem_guard(v->base + ((size_t)page << v->page_shift), (size_t)n << v->page_shift,
			  &mapped);

	if (error || !mapped)
		return error;
	fetch_add_relaxed(&v->mapped_guards, (uint64_t)MAPPINGS_A_GUARD);
	mapped_forget(v, page, n);
	note_guard(v, page, n);
	return 0;
}

int mapped_unguard(struct vmap *v, uint32_t page, uint32_t n)
{
	int error = guarded_remove(v, page, n);

	if (!error)
		mapped_forget(v, page, n);
	return error;
}

/* ---- frames ---- */

bool mapped_take_frames(struct vmap *v, uint32_t page, void *const *frames, size_t n)
{
	uint32_t runs = 0;

	for (size_t i = 0; i < n; i++)
		runs += i == 0 || frames[i] != (char *)frames[i - 1] + ((size_t)1 << v->page_shift);
	if (!mem_mappings_take(MAPPINGS_FRAMES, runs))
		return false;
	fetch_add_relaxed(&v->mapped_frames, (uint64_t)runs);
	for (size_t i = 0; i < n; i++, page++) {
		if (i == 0 || frames[i] != (char *)frames[i - 1] + ((size_t)1 << v->page_shift))
			fetch_or_relaxed(&v->mapped[page / PAGES_A_WORD], /* as note_guard() */
					 begins_bits(page % PAGES_A_WORD, 1));
	}
	return true;
}

/* ---- the end ---- */

void mapped_forget_all(struct vmap *v)
{
	give(&v->mapped_guards, MAPPINGS_GUARDS, (uint32_t)load_relaxed(&v->mapped_guards));
	give(&v->mapped_frames, MAPPINGS_FRAMES, (uint32_t)load_relaxed(&v->mapped_frames));
}
