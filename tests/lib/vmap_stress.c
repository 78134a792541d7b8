/* SPDX-License-Identifier: MIT */
#include "vmap_stress.h"

#include "quire_test.h"

#include <quire/page.h>

unsigned vstress_random(uint64_t *state, unsigned end)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((*state >> 33) * end >> 31);
}

void vstress_begin(struct vstress_owner *owner, struct quire *q, unsigned number)
{
	*owner = (struct vstress_owner){ .q = q,
					 .random = number + 1,
					 .name = (uint64_t)(number + 1) << 40 };
}

static uint64_t *word_at(const struct vstress_area *area, size_t at)
{
	return (uint64_t *)(void *)((char *)area->addr + at);
}

void vstress_write(const struct vstress_area *area, size_t page_bytes)
{
	for (size_t at = 0; at + sizeof(uint64_t) <= area->bytes; at += page_bytes)
		*word_at(area, at) = area->name + at;
}

bool vstress_holds(const struct vstress_area *area, size_t page_bytes)
{
	bool holds = true;

	for (size_t at = 0; at + sizeof(uint64_t) <= area->bytes; at += page_bytes)
		holds = holds && *word_at(area, at) == area->name + at;
	return holds;
}

static bool is_zero(const struct vstress_area *area, size_t page_bytes)
{
	uint64_t any = 0;

	for (size_t at = 0; at + sizeof(uint64_t) <= area->bytes; at += page_bytes)
		any |= *word_at(area, at);
	return any == 0;
}

/* Log-uniform: as many small ones as large ones, in bytes. */
static size_t random_bytes(struct vstress_owner *owner)
{
	size_t most = owner->bytes_most != 0 ? owner->bytes_most : (size_t)256 << 10;
	size_t base = (size_t)4096 << vstress_random(&owner->random, 12);

	while (base > most)
		base /= 4;
	return base / 2 + vstress_random(&owner->random, (unsigned)base / 2) + 8;
}

static void area_alloc(struct vstress_owner *owner, struct vstress_area *area)
{
	size_t page_bytes = quire_page_bytes(owner->q);
	bool zero = vstress_random(&owner->random, 4) == 0;

	area->bytes = random_bytes(owner);
	area->name = ++owner->name;
	owner->allocs++;
	area->addr = quire_vmalloc(owner->q, area->bytes, owner->flags | (zero ? QUIRE_ZERO : 0));
	if (area->addr == NULL) {
		owner->refused++;
		return;
	}
	owner->not_zero += zero && !is_zero(area, page_bytes);
	vstress_write(area, page_bytes);
}

static void area_free(struct vstress_owner *owner, struct vstress_area *area)
{
	void *addr = area->addr;

	owner->broken += !vstress_holds(area, quire_page_bytes(owner->q));
	area->addr = NULL;
	quire_vfree(owner->q, addr);
}

static void area_resize(struct vstress_owner *owner, struct vstress_area *area)
{
	size_t page_bytes = quire_page_bytes(owner->q), old_bytes = area->bytes;
	size_t bytes = random_bytes(owner);
	void *addr = quire_vrealloc(owner->q, area->addr, bytes, owner->flags);

	if (addr == NULL) {
		owner->refused++;
		return;
	}
	area->addr = addr;
	area->bytes = bytes < old_bytes ? bytes : old_bytes;
	owner->broken += !vstress_holds(area, page_bytes);
	area->bytes = bytes;
	vstress_write(area, page_bytes);
}

static unsigned slots_nr(const struct vstress_owner *owner)
{
	return owner->slots_nr != 0 ? owner->slots_nr : VSTRESS_SLOTS;
}

void vstress_step(struct vstress_owner *owner)
{
	struct vstress_area *area = &owner->areas[vstress_random(&owner->random, slots_nr(owner))];

	if (area->addr == NULL)
		area_alloc(owner, area);
	else if (!owner->only_frees_and_allocs && vstress_random(&owner->random, 8) == 0)
		area_resize(owner, area);
	else
		area_free(owner, area);
}

void vstress_end(struct vstress_owner *owner)
{
	for (unsigned i = 0; i < VSTRESS_SLOTS; i++) {
		if (owner->areas[i].addr != NULL)
			area_free(owner, &owner->areas[i]);
	}
}

void vstress_assert_conserved(struct quire *q)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(quire_vmap_stat_read(q, &stat), 0);
	assert_u64_eq(stat.busy_areas, 0);
	quire_release(q);
	assert_int_equal(quire_verify(q), 0);
	assert_int_equal(quire_vmap_stat_read(q, &stat), 0);
	assert_u64_eq(stat.cached_bytes + stat.lazy_bytes, 0);
	assert_u64_eq(stat.free_bytes, stat.span_bytes);
	assert_u64_eq(stat.free_ranges, stat.span_bytes != 0);
}
