/* SPDX-License-Identifier: MIT */
/*
 * slab/hardened.c - objects in random order, quarantine, canaries, and memory that reads zero
 *
 * What a free does that the ordinary one does not
 *   1. clears the object's live bit, so that a second free is seen whatever became of the object meanwhile,
 *      and without a lock
 *   2. checks its canary
 *   3. clears all of it
 *   4. exchanges it for a random one of its class's `chosen`, and that one for the oldest of its class's
 *      `queue`; that last one goes into its slab
 * So an object waits for at least WAIT_BYTES of frees of its class, WAIT_MOST of them at most, and for a random time
 * beyond that.  There are no sheaves: what is handed out next is drawn anew each time, from a random slab with
 * a free object, at a random place in it.  A class has LEAST_FREE objects to draw from as long as slabs can be had.
 *
 * What an allocation finds was zero when it was freed, or came from the system, and a slab's unused pages are never
 * written: so a byte that is not zero was written after the free.
 *
 * Canary.  The last 8 bytes are a keyed hash of the object's address, of which the topmost 16 bits are combined with
 * how many bytes lie between those that were asked for and these 8; each of the bytes between is the hash's first
 * one.  No byte of the hash is zero, so that a string's end, the commonest byte that is written behind a block, is seen.
 *
 * Random numbers are keyed hashes of a counter.  The key is the system's, and a child of fork gets another.
 */
#include "slab/hardened.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/keyed.h"
#include "base/mem.h"
#include "base/round.h"
#include "instance/instance.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "page/alloc.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "base/poison.h"
#include "slab/record.h"
#include "slab/sheaf.h"

#define WAIT_BYTES  65536u
#define WAIT_MOST   256u /* objects in either array, whatever their size */
#define WAIT_LEAST  4u
#define LEAST_FREE  32u
#define STEPS_MAX   8u /* slabs of a list from which one is drawn */
#define RUNS_DRAWN  8u
#define GUARD_MOST  4096u /* a sixteenth of a slab */
#define EVERY_BYTE  UINT64_C(0x0101010101010101)
#define SLACK_SHIFT 48u

/* A class's quarantine.  Under the class's lock. */
struct waiters {
	void *chosen[WAIT_MOST]; /* in no order; NULL: nothing yet */
	void *queue[WAIT_MOST];	 /* by age; NULL likewise */
	uint32_t oldest;	 /* of the queue */
	uint32_t nr;		 /* in both; read without the lock as a gauge */
};

struct slab_hardened {
	struct key draws;    /* (c), but for a child of fork's */
	struct key canaries; /* (c) */
	uint64_t drawn;	     /* atomic, relaxed */
	size_t bytes;	     /* of the mapping that this is */
	struct waiters waiters[CLASSES_MAX];
};

/* ---- of the instance ---- */

int hardened_init(struct slabs *s)
{
	size_t bytes = round_up(sizeof(struct slab_hardened), mem_page_bytes());
	struct slab_hardened *h = mem_map(bytes, "quire-hardened");

	if (h == NULL)
		return -ENOMEM;
	h->bytes = bytes;
	process_random(&h->draws, sizeof(h->draws));
	process_random(&h->canaries, sizeof(h->canaries));
	s->hardened = h;
	return 0;
}

void hardened_fini(struct slabs *s)
{
	if (s->hardened != NULL)
		mem_release(s->hardened, s->hardened->bytes);
}

void hardened_fork_child(struct slabs *s)
{
	process_random(&s->hardened->draws, sizeof(s->hardened->draws));
}

uint64_t hardened_draw(struct slabs *s)
{
	struct slab_hardened *h = s->hardened;

	return keyed_hash(&h->draws, fetch_add_relaxed(&h->drawn, 1));
}

/* ---- slabs ---- */

/* Takes the memory, so that the next access reads zero. */
static void clear_pages(char *addr, size_t bytes)
{
	if (gather_unback_one(addr, bytes) == 0)
		memset(addr, 0, bytes);
}

char *hardened_run(struct slabs *s, const struct slab_class *c, unsigned flags, int *error)
{
	char *run[RUNS_DRAWN];
	unsigned n = 1, chosen;

	run[0] = page_alloc_run(s->q, c->order, flags, error);
	if (run[0] == NULL)
		return NULL;
	while (n < RUNS_DRAWN && (flags & QUIRE_NOLOCK) == 0) {
		int refused = 0;

		/* Out of what is there: it is given back at once. */
		run[n] = page_alloc_run(s->q, c->order, flags | QUIRE_NOWAIT | QUIRE_NORETRY,
					&refused);
		if (run[n] == NULL)
			break;
		n++;
	}
	chosen = keyed_below((uint32_t)hardened_draw(s), n);
	for (unsigned i = 0; i < n; i++)
		if (i != chosen)
			quire_free_pages(s->q, run[i], c->order);
	clear_pages(run[chosen], slab_bytes(s, c));
	return run[chosen];
}

size_t hardened_guard_bytes(const struct slabs *s)
{
	size_t page = mem_page_bytes();

	return s->hardened != NULL && page <= GUARD_MOST && mem_guard_works() ? page : 0;
}

static char *guard_of(const struct slabs *s, uint32_t record, unsigned order)
{
	return slab_addr(s, record) + ((size_t)1 << (order + s->page_shift)) -
	       hardened_guard_bytes(s);
}

/* Locked memory takes no marker; a mapping is not worth it. */
void hardened_guard(const struct slabs *s, uint32_t record, unsigned order)
{
	size_t bytes = hardened_guard_bytes(s);
	bool mapped = false;

	if (bytes == 0 || mem_guard(guard_of(s, record, order), bytes, &mapped) != 0 || !mapped)
		return;
	if (mem_unguard(guard_of(s, record, order), bytes) == 0)
		mem_mappings_give(MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
}

bool hardened_unguard(const struct slabs *s, uint32_t record, unsigned order)
{
	size_t bytes = hardened_guard_bytes(s);

	return bytes == 0 || mem_unguard(guard_of(s, record, order), bytes) == 0;
}

/* ---- taking ---- */

static unsigned bits_nr(uint32_t bits)
{
	unsigned n = 0;

	for (; bits != 0; bits &= bits - 1)
		n++;
	return n;
}

/* A random list of those that are not empty, and one of its first slabs. */
static uint32_t draw_slab_locked(const struct slabs *s, const struct slab_class *c, uint64_t random)
{
	uint32_t lists = c->lists_used & ((2u << LIST_EMPTY) - 1), record;
	unsigned skip, steps = random % STEPS_MAX;

	DCHECK(lock_is_held(&c->lock));
	if (lists == 0)
		return SLAB_NONE;
	for (skip = (unsigned)(random >> 8 & 0xffffff) % bits_nr(lists); skip != 0; skip--)
		lists &= lists - 1;
	record = c->head[__builtin_ctz(lists)];
	for (; steps != 0 && slab_at(s, record)->next != SLAB_NONE; steps--)
		record = slab_at(s, record)->next;
	return record;
}

/* The first free object of a slab from a number on, or from the slab's beginning. */
static uint32_t free_from(const struct slab_class *c, const uint64_t *map, uint32_t number)
{
	unsigned words = (c->per_slab + 63) / 64, word = number / 64;
	uint64_t bits = map[word] & ~UINT64_C(0) << number % 64;

	while (bits == 0) {
		word = word + 1 < words ? word + 1 : 0;
		bits = map[word];
	}
	return word * 64 + (unsigned)__builtin_ctzll(bits);
}

static void *take_one_locked(struct slabs *s, struct slab_class *c)
{
	uint64_t random = hardened_draw(s);
	uint32_t record = draw_slab_locked(s, c, random), number;
	struct slab *slab;
	uint64_t *map;

	DCHECK(lock_is_held(&c->lock));
	if (record == SLAB_NONE)
		return NULL;
	slab = slab_at(s, record);
	map = slab_map(s, c, record);
	CHECK_VALUES(slab->free_nr != 0, slab->free_nr, record);
	number = free_from(c, map, keyed_below((uint32_t)(random >> 32), c->per_slab));
	/* Pairs with objects_check(). */
	store_relaxed(&map[number / 64], map[number / 64] & ~((uint64_t)1 << number % 64));
	slab->free_nr--;
	if (slab->unbacked != 0)
		slab_touch_pages(s, c, slab, (size_t)number * c->size);
	count_add(c->free_nr, (uint64_t)-1);
	slab_file_locked(s, c, record);
	return slab_addr(s, record) + (size_t)number * c->size;
}

unsigned hardened_take_locked(struct slabs *s, struct slab_class *c, void **objects, unsigned n)
{
	DCHECK(lock_is_held(&c->lock));
	unsigned got = 0;

	while (got < n && (objects[got] = take_one_locked(s, c)) != NULL)
		got++;
	return got;
}

void *hardened_take(struct slabs *s, unsigned class, unsigned flags)
{
	struct slab_class *c = &s->class[class];
	uint32_t least = c->spare < LEAST_FREE ? c->spare : LEAST_FREE;

	/* A hint.  If it is refused, few are better than none. */
	if (load_relaxed(&c->free_nr) < least && (flags & QUIRE_NOLOCK) == 0)
		(void)objects_grow(s, class, flags | QUIRE_NOWAIT | QUIRE_NORETRY);
	return objects_take_one(s, class, flags);
}

/* ---- one object ---- */

/* What is known of a live object. */
struct live {
	unsigned class;
	uint32_t size;
	uint64_t *word, bit; /* in slabs->live */
};

/* Stops the process if there is none at this address. */
static struct live live_at(struct slabs *s, const void *object, const char *function)
{
	struct live it = { .class = objects_check(s, object, function) };
	const struct slab_class *c = &s->class[it.class];
	struct object_place place;
	uint32_t number;

	if (UNLIKELY(it.class == 0)) /* its slab has left since the caller looked */
		misuse("no block", function, object);
	place = object_place(s, c, object);
	number = object_number(c, place.offset);
	it.size = c->size;
	it.word = s->live + (size_t)place.record * MAP_WORDS + number / 64;
	it.bit = (uint64_t)1 << number % 64;
	return it;
}

static uint64_t hash_of(const struct slabs *s, const void *object)
{
	return keyed_hash(&s->hardened->canaries, (uintptr_t)object) | EVERY_BYTE;
}

static void set_canary(const struct slabs *s, void *object, uint32_t size, uint32_t bytes)
{
	uint64_t hash = hash_of(s, object), last;
	uint32_t slack = size - HARDENED_CANARY_BYTES - bytes;

	CHECK_VALUES(bytes <= size - HARDENED_CANARY_BYTES, bytes, size);
	last = hash ^ (uint64_t)slack << SLACK_SHIFT;
	memset((char *)object + bytes, (int)(hash & 0xff), slack);
	memcpy((char *)object + size - HARDENED_CANARY_BYTES, &last, sizeof(last));
}

static _Noreturn void written_behind(const void *object, uint32_t offset, const char *function)
{
	misuse_number("written behind an object", function, object, "offset", offset);
}

/* Returns how many bytes its user asked for. */
static uint32_t check_canary(const struct slabs *s, const void *object, uint32_t size,
			     const char *function)
{
	uint32_t end = size - HARDENED_CANARY_BYTES, bytes;
	const uint8_t *at = object;
	uint64_t hash = hash_of(s, object), last, wrong;

	memcpy(&last, at + end, sizeof(last));
	wrong = last ^ hash;
	if (wrong >> SLACK_SHIFT > end)
		written_behind(object, end, function);
	bytes = end - (uint32_t)(wrong >> SLACK_SHIFT);
	for (uint32_t i = bytes; i < end; i++)
		if (UNLIKELY(at[i] != (uint8_t)hash))
			written_behind(object, i, function);
	wrong &= (UINT64_C(1) << SLACK_SHIFT) - 1;
	if (UNLIKELY(wrong != 0))
		written_behind(object, end + (uint32_t)__builtin_ctzll(wrong) / 8, function);
	return bytes;
}

static void check_zero(const void *object, uint32_t size, const char *function)
{
	const uint8_t *byte = object;

	/* All are like the one before them. */
	if (LIKELY(byte[0] == 0 && memcmp(byte, byte + 1, size - 1) == 0))
		return;
	misuse_number("written after it was freed", function, object, "offset",
		      (uint64_t)(poison_other(byte, byte + size, 0) - byte));
}

void *hardened_alloc(struct slabs *s, unsigned class, uint32_t bytes, unsigned flags,
		     const char *function)
{
	int error = 0;
	void *object = sheaf_alloc_slow(s, class, flags, &error);
	struct live it;

	if (object == NULL)
		return NULL;
	it = live_at(s, object, function);
	check_zero(object, it.size, function);
	set_canary(s, object, it.size, bytes);
	fetch_or_relaxed(it.word, it.bit); /* who frees it has it by an order of the program's */
	return object;
}

uint32_t hardened_bytes(struct slabs *s, const void *object, const char *function)
{
	struct live it = live_at(s, object, function);

	/* The object is the caller's, so its bit does not change. */
	if (UNLIKELY((load_relaxed(it.word) & it.bit) == 0))
		objects_misuse(s, "double free", function, object, it.class);
	return check_canary(s, object, it.size, function);
}

void hardened_set_bytes(struct slabs *s, void *object, uint32_t bytes)
{
	set_canary(s, object, live_at(s, object, "realloc").size, bytes);
}

/* ---- waiting ---- */

void *hardened_exchange_locked(struct slabs *s, struct slab_class *c, void *object)
{
	struct waiters *w = &s->hardened->waiters[c - s->class];
	uint32_t room = WAIT_BYTES / c->size;
	void **place, *out;

	DCHECK(lock_is_held(&c->lock));
	room = room < WAIT_LEAST ? WAIT_LEAST : room > WAIT_MOST ? WAIT_MOST : room;
	place = &w->chosen[keyed_below((uint32_t)hardened_draw(s), room)];
	out = *place;
	*place = object;
	if (out != NULL) {
		object = out;
		out = w->queue[w->oldest];
		w->queue[w->oldest] = object;
		w->oldest = w->oldest + 1 < room ? w->oldest + 1 : 0;
	}
	store_relaxed(&w->nr, w->nr + (out == NULL)); /* a gauge */
	return out;
}

static void wait_or_defer(struct slabs *s, unsigned class, void *object, unsigned flags)
{
	struct slab_class *c = &s->class[class];
	lock_token token;

	if (!class_lock_for(c, flags, &token)) {
		sheaf_defer(s, class, object);
		return;
	}
	object = hardened_exchange_locked(s, c, object);
	lock_release(&c->lock, token);
	if (object != NULL && !objects_give_one(s, class, object, flags))
		sheaf_defer(s, class, object);
}

void hardened_free(struct slabs *s, void *object, const char *function)
{
	struct live it = live_at(s, object, function);
	bool nested = lock_nested();

	if (UNLIKELY(s->q->dead))
		return;
	if (!nested)
		sheaf_take_flagged(s);
	/* Makes one of two frees at once the second. */
	if (UNLIKELY((fetch_and_relaxed(it.word, ~it.bit) & it.bit) == 0))
		objects_misuse(s, "double free", function, object, it.class);
	check_canary(s, object, it.size, function);
	memset(object, 0, it.size);
	wait_or_defer(s, it.class, object, nested ? QUIRE_NOLOCK : 0);
	slabs_kick(s);
	slabs_ensure_worker_freed(s);
}

/* ---- all that wait ---- */

/* Takes some of an array.  Returns how many. */
static unsigned take_waiters_locked(struct slabs *s, unsigned class, void **objects, unsigned n)
{
	DCHECK(lock_is_held(&s->class[class].lock));
	struct waiters *w = &s->hardened->waiters[class];
	unsigned got = 0;

	for (unsigned i = 0; i < WAIT_MOST && got < n; i++) {
		void **place = w->chosen[i] != NULL ? &w->chosen[i] : &w->queue[i];

		if (*place == NULL)
			continue;
		objects[got++] = *place;
		*place = NULL;
	}
	store_relaxed(&w->nr, w->nr - got); /* as above */
	return got;
}

static void drain_class(struct slabs *s, unsigned class)
{
	struct slab_class *c = &s->class[class];
	void *objects[SHEAF_MOVE_MAX];
	unsigned n;

	do {
		lock_token token = lock_acquire(&c->lock);

		n = take_waiters_locked(s, class, objects, SHEAF_MOVE_MAX);
		lock_release(&c->lock, token);
		if (n != 0)
			objects_give(s, class, objects, n, 0);
	} while (n != 0);
}

void hardened_drain(struct slabs *s)
{
	for (unsigned class = 1; class < CLASSES_MAX; class ++)
		if (hardened_waiting(s, class) != 0) /* its class is ready, then */
			drain_class(s, class);
}

uint64_t hardened_waiting(const struct slabs *s, unsigned class)
{
	/* A gauge. */
	return s->hardened != NULL ? load_relaxed(&s->hardened->waiters[class].nr) : 0;
}

void *const *hardened_waiters(const struct slabs *s, unsigned class, unsigned array, unsigned *n)
{
	const struct waiters *w = &s->hardened->waiters[class];

	*n = WAIT_MOST;
	return array == 0 ? w->chosen : w->queue;
}
