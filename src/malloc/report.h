/* SPDX-License-Identifier: MIT */
/*
 * malloc/report.h - the figures of a program that `quire run` started, in memory that both share
 *
 * The parent makes a file of memory and hands it over; each process of the program that is counted takes a
 * part of it and writes there, and the parent reads whenever it likes.  So the figures survive however the
 * process ends, and nothing of ours runs at its end.
 *
 * Words
 *   part      what one process writes
 *   shard     one CPU's share of a part, so that threads seldom write the same line
 *   row       blocks of one size: a class by its number, or larger blocks by the power of two below
 *   pending   bytes that a shard has not told the part of yet
 *
 * All counters are atomic and relaxed: each is right, and two of them may be of different moments.  A block
 * may be freed on another shard than it was allocated on, so only sums over the shards mean anything.
 *
 * The peak is exact up to what is pending on all shards: at most 1/256 of what was in use then, or 1 KiB for
 * each CPU.
 *
 * This file is all that the library and the command agree on.  REPORT_VERSION changes with it.
 */
#ifndef MALLOC_REPORT_H
#define MALLOC_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/owner.h"

#define REPORT_MAGIC	    0x7472706572697571u /* "quirept" with a letter before it */
#define REPORT_VERSION	    4u
#define REPORT_CLASSES_NR   128u /* as many as slab/slab.h has */
#define REPORT_ROWS_NR	    (REPORT_CLASSES_NR + 64u)
#define REPORT_SHARDS_NR    32u /* CPUs beyond share them */
#define REPORT_PARTS_NR	    256u
#define REPORT_HEADER_BYTES 65536u /* the largest page, so that each part can be mapped by itself */

/* The variable that says so, and what it looks like: run_environment.h. */
#define REPORT_VARIABLE "QUIRE_RUN"

struct report_shard {
	int64_t pending_bytes;
	uint64_t calls_nr;
	uint64_t slow_nr; /* of these calls, those that found nothing to do on the fast path */
	int64_t row_bytes[REPORT_ROWS_NR];
} __attribute__((aligned(64)));

struct report_part {
	uint32_t cpus_nr;
	uint32_t is_copying;  /* one thread at a time copies rows to peak_rows */
	uint64_t pending_max; /* a shard with more tells the part */
	int64_t used_bytes;   /* without what is pending */
	int64_t peak_bytes;
	int64_t peak_rows_bytes; /* the peak that peak_rows[peak_idx & 1] is of */
	uint64_t given_back_bytes;
	uint32_t peak_idx;
	uint32_t class_bytes[REPORT_CLASSES_NR]; /* of one block of a row; 0: not used yet */
	int64_t peak_rows[2][REPORT_ROWS_NR];
	struct report_shard shard[REPORT_SHARDS_NR];
};

#define REPORT_PART_BYTES 65536u
_Static_assert(sizeof(struct report_part) <= REPORT_PART_BYTES, "each part begins at a page");

/* Whose a part is. */
struct report_owner {
	uint64_t
		who; /* atomic: owner_word(); 0: nobody's; the command takes it back when the process has ended */
	/* Programs that the process has begun to be, as exec makes it.  Stored last. */
	uint32_t images_nr;
	uint64_t program; /* the last of them: handed_program() */
};

struct report_header {
	uint64_t magic;
	uint32_t version;
	uint64_t program_who; /* owner_word(), written before the program begins; it has part 0 */
	uint64_t cookie;      /* the variable names it, too */
	uint64_t pids_space;  /* the file number of the pid namespace in which pids are meant */
	uint32_t
		parts_nr; /* 1: children are not counted; 0: nobody is, the program only shows that it is there */
	uint32_t uncounted_nr;	/* processes that found no part */
	uint32_t recording_fd;	/* the command's descriptor of the spool (recording.h); 0: none */
	uint32_t profile_shift; /* of the program's profile, behind the parts; 0: none is wanted */
	struct report_owner owner[REPORT_PARTS_NR];
};
_Static_assert(sizeof(struct report_header) <= REPORT_HEADER_BYTES, "the parts begin behind it");

/* Where part @idx begins in the file. */
static inline uint64_t report_part_offset(unsigned idx)
{
	return REPORT_HEADER_BYTES + (uint64_t)idx * REPORT_PART_BYTES;
}

/* The profile of the program, as it is in memory: stacks (traces.h), then what is mapped there, as a text. */
#define REPORT_STACKS_BYTES  ((size_t)63 << 20)
#define REPORT_MAPS_BYTES    ((size_t)1 << 20)
#define REPORT_PROFILE_BYTES (REPORT_STACKS_BYTES + REPORT_MAPS_BYTES)

/* The row of a block beyond the classes: 65536 -> 144, 65537 -> 144, 131071 -> 144. */
static inline unsigned report_large_row(size_t bytes)
{
	return REPORT_CLASSES_NR + 63u - (unsigned)__builtin_clzll((unsigned long long)bytes | 1);
}

/* ---- the library's side ---------------------------------------------------------------------- */

struct run_request;

struct report_profile {
	char *memory; /* NULL: no profile, or the process has it already */
	unsigned shift;
};

/* True if `quire run` wants figures of this process; then *@request says of which memory. */
bool report_is_wanted(struct run_request *request);
/*
 * Takes a part if `quire run` asks this process to count, and NULL if not.  Once, when malloc makes itself
 * ready; again in a child of fork, with the parent's part as @parent: the child then counts from what it has
 * inherited, or not at all.  Allocates nothing.
 */
struct report_part *report_begin(const struct report_part *parent);
/* What the last report_begin() found wanted of a profile. */
struct report_profile report_profile(void);

/* A descriptor of the spool in which `quire record` wants events; negative: it wants none, or cannot be asked.  Pair:
 * handed_close(). */
int report_open_recording(const struct run_request *request);

/* A call on CPU @cpu (a hint).  @slow: it left the fast path.  Any context. */
void report_call(struct report_part *part, unsigned cpu, bool slow);
/* A block of @bytes as it is now usable was handed out, or taken back. */
void report_hold(struct report_part *part, unsigned cpu, unsigned row, size_t bytes);
void report_drop(struct report_part *part, unsigned cpu, unsigned row, size_t bytes);

#endif
