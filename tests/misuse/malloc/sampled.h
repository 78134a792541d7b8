/* SPDX-License-Identifier: MIT */
/* sampled.h - shared by programs whose every block is one of the sample (sample:1) */
#ifndef MISUSE_MALLOC_SAMPLED_H
#define MISUSE_MALLOC_SAMPLED_H

#include "block.h"

#define PAGE 4096u

/* A block at the end of its page, but for what its alignment leaves. */
static inline void *at_end(size_t bytes)
{
	for (;;) {
		void *block = malloc(bytes);

		if (((uintptr_t)hidden(block) + bytes + 15) % PAGE < 16)
			return hidden(block);
	}
}

/* At the start. */
static inline void *at_start(size_t bytes)
{
	for (;;) {
		void *block = malloc(bytes);

		if ((uintptr_t)hidden(block) % PAGE == 0)
			return hidden(block);
	}
}

#endif
