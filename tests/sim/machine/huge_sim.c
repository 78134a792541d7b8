/* SPDX-License-Identifier: MIT */
/* huge_sim.c - the machine sees where khugepaged could fill again what went back */
#include "machine/atomic.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"

#define PAGE  ((size_t)4096)
#define BLOCK ((size_t)2 << 20)

/* Two blocks, advised, with the first two pages of each written. */
static char *advised_blocks(void)
{
	char *blocks = mem_reserve(2 * BLOCK, BLOCK, "blocks");

	mem_commit(blocks, 2 * BLOCK);
	mem_advise_huge(blocks, 2 * BLOCK, true);
	for (unsigned i = 0; i < 4; i++)
		store_relaxed((uint32_t *)(void *)(blocks + i / 2 * BLOCK + i % 2 * PAGE), 7);
	return blocks;
}

static void gives_back(char *addr, size_t bytes)
{
	struct mem_range range;
	struct gather gather;

	gather_begin(&gather, &range, 1);
	gather_unback(&gather, addr, bytes);
	check_u64_eq(gather_finish(&gather), bytes);
}

static void gives_a_page(void *arg)
{
	gives_back(arg, PAGE);
}

static void gives_a_page_and_advises(void *arg)
{
	char *blocks = arg;

	mem_advise_huge(blocks, BLOCK, false);
	gives_back(blocks, PAGE);
	mem_advise_huge(blocks, 2 * BLOCK, true);
}

static void gives_in_both_ways(void *arg)
{
	char *blocks = arg;

	gives_back(blocks, BLOCK);
	store_relaxed((uint32_t *)(void *)blocks, 7);
	mem_advise_huge(blocks, BLOCK, true);
	mem_advise_huge(blocks + BLOCK, BLOCK, false);
	gives_back(blocks + BLOCK, PAGE);
	store_relaxed((uint32_t *)(void *)(blocks + BLOCK), 7);
	mem_advise_huge(blocks + BLOCK, BLOCK, true);
}

SIM_TEST(part_of_an_advised_block_is_seen_to_go, .cpus_nr = 1, .expect = "filled again")
{
	sim_cpu(sim, 0, gives_a_page, advised_blocks());
	sim_run(sim);
}

SIM_TEST(advice_for_what_went_in_part_is_seen, .cpus_nr = 1, .expect = "filled again")
{
	sim_cpu(sim, 0, gives_a_page_and_advises, advised_blocks());
	sim_run(sim);
}

/* A whole block may go, and what went may have the advice when it is used again. */
SIM_TEST(whole_blocks_may_go_with_their_advice, .cpus_nr = 1)
{
	sim_cpu(sim, 0, gives_in_both_ways, advised_blocks());
	sim_run(sim);
}
