/* SPDX-License-Identifier: MIT */
/* huge/look.c - looking at how much of memory is written: see look.h */
#include "huge/look.h"

#include "base/check.h"
#include "huge/huge.h"
#include "machine/lock.h"
#include "machine/mem.h"

/* A stretch is what one mask has bits for. */
#define STRETCH_PAGES 64u
#define STRETCHES_MAX 32u

struct huge_sample huge_sample(const char *addr, uint32_t pages, size_t page_bytes)
{
	struct mem_stretches s = { .addr = addr,
				   .page_bytes = page_bytes,
				   .pages = pages < STRETCH_PAGES ? pages : STRETCH_PAGES };
	struct huge_sample sample = { .written = 0 };
	uint64_t masks[STRETCHES_MAX];

	CHECK(pages != 0);
	s.nr = pages / s.pages;
	if (s.nr > STRETCHES_MAX)
		s.nr = STRETCHES_MAX;
	s.stride_bytes = pages / s.nr * page_bytes;
	if (mem_find_written(&s, masks) != 0)
		return sample;
	for (unsigned i = 0; i < s.nr; i++)
		for (uint64_t mask = masks[i]; mask != 0; mask &= mask - 1)
			sample.written++;
	sample.seen = (uint64_t)s.nr * s.pages;
	return sample;
}

/* Full means fifteen sixteenths: a huge page then adds at most 128 KiB to a block, which stays in use for long. */
static bool is_full(const struct huge_map *map, uint32_t block)
{
	size_t page_bytes = mem_page_bytes();
	uint32_t pages = (uint32_t)(HUGE_BYTES / page_bytes);

	return huge_sample(huge_addr(map, block), pages, page_bytes).written >= pages - pages / 16;
}

enum seen {
	SEEN_NOTHING, /* it is not a block to look at, which costs nothing */
	SEEN,
	SEEN_TWICE, /* ADVISED now */
};

static enum seen look_locked(struct huge_map *map, uint32_t block)
{
	enum huge_kind kind = huge_kind(map, block);

	CHECK(mutex_is_held(map->mutex));
	if (kind != HUGE_PLAIN && kind != HUGE_FULL)
		return SEEN_NOTHING;
	if (!is_full(map, block)) {
		huge_note_full(map, block, false);
		return SEEN;
	}
	if (kind == HUGE_PLAIN) {
		huge_note_full(map, block, true);
		return SEEN;
	}
	huge_allow(map, block, block + 1);
	return huge_kind(map, block) == HUGE_ADVISED ? SEEN_TWICE : SEEN;
}

bool huge_visit_begin(struct huge_visit *visit)
{
	*visit = (struct huge_visit){ .looks = 0 };
	return mem_huge_is_given();
}

void huge_look(struct huge_map *map, uint32_t block, struct huge_visit *visit)
{
	enum seen seen;

	mutex_acquire(map->mutex);
	seen = look_locked(map, block);
	mutex_release(map->mutex);
	visit->looks += seen != SEEN_NOTHING;
	visit->collapsed += seen == SEEN_TWICE;
	/* If this is refused, khugepaged may do it in its own time. */
	if (seen == SEEN_TWICE)
		(void)mem_collapse_huge(huge_addr(map, block), HUGE_BYTES);
}
