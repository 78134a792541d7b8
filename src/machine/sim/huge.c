/* SPDX-License-Identifier: MIT */
/*
 * huge.c - advice about huge pages, and what the system does to memory that went back in part
 *
 * The system's thread may fill a block that is advised to have huge pages as soon as it finds one
 * page in it.  The model has no such thread: it fails the run where that thread could put memory
 * back that was returned.  A page is *gone* from the finish of its gather until something is
 * written to it, or until nothing is left of its block.  No block may have the advice, a page that
 * is gone, and another page with memory, when a gather has finished or advice was given.
 *
 * A block with a guard in it is never filled.
 */
#include "machine/mem.h"
#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

static size_t page_of(const void *addr)
{
	return ((uintptr_t)addr - ARENA_PAGES) >> 12;
}

static bool has_memory(size_t block)
{
	for (size_t i = block * BLOCK_PAGES; i < (block + 1) * BLOCK_PAGES; i++)
		if (memory_pages[i].touched)
			return true;
	return false;
}

static bool could_be_filled(size_t block)
{
	bool gone = false;

	for (size_t i = block * BLOCK_PAGES; i < (block + 1) * BLOCK_PAGES; i++) {
		gone |= memory_pages[i].gone && !memory_pages[i].touched;
		if (memory_pages[i].guard)
			return false;
	}
	return gone && has_memory(block);
}

static void check_block(size_t block, uintptr_t pc)
{
	if (!memory_advised[block] || !could_be_filled(block))
		return;
	sim_failure.pc = pc;
	sim_fail("filled again",
		 "block %p is advised to have huge pages, and a part of it went back",
		 (void *)(ARENA_PAGES + block * BLOCK_PAGES * 4096));
}

static void set_gone(size_t page, bool gone)
{
	if (memory_pages[page].gone == gone)
		return;
	UNDO(memory_pages[page].gone);
	memory_pages[page].gone = gone;
}

static void forget_gone(size_t block)
{
	for (size_t i = block * BLOCK_PAGES; i < (block + 1) * BLOCK_PAGES; i++)
		set_gone(i, false);
}

void huge_went(void *addr, size_t bytes)
{
	size_t first = page_of(addr), end = first + (bytes >> 12);

	for (size_t i = first; i < end; i++)
		set_gone(i, true);
	for (size_t block = first / BLOCK_PAGES; block <= (end - 1) / BLOCK_PAGES; block++) {
		if (!has_memory(block))
			forget_gone(block);
		check_block(block, CALLER_PC);
	}
}

void mem_advise_huge(void *addr, size_t bytes, bool huge)
{
	size_t first = page_of(addr), end = first + (bytes >> 12);

	sched_point(POINT_GATHER, addr, 0, CALLER_PC);
	/* Only blocks that lie inside, as huge pages do. */
	for (size_t block = (first + BLOCK_PAGES - 1) / BLOCK_PAGES; block < end / BLOCK_PAGES;
	     block++) {
		UNDO(memory_advised[block]);
		memory_advised[block] = huge;
		check_block(block, CALLER_PC);
	}
}

bool mem_huge_is_given(void)
{
	return true;
}

/* The system refuses where the advice is gone. */
int mem_collapse_huge(void *addr, size_t bytes)
{
	size_t block = page_of(addr) / BLOCK_PAGES;

	(void)bytes;
	sched_point(POINT_GATHER, addr, 0, CALLER_PC);
	check_block(block, CALLER_PC);
	return memory_advised[block] ? 0 : -22;
}

/* Nothing to split. */
void mem_split_huge(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
}
