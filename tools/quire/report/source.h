/* SPDX-License-Identifier: MIT */
/*
 * source.h - what a report says of one input: the figures of a recording or of statistics
 *
 * Words
 *   source    a recording, or statistics of one process; also one recording replayed with options of its own
 *   module    of a recording a kind of allocation, of statistics a module of the library
 *   holder    who asked for memory: a function of the kernel, or an order and type of pages
 */
#ifndef QUIRE_TOOL_REPORT_SOURCE_H
#define QUIRE_TOOL_REPORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buddyinfo.h"
#include "report/curve.h"
#include "report/map.h"
#include "report/spread.h"

#define MODULES_MAX   8u
#define MARKS_MAX     64u
#define LOSSES_MAX    64u
#define MADE_MAX      32u
#define ORDERS_NR     BUDDYINFO_ORDERS_NR
#define SENTENCES_NR  5u
#define SENTENCE_ROOM 512u
#define HOLDERS_MAX   4096u

enum curve_key {
	CURVE_ASKED,	/* recordings: what callers hold */
	CURVE_LINUX,	/* what the kernel needs for it */
	CURVE_QUIRE,	/* and Quire */
	CURVE_USED,	/* statistics: in use */
	CURVE_KEPT,	/* free, and with memory */
	CURVE_RESIDENT, /* of the process */
	CURVE_KEYS_NR,
};

struct module {
	char name[16];
	unsigned kind;			     /* recordings: of its allocations, enum katr_kind */
	char linux_is[64], quire_is[64];     /* what those two curves are, in words */
	struct curve *curves[CURVE_KEYS_NR]; /* NULL: there is none */
	uint64_t allocs_nr, frees_nr, fails_nr;
	uint64_t live_nr, live_bytes;	 /* at the end */
	struct spread sizes;		 /* bytes, of allocations */
	struct spread lifetimes;	 /* nanoseconds, of what was freed */
	struct spread alloc_ns, free_ns; /* of Quire's calls */
	struct map linux_map, quire_map;
};

struct mark {
	char name[64];
	double seconds;
	uint64_t bytes[MODULES_MAX]; /* asked for, by module */
};

/* Events that one CPU lost. */
struct loss {
	unsigned cpu;
	double begin, end; /* between two of its records, in seconds */
	uint64_t nr;	   /* 0: not known */
};

struct holder {
	char name[96];
	unsigned module;
	uint64_t allocs_nr;
	uint64_t live_bytes, peak_bytes;
};

/* A line of how it was made. */
struct made {
	char key[32];
	char value[480];
};

/* What statistics say beside their curves: at the last look, or between the first and the last. */
struct looked {
	uint64_t looks_nr;
	double sparse_blocks, sparse_used_bytes, sparse_rest_bytes, slab_free_bytes;
	double given_back_bytes, taken_again_bytes, refusals;
};

struct source {
	const char *path;
	const char *conf; /* of the instance that it is replayed on; NULL: as always */
	char letter;	  /* 'A', ... */
	char name[64];
	bool is_recording;
	bool is_indexed; /* no times: "seconds" are looks, counted from 0 */
	double seconds;
	uint64_t lost_nr;
	struct loss losses[LOSSES_MAX];
	unsigned losses_nr, losses_left_out;
	uint64_t page_bytes;
	char trouble
		[320]; /* why Quire's line stops before the end; empty: it does not, or none was wanted */

	struct module modules[MODULES_MAX];
	unsigned modules_nr;
	struct curve *linux_orders[ORDERS_NR],
		*quire_orders[ORDERS_NR]; /* free blocks; NULL: not known */
	struct mark marks[MARKS_MAX];
	unsigned marks_nr, marks_left_out;
	struct holder *holders;
	unsigned holders_nr;
	struct made made[MADE_MAX];
	unsigned made_nr;
	struct looked looked; /* statistics */
	char sentences[SENTENCES_NR][SENTENCE_ROOM];
};

/* ---- source.c ---- */
__attribute__((format(printf, 3, 4))) void source_made(struct source *source, const char *key,
						       const char *format, ...);
void source_fini(struct source *source);
/* The curve of a module, begun if need be; NULL without memory. */
struct curve *source_curve(struct source *source, struct module *module, enum curve_key key);
/* What was read, so all but Quire's, reaches to the end. */
void source_end_curves(struct source *source);
/* The module of that name; NULL: the source has none. */
const struct module *source_module(const struct source *source, const char *name);
/* Whether the module has a curve with something in it. */
bool module_has(const struct module *module, enum curve_key key);
/* "asked for", "linux", ...: in words, and for machines. */
const char *curve_words(const struct module *module, enum curve_key key);
const char *curve_name(enum curve_key key);

/*
 * Each: 0, or with one line in @error -1 if the input is refused, -ENOMEM if memory ran out.
 */
/* recording.c: all but what Quire does with it. */
int source_read_recording(struct source *source, char *error, size_t error_bytes);
/* quire_side.c: replays it.  What Quire refuses is the source's trouble, no failure. */
int source_replay(struct source *source, char *error, size_t error_bytes);
/* statistics.c: JSON, a line for each look. */
int source_read_statistics(struct source *source, char *error, size_t error_bytes);

/* sentences.c: by rules, from what was read. */
void source_write_sentences(struct source *source);

#endif
