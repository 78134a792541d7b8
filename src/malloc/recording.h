/* SPDX-License-Identifier: MIT */
/*
 * malloc/recording.h - the spool: a file in which `quire record` has the calls of a program, and what writes there
 *
 * The command makes the file and the library maps it.  Each process of the program takes a part, which has a ring for each CPU
 * (ring.h).  The command takes segments out of the rings while the program runs and appends them to the file, each
 * with a checksum.  So at any moment the file has everything: what was taken, and in the rings the rest.  Nothing has to run
 * at anybody's end, and a command of later (`quire record --recover`) reads it as well.
 *
 *	header | part | part | ... | segment | segment | ...
 *
 * A part: the rings, RECORDING_RINGS_BYTES, then the slots of each.
 *
 * This file is all that the library and the command agree on.  RECORDING_VERSION changes with it.
 */
#ifndef MALLOC_RECORDING_H
#define MALLOC_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/owner.h"
#include "malloc/ring.h"

#define RECORDING_MAGIC	   0x6c6f6f7073657571u /* "quespool", less a letter */
#define RECORDING_VERSION  4u
#define RECORDING_PARTS_NR 64u
#define RECORDING_HEADER_BYTES                                                                     \
	65536u			 /* the largest page, so that each part can be mapped by itself */
#define RECORDING_RINGS_NR 1024u /* CPUs beyond share them */
#define RECORDING_RINGS_BYTES                                                                      \
	(RECORDING_RINGS_NR * sizeof(struct ring)) /* two of the largest pages */
#define RECORDING_SEGMENT_NR 2048u		   /* events: 64 KiB */

_Static_assert(RECORDING_RINGS_BYTES % RECORDING_HEADER_BYTES == 0, "slots begin at a page");

/* Whose a part is. */
struct recording_owner {
	uint64_t
		who; /* atomic: owner_word(); 0: nobody's, once the command has taken everything out of it */
	uint32_t process; /* atomic: a number that no other process in the file has, from 1 on */
};

struct recording_header {
	uint64_t magic;
	uint32_t version;
	uint32_t rings_nr; /* of a part */
	uint64_t slots_nr; /* of a ring: a power of two, and at least two segments */
	uint64_t cookie;   /* the report's (report.h) */
	uint32_t parts_nr;
	uint32_t processes_nr; /* atomic: numbers given out */
	uint32_t
		unrecorded_nr; /* atomic: processes that found no part, or no room for it in the file */
	/* Times of events are in ticks (clock_ticks()) if begin_ticks is not 0, else in ns. */
	uint64_t begin_ticks;
	uint64_t last_ticks, last_ns; /* of one moment; the command goes on with them */
	uint64_t begin_ns;	      /* monotonic, and the same moment of the calendar */
	uint64_t begin_calendar_ns;
	char command[1024]; /* as much of the program's arguments as there is room for */
	struct recording_owner owner[RECORDING_PARTS_NR];
};
_Static_assert(sizeof(struct recording_header) <= RECORDING_HEADER_BYTES, "the parts follow it");

/* A segment begins with this; its events follow. */
struct recording_segment {
	uint64_t magic;
	uint64_t checksum; /* of all that follows, events included */
	uint32_t process, cpu;
	uint64_t slot; /* its first one in the ring */
	uint32_t events_nr;
	uint32_t holes_nr; /* slots without a whole event */
	uint64_t lost_nr;  /* events that found no room in this ring since the segment before */
	uint64_t lost_first_ns, lost_last_ns;
	uint64_t first_ns; /* of the earliest event in it */
};

#define RECORDING_SEGMENT_MAGIC 0x746e656d67657351u /* "Qsegment" */

static inline uint64_t recording_part_bytes(const struct recording_header *header)
{
	return RECORDING_RINGS_BYTES +
	       header->rings_nr * header->slots_nr * sizeof(struct ring_event);
}

static inline uint64_t recording_part_offset(const struct recording_header *header, unsigned idx)
{
	return RECORDING_HEADER_BYTES + idx * recording_part_bytes(header);
}

/* The slots of ring @cpu in a part that is mapped at @part. */
static inline struct ring_slots recording_slots(void *part, uint64_t slots_nr, unsigned cpu)
{
	return (struct ring_slots){
		.event = (struct ring_event *)(void *)((char *)part + RECORDING_RINGS_BYTES) +
			 cpu * slots_nr,
		.nr = slots_nr,
	};
}

/* ---- the library's side ---------------------------------------------------------------------- */

/*
 * Takes a part if `quire record` wants this process recorded; false if not.  Once, when malloc makes itself ready.
 * Allocates nothing.
 */
bool recording_begin(void);
/* In a child of fork of a process that is recorded: true if the child is, too, with a part of its own. */
bool recording_begin_child(void);
/* True if the process is recorded at this moment.  Any context. */
bool recording_is_on(void);
/* The time of an event that happens now, in the spool's unit.  Any context; only if the process is recorded. */
uint64_t recording_now(void);
/* An event at @time, of this thread.  Any context; only if the process is recorded.  Nothing, in a handler that interrupts a child
 * of fork before it has its part. */
void recording_put(enum ring_op op, uint64_t time, const void *address, uint64_t bytes);

#endif
