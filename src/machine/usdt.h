/* SPDX-License-Identifier: MIT */
/*
 * usdt.h - probes for bpftrace, perf and gdb: docs/probes.md lists them
 *
 * USDT(name, values...) is one nop, and a note in the file that says where the nop is and in which registers the values are.
 * A tracer that wants the probe replaces the nop by a trap.  There is neither a flag to test nor a function to
 * call, so a probe costs at most the computation of its values.
 *
 * At most ten values, integers without sign (a pointer as uintptr_t), shown in 64 bits.  A probe is on a slow path only, and never
 * in a sequence: the trap would abort it each time.
 */
#ifndef MACHINE_USDT_H
#define MACHINE_USDT_H

#include "usdt_ops.h"

#define USDT_NTH(a, b, c, d, e, f, g, h, i, j, n, ...) n
#define USDT_N(...)				       USDT_NTH(__VA_ARGS__, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define USDT_WITH(n, name, ...)			       USDT_OF(n, name, __VA_ARGS__)

/* The machine's usdt_ops.h has USDT_OF(): the same, told how many values there are. */
#define USDT(name, ...) USDT_WITH(USDT_N(__VA_ARGS__), name, __VA_ARGS__)

#endif
