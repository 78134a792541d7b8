/* SPDX-License-Identifier: MIT */
/*
 * drain.h - the spool of a program that is being recorded (malloc/recording.h): making it, and moving segments out of its rings
 */
#ifndef QUIRE_TOOL_RECORD_DRAIN_H
#define QUIRE_TOOL_RECORD_DRAIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "malloc/recording.h"

struct drain_request {
	const char *path;
	uint64_t buffer_bytes; /* of each CPU; 0: a default */
	bool children;
	uint64_t cookie;
	char **program; /* for the spool's reader: what was recorded */
};

struct drain {
	int fd;
	struct recording_header *header; /* and the parts behind it */
	uint64_t mapped_bytes;
	uint64_t end; /* of the file */
	int error;    /* of a write of the last turn, or 0 */
	uint64_t looked_ns;
	uint64_t *
		touched_nr; /* by part and ring: slots whose pages are there; atomic, the thread's */

	pthread_t thread;
	bool has_thread;
	uint32_t is_stopping; /* atomic */
	struct {
		struct recording_segment head;
		struct ring_event event[RECORDING_SEGMENT_NR];
	} segment; /* that is being made */
};

/* Makes the file.  0 or -errno; then there is none.  Pair: drain_fini(). */
int drain_init(struct drain *drain, const struct drain_request *request);
/* Has a thread move segments until drain_end().  0 or -errno. */
int drain_begin(struct drain *drain);
/* After the program's end: moves the rest.  0, or -errno of a write that failed: then the rings have what is not behind
 * them. */
int drain_end(struct drain *drain);
/* Leaves the file. */
void drain_fini(struct drain *drain);

#endif
