/* SPDX-License-Identifier: MIT */
/* collect.c - the ranges of a gather, until gather_finish() takes them away */
#include "machine/mem.h"

#include "base/check.h"

void gather_begin(struct gather *gather, struct mem_range *ranges, unsigned ranges_max)
{
	CHECK(ranges_max != 0);
	*gather = (struct gather){ .ranges = ranges, .ranges_max = ranges_max };
}

void gather_lend(struct gather *gather, struct mem_vector *vector, unsigned vector_max)
{
	CHECK(vector_max != 0);
	gather->vector = vector;
	gather->vector_max = vector_max;
}

bool gather_is_full(const struct gather *gather)
{
	return gather->ranges_nr == gather->ranges_max;
}

/* Extends the last range by this one, if they touch. */
static bool merge(struct mem_range *last, char *addr, size_t bytes)
{
	if ((char *)last->addr + last->bytes == addr) {
		last->bytes += bytes;
		return true;
	}
	if (addr + bytes == (char *)last->addr) {
		last->addr = addr;
		last->bytes += bytes;
		return true;
	}
	return false;
}

static void collect(struct gather *gather, const struct mem_range *range, enum gather_kind kind)
{
	size_t misaligned = ((uintptr_t)range->addr | range->bytes) & (mem_page_bytes() - 1);
	struct mem_range *last;

	CHECK_VALUES(misaligned == 0 && range->bytes != 0, (uintptr_t)range->addr, range->bytes);
	CHECK(gather->ranges_nr == 0 || gather->kind == kind);
	gather->kind = kind;
	last = gather->ranges_nr != 0 ? &gather->ranges[gather->ranges_nr - 1] : NULL;
	if (last != NULL && last->shared == range->shared &&
	    merge(last, (char *)range->addr, range->bytes))
		return;
	CHECK(!gather_is_full(gather));
	gather->ranges[gather->ranges_nr++] = *range;
}

void gather_unback(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes };

	collect(gather, &range, GATHER_UNBACK);
}

void gather_unback_shared(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes, .shared = true };

	collect(gather, &range, GATHER_UNBACK);
}

void gather_unmap(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes };

	collect(gather, &range, GATHER_UNMAP);
}

void gather_unmap_frames(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes };

	collect(gather, &range, GATHER_UNMAP_FRAMES);
}

bool gather_gave_back(const struct gather *gather, const void *addr)
{
	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		const struct mem_range *range = &gather->ranges[i];

		if ((uintptr_t)addr - (uintptr_t)range->addr < range->bytes)
			return range->error == 0;
	}
	return false;
}
