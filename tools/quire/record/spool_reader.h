/* SPDX-License-Identifier: MIT */
/*
 * spool_reader.h - the events of a spool (malloc/recording.h), in the order of their times
 *
 * It makes no difference how the recording ended: what the command has moved behind the parts comes from there, and the rest
 * from the rings.  What is damaged is left out and counted.
 */
#ifndef QUIRE_TOOL_RECORD_SPOOL_READER_H
#define QUIRE_TOOL_RECORD_SPOOL_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/recording.h"

struct spool_event {
	struct ring_event event;
	uint32_t process, cpu;
};

/* Events that found no room in a ring. */
struct spool_loss {
	uint64_t nr;
	uint64_t first_ns, last_ns;
	uint32_t cpu;
};

struct spool_run;

struct spool_reader {
	int fd;
	const struct recording_header *header; /* the whole file */
	uint64_t bytes;
	char error[256];

	struct spool_run *runs; /* by the times of their first events */
	size_t runs_nr, runs_room, next_run;
	struct spool_run **open; /* a heap by the times of their next events */
	size_t open_nr, open_room;
	bool no_memory;

	/* Known once it is open. */
	uint64_t events_nr;
	uint64_t
		holes_nr; /* events that were being written when their process was killed, or too late */
	uint64_t damaged_nr; /* segments whose checksums are wrong */
	uint64_t damaged_at; /* where the first of them begins */
	uint64_t torn_at;    /* where a segment begins that the file has not all of; 0: nowhere */
	struct spool_loss *losses; /* by the times of their ends */
	size_t losses_nr, losses_room;
	struct spool_loss *loss; /* sums, by CPU */
};

/* 0, or -1 with @reader->error.  Pair: spool_reader_close(), always. */
int spool_reader_open(struct spool_reader *reader, const char *path);
void spool_reader_close(struct spool_reader *reader);
/* 1 and @event; 0 after the last one; -1 with @reader->error. */
int spool_reader_next(struct spool_reader *reader, struct spool_event *event);

#endif
