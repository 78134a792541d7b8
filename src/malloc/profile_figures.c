/* SPDX-License-Identifier: MIT */
/* malloc/profile_figures.c - what a trace of the profile says: for who writes it, in this process or in another one */
#include "machine/atomic.h"
#include "malloc/profile.h"
#include "malloc/traces.h"

struct profile_figures profile_figures(const struct trace *trace)
{
	/* In this order: what is gone was there. */
	uint64_t gone_blocks = load_acquire(&trace->gone_blocks); /* pairs with add_gone() */
	uint64_t gone_bytes = load_acquire(&trace->gone_bytes);	  /* likewise */
	uint64_t blocks = load_relaxed(&trace->blocks), bytes = load_relaxed(&trace->bytes);

	return (struct profile_figures){
		.alloc_blocks = (blocks + PROFILE_ONE_BLOCK / 2) / PROFILE_ONE_BLOCK,
		.alloc_bytes = bytes,
		.used_blocks = (blocks - gone_blocks + PROFILE_ONE_BLOCK / 2) / PROFILE_ONE_BLOCK,
		.used_bytes = bytes - gone_bytes,
	};
}
