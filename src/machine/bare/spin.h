/* SPDX-License-Identifier: MIT */
/*
 * spin.h - spinning for a word with interrupts masked
 *
 * Whoever holds such a word runs to the release without an interrupt.  A waiter keeps them masked only if its caller
 * had: it then answers by hand what other CPUs ask of this one (ipi.h), because the holder may be waiting for that
 * answer.
 */
#ifndef MACHINE_BARE_SPIN_H
#define MACHINE_BARE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/atomic.h"
#include "machine/bare/x86.h"

struct spin {
	uint32_t word; /* atomic: 1 while it is held */
};

/* After a failed attempt with interrupts masked; @flags are the caller's. */
void spin_wait(uint64_t flags);

static inline bool spin_take(uint32_t *word)
{
	uint32_t found = 0;

	return cas_acquire(word, &found, UINT32_C(1)); /* pairs with a release */
}

/* Returns the flags that the release restores. */
static inline uint64_t spin_acquire(struct spin *spin)
{
	uint64_t flags = interrupts_mask();

	while (!spin_take(&spin->word))
		spin_wait(flags);
	return flags;
}

/* By any CPU: for assertions. */
static inline bool spin_is_held(const struct spin *spin)
{
	return load_relaxed(&spin->word) != 0;
}

static inline void spin_release(struct spin *spin, uint64_t flags)
{
	store_release(&spin->word, UINT32_C(0)); /* pairs with spin_take() */
	interrupts_restore(flags);
}

#endif
