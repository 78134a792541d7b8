/* SPDX-License-Identifier: MIT */
/* variable.h - an instance's per-CPU variables: variable.c */
#ifndef PERCPU_VARIABLE_H
#define PERCPU_VARIABLE_H

#include <stdbool.h>
#include <stdint.h>

struct percpu;
struct variable;
struct variable_page;

/* All under alloc_mutex. */
struct variables {
	struct variable_page *pages; /* records, used or not */
	struct variable *free;
	uint64_t serial;      /* of the next record */
	uint64_t unloaded_nr; /* libraries unloaded when the records were last examined */
	bool collecting;      /* a thread is examining the records */
};

/* Frees the variables of libraries that were unloaded since.  No lock may be held. */
void variables_collect(struct percpu *pc);
/* Called when the instance ends: moves its variables, with their values, to the default
 * instance. */
void variables_move(struct percpu *pc);
void variables_fini(struct percpu *pc);

#endif
