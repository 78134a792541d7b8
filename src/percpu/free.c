/* SPDX-License-Identifier: MIT */
/*
 * percpu/free.c - from quire_free_percpu() to a stack, the maps, or the deferred bits
 *
 * Whatever is freed is looked up in the maps, so that a double free, a foreign pointer or the middle
 * of an object stops here.  A free that may only try and gets no lock sets the object's bit in its
 * chunk's deferred bitmap: an object may be 4 bytes, and has no room for a link that others could
 * not overwrite.  The bitmap costs memory only where a bit was set; the next ordinary call, or the
 * worker, takes all bits in.
 */
#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/map.h"
#include "percpu/object.h"
#include "percpu/place.h"

#include "machine/annotate.h"

/* A hold of the lock for at most so many: 64 at 20 ns are about what one wait for a lock costs. */
#define BATCH	       64u
/* Fewer are freed one by one, where stacks can have them. */
#define BATCH_LEAST    8u
/* Memory takes 100 ns, an object 15. */
#define PREFETCH_AHEAD 8u

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
	if (page_has_map(&pc->page[page]) && pc->page[page].kind != KIND_FOURS &&
	    map_is_used(pc, page, (uint32_t)(linear >> GRANULE_SHIFT) & (page_granules(pc) - 1)))
		misuse("the middle of an object", function, ptr, 0);
	misuse("double free", function, ptr, 0);
}

static uint32_t area_at(const struct percpu *pc, uint64_t linear)
{
	bool half = pc->page[linear >> pc->page_shift].kind == KIND_FOURS;

	return byte_at(pc, linear) >> (half ? 2 : GRANULE_SHIFT);
}

/* Before the lock is released: nobody has it again yet. */
static void say_freed(struct percpu *pc, char *ptr, size_t bytes)
{
	annotate_copies_free(ptr, bytes, QUIRE_PERCPU_STRIDE, pc->units);
	annotate_free(ptr, bytes);
}

/* Frees an object that was looked up; returns its granules, 0 for one of 4 bytes. */
static uint32_t free_locked(struct percpu *pc, uint64_t linear, bool *wanted)
{
	uint32_t chunk = chunk_at(pc, linear), granules;
	bool half = pc->page[linear >> pc->page_shift].kind == KIND_FOURS;

	DCHECK(lock_is_held(&pc->lock));
	granules = object_free_locked(pc, chunk, area_at(pc, linear), half);
	if (UNLIKELY(pc->q->annotated))
		say_freed(pc, unit_addr(pc, chunk, byte_at(pc, linear)),
			  half ? 4 : (size_t)granules << GRANULE_SHIFT);
	if (chunk_after_free_locked(pc, chunk))
		*wanted = true;
	pc->stat.frees++;
	return half ? 0 : granules;
}

/* The worker comes to what became empty when that has decayed.  Legal anywhere. */
static void kick_later(struct percpu *pc)
{
	/* A hint: saves the clock. */
	if (load_relaxed(&pc->due_ns) == WORK_IDLE)
		balance_kick(pc, clock_now_ns() + pc->q->decay_base_ns);
}

static bool has_mark_locked(const struct percpu *pc, uint64_t linear)
{
	DCHECK(lock_is_held(&pc->lock));
	return linear != UINT64_MAX && load_relaxed(&pc->opened) != 0 &&
	       cache_has_mark_locked(pc, linear, object_bytes_locked(pc, linear) >> GRANULE_SHIFT);
}

/* The mark says that it may be on a stack: then it was freed before.  Drops the lock to look. */
static void check_mark_locked(struct percpu *pc, const void *ptr, uint64_t linear,
			      lock_token *token)
{
	DCHECK(lock_is_held(&pc->lock));
	if (LIKELY(!has_mark_locked(pc, linear)))
		return;
	percpu_unlock(pc, *token);
	if (cache_holds(pc, linear))
		misuse("double free", "quire_free_percpu", ptr, 0);
	*token = lock_acquire(&pc->lock);
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
	/* Pairs with the exchange in take_chunk(). */
	if (fetch_or_acq_rel(deferred_word(pc, linear), bit) & bit)
		misuse("double free", "quire_free_percpu", ptr, 0);
	fetch_add_relaxed(&pc->deferred_total, 1);
	announce(pc, chunk_at(pc, linear));
	/* Maybe nobody else calls for a long time. */
	kick_later(pc);
}

/* As an ordinary free looks, since the one that deferred it could not. */
static void take_bits_locked(struct percpu *pc, uint64_t linear, uint32_t bits, bool *wanted,
			     lock_token *token)
{
	DCHECK(lock_is_held(&pc->lock));
	for (; bits != 0; bits &= bits - 1) {
		uint64_t at = linear + 4 * (uint64_t)bit_lowest(bits);
		void *ptr = unit_addr(pc, chunk_at(pc, at), byte_at(pc, at));

		check_mark_locked(pc, ptr, at, token);
		if (!object_is_at_locked(pc, at))
			free_misuse(pc, ptr, at);
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
		bits = exchange_acq_rel(&words[i], 0u);
		take_bits_locked(pc, linear + 128 * (uint64_t)i, bits, wanted, &token);
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
	kick_later(pc);
}

/* ---- frees that look under the lock ---- */

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
	if (UNLIKELY(linear == UINT64_MAX || !object_is_at_locked(pc, linear)))
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
	else if (wanted == WANTED_LATER)
		kick_later(pc);
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
		/* The doors cannot be waited for here: whoever takes it in looks. */
		if (UNLIKELY(has_mark_locked(pc, linear))) {
			percpu_unlock(pc, token);
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
	module_start_worker_freed(pc->q);
}

/* ---- the fast path ---- */

/* What was read before a page's bits were. */
struct look {
	const struct percpu_page *page;
	uint32_t words;	  /* where they are */
	uint32_t changes; /* of any page's */
};

/* Before the bits: pairs with map_clear() and map_show_locked(). */
static inline struct look look_at(const struct percpu *pc, uint64_t page)
{
	struct look look = { .page = &pc->page[page], .changes = load_acquire(&pc->changes) };

	look.words = load_acquire(&look.page->words);
	return look;
}

/* A free without the lock: true if the object, of a size that is cached, is on this CPU's stack now. */
static inline bool push(struct percpu *pc, void *ptr, uint32_t entry, uint32_t granules,
			struct look look)
{
	uint64_t *copy, mark;

	if (UNLIKELY(granules > CACHE_CLASSES_NR || !load_relaxed(&pc->learn[granules - 1].warm)))
		return false;
	/* The map may have moved: pairs with map_show_locked(). */
	if (UNLIKELY(load_acquire(&look.page->words) != look.words))
		return false;
	/* What follows the object may have been freed between the two bits: pairs with map_clear(). */
	if (UNLIKELY(load_acquire(&pc->changes) != look.changes))
		return false;
	copy = (uint64_t *)(void *)((char *)ptr + pc->home_bytes);
	mark = cache_mark(pc, ptr);
	if (UNLIKELY(*copy == mark))
		return false;
	*copy = mark;
	if (LIKELY(stack_push(&pc->stacks, granules - 1, entry, &pc->open, 0)))
		return true;
	*copy = 0;
	return false;
}

/* All that is not an object of a page's granules, or not one that a stack takes. */
static __attribute__((noinline, cold)) void free_odd(struct quire *q, void *ptr)
{
	struct percpu *pc = percpu_if_any(q);

	if (ptr == NULL)
		return;
	if (pc == NULL)
		misuse("foreign pointer", "quire_free_percpu", ptr, 0);
	free_slow(pc, ptr, addr_linear(pc, ptr));
}

/*
 * Does an object that reaches the page's end stop there?  False also means: look under the lock.  If it
 * goes on, its granules in the next page do not change, and that page's map only moves, to lower
 * numbers.  If not, whatever is read there is right: objects come and go, and in a page of fours
 * there are none to be read.
 */
static bool ends_with_page(const struct percpu *pc, uint32_t page)
{
	const struct percpu_page *next = &pc->page[page + 1];
	uint64_t used, starts;
	uint32_t words;

	if ((page & (unit_pages(pc) - 1)) == unit_pages(pc) - 1)
		return true;
	words = load_acquire(&next->words); /* pairs with map_show_locked() */
	if ((words & WORDS_HIDDEN) != 0)
		return true;
	/* Acquire, here and below: read before the second look at the map, where it has moved. */
	used = load_acquire(&map_words_at(pc, words)[0]);
	starts = load_acquire(&map_words_at(pc, words)[pc->half_words]);
	return (used & ~starts & 1) == 0 && load_acquire(&next->words) == words;
}

/* Granules of the object at @at whose word was read to its end, or 0: the maps have it.  It ends in the
 * next word or with the page; one that has more than that is too large for a stack. */
static uint32_t granules_past_word(const struct percpu *pc, uint32_t page, uint32_t at,
				   const uint64_t *words)
{
	uint32_t next = at / 64 + 1, near = 64 - at % 64;
	uint64_t used, ends;

	if (next == pc->half_words)
		return ends_with_page(pc, page) ? near : 0;
	used = load_acquire(&words[next]); /* before the boundaries: map_clear() */
	ends = load_acquire(&words[pc->half_words + next]) | ~used;
	return ends == 0 ? 0 : near + bit_lowest(ends);
}

/* An object that reaches the end of its word.  This word is read again too, behind the same look as the
 * next: that nothing ends in it must still hold then. */
static __attribute__((noinline)) void free_past_word(struct quire *q, void *ptr, uint32_t entry)
{
	struct percpu *pc = percpu_if_any(q);
	uint32_t page = entry >> pc->page_granules_shift, at = entry & pc->granule_mask;
	struct look look = look_at(pc, page);
	const uint64_t *words = map_words_at(pc, look.words);
	uint32_t granules = 0;
	uint64_t used, ends;

	if ((look.words & WORDS_HIDDEN) == 0) {
		used = load_acquire(&words[at / 64]); /* before the boundaries: map_clear() */
		ends = load_acquire(&words[pc->half_words + at / 64]) | ~used;
		ends = ends >> at % 64 & ~(uint64_t)1;
		granules = ends != 0 ? bit_lowest(ends) : granules_past_word(pc, page, at, words);
	}
	if (granules == 0 || !push(pc, ptr, entry, granules, look))
		free_odd(q, ptr);
}

void quire_free_percpu(struct quire *q, void *ptr)
{
	struct percpu *pc = load_acquire(&q->percpu); /* pairs with percpu_of() */
	uint64_t window, inside, linear, page, used, starts, ends;
	const uint64_t *word;
	struct look look;
	uint32_t entry, at;

	if (UNLIKELY(pc == NULL)) {
		free_odd(q, ptr);
		return;
	}
	/* As addr_linear(); an address beyond the span is beyond pages_end too. */
	window = ((uintptr_t)ptr - (uintptr_t)pc->base) >> pc->window_shift;
	inside = (uintptr_t)ptr - (uintptr_t)pc->base - (window << pc->window_shift);
	linear = window << 20 | inside;
	page = linear >> pc->page_shift;
	if (UNLIKELY((inside & ~(uint64_t)(QUIRE_PERCPU_STRIDE - 8)) != 0 ||
		     page >= load_relaxed(&pc->pages_end))) {
		free_odd(pc->q, ptr);
		return;
	}
	look = look_at(pc, page);
	entry = (uint32_t)(linear >> GRANULE_SHIFT);
	at = entry & pc->granule_mask;
	word = map_words_at(pc, look.words) + at / 64;
	if (UNLIKELY((look.words & WORDS_HIDDEN) != 0)) {
		free_odd(pc->q, ptr);
		return;
	}
	used = load_acquire(&word[0]); /* before the boundaries: map_clear() */
	starts = load_acquire(&word[pc->half_words]);
	if (UNLIKELY((starts >> at % 64 & 1) == 0)) {
		free_odd(pc->q, ptr);
		return;
	}
	/* It ends where the next one begins or a granule is free.  The shift comes last: what it brings in
	 * are zeroes, which end nothing, so an object that reaches the word's end has none here. */
	ends = (starts | ~used) >> at % 64 & ~(uint64_t)1;
	if (UNLIKELY(ends == 0)) {
		free_past_word(pc->q, ptr, entry);
		return;
	}
	if (UNLIKELY(!push(pc, ptr, entry, bit_lowest(ends), look)))
		free_odd(pc->q, ptr);
}

/*
 * Many objects under one hold of the lock.  What the maps say of each is fetched ahead: in an order
 * of no locality nothing else hides what memory takes.
 */
static void prefetch(const struct percpu *pc, const void *ptr)
{
	uint64_t linear = addr_linear(pc, ptr);

	if (linear >> pc->page_shift < load_relaxed(&pc->pages_end)) {
		const char *chunk = (const char *)&pc->chunk[chunk_at(pc, linear)];

		__builtin_prefetch(&pc->page[linear >> pc->page_shift]);
		for (size_t i = 0; i < sizeof(struct percpu_chunk); i += 64)
			__builtin_prefetch(chunk + i);
	}
}

static void prefetch_words_locked(const struct percpu *pc, const void *ptr)
{
	uint64_t linear = addr_linear(pc, ptr), page = linear >> pc->page_shift;

	DCHECK(lock_is_held(&pc->lock));
	if (page < pc->pages_end && page_has_map(&pc->page[page])) {
		const uint64_t *words = map_words(pc, page_map(pc, &pc->page[page])) +
					(linear >> (GRANULE_SHIFT + 6) & (pc->half_words - 1));

		__builtin_prefetch(words);
		__builtin_prefetch(words + pc->half_words);
	}
}

static void free_batch(struct percpu *pc, size_t count, void *const *ptrs)
{
	enum wanted wanted = WANTED_NOT;
	uint32_t granules;
	lock_token token;

	for (size_t i = 0; i < count; i++)
		prefetch(pc, ptrs[i]);
	token = lock_acquire(&pc->lock);
	for (size_t i = 0; i < count && i < PREFETCH_AHEAD; i++)
		prefetch_words_locked(pc, ptrs[i]);
	for (size_t i = 0; i < count; i++) {
		uint64_t linear = addr_linear(pc, ptrs[i]);
		enum wanted one;

		if (i + PREFETCH_AHEAD < count)
			prefetch_words_locked(pc, ptrs[i + PREFETCH_AHEAD]);
		if (ptrs[i] == NULL)
			continue;
		check_mark_locked(pc, ptrs[i], linear, &token);
		one = free_checked_locked(pc, ptrs[i], linear, &granules);
		wanted = one > wanted ? one : wanted;
	}
	percpu_unlock(pc, token);
	after_free(pc, wanted);
}

void quire_free_percpu_bulk(struct quire *q, size_t count, void *const *ptrs)
{
	struct percpu *pc = percpu_if_any(q);

	if (pc == NULL || lock_nested() || count < BATCH_LEAST) {
		for (size_t i = 0; i < count; i++)
			quire_free_percpu(q, ptrs[i]);
		return;
	}
	if (load_relaxed(&pc->deferred_nr) != 0) /* a hint */
		percpu_take_deferred(pc);
	for (size_t i = 0; i < count; i += BATCH) {
		free_batch(pc, count - i < BATCH ? count - i : BATCH, ptrs + i);
		if (count - i > BATCH)
			lock_let_others_in(&pc->lock);
	}
	module_start_worker_freed(q);
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
	bytes = object_bytes_locked(pc, linear);
	percpu_unlock(pc, token);
	return bytes;
}
