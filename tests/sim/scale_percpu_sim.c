/* SPDX-License-Identifier: MIT */
/*
 * scale_percpu_sim.c - what paths of per-CPU memory cost as CPUs grow
 *
 * As scale_paths_sim.c.  With a unit for each of 1,024 CPUs a chunk's pages take more ranges than a
 * gather holds.
 */
#include "sim/percpu/percpu_scene.h"

#define ROUNDS	 3u
#define PAGES_NR 6u

struct scale {
	struct quire *q;
	struct percpu *pc;
	unsigned cpus_nr;
	void *pages[PAGES_NR];
	void *last;
};

static struct scale *scale_make(struct sim *sim, bool stacks)
{
	struct scale *scale = sim_zalloc(sim, sizeof(*scale));
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(192) << 20,
							  .rseq = stacks ? QUIRE_ON : QUIRE_OFF,
							  .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scale->q), 0);
	quire_free_percpu(scale->q, quire_alloc_percpu(scale->q, PAGE_BYTES, 0, 0));
	scale->pc = scale->q->percpu;
	scale->cpus_nr = sim_cpus(sim);
	check_u64_eq(scale->pc->units, scale->cpus_nr);
	return scale;
}

static void pair(struct scale *scale)
{
	void *object = quire_alloc_percpu(scale->q, 64, 0, 0);

	SIM_CHECK(object != NULL);
	quire_free_percpu(scale->q, object);
}

/* A size that comes and goes on every CPU: the first three pairs open the CPU's stack and warm it. */
SIM_TEST(scale_percpu_hit, .scaling = "per-CPU, 64 bytes: alloc + free", .scaling_free = true)
{
	struct scale *scale = scale_make(sim, true);

	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		pair(scale);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round == 1)
			sim_count_forget();
		for (unsigned cpu = 0; cpu < scale->cpus_nr; cpu++) {
			sim_act_as(cpu);
			for (unsigned i = 0; i < 3; i++)
				pair(scale);
			sim_count_begin();
			pair(scale);
			sim_count_end();
		}
	}
	check_u64_eq(quire_verify(scale->q), 0);
}

/* ---- depopulation ------------------------------------------------------------------------------ */

static void each_copy(struct scale *scale, void *page, uint64_t found, uint64_t left)
{
	for (unsigned cpu = 0; cpu < scale->cpus_nr; cpu++) {
		uint64_t *copy = quire_per_cpu_ptr(page, cpu);

		sim_act_as(cpu);
		check_u64_eq(copy[1], found);
		copy[1] = left;
	}
	sim_act_as(0);
}

/* Pages of the second chunk, written by every CPU; every second one goes, the last one stays. */
static void fill(struct scale *scale)
{
	do
		scale->last = quire_alloc_percpu(scale->q, PAGE_BYTES, 0, 0);
	while (place_chunk(scale->pc, place_of(scale->pc, scale->last)) == 0);
	for (unsigned i = 0; i < PAGES_NR; i++) {
		scale->pages[i] = quire_alloc_percpu(scale->q, PAGE_BYTES, 0, 0);
		SIM_CHECK(scale->pages[i] != NULL);
		each_copy(scale, scale->pages[i], 0, i + 1);
	}
}

static void isolate(struct scale *scale)
{
	lock_token token;

	for (unsigned i = 0; i < PAGES_NR; i += 2)
		quire_free_percpu(scale->q, scale->pages[i]);
	token = lock_acquire(&scale->pc->lock);
	if (scale->pc->chunk[1].state != CHUNK_TO_DEPOPULATE)
		chunk_isolate_locked(scale->pc, 1);
	percpu_unlock(scale->pc, token);
}

/* All copies of the pages that were empty go, and no others, in as few gathers as hold the ranges. */
SIM_TEST(scale_percpu_depopulate, .scaling = "per-CPU: depopulate 3 pages")
{
	struct scale *scale = scale_make(sim, false);
	struct percpu *pc = scale->pc;
	uint64_t ranges = (uint64_t)(PAGES_NR / 2) * scale->cpus_nr;

	fill(scale);
	isolate(scale);
	sim_count_begin();
	quire_percpu_shrink(scale->q);
	sim_count_end();
	check_u64_eq(pc->chunk[1].state, CHUNK_SIDELINED);
	check_u64_eq(pc->flushes, (ranges + pc->ranges_max - 1) / pc->ranges_max);
	check_u64_eq(pc->stat.pages_depopulated, PAGES_NR / 2);
	check_u64_eq(quire_verify(scale->q), 0);
	for (unsigned i = 1; i < PAGES_NR; i += 2)
		each_copy(scale, scale->pages[i], i + 1, 0);
	for (unsigned i = 0; i < PAGES_NR; i += 2) {
		scale->pages[i] = quire_alloc_percpu(scale->q, PAGE_BYTES, 0, 0);
		each_copy(scale, scale->pages[i], 0, 1);
	}
	check_u64_eq(quire_verify(scale->q), 0);
}
