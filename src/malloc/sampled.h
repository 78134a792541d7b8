/* SPDX-License-Identifier: MIT */
/*
 * malloc/sampled.h - sampled guards (sample:N): sampled.c
 *
 * free() is as ever, since the blocks of the sample lie outside of the instance's pages.  What counts: countdown.h.
 */
#ifndef MALLOC_SAMPLED_H
#define MALLOC_SAMPLED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/layer.h"
#include "malloc/traces.h"

/* Who called: return addresses, the innermost first; the rest is 0. */
struct sampled_callers {
	uint64_t pc[TRACE_CALLS_MAX];
};

/* What an address among the sample's pages belongs to. */
struct sampled_place {
	const char *block; /* the last one of the page; of a guard the one that it is nearest to */
	size_t bytes;
	bool freed;
	const struct sampled_callers *allocated, *given_back;
};

/* Makes the pages, for a sample of one in @n.  False: refused. */
bool sampled_begin(uint32_t n);
extern const struct malloc_layer malloc_sampled __attribute__((visibility("hidden")));
/* False if @addr is not among the pages, or no block was near it yet.  Anywhere, handlers included. */
bool sampled_find(const void *addr, struct sampled_place *place);

/* True if @addr is among the sample's pages: a block there is as large as its user asked for, to the byte. */
bool sampled_has(const void *addr);

/* Adds what is in use of the sample. */
void sampled_count(uint64_t *blocks, uint64_t *bytes);

/* ---- linux/fault.c ---- */

/* The return addresses of @call's caller and of those around it, as far as frame pointers lead. */
void sampled_note_callers(struct sampled_callers *callers, const struct malloc_call *call);
/* An access to a page of the sample that faults is explained by one line from here on. */
void sampled_watch_faults(void);

#endif
