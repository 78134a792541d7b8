/* SPDX-License-Identifier: MIT */
/*
 * patterns.inc.h - the patterns of areas.h, compiled into each subject
 *
 * The including file defines
 *   AREA_ALLOC(bytes)         allocate a block; NULL if refused
 *   AREA_FREE(block, bytes)   free it
 */
#include "vmap/areas.h"
#include "harness/random.h"

/* Pairs between two checks of the stop flag: a written block takes longer than the check. */
static inline unsigned area_round(const struct run *run)
{
	return run->touch ? 1 : ROUND_PAIRS;
}

static void area_pattern_pair(struct worker *w)
{
	const size_t bytes = w->run->bytes;
	const unsigned written = w->run->touch, round = area_round(w->run);

	while (worker_goes_on(w)) {
		for (unsigned i = 0; i < round; i++) {
			char *block = AREA_ALLOC(bytes);

			if (!block) {
				w->refused = "an allocation was refused";
				return;
			}
			area_touch(block, bytes, written);
			AREA_FREE(block, bytes);
		}
		w->pairs_nr += round;
	}
}

static inline size_t area_size(struct worker *w, bool random)
{
	return random ? area_sizes[random_below(&w->random, AREA_SIZES)] : w->run->bytes;
}

static inline bool area_take(struct worker *w, unsigned slot, bool random)
{
	size_t bytes = area_size(w, random);
	char *block = AREA_ALLOC(bytes);

	w->blocks[slot] = block;
	w->sizes[slot] = bytes;
	if (!block) {
		w->refused = "an allocation was refused";
		return false;
	}
	area_touch(block, bytes, w->run->touch);
	return true;
}

static inline void area_replace_at_random(struct worker *w, bool random)
{
	const unsigned round = area_round(w->run);

	for (unsigned i = 0; i < AREAS_LIVE && !w->blocks[i]; i++)
		if (!area_take(w, i, random))
			return;
	while (worker_goes_on(w)) {
		for (unsigned i = 0; i < round; i++) {
			unsigned slot = random_below(&w->random, AREAS_LIVE);

			AREA_FREE(w->blocks[slot], w->sizes[slot]);
			if (!area_take(w, slot, random))
				return;
		}
		w->pairs_nr += round;
	}
}

static void area_pattern_fixed(struct worker *w)
{
	area_replace_at_random(w, false);
}

static void area_pattern_random(struct worker *w)
{
	area_replace_at_random(w, true);
}

/* clang-format off */
#define AREA_PATTERNS                                                                             \
	{                                                                                          \
		[AREA_PAIR] = area_pattern_pair,                                                 \
		[AREA_FIXED] = area_pattern_fixed,                                               \
		[AREA_RANDOM] = area_pattern_random,                                             \
	}
/* clang-format on */
