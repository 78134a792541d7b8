/* SPDX-License-Identifier: MIT */
/*
 * large.h - large blocks: what the processes that are measured share
 *
 * Words
 *   block     LARGE_LIVE of them are live; 64 KiB .. 64 MiB
 *   written   one byte of every page is; else only the first byte, as any use would
 *   pair      a block is taken and given back
 *   replace   one of the live blocks, chosen at random, is given back and another taken
 *   random    sizes log-uniform in [bytes / 16, bytes], whole pages
 *   sibling   a thread that keeps the other CPU busy in the same address space
 */
#ifndef BENCH_LARGE_H
#define BENCH_LARGE_H

#include <stdint.h>
#include "harness/runner.h"

#define LARGE_PAGE  ((size_t)4096)
#define LARGE_SIZES 1024u /* random sizes, made before the run */

enum large_pattern {
	LARGE_PAIR,   /* one size, given back at once */
	LARGE_FIXED,  /* one size, a random one replaced */
	LARGE_RANDOM, /* random sizes, a random one replaced */
	LARGE_PATTERNS_NR,
};

extern const char *const large_pattern_names[LARGE_PATTERNS_NR];
/* In bytes, for the run's largest block. */
extern size_t large_sizes[LARGE_SIZES];

struct large_subject {
	const char *name;
	const char *(*setup)(const char *options); /* NULL, or why it cannot run here */
	pattern_function patterns[LARGE_PATTERNS_NR];
	void *(*alloc)(size_t bytes);
	void (*free)(void *block, size_t bytes);
	void (*release)(void);	   /* give back what is free; NULL: it cannot be asked */
	uint64_t (*purges)(void);  /* purges so far; NULL: it does not count them */
	uint64_t (*flushes)(void); /* calls that took memory away; NULL as above */
};

extern const struct large_subject large_quire;
extern const struct large_subject large_floor;
extern const struct large_subject large_libc;
extern const struct large_subject large_mmap;

/*
 * The whole life of a process that measures @subject.  Prints "ok NUMBER..." or "refused REASON".
 *
 *	pattern NAME BYTES THREADS WRITTEN MS	ns, CPU ns, stolen, switches, pairs, threads
 *	ops BYTES FIRST STEADY			stolen, mean of the first, of the others, worst
 *	half BYTES LOCK USAGE			see large_idle.c
 *	release BYTES ask|idle LOCK USAGE	see large_idle.c
 *	tail MS purging|any			see large_busy.c
 *	tlb BYTES FREES				see large_busy.c
 */
int large_main(const struct large_subject *subject, int argc, char **argv);

int large_half(const struct large_subject *subject, size_t bytes, char **files);
int large_release(const struct large_subject *subject, bool ask, char **files);
int large_tail(const struct large_subject *subject, unsigned ms, bool purging);
int large_tlb(const struct large_subject *subject, size_t bytes, unsigned frees_nr);

/* ---- large_child.c: helpers of the above ---- */
static inline void large_touch(char *block, size_t bytes, unsigned written)
{
	*(volatile char *)block = 1;
	if (written)
		for (size_t at = LARGE_PAGE; at < bytes; at += LARGE_PAGE)
			((volatile char *)block)[at] = 1;
}

/* A stretch of the calling thread's time, and who else took from it. */
struct span {
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t delay_ns;
	uint64_t others_ns; /* CPU time of this process's threads but for this and the sibling */
	uint64_t steal_ms;
};

/* @sibling_clock: of a thread that is not the subject's, or -1. */
void span_begin(struct span *span, int sibling_clock);
/* Ends it; what it then holds are differences. */
void span_end(struct span *span, int sibling_clock);
/* Share of the time that other processes took; the subject's own threads do not count. */
double span_stolen(const struct span *span);

/* Starts the sibling on the second CPU; returns its CPU clock, or -1 if it cannot run. */
int sibling_start(void *(*function)(void *), void *arg);
/* A sibling that computes. */
void *sibling_spin(void *arg);

#endif
