/* SPDX-License-Identifier: MIT */
/*
 * slab/defer.c - frees in signal handlers that could take no lock
 *
 * Such a free may not write into the object, which has no room for a link if it is read only, and whose content
 * is left alone in any case.  It sets the object's bit in the deferred map, which has a bit for each object of
 * each slab and costs memory only where one was set; then the slab's bit, then a flag, so that who sees the flag
 * finds both.  The next ordinary slow path, or the worker, puts these objects into their slabs.
 *
 * A bit that is set already shows a double free.
 */
#include "slab/sheaf.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/record.h"

void sheaf_defer(struct slabs *s, unsigned class, void *object)
{
	const struct slab_class *c = &s->class[class];
	size_t offset = (uintptr_t)object - (uintptr_t)s->base;
	uint32_t record = (uint32_t)(offset >> SLAB_SHIFT) & ~(slab_records(s, c) - 1);
	uint32_t inside = (uint32_t)(offset - ((size_t)record << SLAB_SHIFT));
	uint32_t number = object_number(c, inside);
	uint64_t bit = (uint64_t)1 << number % 64;

	if (number * c->size != inside || number >= c->per_slab)
		objects_misplaced(s, s->free_call, object, class);
	/* First, since a child of fork asks whether there can be any. */
	fetch_add_relaxed(&s->deferred_total, 1);
	/* Each pairs with the exchange of the same word, below and in objects.c. */
	if (fetch_or_acq_rel(&deferred_map(s, record)[number / 64], bit) & bit)
		objects_freed_twice(s, class, object);
	fetch_or_acq_rel(&s->deferred_slabs[record / 64], (uint64_t)1 << record % 64);
	exchange_acq_rel(&s->deferred_any, 1u);
}

static void take_slab(struct slabs *s, uint32_t record)
{
	/* A flag may have no bits, and then the slab may be gone, or another class's by now: all of the class is read under its
	 * lock. */
	unsigned class = load_relaxed(&slab_at(s, record)->class);

	for (unsigned word = 0; class != 0 && word < MAP_WORDS; word++)
		if (load_relaxed(&deferred_map(s, record)[word]) != 0)
			objects_give_deferred(s, class, record, word);
}

void sheaf_take_deferred(struct slabs *s)
{
	/* What is flagged after this the next call finds; and who flags after a visit's exchange finds no visit due. */
	if (exchange_acq_rel(&s->deferred_any, 0u) == 0)
		return;
	for (uint32_t i = 0; i < s->deferred_words; i++) {
		uint64_t *word = &s->deferred_slabs[i];
		uint64_t bits = load_relaxed(word) != 0 ? exchange_acq_rel(word, (uint64_t)0) : 0;

		for (; bits != 0; bits &= bits - 1)
			take_slab(s, i * 64 + (uint32_t)__builtin_ctzll(bits));
	}
}

void sheaf_fork_child_deferred(struct slabs *s)
{
	/* The child has one thread, and its handlers: no order is needed. */
	if (load_relaxed(&s->deferred_total) == 0)
		return;
	for (uint32_t record = 0; record < slabs_records(s); record++) {
		if (!slabs_meta_is_ready(s, record))
			record |= STEP_RECORDS - 1;
		else if (load_relaxed(&slab_at(s, record)->class) != 0)
			fetch_or_relaxed(&s->deferred_slabs[record / 64],
					 (uint64_t)1 << record % 64);
	}
	store_relaxed(&s->deferred_any, 1u);
}
