/* SPDX-License-Identifier: MIT */
/*
 * frag.c - how many whole 2 MiB blocks can be allocated from half-full memory?
 *
 * Method  An instance whose limit is 1 GiB, one pinned thread, single pages except for "mixed".
 *           random   filled, a random half freed, then 8 million pairs: a random page is freed
 *                    and another allocated
 *           rounds   half filled; 50 times a random tenth is freed and as much allocated again
 *           mixed    blocks of order 0..4, each order equally likely, until half is in use; then
 *                    4 million pairs of such blocks
 *         Then blocks of order 9 are allocated until one is refused.
 * Read    Blocks: the fewest of all repetitions; ideal is all free memory in 2 MiB blocks.  ns per
 *         pair: the median, in CPU time, including the choice of the page and a cache miss.
 * Refused An instance that hands out less than 99 % of its limit.
 * Not     Lifetime classes: all blocks are unmovable, which is what flags 0 means.
 */
#include <quire/page.h>
#include <string.h>
#include "harness/bench.h"
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"

#define LIMIT_BYTES  ((uint64_t)1 << 30)
#define FRAMES_NR    ((unsigned)(LIMIT_BYTES / 4096))
#define HALF_NR	     (FRAMES_NR / 2)
#define BLOCK_FRAMES 512u
#define BLOCK_ORDER  9u
#define RANDOM_PAIRS 8000000u
#define MIXED_PAIRS  4000000u
#define MIXED_ORDERS 5u
#define ROUNDS_NR    50u
#define FRAG_REPS    5u

static void *live[FRAMES_NR];
static uint8_t live_order[FRAMES_NR];

struct frag_state {
	struct quire *q;
	uint64_t random;
	unsigned live_nr;   /* in live[] */
	unsigned frames_nr; /* their pages */
	double pair_ns;	    /* 0: not timed */
	const char *refused;
};

struct frag_case {
	const char *what;
	void (*run)(struct frag_state *state);
	const struct target *blocks;
	const struct target *ns;
};

static bool take(struct frag_state *state, unsigned order)
{
	void *block = quire_alloc_pages(state->q, order, 0);

	if (!block)
		return false;
	live[state->live_nr] = block;
	live_order[state->live_nr++] = (uint8_t)order;
	state->frames_nr += 1u << order;
	return true;
}

/* Frees a random block; the last one takes its place in live[]. */
static unsigned give_back_random(struct frag_state *state)
{
	unsigned i = random_below(&state->random, state->live_nr);
	unsigned order = live_order[i];

	quire_free_pages(state->q, live[i], order);
	state->live_nr--;
	state->frames_nr -= 1u << order;
	live[i] = live[state->live_nr];
	live_order[i] = live_order[state->live_nr];
	return order;
}

/* Frees a random page and allocates one, so that only the page's address changes. */
static bool replace_random(struct frag_state *state)
{
	void **victim = &live[random_below(&state->random, state->live_nr)];

	quire_free_pages(state->q, *victim, 0);
	*victim = quire_alloc_pages(state->q, 0, 0);
	return *victim != NULL;
}

static void run_random(struct frag_state *state)
{
	uint64_t begin;

	while (take(state, 0) && state->live_nr < FRAMES_NR)
		;
	if (state->live_nr < FRAMES_NR / 100 * 99) {
		state->refused = "less than 99 % of the limit could be had";
		return;
	}
	while (state->live_nr > HALF_NR)
		give_back_random(state);
	begin = proc_clock_ns(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < RANDOM_PAIRS; i++) {
		if (!replace_random(state)) {
			state->refused = "an allocation was refused";
			return;
		}
	}
	state->pair_ns = (double)(proc_clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin) / RANDOM_PAIRS;
}

static void run_rounds(struct frag_state *state)
{
	while (state->live_nr < HALF_NR && take(state, 0))
		;
	for (unsigned round = 0; round < ROUNDS_NR && state->live_nr == HALF_NR; round++) {
		for (unsigned i = 0; i < HALF_NR / 10; i++)
			give_back_random(state);
		while (state->live_nr < HALF_NR && take(state, 0))
			;
	}
	if (state->live_nr != HALF_NR)
		state->refused = "an allocation was refused";
}

/* A random order.  Above half full it is not larger than the order just freed, to stay at half. */
static unsigned mixed_order(struct frag_state *state, unsigned freed)
{
	unsigned order = random_below(&state->random, MIXED_ORDERS);

	return state->frames_nr + (1u << order) > HALF_NR && order > freed ? freed : order;
}

static void run_mixed(struct frag_state *state)
{
	while (state->frames_nr < HALF_NR - (1u << MIXED_ORDERS) && !state->refused)
		if (!take(state, random_below(&state->random, MIXED_ORDERS)))
			state->refused = "an allocation was refused";
	for (unsigned i = 0; i < MIXED_PAIRS && !state->refused; i++)
		if (!take(state, mixed_order(state, give_back_random(state))))
			state->refused = "an allocation was refused";
}

/* The number of 2 MiB blocks that can be allocated now. */
static unsigned whole_blocks(struct quire *q)
{
	unsigned blocks = 0;

	while (blocks <= FRAMES_NR / BLOCK_FRAMES && quire_alloc_pages(q, BLOCK_ORDER, 0))
		blocks++;
	return blocks;
}

static bool frag_once(const struct frag_case *frag, struct frag_state *state, unsigned *blocks)
{
	const struct quire_options limit = QUIRE_OPTIONS_INIT(.limit_bytes = LIMIT_BYTES);

	if (quire_create(&limit, &state->q) != 0) {
		state->refused = "quire_create() was refused";
		return false;
	}
	frag->run(state);
	*blocks = state->refused ? 0 : whole_blocks(state->q);
	quire_destroy(state->q);
	return !state->refused;
}

static void frag_case_run(const struct options *options, const struct frag_case *frag)
{
	unsigned reps = options->quick ? 1 : FRAG_REPS;
	unsigned fewest = UINT32_MAX, blocks, ideal = 0;
	double ns[FRAG_REPS];
	char note[64], what[160];

	for (unsigned rep = 0; rep < reps; rep++) {
		struct frag_state state = { .random = rep + 1 };

		if (!frag_once(frag, &state, &blocks)) {
			report_refused(options, frag->what, state.refused);
			return;
		}
		fewest = blocks < fewest ? blocks : fewest;
		ideal = (FRAMES_NR - state.frames_nr) / BLOCK_FRAMES;
		ns[rep] = state.pair_ns;
	}
	snprintf(note, sizeof(note), "ideal %u, fewest of %u runs", ideal, reps);
	report_figure(options,
		      &(struct figure){ .what = frag->what,
					.value = fewest,
					.unit = "order-9 blocks",
					.note = note },
		      frag->blocks);
	if (!frag->ns)
		return;
	snprintf(what, sizeof(what), "%s: a pair", frag->what);
	report_figure(
		options,
		&(struct figure){ .what = what, .value = spread_of(ns, reps).median, .unit = "ns" },
		frag->ns);
}

void bench_frag(const struct options *options)
{
	static const struct frag_case cases[] = {
		{ "1 GiB filled, a random half freed, 8 million random pairs at 50 %", run_random,
		  &target_frag_random_blocks, &target_frag_random_ns },
		{ "half filled, 50 rounds of freeing and refilling a random tenth", run_rounds,
		  &target_frag_rounds_blocks, NULL },
		{ "mixed orders 0..4 at 50 %, 4 million pairs", run_mixed,
		  &target_frag_mixed_blocks, NULL },
	};

	pin_self(pin_cpu(0));
	report_figures_begin("fragmentation");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		frag_case_run(options, &cases[i]);
}
