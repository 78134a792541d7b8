/* SPDX-License-Identifier: MIT */
/*
 * unseen.c - is memory as the scene was, after all that hooks have logged is undone?
 *
 * A write that passes no hook is not undone, so the runs after it begin with what it left.  Scenes are copied page by page,
 * to the same places of another reservation, and compared when a scenario has been explored.  The fibers' stacks are
 * left out, which no run relies on, and so is what is outside of the arena, since the explorer's own is there, too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/sim/internal.h"

#define PAGE_BYTES 4096u
#define LOOK_PAGES (UINT64_C(1) << 12) /* asked about at a time */

_Static_assert((ARENA_STACKS - ARENA_HEAP) % (LOOK_PAGES * PAGE_BYTES) == 0 &&
		       (ARENA_END - ARENA_PAGES) % (LOOK_PAGES * PAGE_BYTES) == 0,
	       "both parts are looked at in whole steps");

static char *copies; /* of the arena; a page that no copy was made of reads zero */
static unsigned char copied[ARENA_BYTES / PAGE_BYTES]; /* in the last scene */

static char *copy_of(const char *page)
{
	return copies + ((uintptr_t)page - ARENA_BASE);
}

static unsigned char *copied_from(const char *page)
{
	return &copied[((uintptr_t)page - ARENA_BASE) / PAGE_BYTES];
}

/* Which of the pages from @start on have memory.  Of the others all bytes are zero. */
static void look(char *start, unsigned char *resident)
{
	if (mincore(start, LOOK_PAGES * PAGE_BYTES, resident) != 0) {
		perror("quire-explore: mincore");
		exit(2);
	}
}

/* The first from @i on that is marked, or LOOK_PAGES.  Few are: eight are passed at a time. */
static size_t next_marked(const unsigned char *marks, size_t i)
{
	while (i < LOOK_PAGES && !(marks[i] & 1))
		i += i % 8 == 0 && undo_load(marks + i, 8) == 0 ? 8 : 1;
	return i;
}

static void copy_pages(char *start, char *end)
{
	for (char *at = start; at < end; at += LOOK_PAGES * PAGE_BYTES) {
		unsigned char *resident = copied_from(at);

		look(at, resident);
		for (size_t i = next_marked(resident, 0); i < LOOK_PAGES;
		     i = next_marked(resident, i + 1))
			memcpy(copy_of(at + i * PAGE_BYTES), at + i * PAGE_BYTES, PAGE_BYTES);
	}
}

void unseen_keep(void)
{
	if (copies == NULL) {
		copies = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (copies == MAP_FAILED) {
			fprintf(stderr, "quire-explore: no memory for a scene's copy\n");
			exit(2);
		}
		madvise(copies, ARENA_BYTES, MADV_NOHUGEPAGE);
	}
	madvise(copies, ARENA_BYTES, MADV_DONTNEED);
	copy_pages((char *)ARENA_HEAP, (char *)ARENA_STACKS);
	copy_pages((char *)ARENA_PAGES, (char *)ARENA_END);
}

static const char *differing_word(const char *page)
{
	const char *copy = copy_of(page);
	size_t i = 0;

	if (memcmp(page, copy, PAGE_BYTES) == 0)
		return NULL;
	while (memcmp(page + i, copy + i, 8) == 0)
		i += 8;
	return page + i;
}

static const char *differing_in(char *start, char *end)
{
	static unsigned char used[LOOK_PAGES];

	for (char *at = start; at < end; at += LOOK_PAGES * PAGE_BYTES) {
		const unsigned char *then = copied_from(at);

		look(at, used);
		for (size_t i = 0; i < LOOK_PAGES; i++)
			used[i] |= then[i];
		for (size_t i = next_marked(used, 0); i < LOOK_PAGES;
		     i = next_marked(used, i + 1)) {
			const char *word = differing_word(at + i * PAGE_BYTES);

			if (word != NULL)
				return word;
		}
	}
	return NULL;
}

const void *unseen_find(uint64_t *was)
{
	const char *word = differing_in((char *)ARENA_HEAP, (char *)ARENA_STACKS);

	if (word == NULL)
		word = differing_in((char *)ARENA_PAGES, (char *)ARENA_END);
	if (word != NULL)
		*was = undo_load(copy_of(word), 8);
	return word;
}
