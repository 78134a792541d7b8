/* SPDX-License-Identifier: MIT */
/* lean_ops.h - the simulated machine's lean sequences, one hook a step (lean.c) */
#ifndef MACHINE_SIM_LEAN_OPS_H
#define MACHINE_SIM_LEAN_OPS_H

void *lean_pop(const struct lean_stacks *s, unsigned class);
bool lean_push(const struct lean_stacks *s, unsigned class, void *entry);
unsigned lean_pop_n(const struct lean_stacks *s, unsigned class, void **entries, unsigned n);
unsigned lean_push_n(const struct lean_stacks *s, unsigned class, void *const *entries, unsigned n);
bool lean_replace(const struct lean_stacks *s, unsigned slot, unsigned class,
		  struct lean_header expected, struct lean_header wanted);
unsigned lean_slot(const struct lean_stacks *s);

#endif
