/* SPDX-License-Identifier: MIT */
/*
 * command.h - the commands of quire-bench-malloc: the process in which one library's malloc() works
 *
 * Each prints "ok NUMBER..." or "refused REASON", and returns the exit status.  Times are of the
 * CPU unless said otherwise, and resident memory is exact.
 */
#ifndef BENCH_MALLOC_COMMAND_H
#define BENCH_MALLOC_COMMAND_H

#include "harness/subject.h"

extern const struct subject subject_malloc;
extern const struct subject subject_null;

/* PATTERN BYTES THREADS TOUCH MS: as runner_measure() prints. */
int malloc_pairs(const struct subject *subject, char **arguments);
/* Nothing: ns a pair, KiB left. */
int malloc_threads(const struct subject *subject, char **arguments);
/* REPLACEMENTS: see scatter_child.c. */
int malloc_scatter(const struct subject *subject, char **arguments);
/* realloc|calloc: ms, KiB at the peak. */
int malloc_large(const struct subject *subject, char **arguments);
/* MS: handlers run, handlers that were refused an object. */
int malloc_handler(const struct subject *subject, char **arguments);
/* SHAPE: ms of wall time, ms, KiB at the peak. */
int malloc_stress(const struct subject *subject, char **arguments);
/* DIRECTORY STARTS COMMAND LIBRARY: median ms of wall time, us, KiB at the peak of a shell command. */
int malloc_launch(const struct subject *subject, char **arguments);
/* FILE HOW LIBRARY: becomes the script, which measures and prints. */
int malloc_script(const struct subject *subject, char **arguments);

#endif
