/* SPDX-License-Identifier: MIT */
/*
 * large_patterns.inc.h - the patterns of large.h, compiled into each subject
 *
 * The including file defines
 *   LARGE_ALLOC(bytes)         take a block, or NULL
 *   LARGE_FREE(block, bytes)   give it back
 */
#include "vmap/large.h"
#include "harness/random.h"

/* Between two looks at the stop flag: a written block takes longer than the look. */
static inline unsigned large_round(const struct run *run)
{
	return run->touch ? 1 : ROUND_PAIRS;
}

static void large_pattern_pair(struct worker *w)
{
	const size_t bytes = w->run->bytes;
	const unsigned written = w->run->touch, round = large_round(w->run);

	while (worker_goes_on(w)) {
		for (unsigned i = 0; i < round; i++) {
			char *block = LARGE_ALLOC(bytes);

			if (!block) {
				w->refused = "an allocation was refused";
				return;
			}
			large_touch(block, bytes, written);
			LARGE_FREE(block, bytes);
		}
		w->pairs_nr += round;
	}
}

static inline size_t large_size(struct worker *w, bool random)
{
	return random ? large_sizes[random_below(&w->random, LARGE_SIZES)] : w->run->bytes;
}

static inline bool large_take(struct worker *w, unsigned slot, bool random)
{
	size_t bytes = large_size(w, random);
	char *block = LARGE_ALLOC(bytes);

	w->blocks[slot] = block;
	w->sizes[slot] = bytes;
	if (!block) {
		w->refused = "an allocation was refused";
		return false;
	}
	large_touch(block, bytes, w->run->touch);
	return true;
}

static inline void large_replace(struct worker *w, bool random)
{
	const unsigned round = large_round(w->run);

	for (unsigned i = 0; i < LARGE_LIVE && !w->blocks[i]; i++)
		if (!large_take(w, i, random))
			return;
	while (worker_goes_on(w)) {
		for (unsigned i = 0; i < round; i++) {
			unsigned slot = random_below(&w->random, LARGE_LIVE);

			LARGE_FREE(w->blocks[slot], w->sizes[slot]);
			if (!large_take(w, slot, random))
				return;
		}
		w->pairs_nr += round;
	}
}

static void large_pattern_fixed(struct worker *w)
{
	large_replace(w, false);
}

static void large_pattern_random(struct worker *w)
{
	large_replace(w, true);
}

/* clang-format off */
#define LARGE_PATTERNS                                                                             \
	{                                                                                          \
		[LARGE_PAIR] = large_pattern_pair,                                                 \
		[LARGE_FIXED] = large_pattern_fixed,                                               \
		[LARGE_RANDOM] = large_pattern_random,                                             \
	}
/* clang-format on */
