/* SPDX-License-Identifier: MIT */
/*
 * percpu/free.c - from quire_free_percpu() to a stack, the maps, or the deferred bits
 *
 * Every free looks the object up in the maps, so a double free, a foreign pointer or the middle
 * of an object stops the process here.  A free that may only try locks and gets none sets the
 * object's bit in its chunk's deferred bitmap: an object may have only 4 bytes, too few for a
 * link, and other CPUs could overwrite the link.  The bitmap costs memory only where a bit was
 * set; the next ordinary call, or the worker, processes all bits.
 */
#include "base/entry.h"
#include "base/opaque.h"
#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/map.h"
#include "percpu/object.h"
#include "percpu/place.h"
#include "percpu/refill.h"

#include "machine/annotate.h"
#include "machine/usdt.h"

/* The most objects freed in one hold of the lock: 64 at 20 ns take about as long as one wait for a lock. */
#define BATCH	    64u
/* Fewer objects are freed one by one, so that stacks can take them. */
#define BATCH_LEAST 8u

static _Noreturn void free_misuse(struct percpu *pc, const void *ptr)
{
	const char *function = "quire_free_percpu";
	uintptr_t beyond = (uintptr_t)ptr % 4; /* a place is a multiple of 4 */
	struct place place = place_of(pc, (const char *)ptr - beyond);
	uint32_t chunk = place_chunk(pc, place);
	const struct percpu_page *page;

	if (place_is_none(place) && (uintptr_t)ptr - (uintptr_t)pc->base < pc->span_bytes)
		misuse("not CPU 0's copy", function, ptr);
	if (chunk >= pc->chunks_end || pc->chunk[chunk].state == CHUNK_NONE)
		misuse("foreign pointer", function, ptr);
	if (beyond != 0)
		misuse("not the start of an object", function, ptr);
	page = &pc->page[place_page(pc, place)];
	if (page_has_map(page) && page->kind != KIND_FOURS && map_is_used(pc, place_granule(place)))
		misuse("the middle of an object", function, ptr);
	misuse("double free", function, ptr);
}

/* Tells the tools.  The lock is still held, so no other caller can have got the object yet. */
static void say_freed(struct percpu *pc, char *ptr, size_t bytes)
{
	annotate_copies_free(ptr, bytes, QUIRE_PERCPU_STRIDE, pc->units);
	annotate_free(ptr, bytes);
}

/* Frees an object that was looked up; returns its granules, 0 for one of 4 bytes. */
static uint32_t free_locked(struct percpu *pc, struct place place, bool *wanted)
{
	uint32_t granules;

	DCHECK(lock_is_held(&pc->lock));
	granules = object_free_locked(pc, place);
	if (UNLIKELY(pc->q->annotated))
		say_freed(pc, place_ptr(pc, place),
			  granules == 0 ? 4 : (size_t)granules << GRANULE_SHIFT);
	USDT(percpu_free_percpu, (uintptr_t)chunk_ptr(pc, place_chunk(pc, place)),
	     place_in_unit(pc, place), (uintptr_t)place_ptr(pc, place));
	if (chunk_after_free_locked(pc, place_chunk(pc, place)))
		*wanted = true;
	pc->stat.frees++;
	return granules;
}

static bool has_mark_locked(const struct percpu *pc, struct place place)
{
	DCHECK(lock_is_held(&pc->lock));
	return load_relaxed(&pc->opened) != 0 &&
	       cache_has_mark_locked(pc, place, object_bytes_locked(pc, place) >> GRANULE_SHIFT);
}

/* An object with the mark may be on a stack; then this is its second free.  Drops the lock to search the
 * stacks. */
static void check_mark_locked(struct percpu *pc, struct place place, lock_token *token)
{
	DCHECK(lock_is_held(&pc->lock));
	if (LIKELY(!has_mark_locked(pc, place)))
		return;
	percpu_unlock(pc, *token);
	if (cache_holds(pc, place))
		misuse("double free", "quire_free_percpu", place_ptr(pc, place));
	*token = lock_acquire(&pc->lock);
}

/* ---- deferred: a bit for each half granule ---- */

static uint32_t *deferred_word(struct percpu *pc, uint64_t half)
{
	return &pc->deferred[half / 32];
}

/* Sets the flags after the bit, so a caller that sees the flags finds the bit. */
static void announce(struct percpu *pc, uint32_t chunk)
{
	store_release(&pc->chunk[chunk].deferred, 1u);
	exchange_acq_rel(&pc->deferred_nr, 1u);
}

static void defer(struct percpu *pc, const void *ptr, struct place place)
{
	uint32_t chunk = place_chunk(pc, place), bit = 1u << place_half(place) % 32;

	if (chunk >= load_relaxed(&pc->chunks_end)) /* it only grows while in use */
		misuse("foreign pointer", "quire_free_percpu", ptr);
	/* Pairs with the exchange in take_chunk(). */
	if (fetch_or_acq_rel(deferred_word(pc, place_half(place)), bit) & bit)
		misuse("double free", "quire_free_percpu", ptr);
	fetch_add_relaxed(&pc->deferred_total, 1);
	announce(pc, chunk);
	/* No other call may come for a long time. */
	balance_kick_later(pc);
}

/* Frees deferred objects with the checks of an ordinary free, which the deferring call could not make.
 * @first: the half of bit 0. */
static void take_bits_locked(struct percpu *pc, uint64_t first, uint32_t bits, bool *wanted,
			     lock_token *token)
{
	DCHECK(lock_is_held(&pc->lock));
	for (; bits != 0; bits &= bits - 1) {
		struct place place = place_of_half(first + bit_lowest(bits));

		check_mark_locked(pc, place, token);
		if (!object_is_at_locked(pc, place))
			free_misuse(pc, place_ptr(pc, place));
		free_locked(pc, place, wanted);
	}
}

static void take_chunk(struct percpu *pc, uint32_t chunk, bool *wanted)
{
	uint64_t first = page_half(pc, page_number(pc, chunk, 0));
	uint64_t end = first + 2 * unit_granules(pc);

	for (uint64_t half = first; half < end; half += 32) {
		uint32_t *word = deferred_word(pc, half), bits;
		lock_token token;

		if (load_relaxed(word) == 0) /* set before the flag that led here */
			continue;
		token = lock_acquire(&pc->lock);
		/* Pairs with defer(). */
		bits = exchange_acq_rel(word, 0u);
		take_bits_locked(pc, half, bits, wanted, &token);
		percpu_unlock(pc, token);
	}
}

/* Takes in what handlers freed.  Ordinary context, lock not held. */
void percpu_take_deferred(struct percpu *pc)
{
	bool wanted = false;

	/* Pairs with announce(): flags set after this are found by the next call.  A load before, to save the
	 * exchange, would not be ordered after what a visit did, which it has fenced. */
	if (exchange_acquire(&pc->deferred_nr, 0u) == 0)
		return;
	for (uint32_t i = 0; i < load_relaxed(&pc->chunks_end); i++)
		if (exchange_acquire(&pc->chunk[i].deferred, 0u) != 0) /* pairs with announce() */
			take_chunk(pc, i, &wanted);
	if (wanted)
		balance_kick(pc, 0);
	balance_kick_later(pc);
}

void percpu_fork_child_deferred(struct percpu *pc)
{
	for (uint32_t i = 0; i < load_relaxed(&pc->chunks_end); i++)
		announce(pc, i);
}

/* ---- frees that look under the lock ---- */

/* When a free wants the worker. */
enum wanted {
	WANTED_NOT,
	WANTED_LATER, /* a page became empty */
	WANTED_NOW,
};

static enum wanted free_checked_locked(struct percpu *pc, const void *ptr, struct place place,
				       uint32_t *granules)
{
	uint32_t empty = pc->empty_pages;
	bool now = false;

	DCHECK(lock_is_held(&pc->lock));
	if (UNLIKELY(!object_is_at_locked(pc, place)))
		free_misuse(pc, ptr);
	*granules = free_locked(pc, place, &now);
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
		balance_kick_later(pc);
}

static __attribute__((noinline)) void free_slow(struct percpu *pc, void *ptr)
{
	struct place place = place_of(pc, ptr);
	bool nested = lock_nested();
	enum wanted wanted;
	uint32_t granules;
	lock_token token;

	if (nested) {
		if (!lock_try(&pc->lock, &token)) {
			defer(pc, ptr, place);
			return;
		}
		/* Searching the stacks would wait for their doors.  The call that takes in deferred frees
		 * searches them. */
		if (UNLIKELY(has_mark_locked(pc, place))) {
			percpu_unlock(pc, token);
			defer(pc, ptr, place);
			return;
		}
	} else {
		if (UNLIKELY(load_relaxed(&pc->deferred_nr) != 0)) /* a hint */
			percpu_take_deferred(pc);
		token = lock_acquire(&pc->lock);
		check_mark_locked(pc, place, &token);
	}
	wanted = free_checked_locked(pc, ptr, place, &granules);
	percpu_unlock(pc, token);
	after_free(pc, wanted);
	if (!nested && granules != 0)
		cache_after_free(pc, granules);
	balance_ensure_worker_freed(pc);
}

/* ---- the fast path ---- */

/* What a free without the lock reads before a page's bits.  If it is still the same afterwards (push()), the
 * bits belong together. */
struct look {
	const struct percpu_page *page;
	uint32_t words;	  /* where the page's map is */
	uint32_t changes; /* pc->changes */
};

/* Before the bits: pairs with map_clear() and map_show_locked().  The bits are read by acquires, so a second look, which
 * is relaxed, comes after them. */
static inline struct look look_at(const struct percpu *pc, uint64_t page)
{
	struct look look = { .page = &pc->page[page], .changes = load_acquire(&pc->changes) };

	look.words = load_acquire(&look.page->words);
	return look;
}

/* Marks the object and pushes it on this CPU's stack.  False: its size is not cached, the bits that were read
 * may not belong together, it has the mark already, or the stack refused. */
static inline bool push(struct percpu *pc, void *ptr, uint32_t granule, uint32_t class,
			struct look look)
{
	uint32_t frequent = load_relaxed(&pc->frequent), guess = opaque(frequent);
	uint64_t *copy, mark;

	/* The stack's address depends on the size, which is known late, and the next allocation waits for
	 * the push.  It does not wait for a comparison that the processor predicts. */
	if (LIKELY(class == frequent))
		class = guess;
	else if ((load_relaxed(&pc->warm) >> class & 1) == 0)
		return false;
	/* Has the map moved?  Pairs with map_show_locked(). */
	if (UNLIKELY(load_relaxed(&look.page->words) != look.words))
		return false;
	/* Was the object behind this one freed between the reads of its two bits?  Pairs with map_clear(). */
	if (UNLIKELY(load_relaxed(&pc->changes) != look.changes))
		return false;
	copy = (uint64_t *)(void *)((char *)ptr + pc->home_bytes);
	mark = cache_mark(pc, ptr);
	if (UNLIKELY(*copy == mark))
		return false;
	*copy = mark;
	if (LIKELY(stack_push(&pc->stacks.cpu, class, granule, &pc->open, 0)))
		return true;
	*copy = 0;
	return false;
}

/* What the fast path does not serve: NULL, objects of 4 bytes, and those that no stack takes; and misuse. */
static __attribute__((noinline, cold)) void free_odd(struct quire *q, void *ptr)
{
	struct percpu *pc = percpu_if_any(q);

	if (ptr == NULL)
		return;
	if (pc == NULL)
		misuse("foreign pointer", "quire_free_percpu", ptr);
	free_slow(pc, ptr);
}

/*
 * Does an object that reaches the end of its page end there?  False if it does not, or if only the lock
 * can tell.  If the object goes on, its granules in the next page do not change while it is allocated,
 * and that page's map can only move, to a lower number.  If it ends, the answer does not depend on
 * which objects come and go in the next page.
 */
static bool ends_with_page(const struct percpu *pc, uint32_t page)
{
	const struct percpu_page *next = &pc->page[page + 1];
	uint64_t used, starts;
	uint32_t words;

	if (page_offset(pc, page) == unit_pages(pc) - 1)
		return true;
	words = load_acquire(&next->words); /* pairs with map_show_locked() */
	if ((words & WORDS_HIDDEN) != 0)
		return true;
	/* Acquire, here and below: read before the second look at the map, where it has moved. */
	used = load_acquire(&map_words_at(pc, words)[0]);
	starts = load_acquire(&map_words_at(pc, words)[pc->half_words]);
	return (used & ~starts & 1) == 0 && load_relaxed(&next->words) == words; /* as in push() */
}

/* Granules of the object at @granule, which reaches the end of its map word; 0 if only the lock can tell.  It
 * ends in the next word or with the page; a longer one is too large for a stack. */
static uint32_t granules_past_word(const struct percpu *pc, uint32_t granule, const uint64_t *words)
{
	uint32_t next = map_word_in_page(pc, granule) + 1, near = 64 - granule % 64;
	uint64_t used, ends;

	if (next == pc->half_words)
		return ends_with_page(pc, granule_page(pc, granule)) ? near : 0;
	used = load_acquire(&words[next]); /* before the boundaries: map_clear() */
	ends = load_acquire(&words[pc->half_words + next]) | ~used;
	return ends == 0 ? 0 : near + bit_lowest(ends);
}

enum covers {
	COVERS_NOTHING,
	COVERS_ALL,
	COVERS_UNKNOWN, /* a part, or only the lock can tell */
};

/* How much of @page belongs to the object that begins with page @first. */
static enum covers covers(const struct percpu *pc, uint32_t first, uint32_t page)
{
	const struct percpu_page *p = &pc->page[page];
	uint32_t at = load_acquire(&p->words); /* pairs with map_show_locked() */
	const uint64_t *words = map_words_at(pc, at);
	uint64_t used = ~(uint64_t)0, starts = 0;
	bool goes_on = true;

	if ((at & WORDS_HIDDEN) != 0)
		return page == first ? COVERS_UNKNOWN : COVERS_NOTHING;
	for (uint32_t i = 0; i < pc->half_words; i++) {
		uint64_t use = load_acquire(&words[i]); /* before the boundaries: map_clear() */
		uint64_t start = load_acquire(&words[pc->half_words + i]);

		if (i == 0) {
			goes_on = (page == first ? start & 1 : use & ~start & 1) != 0;
			start &= ~(uint64_t)1;
			if (!goes_on) /* the rest is others' */
				break;
		}
		starts |= start;
		used &= use;
	}
	if (load_relaxed(&p->words) != at) /* has the map moved meanwhile? */
		return COVERS_UNKNOWN;
	if (!goes_on)
		return page == first ? COVERS_UNKNOWN : COVERS_NOTHING;
	return starts == 0 && used == ~(uint64_t)0 ? COVERS_ALL : COVERS_UNKNOWN;
}

/* The pages of the object that begins with @page, if it ends with one; or 0: that, or only the lock can tell. */
static uint32_t whole_pages(const struct percpu *pc, uint32_t page)
{
	for (uint32_t n = 0; n <= CACHE_PAGES_NR; n++) {
		enum covers now = COVERS_NOTHING;

		if (n == 0 || page_offset(pc, page + n) != 0) /* else the chunk ends */
			now = covers(pc, page, page + n);
		if (now != COVERS_ALL)
			return now == COVERS_NOTHING ? n : 0;
	}
	return 0;
}

/* Frees an object of whole pages to this CPU's stack.  False: it is none, or the lock must be taken.  Its mark is
 * in the record of its first page, so that its copies are not touched. */
static bool push_pages(struct percpu *pc, uint32_t granule)
{
	uint32_t page = granule_page(pc, granule), changes, pages;
	struct percpu_page *p = &pc->page[page];

	if (granule_in_page(pc, granule) != 0 || pc->sparse)
		return false;
	changes = load_acquire(&pc->changes); /* pairs with map_clear(), as in push() */
	pages = whole_pages(pc, page);
	if (pages - 1 >= CACHE_PAGES_NR || load_relaxed(&p->cached) != 0 ||
	    load_relaxed(&pc->changes) != changes)
		return false;
	store_relaxed(&p->cached, 1); /* read by other frees */
	if (stack_push(&pc->stacks.cpu, CACHE_SMALL_NR + pages - 1, granule, &pc->open, 0))
		return true;
	store_relaxed(&p->cached, 0);
	return false;
}

/* Frees an object that reaches the end of its map word.  This word is read again, after the same look as the
 * next one, since the object must not have ended in it at that time either. */
static __attribute__((noinline)) void free_past_word(struct quire *q, void *ptr, uint32_t granule)
{
	struct percpu *pc = percpu_if_any(q);
	struct look look = look_at(pc, granule_page(pc, granule));
	const uint64_t *words = map_words_at(pc, look.words);
	uint32_t word = map_word_in_page(pc, granule), granules = 0;
	uint64_t used, ends;

	if ((look.words & WORDS_HIDDEN) == 0) {
		used = load_acquire(&words[word]); /* before the boundaries: map_clear() */
		ends = load_acquire(&words[pc->half_words + word]) | ~used;
		ends = ends >> granule % 64 & ~(uint64_t)1;
		granules = ends != 0 ? bit_lowest(ends) : granules_past_word(pc, granule, words);
	}
	if (granules == 0 || granules > CACHE_SMALL_NR ||
	    !push(pc, ptr, granule, granules - 1, look)) {
		if (granules != 0 || !push_pages(pc, granule))
			free_odd(q, ptr);
	}
}

FAST_ENTRY(quire_free_percpu);

/*
 * Reads from the map of the object's page, without the lock, where the object ends; from that follows its
 * size, and so its stack.  push() checks that the map was the same all the time.
 */
void quire_free_percpu(struct quire *q, void *ptr)
{
	struct percpu *pc = load_acquire(&q->percpu); /* pairs with percpu_of() */
	uint64_t page, used, starts, ends;
	const uint64_t *word;
	struct place place;
	struct look look;
	uint32_t granule;
	bool fits;

	if (UNLIKELY(pc == NULL)) {
		free_odd(q, ptr);
		return;
	}
	/* An address beyond the span is beyond pages_end too. */
	fits = place_decode(pc, ptr, 8, &place);
	page = place.byte >> pc->page_shift;
	if (UNLIKELY(!fits || page >= load_relaxed(&pc->pages_end))) {
		free_odd(pc->q, ptr);
		return;
	}
	look = look_at(pc, page);
	granule = place_granule(place);
	word = map_words_at(pc, look.words) + map_word_in_page(pc, granule);
	if (UNLIKELY((look.words & WORDS_HIDDEN) != 0)) {
		free_odd(pc->q, ptr);
		return;
	}
	used = load_acquire(&word[0]); /* before the boundaries: map_clear() */
	starts = load_acquire(&word[pc->half_words]);
	if (UNLIKELY((starts >> granule % 64 & 1) == 0)) {
		free_odd(pc->q, ptr);
		return;
	}
	/* The object ends where the next one begins or a granule is free.  The shifts come last and bring in
	 * zeroes, which end nothing: so no end is found of an object that reaches the end of the word.  An
	 * end in the granule after the first is bit 0: the class of one granule. */
	ends = (starts | ~used) >> granule % 64 >> 1;
	if (UNLIKELY(ends == 0)) {
		free_past_word(pc->q, ptr, granule);
		return;
	}
	if (UNLIKELY(!push(pc, ptr, granule, bit_lowest(ends), look)))
		free_odd(pc->q, ptr);
}

/*
 * Frees many objects under one hold of the lock.  Their maps are prefetched, because the objects may
 * come in any order, and each map would be a cache miss.
 */
static void free_batch(struct percpu *pc, size_t count, void **ptrs)
{
	enum wanted wanted = WANTED_NOT;
	uint32_t granules;
	lock_token token;

	for (size_t i = 0; i < count; i++)
		object_prefetch(pc, place_of(pc, ptrs[i]));
	token = lock_acquire(&pc->lock);
	for (size_t i = 0; i < count && i < PREFETCH_AHEAD; i++)
		object_prefetch_map_locked(pc, place_of(pc, ptrs[i]));
	for (size_t i = 0; i < count; i++) {
		struct place place = place_of(pc, ptrs[i]);
		enum wanted one;

		if (i + PREFETCH_AHEAD < count)
			object_prefetch_map_locked(pc, place_of(pc, ptrs[i + PREFETCH_AHEAD]));
		if (ptrs[i] == NULL)
			continue;
		check_mark_locked(pc, place, &token);
		one = free_checked_locked(pc, ptrs[i], place, &granules);
		wanted = one > wanted ? one : wanted;
	}
	percpu_unlock(pc, token);
	memset(ptrs, 0, count * sizeof(*ptrs));
	after_free(pc, wanted);
}

void quire_free_percpu_bulk(struct quire *q, void **ptrs, size_t count)
{
	struct percpu *pc = percpu_if_any(q);

	if (pc == NULL || lock_nested() || count < BATCH_LEAST) {
		for (size_t i = 0; i < count; i++) {
			quire_free_percpu(q, ptrs[i]);
			ptrs[i] = NULL;
		}
		return;
	}
	if (load_relaxed(&pc->deferred_nr) != 0) /* a hint */
		percpu_take_deferred(pc);
	for (size_t i = 0; i < count; i += BATCH) {
		free_batch(pc, count - i < BATCH ? count - i : BATCH, ptrs + i);
		if (count - i > BATCH)
			lock_let_others_in(&pc->lock);
	}
	balance_ensure_worker_freed(pc);
}

size_t quire_percpu_bytes(const struct quire *q, const void *ptr)
{
	struct percpu *pc = percpu_if_any(q);
	lock_token token;
	size_t bytes;

	if (pc == NULL)
		return 0;
	token = lock_acquire(&pc->lock);
	bytes = object_bytes_locked(pc, place_of(pc, ptr));
	percpu_unlock(pc, token);
	return bytes;
}
