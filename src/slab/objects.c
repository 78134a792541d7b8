/* SPDX-License-Identifier: MIT */
/*
 * slab/objects.c - objects out of their slabs, and back
 *
 * A slab's map has a bit for each object that is free.  Objects are taken from the fullest slab, so that the
 * sparse ones get a chance to become empty, and in a slab from the lowest number on.  Many are taken or put
 * back in one hold of the class's lock, HOLD_OBJECTS at most, so that nobody waits long for it.
 *
 * Whether an object may come back its slab's record says: the record has the class (the slab may be gone since the
 * object was freed the first time), and the map the bit (it may be free).  The number is a multiplication, and it is
 * exact (class.c), so an address that is not where an object begins is seen, too.
 *
 * An empty slab is kept as long as the class has no more free objects than it wants, class_wanted_free().
 * Others leave at the end of the hold: taken off the lists, their bytes cleared, and then, with the lock
 * dropped, their pages freed.  Until then no other thread can know the pages, so the bytes of the next slab there are written
 * after these (C5).
 */
#include "slab/objects.h"

#include <quire/page.h>
#include <quire/quire.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "page/charge.h"
#include "slab/emptying.h"
#include "slab/hardened.h"
#include "slab/meta.h"
#include "slab/record.h"

/* Objects in one hold of the lock: about a microsecond, if their records are in no cache. */
#define HOLD_OBJECTS 64u
/* Slabs that leave in one hold. */
#define HOLD_SLABS   8u

/* ---- out ---- */

void objects_set_fresh_locked(struct slabs *s, struct slab_class *c, uint8_t pages)
{
	DCHECK(lock_is_held(&c->lock));
	if (pages == c->fresh_pages)
		return;
	page_note_fresh(s->q, (uint64_t)pages - c->fresh_pages);
	c->fresh_pages = pages;
}

void slab_touch_pages(const struct slabs *s, const struct slab_class *c, struct slab *slab,
		      size_t from)
{
	size_t last = from + c->size - 1;

	for (size_t page = from >> s->page_shift; page <= last >> s->page_shift; page++)
		slab->unbacked &= ~((uint64_t)1 << page);
}

/* Takes objects of one slab: @n or all that are free.  Returns how many. */
static unsigned take_of_map(const struct slabs *s, const struct slab_class *c, uint32_t record,
			    void **objects, unsigned n)
{
	struct slab *slab = slab_at(s, record);
	uint64_t *map = slab_map(s, c, record);
	char *addr = slab_addr(s, record);
	unsigned got = 0, word = slab->low;

	if (n > slab->free_nr)
		n = slab->free_nr;
	while (got < n) {
		uint64_t bits = map[word];

		for (; bits != 0 && got < n; bits &= bits - 1)
			objects[got++] =
				addr + (word * 64 + (size_t)__builtin_ctzll(bits)) * c->size;
		store_relaxed(&map[word], bits); /* pairs with objects_check() */
		word += bits == 0 && got < n;
	}
	slab->low = (uint8_t)word;
	slab->free_nr = (uint16_t)(slab->free_nr - got);
	return got;
}

/*
 * A class's first slab is taken from the lowest object on, and its last pages may never have a user: a program
 * that uses thirty sizes a little has thirty slabs, and writes to one page of each.
 */
static void reach_locked(struct slabs *s, struct slab_class *c, size_t end)
{
	DCHECK(lock_is_held(&c->lock));
	size_t left = (slab_bytes(s, c) - end) >> s->page_shift;

	if (left < c->fresh_pages)
		objects_set_fresh_locked(s, c, (uint8_t)left);
}

static unsigned take_from_locked(struct slabs *s, struct slab_class *c, uint32_t record,
				 void **objects, unsigned n)
{
	DCHECK(lock_is_held(&c->lock));
	struct slab *slab = slab_at(s, record);
	char *addr = slab_addr(s, record);
	unsigned got = take_of_map(s, c, record, objects, n);

	if (UNLIKELY(c->fresh_pages != 0))
		reach_locked(s, c, (size_t)((char *)objects[got - 1] - addr) + c->size);
	if (UNLIKELY(slab->unbacked != 0)) {
		for (unsigned i = 0; i < got; i++)
			slab_touch_pages(s, c, slab, (size_t)((char *)objects[i] - addr));
	}
	count_add(c->free_nr, -(uint64_t)got);
	slab_file_locked(s, c, record);
	return got;
}

/* The slab that the next object comes from: the fullest partial one, or an empty one. */
static uint32_t next_slab_locked(const struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	uint32_t bins = c->lists_used & ((1u << BINS_NR) - 1);

	if (bins != 0)
		return c->head[31 - __builtin_clz(bins)];
	return c->head[LIST_EMPTY];
}

static unsigned take_some_locked(struct slabs *s, struct slab_class *c, void **objects, unsigned n)
{
	DCHECK(lock_is_held(&c->lock));
	unsigned got = 0;

	if (UNLIKELY(s->hardened != NULL))
		return hardened_take_locked(s, c, objects, n);
	while (got < n) {
		uint32_t record = next_slab_locked(c);

		if (record == SLAB_NONE)
			break;
		got += take_from_locked(s, c, record, objects + got, n - got);
	}
	return got;
}

unsigned objects_take(struct slabs *s, unsigned class, void **objects, unsigned n, unsigned flags)
{
	struct slab_class *c = &s->class[class];
	unsigned got = 0;

	while (got < n) {
		unsigned wanted = n - got < HOLD_OBJECTS ? n - got : HOLD_OBJECTS, more;
		lock_token token;

		if (!class_lock_for(c, flags, &token))
			break;
		more = take_some_locked(s, c, objects + got, wanted);
		slab_emptying_turn_locked(s, c);
		lock_release(&c->lock, token);
		got += more;
		if (more < wanted)
			break;
		if (got < n)
			lock_let_others_in(&c->lock);
	}
	return got;
}

void *objects_take_one(struct slabs *s, unsigned class, unsigned flags)
{
	void *object = NULL;

	objects_take(s, class, &object, 1, flags);
	return object;
}

/* ---- misuse ---- */

void objects_misuse(const struct slabs *s, const char *rule, const char *function,
		    const void *object, unsigned class)
{
	size_t offset = (uintptr_t)object - (uintptr_t)s->base;
	const struct slab_class *c = &s->class[class];
	size_t start = offset & ~(slab_bytes(s, c) - 1);
	const struct misuse_place place = {
		.what = "size", .number = c->size, .whole = "slab", .start = s->base + start
	};

	misuse_placed(rule, function, object, &place);
}

void objects_misplaced(const struct slabs *s, const char *function, const void *object,
		       unsigned class)
{
	const struct slab_class *c = &s->class[class];
	size_t offset = ((uintptr_t)object - (uintptr_t)s->base) & (slab_bytes(s, c) - 1);

	objects_misuse(s,
		       offset < (size_t)c->size * c->per_slab ? "the middle of an object"
							      : "not the start of an object",
		       function, object, class);
}

void objects_freed_twice(const struct slabs *s, unsigned class, const void *object)
{
	objects_misuse(s, "double free", s->free_call, object, class);
}

/* ---- back ---- */

/* Puts one object into its slab, which is filed later.  Returns that slab. */
static uint32_t put_locked(struct slabs *s, struct slab_class *c, void *object)
{
	DCHECK(lock_is_held(&c->lock));
	struct object_place place = object_place(s, c, object);
	struct slab *slab = slab_at(s, place.record);
	unsigned class = (unsigned)(c - s->class);
	uint32_t number = object_number(c, place.offset);
	uint64_t *word, bit = (uint64_t)1 << number % 64;

	/* Another class's record may be read here, if the object is not ours to free: hence relaxed. */
	if (UNLIKELY(load_relaxed(&slab->class) != class))
		objects_freed_twice(s, class, object);
	if (UNLIKELY(number * c->size != place.offset || number >= c->per_slab))
		objects_misplaced(s, s->free_call, object, class);
	word = &slab_map(s, c, place.record)[number / 64];
	if (UNLIKELY(*word & bit))
		objects_freed_twice(s, class, object);
	store_relaxed(word, *word | bit); /* likewise */
	if (number / 64 < slab->low)
		slab->low = (uint8_t)(number / 64);
	slab->free_nr++;
	if (slab->flags & SLAB_EMPTYING)
		c->emptying_free_nr++;
	return place.record;
}

/* Objects of one slab that follow each other file it once. */
static void put_some_locked(struct slabs *s, struct slab_class *c, void *const *objects, unsigned n)
{
	DCHECK(lock_is_held(&c->lock));
	uint32_t last = SLAB_NONE;

	for (unsigned i = 0; i < n; i++) {
		uint32_t record = put_locked(s, c, objects[i]);

		if (record != last && last != SLAB_NONE)
			slab_file_locked(s, c, last);
		last = record;
	}
	slab_file_locked(s, c, last);
	count_add(c->free_nr, n);
}

/* ---- slabs that leave ---- */

/* Empty slabs, taken off their class, which may have another size before their pages are freed. */
struct leavers {
	uint32_t first; /* of a chain */
	unsigned order; /* of each */
};

/* Takes an empty slab off its class.  Its record is the caller's until its pages are freed. */
static void leave_locked(struct slabs *s, struct slab_class *c, uint32_t record)
{
	DCHECK(lock_is_held(&c->lock));
	slab_unfile_locked(s, c, record);
	objects_set_fresh_locked(s, c, 0);
	store_relaxed(&slab_at(s, record)->class, 0); /* as in put_locked() */
	slab_set_bytes(s, c, record, 0);
	count_add(c->slabs_nr, (uint64_t)-1);
	count_add(c->free_nr, -(uint64_t)c->per_slab);
}

/* Takes up to @most empty slabs, and HOLD_SLABS, as long as @kept objects or more would still be free. */
static struct leavers leavers_locked(struct slabs *s, struct slab_class *c, uint64_t kept,
				     uint32_t most)
{
	DCHECK(lock_is_held(&c->lock));
	struct leavers leavers = { .first = SLAB_NONE };

	for (uint32_t n = 0; n < HOLD_SLABS && n < most; n++) {
		uint32_t record = c->head[LIST_EMPTY];

		if (record == SLAB_NONE || class_usable_free(c) < kept + c->per_slab)
			break;
		leave_locked(s, c, record);
		slab_at(s, record)->next = leavers.first;
		leavers.first = record;
		leavers.order = c->order;
	}
	return leavers;
}

/* After a give.  Empty slabs first: a marked one that is empty must not stay because others are marked instead. */
static struct leavers leave_surplus_locked(struct slabs *s, struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	struct leavers leavers = leavers_locked(s, c, class_wanted_free(c), HOLD_SLABS);

	slab_emptying_turn_locked(s, c);
	return leavers;
}

/* Puts 1 to HOLD_OBJECTS back.  The slabs that this makes surplus are the caller's. */
static struct leavers give_some_locked(struct slabs *s, struct slab_class *c, void *const *objects,
				       unsigned n)
{
	DCHECK(lock_is_held(&c->lock));
	put_some_locked(s, c, objects, n);
	return leave_surplus_locked(s, c);
}

/* Frees their pages.  Returns how many slabs there were. */
static uint32_t free_leavers(struct slabs *s, struct leavers leavers)
{
	uint32_t record = leavers.first, n = 0;

	for (; record != SLAB_NONE; n++) {
		uint32_t next = slab_at(s, record)->next;

		slabs_meta_leave(s, record);
		/* Pages that fault are nobody's. */
		if (LIKELY(hardened_unguard(s, record, leavers.order)))
			quire_free_pages(s->q, slab_addr(s, record), leavers.order);
		record = next;
	}
	return n;
}

unsigned objects_give(struct slabs *s, unsigned class, void *const *objects, unsigned n,
		      unsigned flags)
{
	struct slab_class *c = &s->class[class];
	unsigned given = 0;

	while (given < n) {
		unsigned some = n - given < HOLD_OBJECTS ? n - given : HOLD_OBJECTS;
		lock_token token;
		struct leavers leavers;

		if (!class_lock_for(c, flags, &token))
			break;
		leavers = give_some_locked(s, c, objects + given, some);
		lock_release(&c->lock, token);
		free_leavers(s, leavers);
		given += some;
		if (given < n)
			lock_let_others_in(&c->lock);
	}
	return given;
}

bool objects_give_one(struct slabs *s, unsigned class, void *object, unsigned flags)
{
	return objects_give(s, class, &object, 1, flags) == 1;
}

/* What a word of the deferred map stands for now, and with hardened:on what leaves the quarantine for it. */
static unsigned take_deferred_locked(struct slabs *s, struct slab_class *c, uint32_t record,
				     unsigned word, void *objects[64])
{
	DCHECK(lock_is_held(&c->lock));
	/* Pairs with sheaf_defer(). */
	uint64_t bits = exchange_acq_rel(&deferred_map(s, record)[word], (uint64_t)0);
	unsigned n = 0;

	for (; bits != 0; bits &= bits - 1) {
		uint32_t number = word * 64 + (uint32_t)__builtin_ctzll(bits);

		objects[n] = slab_addr(s, record) + (size_t)number * c->size;
		if (UNLIKELY(s->hardened != NULL))
			objects[n] = hardened_exchange_locked(s, c, objects[n]);
		n += objects[n] != NULL;
	}
	return n;
}

void objects_give_deferred(struct slabs *s, unsigned class, uint32_t record, unsigned word)
{
	struct slab_class *c = &s->class[class];
	void *objects[64];
	struct leavers leavers = { .first = SLAB_NONE };
	lock_token token = lock_acquire(&c->lock);
	unsigned n = 0;

	if (load_relaxed(&slab_at(s, record)->class) == class)
		n = take_deferred_locked(s, c, record, word, objects);
	if (n != 0)
		leavers = give_some_locked(s, c, objects, n);
	lock_release(&c->lock, token);
	free_leavers(s, leavers);
}

unsigned objects_check(struct slabs *s, const void *addr, const char *function)
{
	size_t offset = (uintptr_t)addr - (uintptr_t)s->base;
	unsigned class;
	const struct slab_class *c;
	struct object_place place;
	uint32_t number;

	if (offset >= s->span_bytes)
		return 0;
	/* The object is the caller's, so neither its slab's byte nor its bit can change; if it is not, what is
	 * read here is what decides which misuse it is. */
	class = load_relaxed(&s->byte[offset >> s->page_shift]) & ~BYTE_EMPTYING;
	if (class == 0)
		return 0;
	c = &s->class[class];
	place = object_place(s, c, addr);
	number = object_number(c, place.offset);
	if (number * c->size != place.offset || number >= c->per_slab)
		objects_misplaced(s, function, addr, class);
	if (load_relaxed(&slab_map(s, c, place.record)[number / 64]) >> number % 64 & 1)
		objects_misuse(s, "double free", function, addr, class);
	return class;
}

/* ---- giving back ---- */

/* Gives back up to @most empty slabs, a few in each hold.  Returns bytes. */
static size_t give_empty(struct slabs *s, struct slab_class *c, uint32_t most)
{
	size_t bytes = 0;
	uint32_t n = 0, more;

	do {
		lock_token token = lock_acquire(&c->lock);
		struct leavers leavers = leavers_locked(s, c, 0, most - n);

		lock_release(&c->lock, token);
		more = free_leavers(s, leavers);
		n += more;
		bytes += (size_t)more << (leavers.order + s->page_shift);
		lock_let_others_in(&c->lock);
	} while (more != 0);
	return bytes;
}

/* Until no more slabs are to become empty. */
static void choose_all(struct slabs *s, struct slab_class *c)
{
	bool more;

	do {
		lock_token token = lock_acquire(&c->lock);

		c->turns = 0;
		more = slab_emptying_choose_locked(s, c);
		lock_release(&c->lock, token);
		lock_let_others_in(&c->lock);
	} while (more);
}

size_t objects_shrink(struct slabs *s, unsigned class)
{
	struct slab_class *c = &s->class[class];

	choose_all(s, c);
	return give_empty(s, c, UINT32_MAX);
}

bool objects_tick(struct slabs *s, unsigned class)
{
	struct slab_class *c = &s->class[class];
	lock_token token = lock_acquire(&c->lock);
	uint32_t idle = c->empty_least;
	bool more;

	lock_release(&c->lock, token);
	choose_all(s, c);
	if (idle != 0)
		give_empty(s, c, idle);
	token = lock_acquire(&c->lock);
	c->empty_least = c->empty_nr;
	more = c->empty_nr != 0;
	lock_release(&c->lock, token);
	return more;
}

/* ---- books ---- */

void objects_count(struct slabs *s, unsigned class, struct objects_count *count)
{
	struct slab_class *c = &s->class[class];
	lock_token token = lock_acquire(&c->lock);

	count->slabs = c->slabs_nr;
	count->emptying = c->emptying_nr;
	count->objects = c->slabs_nr * c->per_slab;
	count->free = c->free_nr;
	lock_release(&c->lock, token);
}
