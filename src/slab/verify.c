/* SPDX-License-Identifier: MIT */
/*
 * slab/verify.c - C1..C8: those of the classes' slabs; C8, of what is on sheaves, is in sheaf_verify.c
 *
 * docs/invariants.md has the rules.  objects_verify() returns 400 + n for the first that does not hold in a class.  No other thread
 * uses the instance, so what is counted does not change meanwhile.
 */
#include "slab/objects.h"

#include "base/check.h"
#include "instance/instance.h"
#include "machine/lock.h"
#include "slab/meta.h"
#include "slab/record.h"

#define LABEL(n) (400 + (n))

/* What a walk over all records found of one class. */
struct sums {
	uint64_t slabs, free, emptying, emptying_free;
	uint64_t listed; /* slabs that say that they are on a list */
	uint32_t empty, held;
};

/* ---- one slab ---- */

static uint32_t count_map(const struct slab_class *c, const uint64_t *map)
{
	uint32_t n = 0;

	for (unsigned word = 0; word < (c->per_slab + 63) / 64; word++)
		for (uint64_t bits = map[word]; bits != 0; bits &= bits - 1)
			n++;
	return n;
}

static int verify_map(const struct slab_class *c, const struct slab *slab, const uint64_t *map)
{
	if (count_map(c, map) != slab->free_nr)
		return LABEL(1);
	if (c->per_slab % 64 != 0 && map[c->per_slab / 64] >> c->per_slab % 64 != 0)
		return LABEL(1);
	for (unsigned word = 0; word < slab->low; word++)
		if (map[word] != 0)
			return LABEL(2);
	return 0;
}

/* The list by the table in bins.c. */
static int verify_place(const struct slab_class *c, const struct slab *slab)
{
	uint32_t used = c->per_slab - slab->free_nr;
	unsigned list = used * c->bin_scale >> BIN_SHIFT;

	if (slab->flags & SLAB_EMPTYING)
		list = LIST_EMPTYING;
	if (used == 0)
		list = LIST_EMPTY;
	if (slab->free_nr == 0 || (slab->flags & SLAB_HELD))
		list = LIST_NONE;
	if (list == LIST_EMPTY && (slab->flags & SLAB_EMPTYING))
		return LABEL(3);
	return list == slab->list ? 0 : LABEL(3);
}

static int verify_bytes(const struct slabs *s, const struct slab_class *c, uint32_t record)
{
	const struct slab *slab = slab_at(s, record);
	size_t frame = (size_t)record << (SLAB_SHIFT - s->page_shift);
	unsigned byte = slab->class | (slab->flags & SLAB_EMPTYING ? BYTE_EMPTYING : 0);

	for (size_t i = 0; i < (size_t)1 << c->order; i++)
		if (s->byte[frame + i] != byte)
			return LABEL(5);
	return 0;
}

/* No object that is in use touches a page without memory. */
static int verify_unbacked(const struct slabs *s, const struct slab_class *c, uint32_t record)
{
	const struct slab *slab = slab_at(s, record);
	const uint64_t *map = slab_map(s, c, record);

	for (uint32_t i = 0; slab->unbacked != 0 && i < c->per_slab; i++) {
		size_t from = (size_t)i * c->size, last = from + c->size - 1;

		if (map[i / 64] >> i % 64 & 1)
			continue;
		for (size_t page = from >> s->page_shift; page <= last >> s->page_shift; page++)
			if (slab->unbacked >> page & 1)
				return LABEL(7);
	}
	return 0;
}

static int verify_slab(const struct slabs *s, const struct slab_class *c, uint32_t record,
		       struct sums *sums)
{
	const struct slab *slab = slab_at(s, record);
	int label = verify_map(c, slab, slab_map(s, c, record));

	sums->slabs++;
	sums->free += slab->free_nr;
	sums->emptying += (slab->flags & SLAB_EMPTYING) != 0;
	sums->emptying_free += slab->flags & SLAB_EMPTYING ? slab->free_nr : 0;
	sums->listed += slab->list != LIST_NONE;
	sums->empty += slab->list == LIST_EMPTY;
	sums->held += (slab->flags & SLAB_HELD) != 0;
	if (label == 0)
		label = verify_place(c, slab);
	if (label == 0)
		label = verify_bytes(s, c, record);
	return label != 0 ? label : verify_unbacked(s, c, record);
}

/* ---- a class ---- */

/* One list; adds its length to *@listed. */
static int verify_list(struct slabs *s, struct slab_class *c, unsigned list, uint64_t *listed)
{
	uint32_t prev = SLAB_NONE, record = c->head[list];

	if ((c->lists_used >> list & 1) != (record != SLAB_NONE))
		return LABEL(4);
	for (; record != SLAB_NONE; record = slab_at(s, record)->next) {
		const struct slab *slab;

		if (record >= slabs_records(s) || ++*listed > c->slabs_nr)
			return LABEL(4);
		slab = slab_at(s, record);
		if (slab->prev != prev || slab->list != list || slab->class != c - s->class)
			return LABEL(4);
		prev = record;
	}
	return 0;
}

/* Every slab that says so is on a list, once. */
static int verify_lists(struct slabs *s, struct slab_class *c, uint64_t wanted)
{
	uint64_t listed = 0;
	int label = 0;

	for (unsigned list = 0; label == 0 && list < SLAB_LISTS_NR; list++)
		label = verify_list(s, c, list, &listed);
	return label != 0 ? label : listed == wanted ? 0 : LABEL(4);
}

static bool sums_agree(const struct slab_class *c, const struct sums *sums)
{
	return sums->slabs == c->slabs_nr && sums->free == c->free_nr &&
	       sums->emptying == c->emptying_nr && sums->emptying_free == c->emptying_free_nr &&
	       sums->empty == c->empty_nr && sums->held == c->held_nr;
}

/* No frame says the class but those of its slabs.  In a child of fork, slabs that other threads were making are
 * lost with their bytes. */
static int verify_frames(const struct slabs *s, const struct slab_class *c)
{
	size_t found = 0, wanted = (size_t)c->slabs_nr << c->order;
	size_t frames = s->span_bytes >> s->page_shift;

	for (size_t i = 0; i < frames; i++) {
		uint32_t record = (uint32_t)(i >> (SLAB_SHIFT - s->page_shift));

		if (!slabs_meta_is_ready(s, record))
			i += ((size_t)STEP_RECORDS << (SLAB_SHIFT - s->page_shift)) - 1;
		else
			found += (s->byte[i] & ~BYTE_EMPTYING) == c - s->class;
	}
	return found == wanted || (s->q->forked && found > wanted) ? 0 : LABEL(5);
}

static int verify_class_locked(struct slabs *s, struct slab_class *c)
{
	DCHECK(lock_is_held(&c->lock));
	struct sums sums = { .slabs = 0 };
	int label = 0;
	uint32_t record = 0;

	while (label == 0 && record < slabs_records(s)) {
		if (!slabs_meta_is_ready(s, record)) {
			record += STEP_RECORDS;
			continue;
		}
		if (slab_at(s, record)->class == c - s->class)
			label = verify_slab(s, c, record, &sums);
		record++;
	}
	if (label == 0)
		label = verify_lists(s, c, sums.listed);
	if (label == 0 && !sums_agree(c, &sums))
		label = LABEL(6);
	return label != 0 ? label : verify_frames(s, c);
}

int objects_verify(struct slabs *s, unsigned class)
{
	struct slab_class *c = &s->class[class];
	lock_token token = lock_acquire(&c->lock);
	int label = verify_class_locked(s, c);

	lock_release(&c->lock, token);
	return label;
}
