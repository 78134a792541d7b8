/* SPDX-License-Identifier: MIT */
/*
 * subject.h - the subjects of measurements, and the commands of a process that measures one
 *
 * A subject takes pages by order, and areas by bytes; libc stands for each library that is
 * preloaded.
 */
#ifndef BENCH_SUBJECT_H
#define BENCH_SUBJECT_H

#include "harness/runner.h"

struct subject {
	const char *name;
	/* NULL, or why it cannot run here.  @options as in QUIRE_CONF; only Quire has any. */
	const char *(*setup)(const char *options);

	const char *(*pages_setup)(void); /* NULL, or what its pages need; as setup() */
	unsigned order_max;
	pattern_function page_patterns[PATTERNS_NR];
	void *(*page_alloc)(unsigned order);
	void (*page_free)(void *block, unsigned order);

	pattern_function area_patterns[AREA_PATTERNS_NR];
	void *(*alloc)(size_t bytes);
	void (*free)(void *block, size_t bytes);

	void (*release)(void);	  /* returns free memory to the system; NULL: it has no such call */
	uint64_t (*purges)(void); /* purges so far; NULL: it does not count them */
	uint64_t (*flushes)(void); /* calls that took memory away; NULL as above */
};

extern const struct subject subject_quire;
extern const struct subject subject_floor;
extern const struct subject subject_libc;
extern const struct subject subject_mmap;

/* Asks the library that replaces malloc() to return free memory, in its own way. */
void libc_release(void);

/*
 * A command: the whole work of a process that measures.  It prints "ok NUMBER..." or
 * "refused REASON", and returns the exit status.
 */
struct command {
	const char *name;
	const char *arguments; /* as they are called in its file */
	unsigned arguments_nr;
	int (*run)(const struct subject *subject, char **arguments);
};

int page_pairs(const struct subject *subject, char **arguments);
int area_pairs(const struct subject *subject, char **arguments);
int area_replace(const struct subject *subject, char **arguments);
int area_sparse(const struct subject *subject, char **arguments);
int area_half(const struct subject *subject, char **arguments);
int area_tail(const struct subject *subject, char **arguments);
int area_tlb(const struct subject *subject, char **arguments);
int release_child(const struct subject *subject, char **arguments);

/* OPTIONS COMMAND ARGUMENT...: runs the command. */
int subject_main(const struct subject *subject, int argc, char **argv);

#endif
