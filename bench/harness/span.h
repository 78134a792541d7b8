/* SPDX-License-Identifier: MIT */
/* span.h - a span of time, the part that other processes took, and a sibling thread for load */
#ifndef BENCH_SPAN_H
#define BENCH_SPAN_H

#include <stdint.h>

/* A span of the calling thread's time, and the time that other processes took from it. */
struct span {
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t delay_ns;
	uint64_t others_ns; /* CPU time of this process's threads except this one and the sibling */
	uint64_t steal_ms;
};

/* @sibling_clock: of a thread that is not the subject's, or -1. */
void span_begin(struct span *span, int sibling_clock);
/* Ends it; its fields are differences afterwards. */
void span_end(struct span *span, int sibling_clock);
/* Share of the time that other processes took; the subject's own threads do not count. */
double span_stolen(const struct span *span);

/* Starts the sibling on the second CPU; returns its CPU clock, or -1 if it cannot run. */
int sibling_start(void *(*function)(void *), void *arg);
/* A sibling that computes. */
void *sibling_spin(void *arg);

#endif
