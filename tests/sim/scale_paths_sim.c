/* SPDX-License-Identifier: MIT */
/*
 * scale_paths_sim.c - what each path of the page allocator costs as CPUs grow
 *
 * One line of `quire explore --scaling` each.  CPUs take turns, an operation each; the first round
 * is not counted.  The share of a CPU in the zone (pcp_high_max) is set, since a zone for 1,024
 * CPUs that gives each room for a warm stack would not fit into the simulated machine.
 */
#include "sim/page/page_scene.h"

#define ROUNDS 3u

struct scale {
	struct quire *q;
	unsigned cpus_nr;
	uint32_t frames[MOVE_MAX];
};

static struct scale *scale_make(struct sim *sim, bool stacks)
{
	struct scale *scale = sim_zalloc(sim, sizeof(*scale));
	struct quire_options options = QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(1) << 30,
							  .rseq = stacks ? QUIRE_ON : QUIRE_OFF,
							  .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scale->q), 0);
	pages_of(scale->q)->zone[0].pcp_high_max = 8192;
	scale->cpus_nr = sim_cpus(sim);
	return scale;
}

/* Every CPU makes @op once a round; @op says itself what is counted. */
static void each_cpu(struct scale *scale, unsigned cpus_nr, void (*op)(struct scale *, unsigned))
{
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (round == 1)
			sim_count_forget();
		for (unsigned cpu = 0; cpu < cpus_nr; cpu++) {
			sim_act_as(cpu);
			op(scale, cpu);
		}
	}
	check_u64_eq(quire_verify(scale->q), 0);
}

static void pair(struct scale *scale, unsigned order)
{
	void *addr = quire_alloc_pages(scale->q, order, 0);

	SIM_CHECK(addr != NULL);
	quire_free_pages(scale->q, addr, order);
}

static void hit(struct scale *scale, unsigned cpu)
{
	(void)cpu;
	pair(scale, 0);
	sim_count_begin();
	pair(scale, 0);
	sim_count_end();
}

SIM_TEST(scale_stack_hit, .scaling = "stack hit: alloc + free", .scaling_free = true)
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, scale->cpus_nr, hit);
}

SIM_TEST(scale_list_hit, .scaling = "list hit: alloc + free")
{
	struct scale *scale = scale_make(sim, false);

	each_cpu(scale, scale->cpus_nr, hit);
}

static void alloc_counted(struct scale *scale)
{
	void *addr;

	sim_count_begin();
	addr = quire_alloc_pages(scale->q, 0, 0);
	sim_count_end();
	SIM_CHECK(addr != NULL);
	quire_free_pages(scale->q, addr, 0);
}

/* The CPU before has put what was on this CPU's stack into the depot. */
static void refill_from_depot(struct scale *scale, unsigned cpu)
{
	struct quire *q = scale->q;
	struct pages *p = pages_of(q);
	unsigned n, put;

	pair(scale, 0);
	quire_drain_slot(q, cpu);
	depot_drain(p, &p->zone[0]);
	pair(scale, 0);
	n = stack_pop_n(&p->stacks.cpu, STACK_CLASS(0, 0), scale->frames, MOVE_MAX);
	sim_act_as((cpu + scale->cpus_nr - 1) % scale->cpus_nr);
	put = depot_put(&p->zone[0], 0, 0, scale->frames, n);
	pcp_frames_to_buddy(p, &p->zone[0], scale->frames + put, n - put);
	sim_act_as(cpu);
	SIM_CHECK(put != 0);
	alloc_counted(scale);
}

SIM_TEST(scale_refill_from_depot, .scaling = "refill from the depot")
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, scale->cpus_nr, refill_from_depot);
}

/* The CPU before was the last to hold the zone lock. */
static void refill_from_buddy(struct scale *scale, unsigned cpu)
{
	pair(scale, 0);
	sim_act_as((cpu + scale->cpus_nr - 1) % scale->cpus_nr);
	quire_drain_slot(scale->q, cpu);
	depot_drain(pages_of(scale->q), &pages_of(scale->q)->zone[0]);
	sim_act_as(cpu);
	alloc_counted(scale);
}

SIM_TEST(scale_refill_from_buddy, .scaling = "refill from the buddy")
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, scale->cpus_nr, refill_from_buddy);
}

static void direct(struct scale *scale, unsigned cpu)
{
	(void)cpu;
	sim_count_begin();
	pair(scale, 6);
	sim_count_end();
}

SIM_TEST(scale_direct, .scaling = "direct, order 6: alloc + free")
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, scale->cpus_nr, direct);
}

static void drain_one(struct scale *scale, unsigned cpu)
{
	pair(scale, 0);
	sim_act_as((cpu + 1) % scale->cpus_nr);
	sim_count_begin();
	quire_drain_slot(scale->q, cpu);
	sim_count_end();
}

SIM_TEST(scale_drain_one, .scaling = "drain one CPU")
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, scale->cpus_nr, drain_one);
}

static void use_every_cpu(struct scale *scale, unsigned cpu)
{
	for (unsigned i = 0; i < scale->cpus_nr; i++) {
		sim_act_as(i);
		pair(scale, 0);
	}
	sim_act_as(cpu);
}

static void drain_all(struct scale *scale, unsigned cpu)
{
	use_every_cpu(scale, cpu);
	sim_count_begin();
	quire_drain_all(scale->q);
	sim_count_end();
}

SIM_TEST(scale_drain_all, .scaling = "drain all CPUs")
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, 1, drain_all);
}

static void isolate(struct scale *scale, unsigned cpu)
{
	use_every_cpu(scale, cpu);
	sim_count_begin();
	check_u64_eq(quire_isolate_pageblock(scale->q, pages_of(scale->q)->base), 0);
	sim_count_end();
	check_u64_eq(quire_unisolate_pageblock(scale->q, pages_of(scale->q)->base), 0);
}

SIM_TEST(scale_isolate, .scaling = "isolate a block")
{
	struct scale *scale = scale_make(sim, true);

	each_cpu(scale, 1, isolate);
}
