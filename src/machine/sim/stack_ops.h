/* SPDX-License-Identifier: MIT */
/*
 * stack_ops.h - the simulated machine's sequences, one hook a step (stack.c)
 *
 * A parameter may be called "class", as in stack.h: C++ never includes this file.
 */
#ifndef MACHINE_SIM_STACK_OPS_H
#define MACHINE_SIM_STACK_OPS_H

uint32_t stack_pop(const struct cpu_stacks *s, unsigned class);
bool stack_push(const struct cpu_stacks *s, unsigned class, uint32_t entry, const uint8_t *guard,
		uint8_t expected);
unsigned stack_pop_n(const struct cpu_stacks *s, unsigned class, uint32_t *entries, unsigned n);
unsigned stack_push_n(const struct cpu_stacks *s, unsigned class, const uint32_t *entries,
		      unsigned n);
int stack_slot(const struct cpu_stacks *s);

#endif
