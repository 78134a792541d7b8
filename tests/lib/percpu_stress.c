/* SPDX-License-Identifier: MIT */
/* percpu_stress.c - objects that carry a number */
#include "percpu_stress.h"

#include "quire_test.h"
#include "stress.h"

#include <quire/page.h>

void pstress_begin(struct pstress_owner *owner, struct quire *q, unsigned number)
{
	*owner = (struct pstress_owner){ .q = q, .random = number + 1 };
}

static void take(struct pstress_owner *owner, struct pstress_object *object)
{
	static const size_t sizes[] = { 4, 8, 8, 24, 64, 64, 200, 1216, 4096, 9000 };

	object->bytes = sizes[stress_random(&owner->random, 10)];
	object->number = stress_random(&owner->random, 1u << 30) + 1;
	object->ptr = quire_alloc_percpu(owner->q, object->bytes, 0, owner->flags);
	owner->allocs++;
	if (object->ptr == NULL) {
		owner->refused++;
		return;
	}
	for (unsigned unit = 0; unit < quire_percpu_units(owner->q); unit++) {
		uint32_t *copy = quire_per_cpu_ptr(object->ptr, unit);
		size_t last = object->bytes / 4 - 1;

		owner->not_zero += copy[0] != 0 || copy[last] != 0;
		copy[0] = copy[last] = object->number + unit;
	}
}

static void give(struct pstress_owner *owner, struct pstress_object *object)
{
	for (unsigned unit = 0; unit < quire_percpu_units(owner->q); unit++) {
		const uint32_t *copy = quire_per_cpu_ptr(object->ptr, unit);
		size_t last = object->bytes / 4 - 1;

		owner->broken +=
			copy[0] != object->number + unit || copy[last] != object->number + unit;
	}
	quire_free_percpu(owner->q, object->ptr);
	object->ptr = NULL;
}

static unsigned slots_of(const struct pstress_owner *owner)
{
	return owner->slots_nr != 0 ? owner->slots_nr : PSTRESS_SLOTS;
}

void pstress_step(struct pstress_owner *owner)
{
	unsigned slot = stress_random(&owner->random, slots_of(owner));

	if (owner->objects[slot].ptr != NULL)
		give(owner, &owner->objects[slot]);
	else
		take(owner, &owner->objects[slot]);
}

void pstress_end(struct pstress_owner *owner)
{
	for (unsigned i = 0; i < PSTRESS_SLOTS; i++)
		if (owner->objects[i].ptr != NULL)
			give(owner, &owner->objects[i]);
}

void pstress_assert_conserved(struct quire *q)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;

	assert_int_equal(quire_verify(q), 0);
	quire_percpu_shrink(q);
	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(quire_percpu_stat_read(q, &stat), 0);
	assert_u64_eq(stat.objects + stat.cached_objects, 0);
	assert_u64_eq(stat.populated_pages, stat.first_pages);
}
