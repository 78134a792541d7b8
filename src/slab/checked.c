/* SPDX-License-Identifier: MIT */
/*
 * slab/checked.c - caches that look for writes beside objects, and to objects that are free
 *
 * A red zone is at least 16 bytes before and behind each object.  It says ACTIVE while the object is in use and
 * INACTIVE while it is not, so a free finds whether something was written beside the object, and whether it is free
 * already.  Poison fills an object while it is free; an allocation finds whether anything was written to it since, and
 * fills it with FRESH, so that what was never written can be recognised.
 *
 * Such caches have a class of their own.  What is written: base/poison.h.
 */
#include "slab/cache.h"

#include "base/check.h"
#include "base/mem.h"
#include "base/poison.h"

static void set_zones(const struct quire_cache *cache, uint8_t *slot, uint8_t value)
{
	uint32_t slot_bytes = cache->slabs->class[cache->class].size;
	uint32_t behind = cache->front_bytes + cache->size;

	if ((cache->flags & QUIRE_CACHE_RED_ZONE) == 0)
		return;
	memset(slot, value, cache->front_bytes);
	memset(slot + behind, value, slot_bytes - behind);
}

/* @function has been called with @object.  Its zones should say @value. */
static void check_zones(const struct quire_cache *cache, const uint8_t *slot, uint8_t value,
			const char *function)
{
	uint32_t slot_bytes = cache->slabs->class[cache->class].size;
	const uint8_t *object = slot + cache->front_bytes, *end = object + cache->size, *found;

	if ((cache->flags & QUIRE_CACHE_RED_ZONE) == 0)
		return;
	found = poison_other(end, slot + slot_bytes, value);
	if (found != slot + slot_bytes)
		misuse_number("written behind an object", function, object, "offset",
			      (uint64_t)(found - object));
	found = poison_other(slot, object, value);
	if (found != object)
		misuse_number("written in front of an object", function, object, "bytes before",
			      (uint64_t)(object - found));
}

void cache_prepare(void *slot, void *arg)
{
	const struct quire_cache *cache = arg;
	uint8_t *bytes = slot;

	set_zones(cache, bytes, RED_INACTIVE);
	if (cache->flags & QUIRE_CACHE_POISON)
		memset(bytes + cache->front_bytes, POISON_FREE, cache->size);
	if (cache->construct != NULL)
		cache->construct(bytes + cache->front_bytes, cache->arg);
}

void *cache_check_alloc(const struct quire_cache *cache, void *slot)
{
	uint8_t *object = (uint8_t *)slot + cache->front_bytes;

	check_zones(cache, slot, RED_INACTIVE, "quire_cache_alloc");
	set_zones(cache, slot, RED_ACTIVE);
	if (cache->flags & QUIRE_CACHE_POISON) {
		const uint8_t *found = poison_other(object, object + cache->size, POISON_FREE);

		if (found != object + cache->size)
			misuse_number("written after it was freed", "quire_cache_alloc", object,
				      "offset", (uint64_t)(found - object));
		memset(object, POISON_FRESH, cache->size);
	}
	return object;
}

void *cache_check_free(const struct quire_cache *cache, void *object)
{
	uint8_t *slot = (uint8_t *)object - cache->front_bytes;
	bool zoned = (cache->flags & QUIRE_CACHE_RED_ZONE) != 0;

	if (zoned && slot[0] == RED_INACTIVE &&
	    poison_other(slot, object, RED_INACTIVE) == (const uint8_t *)object)
		misuse("double free", "quire_cache_free", object);
	check_zones(cache, slot, RED_ACTIVE, "quire_cache_free");
	set_zones(cache, slot, RED_INACTIVE);
	if (cache->flags & QUIRE_CACHE_POISON)
		memset(object, POISON_FREE, cache->size);
	return slot;
}
