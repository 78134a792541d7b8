/* SPDX-License-Identifier: MIT */
/* percpu/balance.h - when memory is given back, and what is populated ahead: balance.c */
#ifndef PERCPU_BALANCE_H
#define PERCPU_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct percpu;
struct quire_module;

/* Linux's reserve for callers that cannot wait: an object of at most a page can straddle two, and a
 * pass should cover two such requests. */
#define EMPTY_LOW  2u
#define EMPTY_HIGH 4u

/* One pass, under alloc_mutex; @all: nothing is kept but the first chunk.  Returns page offsets. */
size_t balance(struct percpu *pc, bool all);
/* The same on behalf of a caller that holds nothing and waits for others.  Returns bytes. */
size_t balance_all(struct percpu *pc);
/* On behalf of any module: passes by if somebody is at it. */
size_t balance_shrink(struct quire_module *module);
/* The worker's visit; returns when it is due again. */
uint64_t balance_tick(struct quire_module *module, uint64_t now_ns);
/* Has the worker come by then; 0: soon.  Legal anywhere. */
void balance_kick(struct percpu *pc, uint64_t due_ns);

#endif
