/* SPDX-License-Identifier: MIT */
/*
 * slab/used.c - which objects of a class are in use
 *
 * An object on a sheaf or in a barn is in use as far as its slab knows, so the caller drains those first, and no
 * other thread uses the class until the walk is over.  Slabs of which nothing is free are on no list, so the walk is
 * over all records.
 */
#include "slab/objects.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "slab/meta.h"
#include "slab/record.h"

/* What a walk has found: @found objects, and where the first @most of them are. */
struct used {
	void **objects;
	size_t most, found;
};

static void add_used_locked(struct slabs *s, const struct slab_class *c, uint32_t record,
			    struct used *used)
{
	DCHECK(lock_is_held(&c->lock));
	const uint64_t *map = slab_map(s, c, record);

	for (uint32_t i = 0; i < c->per_slab; i++) {
		if (map[i / 64] >> i % 64 & 1)
			continue;
		if (used->found < used->most)
			used->objects[used->found] = slab_addr(s, record) + (size_t)i * c->size;
		used->found++;
	}
}

size_t objects_used(struct slabs *s, unsigned class, void **objects, size_t most)
{
	struct slab_class *c = &s->class[class];
	struct used used = { .objects = objects, .most = most };

	for (uint32_t record = 0; record < slabs_records(s); record++) {
		lock_token token;

		if (!slabs_meta_is_ready(s, record)) {
			record += STEP_RECORDS - 1;
			continue;
		}
		if (load_relaxed(&slab_at(s, record)->class) != class)
			continue;
		token = lock_acquire(&c->lock);
		/* The worker gives empty ones back, and another class may make a slab there. */
		if (load_relaxed(&slab_at(s, record)->class) == class)
			add_used_locked(s, c, record, &used);
		lock_release(&c->lock, token);
	}
	return used.found;
}
