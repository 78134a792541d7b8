/* SPDX-License-Identifier: MIT */
/*
 * vmap/guarded.c - a bit for each page of the span on which a guard may stand
 *
 * To remove guards from a range, the system visits every page-table entry of it, 3 ns each, while a
 * range seldom has more than a few.  The bits say which pages to ask it for.  Ranges are joined and
 * cut in between, so the bits are kept by page and not in the ranges' records.
 *
 * A bit is set before its guard and cleared after it, so a guard always has its bit, also where the
 * system refuses a call half way; a bit without a guard costs a system call.  The owner of a range
 * writes the bits of its pages.  Ranges share words, so these are atomic operations; nothing waits,
 * because guards are set in signal handlers too.
 */
#include "vmap/guarded.h"

#include "machine/atomic.h"
#include "machine/mem.h"
#include "vmap/vmap.h"

#define PAGES_A_WORD 64u
/* A system call costs as much as visiting so many entries. */
#define GAP_PAGES    128u

size_t guarded_bytes(uint32_t pages)
{
	return ((size_t)pages + PAGES_A_WORD - 1) / PAGES_A_WORD * sizeof(uint64_t);
}

/* Bits of the word of @page for the pages from it to @end. */
static uint64_t bits_of(uint32_t page, uint32_t end)
{
	uint64_t bits = ~UINT64_C(0) << page % PAGES_A_WORD;
	uint32_t left = end - page / PAGES_A_WORD * PAGES_A_WORD;

	return left >= PAGES_A_WORD ? bits : bits & ((UINT64_C(1) << left) - 1);
}

static uint32_t next_word(uint32_t page)
{
	return (page / PAGES_A_WORD + 1) * PAGES_A_WORD;
}

void guarded_note(struct vmap *v, uint32_t page, uint32_t n)
{
	for (uint32_t end = page + n; page < end; page = next_word(page)) {
		/* Its neighbours' owners write the same word.  Orders nothing: the owner alone reads
		 * these bits, and what hands the range on orders them. */
		fetch_or_relaxed(&v->guarded[page / PAGES_A_WORD], bits_of(page, end));
	}
}

void guarded_forget(struct vmap *v, uint32_t page, uint32_t n)
{
	for (uint32_t end = page + n; page < end; page = next_word(page)) {
		uint64_t *word = &v->guarded[page / PAGES_A_WORD];

		/* Words that are not ready were never written, so they read zero. */
		if ((load_relaxed(word) & bits_of(page, end)) != 0)
			fetch_and_relaxed(word, ~bits_of(page, end)); /* as in guarded_note() */
	}
}

/* The first page of [page, end) with a bit, or @end. */
static uint32_t next_guarded(const struct vmap *v, uint32_t page, uint32_t end)
{
	for (; page < end; page = next_word(page)) {
		uint64_t bits = load_relaxed(&v->guarded[page / PAGES_A_WORD]);

		bits &= bits_of(page, end);
		if (bits != 0)
			return page / PAGES_A_WORD * PAGES_A_WORD + (unsigned)__builtin_ctzll(bits);
	}
	return end;
}

/* The end of the run of guards that begins on @page: no gap in it is longer than GAP_PAGES. */
static uint32_t run_end(const struct vmap *v, uint32_t page, uint32_t end)
{
	for (;;) {
		uint32_t limit = end - page > GAP_PAGES ? page + 1 + GAP_PAGES : end;
		uint32_t next = next_guarded(v, page + 1, limit);

		if (next == limit)
			return page + 1;
		page = next;
	}
}

int guarded_remove(struct vmap *v, uint32_t page, uint32_t n)
{
	uint32_t end = page + n, last;
	int error = 0;

	for (page = next_guarded(v, page, end); page < end && !error;
	     page = next_guarded(v, last, end)) {
		last = run_end(v, page, end);
		error = mem_unguard(v->base + ((size_t)page << v->page_shift),
				    (size_t)(last - page) << v->page_shift);
		if (!error)
			guarded_forget(v, page, last - page);
	}
	return error;
}
