/* SPDX-License-Identifier: MIT */
/*
 * doctor.h - `quire doctor`: what this system gives Quire, and what it costs where it does not
 *
 * A check tries the thing itself, on this machine and with this process's rights: a version says what a kernel could do, not what a
 * filter, a container or a setting leaves of it.
 */
#ifndef QUIRE_TOOL_DOCTOR_H
#define QUIRE_TOOL_DOCTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum finding_state {
	FINDING_OK,
	FINDING_MISSING, /* Quire works, and something costs more */
	FINDING_NOTE,	 /* neither good nor bad: a limit that is set */
};

struct finding {
	enum finding_state state;
	char what[200]; /* what was found, with the figures that were measured */
	char mend[200]; /* what to do; "" if nothing */
};

struct check {
	const char *name;
	void (*look)(struct finding *finding);
};

extern const struct check checks_cpu[];	   /* what fast paths need: end with a NULL name */
extern const struct check checks_memory[]; /* how memory goes back, and huge pages */
extern const struct check
	checks_limits[]; /* what bounds a process, and who says that memory is short */

void found(struct finding *finding, enum finding_state state, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void mend(struct finding *finding, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Nanoseconds of one call of @function, the least of some runs of a few milliseconds each. */
double measure_ns(void (*function)(void *arg), void *arg);

/* The first line of a file, without its end; false if it cannot be read. */
bool read_line(const char *path, char *line, size_t bytes);

#endif
