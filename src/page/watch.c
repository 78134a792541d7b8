/* SPDX-License-Identifier: MIT */
/* page/watch.c - tools and page_poison: watch.h */
#include "page/watch.h"

#include <stdint.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/poison.h"
#include "machine/annotate.h"
#include "page/pages.h"
#include "page/state.h"

/* The smallest page of the system: what has memory, or none, as one. */
#define PIECE_BYTES 4096u

static void check_poison(const uint8_t *addr, size_t bytes)
{
	for (const uint8_t *piece = addr; piece < addr + bytes; piece += PIECE_BYTES) {
		uint8_t value = *piece == 0 ? 0 : POISON_PAGE;
		const uint8_t *found = poison_other(piece, piece + PIECE_BYTES, value);

		if (found != piece + PIECE_BYTES)
			misuse_number("written after it was freed", "quire_alloc_pages", piece,
				      "offset", (uint64_t)(found - piece));
	}
}

void page_watch_alloc(const struct pages *p, void *addr, size_t bytes, unsigned state)
{
	/* What is known to be zero has no memory: reading it could give it some. */
	if (p->q.page_poison && !(state & STATE_ZERO))
		check_poison(addr, bytes);
	if (p->q.annotated)
		annotate_alloc(addr, bytes, state & STATE_ZERO);
}

void page_watch_free(const struct pages *p, void *addr, size_t bytes)
{
	if (p->q.page_poison)
		memset(addr, POISON_PAGE, bytes);
	if (p->q.annotated)
		annotate_free(addr, bytes);
}
