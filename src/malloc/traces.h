/* SPDX-License-Identifier: MIT */
/* malloc/traces.h - stacks of calls, each kept once under a number: traces.c, linux/trace.c */
#ifndef MALLOC_TRACES_H
#define MALLOC_TRACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct malloc_call;
struct text;

/* Calls of one trace.  Blocks of a program differ within the first few; more of them make messages long. */
#define TRACE_CALLS_MAX 12u

/* 0, or -ENOMEM. */
int traces_init(void);
/* The number of the calls that led to @call; 0 if there is no memory for it.  Any thread, any handler, no lock. */
uint32_t traces_keep(const struct malloc_call *call);
/* Appends " MODULE+0xOFFSET" for each of its calls, up to the first that is in no module; " unknown calls" for 0. */
void traces_put(struct text *text, uint32_t trace);

/* ---- sums over blocks, by trace: at the end of a process, one thread ---- */

void traces_add(uint32_t trace, size_t bytes);
struct trace_sum {
	uint32_t trace;
	uint64_t blocks, bytes;
};
/* Takes the largest sum away and returns it; no blocks: there is none left. */
struct trace_sum traces_take_largest(void);

/* ---- linux/trace.c ---- */

/* Return addresses from @call on outwards, at most @most, at least one.  Where frames have no pointers the walk ends,
 * or finds what looks like one: it reads only memory that is there. */
unsigned trace_walk(const struct malloc_call *call, uint64_t *pc, unsigned most);
/* Appends MODULE+0xOFFSET, or the bare address if no module has it, with false. */
bool trace_put_address(struct text *text, uint64_t pc);

#endif
