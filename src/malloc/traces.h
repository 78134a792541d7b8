/* SPDX-License-Identifier: MIT */
/* malloc/traces.h - stacks of calls, each kept once under a number: traces.c, linux/trace.c */
#ifndef MALLOC_TRACES_H
#define MALLOC_TRACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/sparse.h"

struct malloc_call;
struct text;

/* Calls of one trace of debug's or the sample's.  Blocks of a program differ within the first few; more of them make messages
 * long. */
#define TRACE_CALLS_MAX	 12u
#define TRACE_CALLS_MOST 64u /* of any */

struct trace {
	uint32_t next; /* (c) number of the next in the chain; 0: none */
	uint32_t calls_nr;
	/* Sums over blocks of whoever keeps traces; atomic. */
	uint64_t blocks, bytes;
	uint64_t gone_blocks, gone_bytes;
	uint64_t pc[];
};

struct traces_head;

struct traces {
	struct traces_head *head; /* (c) at the start of the memory */
	size_t bytes;		  /* (c) of it */
	struct sparse array;	  /* (c) that is the memory; no base: all of it is there */
};

/* 0, or -ENOMEM.  At most @bytes, 1 GiB, of addresses. */
int traces_init(struct traces *traces, size_t bytes, const char *name);
/* What traces_init() made. */
void traces_fini(struct traces *traces);
/* The traces in memory that reads zero, or has some already. */
void traces_open(struct traces *traces, void *memory, size_t bytes);
/* The number of these calls; 0 if there is no memory for it.  Any thread, any handler, no lock. */
uint32_t traces_keep(struct traces *traces, const uint64_t *pc, unsigned nr);
/* NULL: there is none of that number. */
struct trace *traces_at(const struct traces *traces, uint32_t number);
/* All that are there, while others may be added. */
void traces_each(const struct traces *traces, void (*call)(struct trace *trace, void *arg),
		 void *arg);
/* Samples that found no room in them, or none for what goes with them. */
void traces_count_lost(struct traces *traces);
uint64_t traces_lost_nr(const struct traces *traces);
/* Bytes in use: more, once there are others. */
uint64_t traces_used(const struct traces *traces);

/* ---- linux/trace.c ---- */

/* Return addresses from @call on outwards, at most @most, at least one.  Where frames have no pointers the walk ends,
 * or finds what looks like one: it reads only memory that is there. */
unsigned trace_walk(const struct malloc_call *call, uint64_t *pc, unsigned most);
/* Appends " MODULE+0xOFFSET" for each of its calls, up to the first that is in no module, of which it is the address; " unknown calls"
 * for NULL. */
void trace_put(struct text *text, const struct trace *trace);

#endif
