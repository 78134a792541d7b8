/* SPDX-License-Identifier: MIT */
/* cpu_ops.h - libquire's own use of the sequences that programs inline (machine/cpu.h only) */
#ifndef MACHINE_LINUX_CPU_OPS_H
#define MACHINE_LINUX_CPU_OPS_H

/* libquire's words: filled when first asked for. */
extern struct quire_this_cpu_words cpu_words __attribute__((visibility("hidden")));

bool cpu_sequence(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
		  uint64_t *result);

static inline bool cpu_add_return(volatile uint64_t *ptr, uint64_t value, uint64_t *sum,
				  size_t *slot)
{
	return quire_seq_add_return_8(&cpu_words, ptr, value, sum, slot);
}

static inline bool cpu_add_if(volatile uint64_t *ptr, uint64_t value,
			      const volatile uint32_t *guard, uint32_t expected)
{
	return quire_seq_add_if(&cpu_words, ptr, value, guard, expected);
}

#endif
