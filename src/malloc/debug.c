/* SPDX-License-Identifier: MIT */
/*
 * malloc/debug.c - debug:on: looks for misuse of each block
 *
 * Words
 *   block      what the layer below handed out: a slot of a slab, an area, or a run of pages
 *   user       where the block's user has it: behind as many bytes as its alignment, at least 16
 *   zone       a red zone: what of a block is in front of the user's bytes and behind them, to the byte; ZONE_BYTES of
 *              each at most
 *   held       said of a block in the quarantine: freed, but not yet by the layer below
 *
 *   | zone: align >= 16 | the user's bytes | zone: >= 16, to the end |
 *   block               user
 *
 * What is found, and when
 *   a write beside a block                       when it is freed or resized
 *   a second free, a use of a freed address      at once: its record says so (records.h)
 *   a write to a freed block                     when it leaves the quarantine, and when a slot is handed out
 *                                                again: all slots of slabs that are not in use are poisoned as a whole,
 *                                                new ones by prepare()
 *   a block that nobody freed                    when the process ends (leaks.c)
 *
 * A large block's user bytes are poisoned, and looked at, in their first and last EDGE_BYTES only, so that what
 * nobody touches costs no memory.  Slots are not looked at when they are handed out if another layer is below, which
 * may have written to them.
 *
 * Nothing of ours is stored in a block but these bytes.  There is no lock: records, traces and the quarantine are
 * lock-free, so a handler may call at any time, and a fork need not wait.
 *
 * A call of realloc() always moves the block, so that whoever kept the old address is found.
 */
#include "malloc/debug.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "machine/atomic.h"
#include "malloc/boot.h"
#include "malloc/heap.h"
#include "malloc/layer.h"
#include "malloc/quarantine.h"
#include "malloc/records.h"
#include "malloc/sparse.h"
#include "malloc/traces.h"
#include "slab/objects.h"
#include "base/poison.h"
#include "slab/record.h"
#include "slab/slab.h"

#define ZONE_BYTES	  ((size_t)4096)
#define ZONE_MIN_BYTES	  MALLOC_ALIGN
#define EDGE_BYTES	  ((size_t)64 << 10)
#define POISON_WHOLE_MOST ((size_t)1 << 20) /* larger blocks at their edges only */
/* A program that frees 16 MiB a second is late by a second at most; a larger block would drive all others out. */
#define HELD_BYTES_MOST	  ((size_t)16 << 20)
#define HELD_ONE_MOST	  (HELD_BYTES_MOST / 4)
#define TRACES_BYTES	  ((size_t)1 << 30) /* of addresses: seven million traces of twelve calls */
#define HELD_PLACES	  ((size_t)1 << 16) /* blocks of 256 bytes on average fill both bounds */

static struct {
	const struct malloc_layer *below; /* (c) */
	bool whole;			  /* (c) slots come back as they were freed */
	uint32_t generation;		  /* written while a child of fork has one thread */
	uint64_t own;	      /* likewise: what came into the quarantine before is the parent's */
	struct sparse places; /* (c) */
	struct quarantine held;
} debug;

struct traces malloc_debug_traces;

/* A block whose record says that it is in use, or was. */
struct block {
	uint8_t *start, *end; /* of the block */
	uint8_t *user, *user_end;
	struct record *record;
	struct record_facts facts;
};

/* The number of the calls that led to @call; 0 if there is no memory for it. */
static uint32_t keep_trace(const struct malloc_call *call)
{
	uint64_t pc[TRACE_CALLS_MAX];

	return traces_keep(&malloc_debug_traces, pc, trace_walk(call, pc, TRACE_CALLS_MAX));
}

/* ---- messages ---- */

/* One line or two.  The first leaves half of the room for the other. */
static void put_facts(char more[MISUSE_MORE_BYTES], const struct record *record)
{
	uint64_t word = load_relaxed(&record->word);
	bool is_freed = record_read(word).state != RECORD_LIVE;
	struct text text;

	text_init(&text, more, is_freed ? MISUSE_MORE_BYTES / 2 : MISUSE_MORE_BYTES);
	text_put(&text, "quire:   ");
	text_put_u64(&text, record_read(word).bytes);
	text_put(&text, " bytes, allocated by");
	trace_put(&text, traces_at(&malloc_debug_traces, load_relaxed(&record->made)));
	text_end_line(&text);
	if (!is_freed)
		return;
	text_init(&text, more + text.bytes, MISUSE_MORE_BYTES - text.bytes);
	text_put(&text, "quire:   freed by");
	trace_put(&text, traces_at(&malloc_debug_traces, load_relaxed(&record->freed)));
	text_end_line(&text);
}

/* Stops because of a block at @user.  @what and @number: where in it; NULL: nowhere. */
static _Noreturn void block_misuse(const char *rule, const void *user, const struct record *record,
				   const char *what, uint64_t number,
				   const struct malloc_call *call)
{
	struct slabs *s = malloc_heap.slabs;
	unsigned class = malloc_class_at(user);
	struct misuse_place place = { .what = what, .number = number };
	char more[MISUSE_MORE_BYTES];

	if (record != NULL) {
		put_facts(more, record);
		place.more = more;
	}
	if (class != 0) {
		size_t offset = (uintptr_t)user - (uintptr_t)s->base;

		place.of = "size";
		place.of_number = s->class[class].size;
		place.whole = "slab";
		place.start = s->base + (offset & ~(slab_bytes(s, &s->class[class]) - 1));
	}
	if (what == NULL && class != 0) {
		place.what = place.of;
		place.number = place.of_number;
		place.of = NULL;
	}
	misuse_placed(rule, call->function, user, &place);
}

/* ---- what is written where ---- */

static uint8_t *least_ptr(uint8_t *a, uint8_t *b)
{
	return a < b ? a : b;
}

static uint8_t *zone_start(const struct block *b)
{
	return b->user - b->start > (ptrdiff_t)ZONE_BYTES ? b->user - ZONE_BYTES : b->start;
}

static uint8_t *zone_end(const struct block *b)
{
	return least_ptr(b->end, b->user_end + ZONE_BYTES);
}

static void set_zones(const struct block *b)
{
	memset(zone_start(b), RED_ACTIVE, (size_t)(b->user - zone_start(b)));
	memset(b->user_end, RED_ACTIVE, (size_t)(zone_end(b) - b->user_end));
}

static void check_zones(const struct block *b, const struct malloc_call *call)
{
	const uint8_t *found = poison_other(b->user_end, zone_end(b), RED_ACTIVE);

	if (found != zone_end(b))
		block_misuse("written behind a block", b->user, b->record, "offset",
			     (uint64_t)(found - b->user), call);
	found = poison_other(zone_start(b), b->user, RED_ACTIVE);
	if (found != b->user)
		block_misuse("written in front of a block", b->user, b->record, "bytes before",
			     (uint64_t)(b->user - found), call);
}

static bool is_small(const struct block *b)
{
	return malloc_class_at(b->start) != 0;
}

static bool is_whole(const struct block *b)
{
	return b->facts.bytes <= POISON_WHOLE_MOST;
}

/* The user's bytes, or of many the first and the last ones. */
static void fill(const struct block *b, uint8_t value)
{
	if (is_whole(b)) {
		memset(b->user, value, b->facts.bytes);
		return;
	}
	memset(b->user, value, EDGE_BYTES);
	memset(b->user_end - EDGE_BYTES, value, EDGE_BYTES);
}

static const uint8_t *other_in_user(const struct block *b, uint8_t value)
{
	const uint8_t *found;

	if (is_whole(b))
		return poison_other(b->user, b->user_end, value);
	found = poison_other(b->user, b->user + EDGE_BYTES, value);
	return found != b->user + EDGE_BYTES
		       ? found
		       : poison_other(b->user_end - EDGE_BYTES, b->user_end, value);
}

/* Of a slot all is poisoned, since the next user's bytes are others. */
static void poison(const struct block *b)
{
	if (is_small(b))
		memset(b->start, POISON_FREE, (size_t)(b->end - b->start));
	else
		fill(b, POISON_FREE);
}

static _Noreturn void stop_for_late_write(const uint8_t *found, const void *user,
					  const struct record *record,
					  const struct malloc_call *call)
{
	bool before = found < (const uint8_t *)user;
	ptrdiff_t distance = found - (const uint8_t *)user;

	block_misuse("written after it was freed", user, record, before ? "bytes before" : "offset",
		     (uint64_t)(before ? -distance : distance), call);
}

static void check_poison(const struct block *b, const struct malloc_call *call)
{
	const uint8_t *end = is_small(b) ? b->end : b->user_end;
	const uint8_t *found = is_small(b) ? poison_other(b->start, b->end, POISON_FREE)
					   : other_in_user(b, POISON_FREE);

	if (found != end)
		stop_for_late_write(found, b->user, b->record, call);
}

/* All of a slot's bytes, before the slab has it. */
static void prepare(void *object, void *class)
{
	memset(object, POISON_FREE, ((const struct slab_class *)class)->size);
}

/* A slot that is handed out.  Its last user had it at @start plus 16, unless that one asked for an alignment. */
static void check_slot(const uint8_t *start, size_t bytes, const struct malloc_call *call)
{
	const uint8_t *found = poison_other(start, start + bytes, POISON_FREE);
	const uint8_t *user = start + MALLOC_ALIGN;
	const struct record *record;

	if (LIKELY(found == start + bytes))
		return;
	record = records_at(user);
	if (record != NULL && record_read(load_relaxed(&record->word)).state != RECORD_GONE)
		record = NULL;
	stop_for_late_write(found, user, record, call);
}

/* ---- from a user's address to its block ---- */

static bool is_odd(const void *user)
{
	return ((uintptr_t)user & 16) != 0;
}

/* No record has this address.  Where the layer below has no block either, its message says more. */
static _Noreturn void stop_for_unknown(const void *user, const struct malloc_call *call)
{
	debug.below->usable(user, call);
	block_misuse("not the start of a block", user, NULL, NULL, 0, call);
}

static struct block block_of(const void *user, struct record *record,
			     const struct malloc_call *call)
{
	struct block b = { .user = (uint8_t *)(uintptr_t)user, .record = record };

	b.facts = record_read(load_acquire(&record->word)); /* pairs with hand_out() */
	b.user_end = b.user + b.facts.bytes;
	b.start = b.user - ((size_t)1 << b.facts.align_shift);
	b.end = b.start + debug.below->usable(b.start, call);
	return b;
}

/* The block that a call was given, which must be in use. */
static struct block live_block(const void *user, const struct malloc_call *call)
{
	struct record *record = (uintptr_t)user % MALLOC_ALIGN == 0 ? records_at(user) : NULL;
	struct record_facts facts = { .state = RECORD_NONE };

	if (record != NULL)
		facts = record_read(load_acquire(&record->word)); /* pairs with hand_out() */
	if (facts.state == RECORD_NONE || facts.odd != is_odd(user))
		stop_for_unknown(user, call);
	if (facts.state != RECORD_LIVE)
		block_misuse("double free", user, record, NULL, 0, call);
	return block_of(user, record, call);
}

/* ---- the quarantine ---- */

/* A block leaves the quarantine. */
static void let_go(void *user, const struct malloc_call *call)
{
	struct block b = block_of(user, records_at(user), call);

	check_poison(&b, call);
	quarantine_left(&debug.held, (size_t)(b.end - b.start));
	b.facts.state = RECORD_GONE;
	store_relaxed(&b.record->word,
		      record_word(b.facts)); /* it is ours until it is free below */
	debug.below->free(b.start, call);
}

/* True if any waited. */
static bool let_all_go(const struct malloc_call *call)
{
	bool any = false;
	void *leaver;

	while ((leaver = quarantine_take(&debug.held, true)) != NULL) {
		let_go(leaver, call);
		any = true;
	}
	return any;
}

static void debug_flush(const struct malloc_call *call)
{
	(void)let_all_go(call);
	if (debug.below->flush != NULL)
		debug.below->flush(call);
}

/* ---- allocating ---- */

static void *hand_out(uint8_t *start, struct block *b, unsigned flags,
		      const struct malloc_call *call)
{
	uint8_t align_shift = (uint8_t)__builtin_ctzll((uint64_t)(b->user - start));

	b->facts.state = RECORD_LIVE;
	b->facts.odd = is_odd(b->user);
	b->facts.align_shift = align_shift;
	b->facts.generation = (uint8_t)debug.generation;
	b->start = start;
	b->end = start + debug.below->usable(start, call);
	b->user_end = b->user + b->facts.bytes;
	if (debug.whole && is_small(b))
		check_slot(start, (size_t)(b->end - start), call);
	set_zones(b);
	if ((flags & QUIRE_ZERO) == 0)
		fill(b, POISON_FRESH);
	else if (is_small(b))
		fill(b, 0);
	store_relaxed(&b->record->made, keep_trace(call));
	store_relaxed(&b->record->freed, 0u);
	store_release(&b->record->word, record_word(b->facts)); /* pairs with live_block() */
	return b->user;
}

/* As the layer below.  A program that frees at its limit is to be served, so what waits is given up before a refusal. */
static void *alloc_below(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call)
{
	void *start = debug.below->alloc(bytes, align, flags, call);

	if (UNLIKELY(start == NULL) && let_all_go(call))
		start = debug.below->alloc(bytes, align, flags, call);
	return start;
}

static void *debug_alloc(size_t bytes, size_t align, unsigned flags, const struct malloc_call *call)
{
	struct block b = { .facts.bytes = bytes };
	unsigned below_flags = flags;
	uint8_t *start;

	if (bytes > PTRDIFF_MAX - align - ZONE_MIN_BYTES || align > PTRDIFF_MAX / 4)
		return NULL;
	if (align + bytes + ZONE_MIN_BYTES <= MALLOC_SMALL_MAX && align <= MALLOC_PAGE_BYTES)
		below_flags &= ~(unsigned)QUIRE_ZERO; /* hand_out() looks at the slot first */
	start = alloc_below(align + bytes + ZONE_MIN_BYTES, align, below_flags, call);
	if (start == NULL || boot_has(start))
		return start;
	b.user = start + align;
	b.record = records_make(b.user);
	if (b.record != NULL)
		return hand_out(start, &b, flags, call);
	debug.below->free(start, call);
	return NULL;
}

/* ---- freeing ---- */

static void hold(const struct block *b, const struct malloc_call *call)
{
	void *leaver = quarantine_put(&debug.held, b->user, (size_t)(b->end - b->start));

	do {
		if (leaver != NULL)
			let_go(leaver, call);
		leaver = quarantine_take(&debug.held, false);
	} while (leaver != NULL);
}

/* The one free of a block that is in use wins; a second one at the same time is found here. */
static void claim(struct block *b, const struct malloc_call *call)
{
	uint64_t word = record_word(b->facts);

	b->facts.state = RECORD_HELD;
	if (!cas_acq_rel(&b->record->word, &word, record_word(b->facts)))
		block_misuse("double free", b->user, b->record, NULL, 0, call);
	store_relaxed(&b->record->freed, keep_trace(call));
}

static void debug_free(void *user, const struct malloc_call *call)
{
	struct block b = live_block(user, call);

	check_zones(&b, call);
	claim(&b, call);
	if ((size_t)(b.end - b.start) <= HELD_ONE_MOST) {
		poison(&b);
		hold(&b, call);
		return;
	}
	b.facts.state = RECORD_GONE;
	store_relaxed(&b.record->word, record_word(b.facts));
	debug.below->free(b.start, call);
}

static size_t debug_usable(const void *user, const struct malloc_call *call)
{
	return live_block(user, call).facts.bytes;
}

/* There is no memory for a smaller block, and C programs do not expect that: the block stays, with fewer bytes. */
static void *shrink(struct block *b, size_t bytes)
{
	b->facts.bytes = bytes;
	b->user_end = b->user + bytes;
	set_zones(b);
	store_release(&b->record->word, record_word(b->facts)); /* pairs with live_block() */
	return b->user;
}

static void *debug_resize(void *user, size_t bytes, const struct malloc_call *call)
{
	struct block b = live_block(user, call);
	void *to;

	check_zones(&b, call);
	to = debug_alloc(bytes, MALLOC_ALIGN, 0, call);
	if (to == NULL)
		return bytes <= b.facts.bytes ? shrink(&b, bytes) : NULL;
	memcpy(to, user, bytes < b.facts.bytes ? bytes : b.facts.bytes);
	debug_free(user, call);
	return to;
}

/* ---- beginning and end ---- */

static const struct malloc_layer layer = {
	.alloc = debug_alloc,
	.free = debug_free,
	.usable = debug_usable,
	.resize = debug_resize,
	.flush = debug_flush,
	.exact = true,
};

const struct malloc_layer *malloc_debug_begin(const struct malloc_layer *below)
{
	if (records_init() != 0 ||
	    traces_init(&malloc_debug_traces, TRACES_BYTES, "quire-traces") != 0 ||
	    sparse_init(&debug.places, HELD_PLACES * sizeof(void *), "quire-debug") != 0 ||
	    !sparse_touch(&debug.places, 0, HELD_PLACES * sizeof(void *))) {
		malloc_warn("quire: debug:on needs more addresses than there are; ignored\n");
		return below;
	}
	debug_log_begin();
	quarantine_init(&debug.held, (void **)(void *)debug.places.base, HELD_PLACES,
			HELD_BYTES_MOST);
	debug.below = below;
	debug.whole = below == &malloc_plain;
	if (debug.whole) {			      /* hardened slabs read zero */
		malloc_heap.slabs->prepare = prepare; /* no thread uses the slabs yet */
		malloc_heap.learn.nr =
			LEARN_MAX; /* a class that was learnt would have no such slabs */
	}
	return &layer;
}

void malloc_debug_fork_child(void)
{
	debug.generation = (debug.generation + 1) % GENERATIONS;
	debug.own = quarantine_now(&debug.held);
}

void malloc_debug_end(void)
{
	const struct malloc_call *call = MALLOC_CALL("exit");
	void *user;

	quarantine_skip(&debug.held, debug.own);
	while ((user = quarantine_take(&debug.held, true)) != NULL) {
		struct block b = block_of(user, records_at(user), call);

		check_poison(&b, call);
	}
	leaks_report(debug.generation);
}
