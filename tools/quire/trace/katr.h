/* SPDX-License-Identifier: MIT */
/*
 * katr.h - reader and validator of KATRACE recordings (traces/FORMAT.md)
 *
 * Words
 *   record     one event of the trace: an allocation, a free, a mark, ...
 *   id         number of an allocation, given in the order of the trace; all kinds share them
 *   object     the data of an id: its class, and where the kernel placed it
 *   class      everything about a request but its time, CPU and address
 *
 * A reader returns the records in order and rejects a file at the first violation of the format,
 * with its offset in the uncompressed bytes.  A trace is valid only once katr_next() has returned
 * 0, because the totals and zstd's checksum come last.
 *
 * Checked in addition to the format: each free and split names a live id; indices, CPUs and times
 * are in range; no two live page allocations overlap in the kernel's memory; use counts of
 * classes are correct; the live bytes counted by the recording agree with the reader's; the
 * totals agree.
 */
#ifndef QUIRE_TOOL_KATR_H
#define QUIRE_TOOL_KATR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/katr_input.h"
#include "trace/occupancy.h"

enum katr_kind {
	KATR_PAGE,
	KATR_PERCPU,
	KATR_VMAP,
	KATR_SLAB,
	KATR_KINDS_NR,
};

enum katr_op {
	KATR_ALLOC = 0,
	KATR_FREE = 1,
	KATR_FREE_BATCHED = 2,
	KATR_SPLIT = 3,
	KATR_FAIL = 4,
	KATR_CTX = 5,
	KATR_MARK = 6,
	KATR_SAMPLE = 7,
	KATR_KEVENT = 8,
	KATR_END = 15,
};

#define KATR_MIGRATETYPES_NR 5
#define KATR_HIGHATOMIC	     3
#define KATR_ORDER_MAX	     10

/* The kind of a KEVENT that says what was lost. */
#define KATR_EVENT_LOST 5

/* The use of a vmap class; other values are treated as unknown. */
#define KATR_AREA_UNKNOWN 0
#define KATR_AREA_VMALLOC 1
#define KATR_AREA_VMAP	  2
#define KATR_AREA_IOREMAP 3
#define KATR_AREA_BLOCK	  4 /* of vm_map_ram: the one that has no guard page */

/* Bits of a percpu class. */
#define KATR_PERCPU_ATOMIC 2

/* Strings of the table live as long as the reader; bytes that are not printable ASCII read '?'. */
struct katr_class {
	uint64_t count; /* uses as ALLOC or FAIL, as the file says */
	uint64_t used;	/* as read so far */
	uint64_t size_bytes;
	uint64_t align_bytes;
	uint32_t gfp;
	uint8_t kind;
	uint8_t order;	      /* page */
	uint8_t migratetype;  /* page */
	uint64_t asked_bytes; /* slab: as the caller said; size_bytes is what it got */
	uint8_t detail;	      /* vmap: KATR_AREA_*; percpu: KATR_PERCPU_* */
	const char *site;     /* percpu, vmap, slab */
	uint32_t instance;    /* of Quire, in the recording of a program; 0: none, or malloc's */
};

struct katr_table {
	const char *name;
	uint32_t columns_nr;
	const char **columns;
	uint8_t *is_string;
};

struct katr_params {
	uint64_t tick_ns;
	uint64_t page_shift;
	uint64_t cpus_nr;
	uint64_t kinds;
	uint64_t place;
	uint64_t records_nr;
	uint64_t ids_nr;
	uint64_t ticks;
	uint64_t vmalloc_pages;
	uint64_t records_bytes;
};

struct katr_object {
	uint32_t class_index;
	uint32_t pfn;  /* page, if the trace has placement */
	uint8_t order; /* page: as left by SPLIT */
	bool live;
};

/* @place of a record: a page's frame number, a chunk's number, an area's first page. */
#define KATR_PLACE_NONE UINT64_MAX

/* Fields that do not belong to the op are zero. */
struct katr_record {
	enum katr_op op;
	bool flag; /* X: on FREE, the free is inferred */
	uint32_t cpu;
	uint64_t tick;
	uint32_t id;	       /* ALLOC, FREE, FREE_BATCHED, SPLIT */
	uint32_t class_index;  /* ALLOC, FREE, FREE_BATCHED, SPLIT, FAIL */
	uint32_t first_id;     /* SPLIT: of the pieces */
	uint8_t order;	       /* page: of the object; SPLIT: before it */
	uint8_t new_order;     /* SPLIT */
	uint64_t place;	       /* ALLOC: where the kernel put it; KATR_PLACE_NONE: not recorded */
	uint64_t place_offset; /* ALLOC, percpu: bytes from the beginning of the chunk's unit */
	const char *name;      /* MARK */
	const struct katr_table *table; /* SAMPLE */
	uint64_t event_kind;		/* KEVENT */
	uint64_t event_value;		/* KEVENT: its first; 0 if it has none */
	uint64_t rows_nr;		/* SAMPLE */
	const int64_t *values;		/* SAMPLE: rows_nr * columns_nr, until the next record */
};

struct katr_totals {
	uint64_t records_nr;
	uint64_t live_nr;
	uint64_t live_bytes[KATR_KINDS_NR];
};

struct katr_reader {
	struct katr_error error;
	struct katr_input input;

	uint8_t *header; /* everything before the records */
	uint32_t header_bytes;
	uint16_t minor;
	char *info;
	struct katr_params params;
	char *strings_bytes;
	const char **strings;
	uint32_t strings_nr;
	struct katr_class *classes;
	uint32_t classes_nr;
	uint32_t tasks_nr;
	struct katr_table *tables;
	uint32_t tables_nr;

	struct katr_totals totals;
	uint64_t record_offset; /* of the record being read */
	uint64_t tick;
	uint32_t cpu;
	bool ended;
	struct katr_object *objects; /* by id */
	uint32_t ids_nr;	     /* given so far */
	uint32_t objects_room;
	uint64_t *last_pfn; /* by CPU */
	int64_t vmap_last;
	struct occupancy pages; /* where the kernel has its live pages now */
	int64_t *values;
	size_t values_room;
};

/* Opens and reads all but the records: 0, or -1 with @reader->error.  Pair: katr_close(), always.
 */
int katr_open(struct katr_reader *reader, const char *path);
/* 1 and @record; 0 after the last one, with everything checked; -1 with @reader->error. */
int katr_next(struct katr_reader *reader, struct katr_record *record);
void katr_close(struct katr_reader *reader);

/* "FILE: at byte N: what is wrong" into @text. */
void katr_describe_error(const struct katr_reader *reader, const char *path, char *text,
			 size_t text_bytes);

/* Value of a key of the INFO section, copied into @value; empty if there is none. */
void katr_info(const struct katr_reader *reader, const char *key, char *value, size_t value_bytes);
/* Index of a column; -1 if the table has none of that name. */
int katr_column(const struct katr_table *table, const char *name);

/* ---- between the files of the reader --------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) void katr_fail(struct katr_reader *reader, const char *format,
						     ...);
const char *katr_kind_name(unsigned kind);
uint32_t katr_read_class(struct katr_reader *reader);
/* katr_objects.c: the arguments of a record. */
void katr_read_alloc(struct katr_reader *reader, struct katr_record *record);
void katr_read_free(struct katr_reader *reader, struct katr_record *record);
void katr_read_split(struct katr_reader *reader, struct katr_record *record);
/* katr_header.c: parses the sections at @reader->header. */
void katr_parse_header(struct katr_reader *reader);

#endif
