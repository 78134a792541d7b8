/* SPDX-License-Identifier: MIT */
/*
 * malloc/profile.c - a profile of the heap by sampling
 *
 * A layer (layer.h) that stays once the profile was first on.  While it is on, malloc_cold() counts bytes down (countdown.h);
 * a block that is hit is noted: its stack, kept once (traces.h), gets the block's weight, and a word beside the heap (beside.h)
 * says which stack, and how large.  A block that is freed takes its word, by one exchange, and its weight is added to what is
 * gone.
 *
 * free() of a small block does not look at anything but its page's byte.  So a small block that is hit is a run of pages, whose
 * byte sends free() to its cold path, and large blocks' frees are cold anyhow: only they look for a word.  A run
 * has room for more than its user may know: its usable size is that of the class that it would have been in, so that
 * realloc() leaves it or moves it as it would any other, and sampling selects blocks by nothing but their size.
 *
 *   realloc()                    counts
 *   leaves the block             nothing: it has the size that it was allocated with
 *   else                         a free of the block, and an allocation of the new size
 *
 * There is no lock.  The state changes by whoever has the turn, and who does not get it is told so.  A handler may interrupt
 * at any point, and a child of fork goes on with what it finds; a block that another thread was noting is not in
 * its profile.  Stacks are walked with no lock held, and nothing here asks the dynamic linker.
 */
#include "malloc/profile.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "malloc/beside.h"
#include "malloc/boot.h"
#include "malloc/countdown.h"
#include "malloc/heap.h"
#include "malloc/layer.h"
#include "malloc/odds.h"
#include "malloc/traces.h"
#include "slab/slab.h"

static struct {
	uint32_t turn; /* atomic: somebody changes the state */
	bool is_shared; /* (c) once the heap is ready: traces are in memory that another process reads */
	bool is_foreign; /* that is the parent's.  Written while a child of fork has one thread */
	uint32_t shift;	 /* atomic, 0: off */
	uint32_t mean_shift; /* atomic */
	uint64_t begun_ns;   /* (c) once the layer is there */
	struct traces traces;
	struct beside words;
} profile;

/* ---- words ---- */

/* What a word says of a block.  All of it is in 64 bits. */
struct block_facts {
	uint32_t trace; /* its number: 22 bits; 0 and no word: not sampled */
	uint32_t shift;
	uint32_t usable_bytes; /* of a block that is apart; else 0 */
	uint64_t
		bytes; /* that were asked for; of a block that is not apart the first 19 bits are exact */
};

#define TRACE_BITS    22u
#define SHIFT_BITS    5u
#define USABLE_BITS   12u
#define BYTES_BITS    19u
#define EXPONENT_BITS 6u

/* Where they begin; the trace's at 0. */
#define SHIFT_AT    TRACE_BITS
#define USABLE_AT   (SHIFT_AT + SHIFT_BITS)
#define BYTES_AT    (USABLE_AT + USABLE_BITS)
#define EXPONENT_AT (BYTES_AT + BYTES_BITS)

_Static_assert(PROFILE_BYTES / 16 <= (UINT64_C(1) << TRACE_BITS), "a trace's number fits");
_Static_assert(MALLOC_SMALL_MAX / MALLOC_ALIGN < (1u << USABLE_BITS), "so does a small size");
_Static_assert(EXPONENT_AT + EXPONENT_BITS == 64, "and an exponent");

static uint64_t word_of(const struct block_facts *facts)
{
	unsigned exponent = 0;

	while (facts->bytes >> exponent >= UINT64_C(1) << BYTES_BITS)
		exponent++;
	return (uint64_t)facts->trace | (uint64_t)facts->shift << SHIFT_AT |
	       (uint64_t)(facts->usable_bytes / MALLOC_ALIGN) << USABLE_AT |
	       facts->bytes >> exponent << BYTES_AT | (uint64_t)exponent << EXPONENT_AT;
}

/* The low @bits of *@word, which lets them go. */
static uint64_t take_bits(uint64_t *word, unsigned bits)
{
	uint64_t value = *word & ((UINT64_C(1) << bits) - 1);

	*word >>= bits;
	return value;
}

static struct block_facts facts_of(uint64_t word)
{
	struct block_facts facts;

	facts.trace = (uint32_t)take_bits(&word, TRACE_BITS);
	facts.shift = (uint32_t)take_bits(&word, SHIFT_BITS);
	facts.usable_bytes = (uint32_t)take_bits(&word, USABLE_BITS) * MALLOC_ALIGN;
	facts.bytes = take_bits(&word, BYTES_BITS);
	facts.bytes <<= word;
	return facts;
}

/* The word of a block; NULL: it is not sampled, as no small block is that is not apart. */
static uint64_t *word_at(const void *block)
{
	uint64_t *word = malloc_class_at(block) == 0 ? beside_at(&profile.words, block) : NULL;

	/* The block's owner asks, who has seen it. */
	return word != NULL && load_relaxed(word) != 0 ? word : NULL;
}

/* ---- sums ---- */

struct weight {
	uint64_t blocks, bytes;
};

static struct weight weight_of(const struct block_facts *facts)
{
	double weight = odds_weight(facts->bytes, facts->shift);

	return (struct weight){ .blocks = (uint64_t)(weight * PROFILE_ONE_BLOCK + 0.5),
				.bytes = (uint64_t)(weight * (double)facts->bytes + 0.5) };
}

/* ---- blocks ---- */

static uint32_t draw(void)
{
	return odds_distance(countdown_random(), load_relaxed(&profile.mean_shift)); /* as it is */
}

static bool is_hit(size_t bytes)
{
	return profile_is_on() && countdown_due(bytes, draw);
}

static void note(void *block, struct block_facts facts, const struct malloc_call *call)
{
	uint64_t pc[TRACE_CALLS_MOST], *word = beside_make(&profile.words, block);
	struct weight weight;
	struct trace *trace;

	facts.shift = load_relaxed(&profile.mean_shift); /* a start since the hit: it is rare */
	facts.trace = traces_keep(&profile.traces, pc, trace_walk(call, pc, TRACE_CALLS_MOST));
	trace = traces_at(&profile.traces, facts.trace);
	if (word == NULL || trace == NULL) {
		traces_count_lost(&profile.traces);
		return;
	}
	store_relaxed(word, word_of(&facts)); /* the block is ours alone */
	facts = facts_of(load_relaxed(word)); /* as add_gone() will find it */
	weight = weight_of(&facts);
	fetch_add_relaxed(&trace->blocks, weight.blocks);
	fetch_add_relaxed(&trace->bytes, weight.bytes);
}

/* A block with this word is freed; 0: it was not sampled. */
static void add_gone(uint64_t word)
{
	struct block_facts facts = facts_of(word);
	struct trace *trace = traces_at(&profile.traces, facts.trace);
	struct weight weight;

	if (trace == NULL || profile.is_foreign)
		return;
	weight = weight_of(&facts);
	/* Pair with profile_figures(). */
	fetch_add_release(&trace->gone_blocks, weight.blocks);
	fetch_add_release(&trace->gone_bytes, weight.bytes);
}

static void *alloc_hit(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call)
{
	struct block_facts facts = { .bytes = bytes };
	void *block = NULL;

	if (bytes <= MALLOC_SMALL_MAX && align <= MALLOC_PAGE_BYTES) {
		facts.usable_bytes =
			malloc_class_bytes(malloc_class_aligned(malloc_class_for(bytes), align));
		block = plain_alloc_apart(facts.usable_bytes, align, flags);
		if (block == NULL) {
			traces_count_lost(&profile.traces);
			return plain_alloc(bytes, align, flags, call);
		}
	} else {
		block = plain_alloc(bytes, align, flags, call);
	}
	if (block != NULL && !boot_has(block))
		note(block, facts, call);
	return block;
}

/* ---- the layer ---- */

static void *profile_alloc(size_t bytes, size_t align, unsigned flags,
			   const struct malloc_call *call)
{
	return UNLIKELY(is_hit(bytes)) ? alloc_hit(bytes, align, flags, call)
				       : plain_alloc(bytes, align, flags, call);
}

static void profile_free(void *block, const struct malloc_call *call)
{
	uint64_t *word = word_at(block);

	if (UNLIKELY(word != NULL))
		add_gone(exchange_relaxed(word, 0)); /* two may free one block: one adds it */
	plain_free(block, call);
}

static size_t profile_usable(const void *block, const struct malloc_call *call)
{
	const uint64_t *word = word_at(block);
	uint32_t bytes =
		word != NULL ? facts_of(load_relaxed(word)).usable_bytes : 0; /* as above */

	return bytes != 0 ? bytes : plain_usable(block, call);
}

/* To a block of its own. */
static void *move(void *block, size_t usable, size_t bytes, bool hit,
		  const struct malloc_call *call)
{
	void *to = hit ? alloc_hit(bytes, MALLOC_ALIGN, 0, call)
		       : plain_alloc(bytes, MALLOC_ALIGN, 0, call);

	if (to == NULL) {
		if (bytes > usable)
			return NULL;
		store_relaxed(&malloc_heap.shrink_refused, true); /* as plain_resize() */
		return block;
	}
	memcpy(to, block, usable < bytes ? usable : bytes);
	profile_free(block, call);
	return to;
}

/* In place, or its memory goes to other addresses: then its own may be another's, and have a word, before this call ends. */
static void *resize_area(void *block, size_t bytes, bool hit, const struct malloc_call *call)
{
	uint64_t *word = word_at(block), before = 0;
	void *to;

	if (word != NULL)
		before = exchange_relaxed(word, 0); /* the block's owner has it */
	to = plain_resize(block, bytes, call);
	if (to == NULL) {
		if (word != NULL)
			store_relaxed(word, before); /* likewise */
		return NULL;
	}
	add_gone(before);
	if (hit)
		note(to, (struct block_facts){ .bytes = bytes }, call);
	return to;
}

static void *profile_resize(void *block, size_t bytes, const struct malloc_call *call)
{
	size_t usable = profile_usable(block, call);
	bool hit;

	if (bytes <= usable && bytes >= usable / 2)
		return block;
	hit = is_hit(bytes);
	if (bytes > MALLOC_SMALL_MAX && malloc_is_area(block))
		return resize_area(block, bytes, hit, call);
	return move(block, usable, bytes, hit, call);
}

static const struct malloc_layer layer = {
	.alloc = profile_alloc,
	.free = profile_free,
	.usable = profile_usable,
	.resize = profile_resize,
};

/* ---- the state ---- */

/* The heap's pointer alone says it: a child of fork has what another thread had stored until then, in order. */
static bool is_made(void)
{
	return load_acquire(&malloc_heap.layer) == &layer; /* pairs with make_layer() */
}

/* Nobody waits: a handler may have interrupted whoever has it. */
static int take_turn(void)
{
	return exchange_acquire(&profile.turn, 1) == 0 ? 0 : -EBUSY; /* pairs with end_turn() */
}

static void end_turn(void)
{
	store_release(&profile.turn, 0); /* pairs with take_turn() */
}

static int make_layer(void)
{
	int error;

	if (malloc_heap.layer != &malloc_plain)
		return -ENOTSUP;
	if (!profile.is_shared) {
		error = traces_init(&profile.traces, PROFILE_BYTES, "quire-profile");
		if (error != 0)
			return error;
	}
	error = beside_init(&profile.words, malloc_heap.slabs->page_shift, sizeof(uint64_t),
			    "quire-profile");
	if (error != 0) {
		if (!profile.is_shared)
			traces_fini(&profile.traces);
		return error;
	}
	countdown_begin();
	profile.begun_ns = clock_now_ns();
	store_release(&malloc_heap.layer, &layer); /* pairs with the loads of cold paths */
	return 0;
}

void profile_begin(void)
{
	memset(&profile, 0, sizeof(profile));
}

int profile_start(unsigned shift)
{
	int error = profile.is_foreign ? -ENOTSUP : take_turn();

	if (error != 0)
		return error;
	if (!is_made())
		error = make_layer();
	if (error == 0) {
		store_relaxed(&malloc_countdown.mask, SIZE_MAX); /* hints until fast paths end */
		store_relaxed(&profile.mean_shift, shift);
		store_release(&profile.shift, shift); /* whoever finds it on finds its mean */
		malloc_open_fast_paths();
	}
	end_turn();
	return error;
}

int profile_stop(void)
{
	int error = take_turn();

	if (error != 0)
		return error;
	store_relaxed(&profile.shift, 0); /* a call that is under way may still be hit */
	if (is_made())
		malloc_open_fast_paths();
	end_turn();
	return 0;
}

bool profile_is_on(void)
{
	return load_acquire(&profile.shift) != 0; /* pairs with profile_start() */
}

void profile_share(void *memory, size_t bytes)
{
	traces_open(&profile.traces, memory, bytes);
	profile.is_shared = true;
}

void profile_fork_child(void)
{
	profile.turn = 0; /* whoever had it is not here */
	if (profile.is_shared)
		profile.is_foreign = true;
	if (profile.is_foreign)
		profile.shift = 0;
}

const struct traces *profile_traces(void)
{
	return is_made() && !profile.is_foreign ? &profile.traces : NULL;
}

uint64_t profile_age_ns(void)
{
	return clock_now_ns() - profile.begun_ns;
}

unsigned profile_mean_shift(void)
{
	return load_relaxed(&profile.mean_shift); /* as it is */
}

unsigned profile_shift(uint64_t bytes)
{
	unsigned shift = ODDS_SHIFT_MIN;

	if (bytes == 0)
		return PROFILE_SHIFT_DEFAULT;
	while (shift < ODDS_SHIFT_MAX && (UINT64_C(1) << shift) < bytes)
		shift++;
	return shift;
}
