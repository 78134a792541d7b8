/* SPDX-License-Identifier: MIT */
/* history.h - a program's resident memory over time, and how it is drawn */
#ifndef QUIRE_TOOL_RUN_HISTORY_H
#define QUIRE_TOOL_RUN_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "run/identity.h"

struct history_point {
	uint64_t ns; /* since the beginning */
	uint64_t bytes;
};

struct history {
	const char *name;
	uint64_t begin_ns;
	pid_t pid;
	struct identity identity;     /* its owner is NULL without Quire */
	struct history_point *points; /* in order of time */
	size_t nr, room;
	bool is_short; /* of points, for want of memory */
	/* In all: */
	uint64_t peak_bytes;
	double seconds, cpu_seconds;
};

/* For child_watch(): @arg is the history. */
void history_sample(void *arg, uint64_t now_ns);
void history_fini(struct history *history);
uint64_t history_end_bytes(const struct history *history);

/* A step of an axis from 0 to @max that makes at most @steps_nr of them: 1, 2 or 5 times a power of ten. */
double axis_step(double max, unsigned steps_nr);

/* Without Quire, with it, and with other libraries. */
#define OTHERS_MAX    4
#define HISTORIES_MAX (2 + OTHERS_MAX)

/* Text of 80 columns: the histories share both axes. */
void chart_print(FILE *file, const struct history *histories, unsigned nr);
/* The same as an SVG picture, for white and for dark pages, with the program's name in its title. */
void picture_print(FILE *file, const char *program, const struct history *histories, unsigned nr);

#endif
