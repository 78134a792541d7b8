/* SPDX-License-Identifier: MIT */
/*
 * malloc/sampled.c - sampled guards: about one block in N on a page of its own between inaccessible ones
 *
 * The pages: guard, slot, guard, slot, ..., guard.  All are committed, and all but the slots in use are guards
 * (mem_guard()).  A block lies at the end of its page, or at the start, in turn, and a use beyond that end faults at
 * once.  The rest of the page behind a block is filled, and looked at when it is freed.  A block that
 * realloc() leaves where it is has its new size, and what it lost is filled.
 *
 *   slot    when                                            to
 *   FREE    claimed by an allocation: the one free longest  BUSY
 *   BUSY    its page is accessible, the block is placed     LIVE
 *   BUSY    the page cannot be made accessible              FREE
 *   LIVE    freed                                           BUSY
 *   BUSY    its page is a guard again                       FREE
 *
 * So a block that was freed faults until SAMPLED_SLOTS_NR others were sampled.  When all slots are in use there are no more samples
 * until one is freed.  A slot is claimed by compare-and-swap, and there is no lock: a handler may interrupt at any point, and
 * a child of fork goes on with what it finds; a slot that another thread was busy with stays so.
 *
 * Counting.  Each CPU counts down from a random number of 1 to 2 N - 1, whose mean is N, so that no rhythm of the program's
 * meets the sample's (countdown.h).  realloc() does not count: where it moves a block of the sample, the new one is
 * ordinary unless one is due, and other blocks stay ordinary.
 */
#include "malloc/sampled.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/round.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "malloc/countdown.h"
#include "malloc/heap.h"
#include "base/poison.h"

/* A page and 300 bytes each: 1.1 MiB at most.  Programs have more places that free wrongly than so many blocks apart. */
#ifndef SAMPLED_SLOTS_NR
#define SAMPLED_SLOTS_NR 256u
#endif
#define SLACK 0xa7

enum {
	SLOT_FREE,
	SLOT_BUSY,
	SLOT_LIVE,
};

struct slot {
	uint32_t state; /* atomic */
	uint32_t turn;	/* busy: blocks so far */
	bool mapped;	/* busy: its guard took mappings of the budget */
	uint32_t bytes; /* busy, and its owner's; atomic, as faults and figures read it */
	char *block;	/* busy, atomic: the last one; NULL: there was none */
	uint64_t freed; /* atomic: its place in the order of frees */
	struct sampled_callers allocated, given_back;
};

static struct {
	struct slot *slot; /* (c) */
	char *base;	   /* (c) of the first guard */
	size_t span, page; /* (c) */
	uint32_t n;	   /* (c) */
	uint64_t frees;	   /* atomic */
} sample;

/* ---- counting ---- */

static uint32_t next_countdown(void)
{
	return 1 + (uint32_t)((countdown_random() >> 32) % (2 * (uint64_t)sample.n - 1));
}

/* ---- slots ---- */

static char *page_of(const struct slot *slot)
{
	return sample.base + (2 * (size_t)(slot - sample.slot) + 1) * sample.page;
}

/* The slot whose page @addr is in, or whose guard behind it, or the first one's in front; NULL: neither. */
static struct slot *slot_near(const void *addr)
{
	size_t offset = (uintptr_t)addr - (uintptr_t)sample.base, page;

	if (sample.base == NULL || offset >= sample.span)
		return NULL;
	page = offset / sample.page;
	return &sample.slot[page == 0 ? 0 : (page - 1) / 2];
}

bool sampled_has(const void *addr)
{
	return sample.base != NULL && (uintptr_t)addr - (uintptr_t)sample.base < sample.span;
}

/* The free slot that was freed first; NULL: none is free. */
static struct slot *claim(void)
{
	for (unsigned tries = 0; tries < 4; tries++) {
		uint32_t expected = SLOT_FREE;
		struct slot *oldest = NULL;

		for (unsigned i = 0; i < SAMPLED_SLOTS_NR; i++) {
			struct slot *slot = &sample.slot[i];

			/* Pairs with release(), for the time; the swap decides. */
			if (load_acquire(&slot->state) == SLOT_FREE &&
			    (oldest == NULL ||
			     load_relaxed(&slot->freed) < load_relaxed(&oldest->freed)))
				oldest = slot;
		}
		if (oldest == NULL)
			return NULL;
		if (cas_acquire(&oldest->state, &expected, (uint32_t)SLOT_BUSY)) /* release() */
			return oldest;
	}
	return NULL;
}

static void release(struct slot *slot)
{
	store_relaxed(&slot->freed,
		      fetch_add_relaxed(&sample.frees, 1) + 1); /* an order, no more */
	store_release(&slot->state, (uint32_t)SLOT_FREE);	/* pairs with claim() */
}

/* Bytes from the page's start to a block at its end, or at its start. */
static size_t offset_in_page(size_t bytes, size_t align, bool at_end)
{
	return at_end ? (sample.page - bytes) & ~(align - 1) : 0;
}

/* What is behind the block, up to @end bytes from its start, is nobody's from here on. */
static void set_bytes(struct slot *slot, char *block, size_t bytes, size_t end)
{
	store_relaxed(&slot->bytes, (uint32_t)bytes); /* read by faults and sampled_count() */
	memset(block + bytes, SLACK, end - bytes);
}

static void *take(size_t bytes, size_t align, const struct malloc_call *call)
{
	struct slot *slot = claim();
	char *page, *block;
	size_t room = bytes != 0 ? bytes : 1;

	if (slot == NULL)
		return NULL;
	page = page_of(slot);
	if (mem_unguard(page, sample.page) != 0) {
		release(slot);
		return NULL;
	}
	if (slot->mapped)
		mem_mappings_give(MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
	slot->mapped = false;
	slot->turn++; /* the other end than the last time, and than the slot before */
	block = page + offset_in_page(room, align, (slot - sample.slot + slot->turn) % 2 != 0);
	set_bytes(slot, block, bytes, (size_t)(page + sample.page - block));
	store_relaxed(&slot->block, block); /* read by faults */
	sampled_note_callers(&slot->allocated, call);
	store_relaxed(&slot->state, (uint32_t)SLOT_LIVE); /* the block's owner, or misuse, looks */
	return block;
}

/* ---- misuse ---- */

/* The live slot whose block begins at @block; stops the process if there is none. */
static struct slot *check(const void *block, const char *function)
{
	struct slot *slot = slot_near(block);
	const char *known = load_relaxed(&slot->block); /* the caller's own, or misuse */

	if (known == NULL || (uintptr_t)block - (uintptr_t)page_of(slot) >= sample.page)
		misuse("no block", function, block);
	if (load_relaxed(&slot->state) != SLOT_LIVE) { /* as above */
		if (known == block)
			misuse_number("double free", function, block, "size", slot->bytes);
		misuse("no block", function, block);
	}
	if (known != block)
		misuse_number((const char *)block > known &&
					      (const char *)block < known + slot->bytes
				      ? "the middle of an object"
				      : "not the start of a block",
			      function, block, "size", slot->bytes);
	return slot;
}

/* Something was written behind the block, in bytes that belong to its page. */
static void check_slack(const struct slot *slot, const char *function)
{
	const uint8_t *block = (const uint8_t *)slot->block;
	const uint8_t *end = (const uint8_t *)page_of(slot) + sample.page;
	const uint8_t *found = poison_other(block + slot->bytes, end, SLACK);

	if (found != end)
		misuse_number("written behind an object", function, block, "offset",
			      (uint64_t)(found - block));
}

/* ---- the layer ---- */

static void *sampled_alloc(size_t bytes, size_t align, unsigned flags,
			   const struct malloc_call *call)
{
	void *block = NULL;
	size_t room = bytes != 0 ? bytes : 1;

	/* Larger ones leave their turn to the next. */
	if (room <= sample.page && align <= sample.page && countdown_due(0, next_countdown))
		block = take(bytes, align, call);
	if (block == NULL)
		return plain_alloc(bytes, align, flags, call);
	if (flags & QUIRE_ZERO)
		memset(block, 0, bytes);
	return block;
}

static void sampled_free(void *block, const struct malloc_call *call)
{
	uint32_t live = SLOT_LIVE;
	struct slot *slot;

	if (!sampled_has(block)) {
		plain_free(block, call);
		return;
	}
	slot = check(block, call->function);
	check_slack(slot, call->function);
	if (!cas_relaxed(&slot->state, &live, (uint32_t)SLOT_BUSY)) /* check() found the rest */
		misuse_number("double free", call->function, block, "size", slot->bytes);
	sampled_note_callers(&slot->given_back, call);
	/* Refused: the page stays accessible, but a second free is seen. */
	(void)mem_guard(page_of(slot), sample.page, &slot->mapped);
	release(slot);
}

static size_t sampled_usable(const void *block, const struct malloc_call *call)
{
	return sampled_has(block) ? check(block, call->function)->bytes : plain_usable(block, call);
}

/* A block that stays has its new size, exactly: also one that would have moved, and could not. */
static void *sampled_resize(void *block, size_t bytes, const struct malloc_call *call)
{
	struct slot *slot;
	size_t usable;
	void *to = NULL;

	if (!sampled_has(block))
		return plain_resize(block, bytes, call);
	slot = check(block, call->function);
	usable = slot->bytes;
	if (bytes > usable || bytes < usable / 2)
		to = sampled_alloc(bytes, MALLOC_ALIGN, 0, call);
	if (to == NULL) {
		if (bytes > usable)
			return NULL;
		set_bytes(slot, block, bytes, usable);
		return block;
	}
	memcpy(to, block, usable < bytes ? usable : bytes);
	sampled_free(block, call);
	return to;
}

const struct malloc_layer malloc_sampled = {
	.alloc = sampled_alloc,
	.free = sampled_free,
	.usable = sampled_usable,
	.resize = sampled_resize,
};

/* ---- faults ---- */

bool sampled_find(const void *addr, struct sampled_place *place)
{
	struct slot *slot = slot_near(addr), *next;
	const char *block;

	if (slot == NULL)
		return false;
	next = slot + 1 < sample.slot + SAMPLED_SLOTS_NR ? slot + 1 : slot;
	block = load_relaxed(&slot->block); /* a fault's own block does not change */
	/* A guard between two: behind one block, or in front of the next. */
	if ((const char *)addr >= page_of(slot) + sample.page &&
	    load_relaxed(&next->state) == SLOT_LIVE && /* likewise */
	    (load_relaxed(&slot->state) != SLOT_LIVE ||
	     (const char *)addr >= page_of(slot) + sample.page + sample.page / 2)) {
		slot = next;
		block = load_relaxed(&slot->block);
	}
	if (block == NULL)
		return false;
	*place = (struct sampled_place){
		.block = block,
		.bytes = load_relaxed(&slot->bytes),		  /* likewise */
		.freed = load_relaxed(&slot->state) != SLOT_LIVE, /* likewise */
		.allocated = &slot->allocated,
		.given_back = &slot->given_back,
	};
	return true;
}

/* ---- books ---- */

void sampled_count(uint64_t *blocks, uint64_t *bytes)
{
	for (unsigned i = 0; sample.base != NULL && i < SAMPLED_SLOTS_NR; i++) {
		const struct slot *slot = &sample.slot[i];

		if (load_relaxed(&slot->state) !=
		    SLOT_LIVE) /* as exact as other threads let it be */
			continue;
		*blocks += 1;
		*bytes += load_relaxed(&slot->bytes); /* likewise */
	}
}

/* ---- making ---- */

bool sampled_begin(uint32_t n)
{
	size_t page = mem_page_bytes(), span = (2 * (size_t)SAMPLED_SLOTS_NR + 1) * page;
	size_t meta = round_up(SAMPLED_SLOTS_NR * sizeof(struct slot), page);
	bool mapped = false;
	char *base = mem_reserve(span, page, "quire-sample");
	struct slot *slot = mem_map(meta, "quire-sample");

	if (base == NULL || slot == NULL || mem_commit_apart(base, span) != 0 ||
	    mem_guard(base, span, &mapped) != 0) {
		if (base != NULL)
			mem_release(base, span);
		if (slot != NULL)
			mem_release(slot, meta);
		return false;
	}
	mem_advise_huge(base, span, false);
	sample.slot = slot;
	sample.page = page;
	sample.span = span;
	sample.n = n;
	countdown_begin();
	sample.base = base;
	sampled_watch_faults();
	return true;
}
