/* SPDX-License-Identifier: MIT */
/* progress.h - one line on a terminal while a replay runs: progress and speed */
#ifndef QUIRE_TOOL_PROGRESS_H
#define QUIRE_TOOL_PROGRESS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	const char *name;
	uint64_t total_nr;
	uint64_t begin_ns, shown_ns; /* of the thread that shows it */
	_Atomic uint64_t done_nr;
	bool is_on; /* stderr is a terminal */
};

/* Nanoseconds of the monotonic clock. */
uint64_t progress_now_ns(void);
void progress_begin(struct progress *progress, const char *name, uint64_t total_nr);
/* @shows: this thread writes the line; one does. */
void progress_add(struct progress *progress, uint64_t nr, bool shows);
/* Wipes the line. */
void progress_end(struct progress *progress);

/* A line of at most @room columns: all, or without the name, or no more than how far. */
void progress_format(char *line, size_t bytes, size_t room, const char *name, uint64_t percent,
		     double million);

#endif
