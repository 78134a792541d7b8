/* SPDX-License-Identifier: MIT */
/*
 * percpu/free.c - from quire_free_percpu() to a stack, the maps, or the deferred bits
 *
 * Whatever is freed is looked up in the maps, so that a double free, a foreign pointer or the middle
 * of an object stops here.  A free that may only try and gets no lock sets the object's bit in its
 * chunk's deferred bitmap: an object may be 4 bytes, and has no room for a link that others could
 * not overwrite.  The bitmap costs memory only where a bit was set; the next ordinary call takes
 * all bits in.
 */
#include "percpu/percpu.h"

static uint32_t chunk_at(const struct percpu *pc, uint64_t linear)
{
	return (uint32_t)(linear >> pc->unit_shift);
}

static uint32_t byte_at(const struct percpu *pc, uint64_t linear)
{
	return (uint32_t)(linear & (((uint64_t)1 << pc->unit_shift) - 1));
}

static _Noreturn void free_misuse(struct percpu *pc, const void *ptr, uint64_t linear)
{
	const char *function = "quire_free_percpu";
	uint32_t chunk = chunk_at(pc, linear), page = (uint32_t)(linear >> pc->page_shift);

	if (linear == UINT64_MAX || chunk >= pc->chunks_end ||
	    pc->chunk[chunk].state == CHUNK_NONE) {
		uintptr_t offset = (uintptr_t)ptr - (uintptr_t)pc->base;

		if (offset < pc->span_bytes && linear == UINT64_MAX)
			misuse("not CPU 0's copy", function, ptr, 0);
		misuse("foreign pointer", function, ptr, 0);
	}
	if (linear % 4 != 0)
		misuse("not the start of an object", function, ptr, 0);
	if (pc->page[page].map != NONE && pc->page[page].kind != KIND_FOURS &&
	    map_is_used(pc, page, (uint32_t)(linear >> GRANULE_SHIFT) & (page_granules(pc) - 1)))
		misuse("the middle of an object", function, ptr, 0);
	misuse("double free", function, ptr, 0);
}

static uint32_t area_at(const struct percpu *pc, uint64_t linear)
{
	bool half = pc->page[linear >> pc->page_shift].kind == KIND_FOURS;

	return byte_at(pc, linear) >> (half ? 2 : GRANULE_SHIFT);
}

/* Frees an object that was looked up; returns its granules, 0 for one of 4 bytes. */
static uint32_t free_locked(struct percpu *pc, uint64_t linear, bool *wanted)
{
	uint32_t chunk = chunk_at(pc, linear), granules;
	bool half = pc->page[linear >> pc->page_shift].kind == KIND_FOURS;

	DCHECK(lock_is_held(&pc->lock));
	granules = area_free_locked(pc, chunk, area_at(pc, linear), half);
	if (chunk_after_free_locked(pc, chunk))
		*wanted = true;
	pc->stat.frees++;
	return half ? 0 : granules;
}

/* ---- deferred ---- */

/* The bit's word, by chunk and half granule. */
static uint32_t *deferred_word(struct percpu *pc, uint64_t linear)
{
	return &pc->deferred[linear >> 7];
}

/* After the bit: who sees the flag finds it. */
static void announce(struct percpu *pc, uint32_t chunk)
{
	store_release(&pc->chunk[chunk].deferred, 1u);
	exchange_acq_rel(&pc->deferred_nr, 1u);
}

static void defer(struct percpu *pc, const void *ptr, uint64_t linear)
{
	uint32_t bit = 1u << (linear >> 2) % 32;

	if (linear == UINT64_MAX || linear % 4 != 0 ||
	    chunk_at(pc, linear) >= load_relaxed(&pc->chunks_end)) /* it only grows while in use */
		misuse("foreign pointer", "quire_free_percpu", ptr, 0);
	if (MUTANT(percpu_deferred_flag_first))
		announce(pc, chunk_at(pc, linear));
	/* Pairs with the exchange in take_chunk(). */
	if (fetch_or_acq_rel(deferred_word(pc, linear), bit) & bit)
		misuse("double free", "quire_free_percpu", ptr, 0);
	fetch_add_relaxed(&pc->deferred_total, 1);
	if (!MUTANT(percpu_deferred_flag_first))
		announce(pc, chunk_at(pc, linear));
}

static void take_bits_locked(struct percpu *pc, uint64_t linear, uint32_t bits, bool *wanted)
{
	DCHECK(lock_is_held(&pc->lock));
	for (; bits != 0; bits &= bits - 1) {
		uint64_t at = linear + 4 * (uint64_t)bit_lowest(bits);

		if (area_bytes_locked(pc, at) == 0)
			free_misuse(pc, unit_addr(pc, chunk_at(pc, at), byte_at(pc, at)), at);
		free_locked(pc, at, wanted);
	}
}

static void take_chunk(struct percpu *pc, uint32_t chunk, bool *wanted)
{
	uint64_t linear = (uint64_t)chunk << pc->unit_shift;
	uint32_t *words = deferred_word(pc, linear);

	for (uint32_t i = 0; i < 1u << (pc->unit_shift - 7); i++) {
		lock_token token;
		uint32_t bits;

		if (load_relaxed(&words[i]) == 0) /* set before the flag that led here */
			continue;
		token = lock_acquire(&pc->lock);
		/* Pairs with defer(). */
		bits = MUTANT(percpu_deferred_taken_by_load) ? load_relaxed(&words[i])
							     : exchange_acq_rel(&words[i], 0u);
		if (MUTANT(percpu_deferred_taken_by_load))
			store_relaxed(&words[i], 0u);
		take_bits_locked(pc, linear + 128 * (uint64_t)i, bits, wanted);
		percpu_unlock(pc, token);
	}
}

/* Takes in what handlers freed.  Ordinary context, lock not held. */
void percpu_take_deferred(struct percpu *pc)
{
	bool wanted = false;

	/* Pairs with defer(): flags set after this are found by the next call. */
	if (load_relaxed(&pc->deferred_nr) == 0 || exchange_acq_rel(&pc->deferred_nr, 0u) == 0)
		return;
	for (uint32_t i = 0; i < load_relaxed(&pc->chunks_end); i++)
		if (exchange_acq_rel(&pc->chunk[i].deferred, 0u) != 0)
			take_chunk(pc, i, &wanted);
	if (wanted)
		balance_kick(pc, 0);
}

/* ---- the calls ---- */

/* Under the lock, after the look at the maps.  Returns what the worker is wanted for. */
enum wanted {
	WANTED_NOT,
	WANTED_LATER, /* a page became empty */
	WANTED_NOW,
};

static enum wanted free_checked_locked(struct percpu *pc, const void *ptr, uint64_t linear,
				       uint32_t *granules)
{
	uint32_t empty = pc->empty_pages;
	bool now = false;

	DCHECK(lock_is_held(&pc->lock));
	if (UNLIKELY(linear == UINT64_MAX || area_bytes_locked(pc, linear) == 0))
		free_misuse(pc, ptr, linear);
	*granules = free_locked(pc, linear, &now);
	if (*granules != 0)
		cache_learn_free_locked(pc, *granules);
	if (now)
		return WANTED_NOW;
	return pc->empty_pages > empty ? WANTED_LATER : WANTED_NOT;
}

static void after_free(struct percpu *pc, enum wanted wanted)
{
	if (wanted == WANTED_NOW)
		balance_kick(pc, 0);
	/* A hint: saves the clock. */
	else if (wanted == WANTED_LATER && load_relaxed(&pc->due_ns) == WORK_IDLE)
		balance_kick(pc, clock_now_ns() + pc->q->decay_base_ns);
}

/* The mark says that it may be on a stack: then it was freed before.  Drops the lock to look. */
static void check_mark_locked(struct percpu *pc, const void *ptr, uint64_t linear,
			      lock_token *token)
{
	uint32_t granules;

	DCHECK(lock_is_held(&pc->lock));
	if (linear == UINT64_MAX)
		return;
	granules = area_bytes_locked(pc, linear) >> GRANULE_SHIFT;
	if (LIKELY(!cache_has_mark_locked(pc, linear, granules)))
		return;
	percpu_unlock(pc, *token);
	if (cache_holds(pc, linear))
		misuse("double free", "quire_free_percpu", ptr, 0);
	*token = lock_acquire(&pc->lock);
}

static __attribute__((noinline)) void free_slow(struct percpu *pc, void *ptr, uint64_t linear)
{
	bool nested = lock_nested();
	enum wanted wanted;
	uint32_t granules;
	lock_token token;

	if (nested) {
		if (!lock_try(&pc->lock, &token)) {
			defer(pc, ptr, linear);
			return;
		}
	} else {
		if (UNLIKELY(load_relaxed(&pc->deferred_nr) != 0)) /* a hint */
			percpu_take_deferred(pc);
		token = lock_acquire(&pc->lock);
		check_mark_locked(pc, ptr, linear, &token);
	}
	wanted = free_checked_locked(pc, ptr, linear, &granules);
	percpu_unlock(pc, token);
	after_free(pc, wanted);
	if (!nested && granules != 0)
		cache_warm(pc, granules);
}

void quire_free_percpu(struct quire *q, void *ptr)
{
	struct percpu *pc = load_acquire(&q->percpu); /* pairs with percpu_of() */
	uint64_t linear;

	if (UNLIKELY(ptr == NULL))
		return;
	if (UNLIKELY(pc == NULL))
		misuse("foreign pointer", "quire_free_percpu", ptr, 0);
	linear = addr_linear(pc, ptr);
	if (LIKELY(linear != UINT64_MAX) && cache_free(pc, ptr, linear))
		return;
	free_slow(pc, ptr, linear);
}

void quire_free_percpu_bulk(struct quire *q, size_t count, void *const *ptrs)
{
	for (size_t i = 0; i < count; i++)
		quire_free_percpu(q, ptrs[i]);
}

size_t quire_percpu_bytes(struct quire *q, const void *ptr)
{
	struct percpu *pc = percpu_if_any(q);
	uint64_t linear = pc != NULL ? addr_linear(pc, ptr) : UINT64_MAX;
	lock_token token;
	size_t bytes;

	if (linear == UINT64_MAX)
		return 0;
	token = lock_acquire(&pc->lock);
	bytes = area_bytes_locked(pc, linear);
	percpu_unlock(pc, token);
	return bytes;
}
