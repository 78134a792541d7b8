/* SPDX-License-Identifier: MIT */
/*
 * kernel_stream.h - the events of all CPUs in the order of their times
 *
 * Each CPU's raw pages are in a spool of its own, in order.  A CPU's events are decoded some way ahead
 * of where they are given out: the kernel says that a page's free was of a batch only in a later event
 * of the same CPU.
 */
#ifndef QUIRE_TOOL_KERNEL_STREAM_H
#define QUIRE_TOOL_KERNEL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "record/kernel_events.h"

struct kernel_lane;

struct kernel_stream {
	const struct kernel_formats *formats;
	struct kernel_lane *lanes; /* by CPU */
	uint32_t cpus_nr;
	uint32_t cpu;	   /* of the events that are given out now */
	uint64_t until_ns; /* another CPU's next event */
	uint64_t raw[KERNEL_EVENTS_NR];
	uint64_t others_nr;	       /* events that are not ours */
	uint64_t batched_unmatched_nr; /* batched events whose free was not seen */
	uint64_t bytes_done_nr;
	bool is_begun;
};

/* @spools: a descriptor for each CPU.  0 or a negative errno.  Pair: kernel_stream_fini(), always. */
int kernel_stream_init(struct kernel_stream *stream, const struct kernel_formats *formats,
		       const int *spools, uint32_t cpus_nr);
/* The next event, which stays valid until the next call, and its CPU in stream->cpu; NULL after the
 * last. */
const struct kernel_event *kernel_stream_next(struct kernel_stream *stream);
void kernel_stream_fini(struct kernel_stream *stream);

#endif
