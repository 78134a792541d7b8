/* SPDX-License-Identifier: MIT */
/*
 * stack_ops.h - the sequences of this architecture (included by machine/stack.h only)
 *
 * STACK_SEQUENCES tells stack.c whether there are any.  ThreadSanitizer sees neither the
 * sequences nor what they order, so its builds use the locks.
 */
#ifndef MACHINE_LINUX_STACK_OPS_H
#define MACHINE_LINUX_STACK_OPS_H

#include "sanitizer.h"

#if MACHINE_TSAN
#define STACK_SEQUENCES 0
#elif defined(__x86_64__) && defined(__LP64__)
#define STACK_SEQUENCES 1
#else
#define STACK_SEQUENCES 0
#endif

/* The slot of a thread whose slot number is not below slots_nr.  The result is below
 * all_slots_nr. */
int stack_slot_slow(const struct cpu_stacks *s);

#if STACK_SEQUENCES
#include "stack_x86_64.h"
#else
#include "stack_none.h"
#endif

#endif
