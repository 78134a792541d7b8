/* SPDX-License-Identifier: MIT */
/* block.h - shared by the programs that misuse malloc() */
#ifndef MISUSE_MALLOC_BLOCK_H
#define MISUSE_MALLOC_BLOCK_H

#include <malloc.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

/* New in C; libc's header may lack them. */
void free_sized(void *block, size_t bytes);
void free_aligned_sized(void *block, size_t align, size_t bytes);

/* The same address, of which the compiler knows nothing. */
static inline void *hidden(const void *block)
{
	uintptr_t address = (uintptr_t)block;

	__asm__ volatile("" : "+r"(address));
	return (void *)address;
}

/* The program has used malloc() before. */
static inline void heap_begin(void)
{
	free(hidden(malloc(1)));
}

/* The thread stays on its CPU: there a second free that follows the first one is seen at once. */
static inline void stay(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)sched_getcpu(), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* What is wrong with a block that this CPU keeps is found here at the latest. */
static inline int look(void)
{
	return malloc_trim(0) == 2;
}

#endif
