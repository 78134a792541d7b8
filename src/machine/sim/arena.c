/* SPDX-License-Identifier: MIT */
/*
 * arena.c - one range of addresses, the same in every process, for everything that is simulated
 *
 * It has the scenarios' heap, the fibers' stacks, and the pages that mem_reserve() hands out.
 * Fixed addresses make a run a function of the seed: hashes of addresses agree between processes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "machine/sim/internal.h"

void arena_init(void)
{
	void *want = (void *)ARENA_BASE;
	void *got = mmap(want, ARENA_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (got != want) {
		fprintf(stderr, "quire-explore: cannot reserve the simulated machine's memory\n");
		exit(2);
	}
	madvise(want, ARENA_BYTES, MADV_NOHUGEPAGE);
}

void arena_reset(void)
{
	madvise((void *)ARENA_BASE, ARENA_BYTES, MADV_DONTNEED);
}

char *arena_stack_end(unsigned task)
{
	return (char *)ARENA_STACKS + (task + 1) * STACK_BYTES;
}
