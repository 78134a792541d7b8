/* SPDX-License-Identifier: MIT */
/* cpu_ops.h - the simulated machine's sequences on per-CPU data, one hook a step (cpu.c) */
#ifndef MACHINE_SIM_CPU_OPS_H
#define MACHINE_SIM_CPU_OPS_H

bool cpu_sequence(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
		  uint64_t *result);
bool cpu_add_return(volatile uint64_t *ptr, uint64_t value, uint64_t *sum, size_t *slot);
bool cpu_add_if(volatile uint64_t *ptr, uint64_t value, const volatile uint32_t *guard,
		uint32_t expected);

#endif
