/* SPDX-License-Identifier: MIT */
/* bench.h - shared by the files of quire-bench: options, samples, verdicts, the report */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REPS_MAX 101u

struct options {
	unsigned reps;
	unsigned measure_ms;
	bool quick;
	bool keep;	  /* keep samples although other processes took time from them */
	const char *rows; /* NULL or a regular expression */
	FILE *csv;	  /* NULL or open */
};

/* ---- stats.c ---- */
struct spread {
	unsigned nr; /* 0: nothing was measured, the rest is 0 */
	double median;
	double quarter;	       /* a quarter of the values is below, */
	double three_quarters; /* and a quarter above */
};

struct spread spread_of(const double *values, unsigned nr);
/* Quartile distance over median. */
double spread_relative(const struct spread *spread);

/* ---- page/targets.c: all wanted figures except those of vmap/targets.h ---- */
enum limit_kind {
	LIMIT_NONE,
	AT_MOST,
	AT_LEAST,
};

struct target {
	enum limit_kind kind;
	double limit;
	const char *wanted;
};

extern const struct target target_none;
extern const struct target target_frag_random_blocks;
extern const struct target target_frag_random_ns;
extern const struct target target_frag_rounds_blocks;
extern const struct target target_frag_mixed_blocks;
extern const struct target target_build_end; /* and 1.5 for each block's worth of live pages */
extern const struct target target_build_removed;
extern const struct target target_build_mixed;
extern const struct target target_fallback_ns;
extern const struct target target_drain_idle_us;
extern const struct target target_drain_page_ns;
extern const struct target target_drain_over_fence_us;
extern const struct target target_drain_gap_us;
extern const struct target target_metadata_bytes;
extern const struct target target_idle_kib;
extern const struct target target_light_kib;
extern const struct target target_light_us;
extern const struct target target_light_calls;
extern const struct target target_pieces_mib;
extern const struct target target_pieces_mappings;
extern const struct target target_purge_ms;
extern const struct target target_tree_ratio;
extern const struct target target_tree_compares;
extern const struct target target_vmas;
extern const struct target target_policy_spurious;
extern const struct target target_percpu_pair_ns;
extern const struct target target_percpu_pair_both_ns;
extern const struct target target_percpu_written_mib; /* plus the size of the bitmaps */
extern const struct target target_percpu_idle_mib;
extern const struct target target_percpu_atomic;

/* ---- report.c ---- */
struct figure {
	const char *what;
	double value;
	const char *unit;
	const char *note; /* NULL or a note to print beside the number */
};

void report_csv(const struct options *options, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Prints command, machine and build; also into the CSV, as comments. */
void report_machine(const struct options *options, int argc, char **argv);
void report_figures_begin(const char *title);
void report_figure(const struct options *options, const struct figure *figure,
		   const struct target *target);
/* Reports a figure that could not be measured, and the reason. */
void report_refused(const struct options *options, const char *what, const char *reason);
/* Three significant digits: 3.14, 31.4, 314, 3.1k. */
const char *report_number(double value, char *text, size_t bytes);
/* Verdicts of this process and its children so far; begin before the first fork. */
void report_tally_begin(void);
void report_tally(bool met);
void report_tally_print(void);

/* ---- child.c: runner processes ---- */
struct child_order {
	const char *program;  /* file beside this one; NULL: this one */
	const char *preload;  /* NULL or a library */
	const char *cgroup;   /* NULL or the cgroup.procs to join */
	bool quiet;	      /* its errors are not shown */
	const char *argv[15]; /* after the program's name, up to NULL */
};

struct child {
	int pid;
	int fd;
};

bool child_start(const struct child_order *order, struct child *child);
/* Waits for it, at most two minutes, and stores its line; false if it died or printed nothing. */
bool child_finish(struct child *child, char *reply, size_t bytes);
bool child_run(const struct child_order *order, char *reply, size_t bytes);

/* ---- contenders.c: the contenders, and how each is started ---- */
#define CONTENDERS_NR 8u

struct contender {
	const char *name;    /* NULL: nobody */
	const char *subject; /* NULL: Quire, in this program */
	const char *program; /* that has the subject; NULL: quire-bench-peer */
	const char *options; /* Quire's, as in QUIRE_CONF; NULL: not Quire */
	const char *library; /* NULL or a library to preload */
	const char *match;   /* part of the library's file name that free() must come from */
	bool is_peer;
};

/* The table of this process: pages and areas, until malloc_contenders() chooses the other. */
extern const struct contender *contenders;
#define CONTENDER_QUIRE	       0u /* guard:off, as the peers have none */
#define CONTENDER_GUARDED      1u
#define CONTENDER_FLOOR	       2u
#define CONTENDER_PEERS	       3u /* the first peer; the rest are peers too */
#define CONTENDER_MIMALLOC     5u
#define CONTENDER_GLIBC	       6u
#define CONTENDER_MMAP	       7u
/* In the table of malloc_contenders(). */
#define CONTENDER_LINKED       1u
#define CONTENDER_LINKED_FLOOR 7u

/* malloc/contenders.c: from now on the contenders are libraries that replace malloc(), preloaded into
 * quire-bench-malloc.  The floor is a malloc() that does nothing. */
void malloc_contenders(void);

/* Sets program, preload and the first arguments, the last of which is the options.  Returns the
 * number of arguments. */
unsigned contender_order(const struct contender *contender, struct child_order *order);
/* Finds out which contenders are installed, and names the others on stderr.  @there has
 * CONTENDERS_NR elements. */
void contenders_probe(bool *there);

/* ---- the questions, one file each ---- */
void bench_rows(const struct options *options);
void bench_frag(const struct options *options);
void bench_build(const struct options *options);
void bench_fallback(const struct options *options);
void bench_drain(const struct options *options);
void bench_release(const struct options *options);
void bench_meta(const struct options *options);
void bench_light(const struct options *options);
void bench_large(const struct options *options);
void bench_replace(const struct options *options);
void bench_sparse(const struct options *options);
void bench_pieces(const struct options *options);
void bench_half(const struct options *options);
void bench_areas(const struct options *options);
void bench_tail(const struct options *options);
void bench_tlb(const struct options *options);
void bench_purge(const struct options *options);
void bench_tree(const struct options *options);
void bench_vmas(const struct options *options);
void bench_calls(const struct options *options);
void bench_policies(const struct options *options);
void bench_percpu_ops(const struct options *options);
void bench_percpu_alloc(const struct options *options);
void bench_percpu_batch(const struct options *options);
void bench_percpu_patterns(const struct options *options);
void bench_percpu_memory(const struct options *options);
void bench_percpu_atomic(const struct options *options);
void bench_malloc(const struct options *options);
void bench_malloc_left(const struct options *options);
void bench_malloc_freed(const struct options *options);
void bench_malloc_large(const struct options *options);
void bench_malloc_start(const struct options *options);
void bench_malloc_handler(const struct options *options);
void bench_stress(const struct options *options);
void bench_programs(const struct options *options);
void bench_redis(const struct options *options);

#endif
