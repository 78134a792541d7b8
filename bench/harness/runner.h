/* SPDX-License-Identifier: MIT */
/*
 * runner.h - one measurement in one fresh process: a subject, a pattern, some pinned threads
 *
 * The tool starts a process for each sample, so that no subject is affected by the caches, the
 * address space or the free lists of another.  The process prints one line for the tool to read.
 *
 * Words
 *   subject   the allocator that is measured: quire, the floor, or a peer
 *   pattern   the order in which blocks are allocated and freed; page/ and vmap/patterns.inc.h are
 *             compiled once per subject, so that each calls its allocator directly, as a program would
 *   worker    one pinned thread of a run
 *   pair      one allocation and one free of a block: the unit of every figure
 */
#ifndef BENCH_RUNNER_H
#define BENCH_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 1,024 blocks a round: more than a per-CPU stack holds, so lists refill and spill. */
#define BULK_BLOCKS   1024u
/* Blocks live under churn; at high orders as many as fit into CHURN_BYTES. */
#define CHURN_BLOCKS  32768u
#define CHURN_BYTES   ((uint64_t)2 << 30)
/* Pairs between two checks of the stop flag, and blocks handed to the other CPU at once. */
#define ROUND_PAIRS   128u
#define RING_BLOCKS   1024u
#define SHUFFLES_NR   8u
#define WORKERS_MAX   2u
#define AREAS_LIVE    16u
#define CACHE_LINES_2 __attribute__((aligned(128)))

enum pattern {
	PATTERN_LIFO,
	PATTERN_FIFO,
	PATTERN_RAND,
	PATTERN_CHURN,
	PATTERN_REMOTE,
	PATTERNS_NR,
};

extern const char *const pattern_names[PATTERNS_NR];

/* Patterns of areas: see vmap/areas.h. */
enum area_pattern {
	AREA_PAIR,   /* one size, given back at once */
	AREA_FIXED,  /* one size, a random one replaced */
	AREA_RANDOM, /* random sizes, a random one replaced */
	AREA_PATTERNS_NR,
};

extern const char *const area_pattern_names[AREA_PATTERNS_NR];

struct run {
	enum pattern pattern; /* of pages */
	unsigned order;
	unsigned threads_nr;
	unsigned touch; /* 1: one byte of each block, or of each page of an area, is written */
	unsigned measure_ms;
	size_t bytes;	      /* of an area, at most */
	uint64_t warm_pairs;  /* at least as many before the measurement */
	uint64_t first_pairs; /* measure as many after the fill; 0: until told to stop */
};

/* A ring from one producer to one consumer, handed over ROUND_PAIRS blocks at a time. */
struct ring {
	uint64_t written CACHE_LINES_2; /* blocks published: the producer writes */
	bool ended;			/* nothing follows */
	uint64_t taken CACHE_LINES_2;	/* blocks consumed: the consumer writes */
	void *blocks[RING_BLOCKS] CACHE_LINES_2;
};

enum stop {
	STOP_NO,
	STOP_WHEN_WARM, /* once pairs_min pairs are done */
	STOP_NOW,
};

struct worker {
	const struct run *run;
	const int *stop; /* enum stop, written by the main thread */
	struct ring *ring;
	unsigned index;
	unsigned cpu;
	uint64_t pairs_nr;
	uint64_t pairs_min;
	uint64_t random;
	unsigned live_nr;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t delay_ns;	  /* ready, but without a CPU */
	uint64_t switches_nr;	  /* involuntary */
	const char *refused;	  /* NULL, or why this run measured nothing */
	size_t sizes[AREAS_LIVE]; /* of the first blocks: patterns of areas */
	void *blocks[CHURN_BLOCKS] CACHE_LINES_2;
} CACHE_LINES_2;

/* True until the phase is over.  One load from a line that no thread writes during the phase. */
static inline bool worker_goes_on(const struct worker *w)
{
	int stop = __atomic_load_n(w->stop, __ATOMIC_RELAXED);

	return stop == STOP_NO || (stop == STOP_WHEN_WARM && w->pairs_nr < w->pairs_min);
}

/* A pause in a loop that waits for another CPU. */
#if defined(__x86_64__)
static inline void spin_pause(void)
{
	__builtin_ia32_pause();
}
#else
static inline void spin_pause(void)
{
	__asm__ volatile("" ::: "memory");
}
#endif

/* Shuffles of 0..BULK_BLOCKS-1, made before the run: shuffling is not what is measured. */
extern uint16_t shuffles[SHUFFLES_NR][BULK_BLOCKS];
void shuffles_make(void);

typedef void (*pattern_function)(struct worker *w);

/*
 * Starts the workers, warms and measures.  Prints "ok STOLEN NS CPU_NS SWITCHES PAIRS THREADS", or
 * "refused REASON".  NS is for a pair, the mean of the threads, except that a remote pair is timed
 * where it ends.  STOLEN is a share of the wall time.
 */
int runner_measure(pattern_function pattern, const struct run *run);

#endif
