/* SPDX-License-Identifier: MIT */
/*
 * malloc/ring.h - a ring of events that threads and handlers of a process write, and another process reads
 *
 * Words
 *   slot      room for one event, 32 bytes.  Slots are numbered from 0 on without end; slot n lies in place n modulo the
 *             slots of the ring
 *   lap       which time around a slot is: n divided by the slots of the ring
 *   reserved  slots that writers have been given
 *   taken     slots that the reader is done with, so their places may be written again
 *   segment   slots that the reader takes together
 *   hole      a slot that was reserved and has no whole event: its writer is still at it, or was killed
 *
 * A ring belongs to a CPU only so that its lines are seldom shared: a thread may be moved, or a handler may
 * interrupt it, at any step.
 *
 *   slot       when                                                  to
 *   free       a compare-and-swap of reserved gives it to a writer   hole
 *   hole       its writer stores the head, last of all               whole
 *   whole      the reader moves taken beyond its segment             free, a lap later
 *
 * A writer that finds no free slot does not wait: it counts the event as lost.  The reader waits for holes as long as the
 * ring has another free segment; then it takes the segment as it is.  What the late writer stores has an old lap, and
 * is no event to any reader.
 *
 * Everything lies in memory that survives the writers: whoever maps it after a crash of all finds whole events by their laps and
 * checks.
 */
#ifndef MALLOC_RING_H
#define MALLOC_RING_H

#include <stdbool.h>
#include <stdint.h>

/* What happened.  The numbers are in files: none changes its meaning. */
enum ring_op {
	RING_NONE = 0, /* no event: a slot that nobody wrote */
	RING_BEGIN =
		1, /* a program begins in the process: address is its pid, bytes that of its parent */
	RING_CHILD = 2,	 /* the same for a child of fork, which has what its parent has */
	RING_NAME = 3,	 /* address and bytes are 16 characters: of the process's name */
	RING_MALLOC = 4, /* address is the block, bytes what was asked for; so below */
	RING_CALLOC = 5,
	RING_ALIGNED = 6,
	RING_MOVED = 7, /* realloc() has made this block of another, whose RING_LEFT is before it */
	RING_RESIZED = 8, /* realloc() has left the block where it is; bytes is the new size */
	RING_FREE = 9,
	RING_LEFT = 10,	   /* realloc() has freed the block */
	RING_REFUSED = 11, /* address is 0 */
	RING_END = 12,	   /* the process has ended, with what it had: put by the recorder */
	/* Of instances that the program has made: address and bytes are ring_instance_address() and ring_request_word().
	 * An address of 0: refused. */
	RING_PAGES = 13, /* a block; its bytes are its order */
	RING_PAGES_FREE = 14,
	RING_PAGES_EXACT = 15, /* as many pages as the bytes need */
	RING_PAGES_EXACT_FREE = 16,
	RING_AREA = 17,
	RING_AREA_KV = 18, /* pages or an area, whichever there was */
	RING_AREA_RESIZED =
		19, /* vrealloc() has made this of another, whose RING_AREA_FREE is before it */
	RING_AREA_PAGES = 20, /* a mapping of pages that the caller has */
	RING_AREA_RAM = 21,   /* the same from a block of such mappings */
	RING_AREA_FREE = 22,
	RING_PERCPU = 23,
	RING_PERCPU_RESERVED = 24,
	RING_PERCPU_FREE = 25,
	RING_OBJECT = 26, /* of an object cache */
	RING_OBJECT_FREE = 27,
	RING_INSTANCE_END = 28, /* with all that it had */
	RING_OPS_NR,
};

struct ring_event {
	uint64_t time_ns; /* monotonic; in a spool perhaps ticks (recording.h) */
	uint64_t address;
	uint64_t bytes;
	/* Atomic, stored last.  From the lowest bit: thread 32, op 8, lap 8, check 16. */
	uint64_t head;
};

/* All atomic; the writers' and the reader's, which a crash must not part from the slots. */
struct ring {
	uint64_t reserved;
	uint64_t taken;
	uint64_t lost_nr;
	uint64_t lost_first_ns, lost_last_ns; /* of those that were lost since the reader asked */
} __attribute__((aligned(128)));

struct ring_slots {
	struct ring_event *event;
	uint64_t nr; /* a power of two */
};

static inline uint32_t ring_event_thread(const struct ring_event *event)
{
	return (uint32_t)event->head;
}

static inline enum ring_op ring_event_op(const struct ring_event *event)
{
	return (enum ring_op)(event->head >> 32 & 255);
}

/* ---- events of instances --------------------------------------------------------------------- */

#define RING_ADDRESS_BITS  48u	  /* of a program's addresses */
#define RING_INSTANCES_MAX 65535u /* numbers from 1 on; the last is that of all others */

/* What a call asked for.  What is larger than there is room for is cut. */
struct ring_request {
	uint64_t bytes;	      /* 40 bits */
	unsigned align_shift; /* 6 bits */
	unsigned flags;	      /* the low 8 bits: QUIRE_*, without a node */
};

static inline uint64_t ring_request_word(struct ring_request request)
{
	uint64_t bytes =
		request.bytes < (UINT64_C(1) << 40) ? request.bytes : (UINT64_C(1) << 40) - 1;

	return bytes | (uint64_t)(request.align_shift & 63) << 40 |
	       (uint64_t)(request.flags & 255) << 46;
}

static inline struct ring_request ring_request_of(uint64_t word)
{
	return (struct ring_request){ .bytes = word & ((UINT64_C(1) << 40) - 1),
				      .align_shift = (unsigned)(word >> 40 & 63),
				      .flags = (unsigned)(word >> 46 & 255) };
}

static inline uint64_t ring_instance_address(uint32_t instance, uint64_t address)
{
	return (uint64_t)instance << RING_ADDRESS_BITS | address;
}

static inline uint64_t ring_address_of(uint64_t word)
{
	return word & ((UINT64_C(1) << RING_ADDRESS_BITS) - 1);
}

static inline uint32_t ring_instance_of(uint64_t word)
{
	return (uint32_t)(word >> RING_ADDRESS_BITS);
}

/* @event without its head.  Any context; never waits.  False: there was no room, and it is counted as lost. */
bool ring_put(struct ring *ring, struct ring_slots slots, const struct ring_event *event,
	      enum ring_op op, uint32_t thread);

/* ---- the reader ------------------------------------------------------------------------------ */

/* Copies the event of slot @n; false: it is a hole, or was damaged. */
bool ring_read(struct ring_slots slots, uint64_t n, struct ring_event *event);
/* True if @event, which is in no ring any more, is as its writer left it. */
bool ring_event_is_whole(const struct ring_event *event);
/*
 * Copies the whole events of the next @nr slots, at most as many as there are, to @to, and returns how many these are.  Less than @nr: the
 * others are holes.
 */
uint64_t ring_copy(const struct ring *ring, struct ring_slots slots, uint64_t nr,
		   struct ring_event *to);
/* Slots that are reserved and not taken. */
uint64_t ring_filled(const struct ring *ring);
/* True if the reader is to take the next @nr slots although some are holes: else the ring would be full soon. */
bool ring_is_short(const struct ring *ring, struct ring_slots slots, uint64_t nr);
/* After their events were copied: the places of @nr slots may be written again. */
void ring_give_back(struct ring *ring, uint64_t nr);

#endif
