/* SPDX-License-Identifier: MIT */
/* lean_ops.h - the lean sequences of this architecture (included by machine/lean.h only) */
#ifndef MACHINE_LINUX_LEAN_OPS_H
#define MACHINE_LINUX_LEAN_OPS_H

#include "machine/stack.h" /* STACK_SEQUENCES, and how a sequence is framed */

/* The slot of a thread whose CPU is not below all_slots_nr. */
unsigned lean_slot_slow(const struct lean_stacks *s);

#if STACK_SEQUENCES
#include "lean_x86_64.h"
#else
#include "lean_none.h"
#endif

#endif
