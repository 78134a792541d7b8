/* SPDX-License-Identifier: MIT */
/*
 * vmap/heads.c - which range a page is in
 *
 * The map yields the range that begins at a page, with one load; vfree() reads it.  For interior
 * pointers, one bit per page marks the start of each range that is not FREE, and each bit of the
 * summary levels above marks a word below that is not zero.  A search in either direction reads at
 * most two words per level, whatever the span holds.
 *
 * Bits and map change together with the ranges, under the lock.  The owner of an area may read
 * the map without the lock, since the range of a live area does not move.
 */
#include "vmap/heads.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "vmap/range.h"
#include "vmap/vmap.h"

static size_t level_words(uint32_t span_pages, unsigned level)
{
	size_t words = span_pages;

	for (unsigned i = 0; i <= level; i++)
		words = (words + 63) / 64;
	return words;
}

size_t heads_bytes(uint32_t span_pages)
{
	size_t words = 0;

	for (unsigned level = 0; level < HEADS_LEVELS; level++)
		words += level_words(span_pages, level);
	return words * sizeof(uint64_t);
}

void heads_place(struct vmap *v, uint64_t *words)
{
	for (unsigned level = 0; level < HEADS_LEVELS; level++) {
		v->heads[level] = words;
		words += level_words(v->span_pages, level);
	}
}

void heads_set_locked(struct vmap *v, uint32_t page, uint32_t index)
{
	uint32_t at = page;

	CHECK(lock_is_held(&v->lock));
	/* Read by vmap_check_free(), in a thread that received the address later. */
	store_relaxed(&v->map[page], index);
	for (unsigned level = 0; level < HEADS_LEVELS; level++, at /= 64) {
		uint64_t *word = &v->heads[level][at / 64];
		bool was_empty = *word == 0;

		*word |= (uint64_t)1 << at % 64;
		if (!was_empty)
			return;
	}
}

void heads_clear_locked(struct vmap *v, uint32_t page)
{
	uint32_t at = page;

	CHECK(lock_is_held(&v->lock));
	store_relaxed(&v->map[page], 0);
	for (unsigned level = 0; level < HEADS_LEVELS; level++, at /= 64) {
		v->heads[level][at / 64] &= ~((uint64_t)1 << at % 64);
		if (v->heads[level][at / 64] != 0)
			return;
	}
}

/* Descends from word @at of @level, following the first or the last set bit of each word. */
static uint32_t descend(const struct vmap *v, unsigned level, uint32_t at, bool last)
{
	for (;;) {
		uint64_t word = v->heads[level][at];
		unsigned bit = last ? 63u - (unsigned)__builtin_clzll(word)
				    : (unsigned)__builtin_ctzll(word);

		at = at * 64 + bit;
		if (level-- == 0)
			return at;
	}
}

uint32_t heads_next_locked(struct vmap *v, uint32_t page)
{
	uint64_t at = page;

	CHECK(lock_is_held(&v->lock));
	for (unsigned level = 0; level < HEADS_LEVELS; level++) {
		size_t words = level_words(v->span_pages, level);
		uint64_t word;

		if (at / 64 >= words)
			return RANGE_NONE;
		word = v->heads[level][at / 64] >> at % 64;
		if (word != 0) {
			uint64_t found = at + (unsigned)__builtin_ctzll(word);

			return level == 0 ? (uint32_t)found
					  : descend(v, level - 1, (uint32_t)found, false);
		}
		at = at / 64 + 1;
	}
	return RANGE_NONE;
}

uint32_t heads_prev_locked(struct vmap *v, uint32_t page)
{
	uint32_t at = page;

	CHECK(lock_is_held(&v->lock));
	for (unsigned level = 0; level < HEADS_LEVELS; level++) {
		uint64_t word = v->heads[level][at / 64] << (63 - at % 64);

		if (word != 0) {
			uint32_t found = at - (unsigned)__builtin_clzll(word);

			return level == 0 ? found : descend(v, level - 1, found, true);
		}
		if (at / 64 == 0)
			return RANGE_NONE;
		at = at / 64 - 1;
	}
	return RANGE_NONE;
}
