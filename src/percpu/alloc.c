/* SPDX-License-Identifier: MIT */
/*
 * percpu/alloc.c - from quire_alloc_percpu() to a place that reads zero
 *
 * The fast path is one sequence on this CPU's stack and a check of every copy.  Otherwise, in
 * order:
 *
 *   1. populated room, under lock; a caller that may wait does not use the reserve of empty pages
 *   2. pages that are populated for the request, also under lock; if a chunk or maps are missing, they
 *      are created (grow.c), and 2 is repeated
 *   3. other caches release memory, then 2 is repeated; then the reserve; then a refusal
 *
 * Pages are charged and populated in the same hold of lock in which the object takes them.  So an
 * object never lies in a page that is not populated (P9), and a refused charge needs no undoing,
 * since nothing was done yet (R6).  Only step 3 charges in advance, so that no other caller takes
 * the memory that was released for this one.
 */
#include "percpu/alloc.h"
#include "percpu/balance.h"
#include "percpu/cache.h"
#include "percpu/grow.h"
#include "percpu/placement.h"
#include "percpu/refill.h"
#include "percpu/sparse.h"

#include "base/entry.h"
#include "base/sized.h"
#include "instance/shrinker.h"
#include "machine/annotate.h"
#include "machine/usdt.h"

#define FLAGS_KNOWN (QUIRE_ZERO | QUIRE_NOWAIT | QUIRE_ATOMIC | QUIRE_NOLOCK | QUIRE_NORETRY)

/* Objects of a bulk allocation per hold of the lock.  Fewer than the minimum are allocated one by
 * one, from stacks. */
#define BATCH	    64u
#define BATCH_LEAST 8u

typedef uint64_t two_words __attribute__((vector_size(16), aligned(8)));

#define BLOCK_BYTES 256u
#define ROW_BYTES                                                                                  \
	4096u /* no more than a page: a page that was never written must not be written now */

static inline bool is_zero_block(const char *block)
{
	const two_words *part = (const two_words *)(const void *)block;
	two_words a = part[0], b = part[1], c = part[2], d = part[3];

	for (unsigned i = 4; i < BLOCK_BYTES / sizeof(*part); i += 4) {
		a |= part[i];
		b |= part[i + 1];
		c |= part[i + 2];
		d |= part[i + 3];
	}
	a |= b | c | d;
	return (a[0] | a[1]) == 0;
}

/* Clears what is in one row from the first block that is not zero on. */
static void zero_row(char *row, size_t bytes)
{
	size_t at = 0;

	while (at + BLOCK_BYTES <= bytes && is_zero_block(row + at))
		at += BLOCK_BYTES;
	if (at + BLOCK_BYTES <= bytes) {
		memset(row + at, 0, bytes - at);
		return;
	}
	for (; at < bytes; at += 8)
		if (*(uint64_t *)(void *)(row + at) != 0)
			*(uint64_t *)(void *)(row + at) = 0;
}

/* Reads before it writes: a copy that was never written may be mapped to the system's zero page,
 * and a store would allocate memory for it. */
void percpu_zero_copy(char *copy, size_t bytes)
{
	if (bytes == 4 && *(uint32_t *)(void *)copy != 0)
		*(uint32_t *)(void *)copy = 0;
	for (bytes &= ~(size_t)7; bytes != 0;) {
		size_t row = ROW_BYTES - (uintptr_t)copy % ROW_BYTES;

		row = row < bytes ? row : bytes;
		zero_row(copy, row);
		copy += row;
		bytes -= row;
	}
}

void percpu_zero_placed(struct percpu *pc, const struct percpu_request *request,
			const struct placed *placed)
{
	uint32_t units = pc->units;
	size_t bytes = request_bytes(request);
	char *ptr = place_ptr(pc, placed->place);

	if (UNLIKELY(pc->q->annotated)) {
		annotate_alloc(ptr, bytes, true);
		annotate_copies_alloc(ptr, bytes, QUIRE_PERCPU_STRIDE, pc->units);
	}
	if (placed->fresh)
		return;
	if (pc->sparse) {
		sparse_zero(pc, placed->place, bytes, placed->seen,
			    !(request->flags & QUIRE_NOLOCK));
		return;
	}
	for (uint32_t unit = 0; unit < units; unit++)
		percpu_zero_copy(ptr + unit * QUIRE_PERCPU_STRIDE, bytes);
}

/* The same for a cache line, two words at a time except the first two: the mark was just written
 * there, and a wider load would wait until the store has reached the cache. */
static inline void zero_line(char *line)
{
	uint64_t *word = (uint64_t *)(void *)line;
	const two_words *rest = (two_words *)(void *)(word + 2);
	two_words any = rest[0] | rest[1] | rest[2];

	if ((any[0] | any[1] | word[1]) != 0)
		memset(word + 1, 0, 56);
	if (word[0] != 0)
		word[0] = 0;
}

static inline void zero_word(char *copy)
{
	if (*(uint64_t *)(void *)copy != 0)
		*(uint64_t *)(void *)copy = 0;
}

/* Clears an object from a stack, of more than a word and of any number of cache lines but one.
 * Returns it. */
static __attribute__((noinline)) void *zero_popped(char *ptr, uint32_t units, size_t bytes)
{
	char *copy = ptr;

	for (; units != 0; units--, copy += QUIRE_PERCPU_STRIDE) {
		size_t at = 0;

		for (; at + 64 <= bytes; at += 64)
			zero_line(copy + at);
		for (; at < bytes; at += 8)
			zero_word(copy + at);
	}
	return ptr;
}

static bool is_valid(const struct percpu *pc, const struct quire_percpu_request *asked,
		     size_t align)
{
	return asked->bytes != 0 && asked->bytes <= QUIRE_PERCPU_BYTES_MAX &&
	       (align & (align - 1)) == 0 && align <= (size_t)1 << pc->page_shift &&
	       (asked->flags & ~FLAGS_KNOWN) == 0;
}

/* Small objects have pages of their own, unless that rule of placement is off. */
static uint8_t kind_of(const struct percpu *pc, size_t bytes)
{
	bool apart = pc->packed && has_rule(pc, QUIRE_RULE_APART);

	return bytes < 64 && apart ? KIND_SMALL : KIND_BIG;
}

int percpu_request_make(const struct percpu *pc, const struct quire_percpu_request *asked,
			struct percpu_request *request)
{
	size_t bytes = asked->bytes, align = asked->align;
	bool fours;

	if (align == 0)
		align = bytes <= 4 ? 4 : 8;
	if (!is_valid(pc, asked, align))
		return -EINVAL;
	fours = bytes <= 4 && align <= 4;
	*request = (struct percpu_request){
		.n = fours ? 1 : (uint32_t)((bytes + 7) >> GRANULE_SHIFT),
		.align = align <= 8 ? 1 : (uint32_t)(align >> GRANULE_SHIFT),
		.kind = fours ? KIND_FOURS : kind_of(pc, bytes),
		.fours = fours,
		.flags = lock_nested() ? asked->flags | QUIRE_NOLOCK : asked->flags,
	};
	return 0;
}

static bool lock_for(struct percpu *pc, unsigned flags, lock_token *token)
{
	return lock_acquire_or_try(&pc->lock, flags & QUIRE_NOLOCK, token);
}

int percpu_place_locked(struct percpu *pc, const struct percpu_request *request,
			struct placed *placed)
{
	DCHECK(lock_is_held(&pc->lock));
	return pc->packed ? placement_packed_locked(pc, request, placed)
			  : placement_linux_locked(pc, request, placed);
}

int percpu_put_locked(struct percpu *pc, const struct percpu_request *request,
		      struct placed *placed)
{
	int error = percpu_place_locked(pc, request, placed);

	DCHECK(lock_is_held(&pc->lock));
	if (!error) {
		pc->stat.allocs++;
		if (!request->fours)
			cache_learn_alloc_locked(pc, request->n);
	}
	return error;
}

/* ---- attempts ---- */

/* @last: this is the last attempt, so the reserve may be used and every hole is examined. */
static int from_populated(struct percpu *pc, const struct percpu_request *request, bool last,
			  struct placed *placed)
{
	struct percpu_request here = *request;
	lock_token token;
	int error;

	here.populated_only = true;
	here.may_use_reserve = last || (request->flags & FLAGS_NO_WAIT) != 0;
	here.everywhere = last;
	if (!lock_for(pc, request->flags, &token))
		return -EAGAIN;
	error = percpu_put_locked(pc, &here, placed);
	percpu_unlock(pc, token);
	return error;
}

/*
 * Populates pages until the object fits, and creates a chunk or maps if they are missing.  Each
 * round finds what the round before has created, unless another caller took it first.
 * request->charged pages are already charged.  If refused, placed->missing is the number of pages
 * that were needed.
 */
static int from_new(struct percpu *pc, const struct percpu_request *request, struct placed *placed)
{
	struct percpu_request here = *request;
	int error;

	do {
		struct want want;
		lock_token token;
		uint64_t populated;

		if (!lock_for(pc, request->flags, &token)) {
			error = -EAGAIN;
			break;
		}
		populated = pc->populated_pages;
		error = percpu_put_locked(pc, &here, placed);
		populated = pc->populated_pages - populated;
		here.charged -= populated < here.charged ? (uint32_t)populated : here.charged;
		want = grow_want_locked(pc, placed->missing);
		percpu_unlock(pc, token);
		if (error != -EAGAIN)
			break;
		error = grow_make(pc, &want, request->flags);
	} while (!error);
	if (here.charged != 0)
		page_uncharge(pc->q, here.charged * pc->units);
	return error;
}

/* Makes room and charges the missing pages in advance.  No lock may be held, since making room
 * shrinks every module, including this one (R29).  A module that another thread is already
 * shrinking is skipped.  So a second try waits for that thread: no caller is refused while pages
 * that it needs are being returned. */
static int after_making_room(struct percpu *pc, const struct percpu_request *request, bool again,
			     struct placed *placed)
{
	struct percpu_request here = *request;

	here.charged = placed->missing;
	if (again)
		balance_all(pc);
	if (here.charged == 0)
		page_make_room(pc->q);
	else if (page_charge(pc->q, here.charged * pc->units, request->flags) != 0)
		return -ENOMEM;
	return from_new(pc, &here, placed);
}

/* Repeats the attempts as long as the program's caches give up something. */
static int after_shrinkers(struct percpu *pc, const struct percpu_request *request,
			   struct shrinkers_walk *walk, int error, struct placed *placed)
{
	while (error && shrinkers_step(pc->q, walk)) {
		error = after_making_room(pc, request, true, placed);
		if (error && from_populated(pc, request, true, placed) == 0)
			error = 0;
	}
	return error;
}

static void note_refusal(struct percpu *pc, const struct percpu_request *request)
{
	lock_token token;

	fetch_add_relaxed(&pc->refusals, 1);
	if (!(request->flags & FLAGS_NO_WAIT))
		return;
	fetch_add_relaxed(&pc->atomic_refusals, 1);
	if (lock_for(pc, request->flags, &token)) {
		pc->atomic_failed = true;
		percpu_unlock(pc, token);
	}
	balance_kick(pc, 0);
}

static int put(struct percpu *pc, const struct percpu_request *request, struct placed *placed)
{
	struct shrinkers_walk walk =
		shrinkers_walk_begin(pc->q, ((size_t)request->n << GRANULE_SHIFT) * pc->units);
	bool may_wait = !(request->flags & FLAGS_NO_WAIT);
	int error;

	/* Pairs with defer(): a hint. */
	if (UNLIKELY(load_relaxed(&pc->deferred_nr) != 0) && !(request->flags & QUIRE_NOLOCK))
		percpu_take_deferred(pc);
	error = from_populated(pc, request, false, placed);
	if (error)
		error = from_new(pc, request, placed);
	for (unsigned i = 0; error == -ENOMEM && i < 2 && may_wait; i++)
		if (!(request->flags & QUIRE_NORETRY))
			error = after_making_room(pc, request, i != 0, placed);
	if (error && from_populated(pc, request, true, placed) == 0)
		error = 0;
	if (error && may_wait && !(request->flags & QUIRE_NORETRY))
		error = after_shrinkers(pc, request, &walk, error, placed);
	if (error) {
		note_refusal(pc, request);
		return error == -ENOSPC ? error : -ENOMEM;
	}
	if (load_relaxed(&pc->empty_pages) < EMPTY_LOW) /* a hint */
		balance_reserve_low(pc, may_wait);
	return 0;
}

/* Tries to place an object for a stack at the beginning of a cache line or page, if that costs
 * nothing. */
static int from_line(struct percpu *pc, const struct percpu_request *request, struct placed *placed)
{
	struct percpu_request here = *request;
	int error;

	here.align = request->fours ? 1 : cache_alignment(pc, request->n, request->align);
	if (here.align == 1)
		return -EAGAIN;
	error = from_populated(pc, &here, false, placed);
	if (!error)
		cache_had_alignment(pc, request->n);
	return error;
}

/* ---- the calls ---- */

static __attribute__((noinline, cold)) void *alloc_slow(struct quire *q, size_t bytes, size_t align,
							unsigned flags)
{
	const struct quire_percpu_request asked = { .bytes = bytes,
						    .align = align,
						    .flags = flags };
	struct percpu *pc = percpu_of(q, flags);
	struct percpu_request request;
	struct placed placed;
	int error = -ENOMEM;

	if (pc != NULL)
		error = percpu_request_make(pc, &asked, &request);
	if (!error && cache_refill(pc, &request, &placed) != 0 &&
	    from_line(pc, &request, &placed) != 0)
		error = put(pc, &request, &placed);
	if (pc != NULL)
		balance_ensure_worker(pc, flags);
	if (error) {
		USDT(percpu_alloc_percpu_fail, false, (flags & FLAGS_NO_WAIT) != 0, bytes, align);
		process_set_errno(-error);
		return NULL;
	}
	percpu_zero_placed(pc, &request, &placed);
	/* The fast paths jump here, so this returns to their caller. */
	USDT(percpu_alloc_percpu, (uintptr_t)__builtin_return_address(0), false,
	     (flags & FLAGS_NO_WAIT) != 0, request_bytes(&request), align,
	     (uintptr_t)chunk_ptr(pc, place_chunk(pc, placed.place)),
	     place_in_unit(pc, placed.place), (uintptr_t)place_ptr(pc, placed.place),
	     request_bytes(&request) * pc->units, flags);
	return place_ptr(pc, placed.place);
}

/* Clears a popped object out of line, if the instance asks the system about popped objects or every
 * allocation looks for due work (worker_look()).  Returns @ptr. */
static __attribute__((noinline, cold)) void *finish_popped(struct percpu *pc, char *ptr,
							   size_t class, unsigned flags)
{
	size_t bytes = (class + 1) << GRANULE_SHIFT;

	if (pc->asks_for_popped)
		sparse_zero(pc, place_of(pc, ptr), bytes, false, false);
	else
		zero_popped(ptr, pc->units, bytes);
	if (load_relaxed(&pc->q->looks))
		worker_look(pc->q, flags);
	return ptr;
}

/* What the fast path does not serve: an object of whole pages may be on a stack too. */
static __attribute__((noinline)) void *alloc_large(struct quire *q, size_t bytes, size_t align,
						   unsigned flags)
{
	struct percpu *pc = percpu_if_any(q);
	size_t pages = pc != NULL ? bytes >> pc->page_shift : 0;
	uint32_t granule;
	char *ptr;

	if (pages - 1 >= CACHE_PAGES_NR || bytes != pages << pc->page_shift ||
	    align > (size_t)1 << pc->page_shift || (align & (align - 1)) != 0 ||
	    (flags & ~FLAGS_KNOWN) != 0)
		return alloc_slow(q, bytes, align, flags);
	granule = stack_pop(&pc->stacks.cpu, (unsigned)(CACHE_SMALL_NR + pages - 1));
	if (granule == STACK_NONE)
		return alloc_slow(q, bytes, align, flags);
	ptr = granule_ptr(pc, granule);
	store_relaxed(&pc->page[granule_page(pc, granule)].cached, 0); /* read by frees */
	for (uint32_t unit = 0; unit < pc->units; unit++)
		percpu_zero_copy(ptr + unit * QUIRE_PERCPU_STRIDE, bytes);
	if (load_relaxed(&pc->q->looks))
		worker_look(pc->q, flags);
	return ptr;
}

FAST_ENTRY(quire_alloc_percpu);

void *quire_alloc_percpu(struct quire *q, size_t bytes, size_t align, unsigned flags)
{
	struct percpu *pc = load_acquire(&q->percpu); /* pairs with percpu_of() */
	size_t class = (bytes - 1) >> GRANULE_SHIFT;
	uint32_t granule, units;
	char *ptr;

	/* 5..512 bytes have a class; 4 bytes and less have pages of their own. */
	if (UNLIKELY(pc == NULL || bytes - 5 >= CACHE_SMALL_NR * 8 - 4 || align > 8 ||
		     (align & (align - 1)) != 0 || (flags & ~FLAGS_KNOWN) != 0))
		return alloc_large(q, bytes, align, flags);
	granule = stack_pop(&pc->stacks.cpu, (unsigned)class);
	/* pc->q, not q: this frees a register before this point. */
	if (UNLIKELY(granule == STACK_NONE))
		return alloc_slow(pc->q, bytes, align, flags);
	ptr = granule_ptr(pc, granule);
	if (UNLIKELY(load_relaxed(&pc->popped_is_odd)))
		return finish_popped(pc, ptr, class, flags);
	units = pc->units;
	if (class == 0)
		for (char *copy = ptr; units != 0; units--, copy += QUIRE_PERCPU_STRIDE)
			zero_word(copy);
	else if (class == LINE_GRANULES - 1)
		for (char *copy = ptr; units != 0; units--, copy += QUIRE_PERCPU_STRIDE)
			zero_line(copy);
	else
		return zero_popped(ptr, units, (class + 1) << GRANULE_SHIFT);
	return ptr;
}

/* Allocates as many objects as fit into populated room, in one hold of the lock.  Returns how
 * many. */
static size_t alloc_batch(struct percpu *pc, const struct percpu_request *request, size_t count,
			  void **ptrs)
{
	struct percpu_request here = *request;
	struct placed placed[BATCH];
	lock_token token;
	size_t n;

	here.populated_only = true;
	here.may_use_reserve = (request->flags & FLAGS_NO_WAIT) != 0;
	if (!lock_for(pc, request->flags, &token))
		return 0;
	for (n = 0; n < count && percpu_put_locked(pc, &here, &placed[n]) == 0; n++)
		ptrs[n] = place_ptr(pc, placed[n].place);
	percpu_unlock(pc, token);
	for (size_t i = 0; i < n; i++)
		percpu_zero_placed(pc, request, &placed[i]);
	if (load_relaxed(&pc->empty_pages) < EMPTY_LOW) /* a hint */
		balance_reserve_low(pc, (request->flags & FLAGS_NO_WAIT) == 0);
	return n;
}

size_t quire_alloc_percpu_bulk(struct quire *q, const struct quire_percpu_request *request,
			       void **ptrs, size_t count)
{
	struct quire_percpu_request known;
	struct percpu_request placing;
	struct percpu *pc;
	size_t n = 0;
	int error = sized_read(&known, sizeof(known), request);

	if (error)
		process_set_errno(-error);
	while (n < count && !error) {
		/* The first object, and one whenever populated room is used up, takes the full
		 * path. */
		void *ptr = quire_alloc_percpu(q, known.bytes, known.align, known.flags);

		if (ptr == NULL)
			break;
		ptrs[n++] = ptr;
		pc = percpu_if_any(q);
		if (count - n < BATCH_LEAST)
			continue;
		CHECK(percpu_request_make(pc, &known, &placing) == 0);
		for (size_t some = BATCH; some == BATCH && n < count; n += some) {
			some = count - n < BATCH ? count - n : BATCH;
			some = alloc_batch(pc, &placing, some, ptrs + n);
			if (n + some < count && !(placing.flags & QUIRE_NOLOCK))
				lock_let_others_in(&pc->lock);
		}
	}
	if (n < count)
		memset(ptrs + n, 0, (count - n) * sizeof(*ptrs));
	return n;
}
