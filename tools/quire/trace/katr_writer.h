/* SPDX-License-Identifier: MIT */
/*
 * katr_writer.h - makes a KATRACE recording (traces/FORMAT.md)
 *
 * The header counts what follows it, so the records wait in a temporary file until katr_writer_end()
 * writes all.  The caller gives records in the order of their times, and knows which ids are live and
 * what they are: the writer checks nothing, the reader does (katr.h).
 *
 * The first failure is kept in `error`; calls after it do nothing, and katr_writer_end() returns it.
 */
#ifndef QUIRE_TOOL_KATR_WRITER_H
#define QUIRE_TOOL_KATR_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trace/katr.h"

#define KATR_TICK_NS	      256
#define KATR_CLASS_VALUES_MAX 8 /* of a slab class */

/* When and on which CPU. */
struct katr_moment {
	uint64_t ns;
	uint32_t cpu;
};

/* Bytes that grow; a failure to grow is kept. */
struct katr_text {
	FILE *file;
	char *bytes;
	size_t bytes_nr;
};

struct katr_writer_class;
struct katr_writer_string;

/* Of a hash table: a power of two, or none yet. */
struct katr_slots {
	uint32_t *index; /* + 1; 0: free */
	uint32_t nr;
};

struct katr_writer {
	int error; /* the first, negative */
	FILE *records;
	uint64_t records_bytes;
	uint64_t records_nr;
	uint64_t base_ns, tick;
	bool has_begun; /* base_ns is that of the first record */
	uint32_t cpu;
	uint32_t cpus_nr;
	uint32_t page_shift;
	uint64_t kinds, place; /* bits, as in the format */
	uint64_t vmalloc_pages;
	uint32_t ids_nr;
	uint64_t live_nr;

	struct katr_writer_string *strings;
	uint32_t strings_nr, strings_room;
	struct katr_slots string_slots;
	struct katr_writer_class *classes;
	uint32_t classes_nr, classes_room;
	struct katr_slots class_slots;
	uint32_t *tasks; /* their names */
	uint32_t tasks_nr, tasks_room;
	struct katr_text info;
	struct katr_text tables;
	uint32_t tables_nr;
};

/* @records: an empty temporary file, which is the writer's from now on; NULL: there is none, and
 * errno says why.  Pair: katr_writer_fini(), always. */
void katr_writer_init(struct katr_writer *writer, FILE *records);
void katr_writer_fini(struct katr_writer *writer);

/* ---- the header's parts: an index each -------------------------------------------------------- */
uint32_t katr_writer_string(struct katr_writer *writer, const char *string);
/* @values: the row of the format after its count.  Counts a use. */
uint32_t katr_writer_class(struct katr_writer *writer, enum katr_kind kind, const uint64_t *values,
			   unsigned values_nr);
uint32_t katr_writer_task(struct katr_writer *writer, const char *name);
void katr_writer_rename_task(struct katr_writer *writer, uint32_t task, const char *name);
/* @columns ends with NULL; a name that begins with '$' is that of a column of strings. */
uint32_t katr_writer_table(struct katr_writer *writer, const char *name,
			   const char *const *columns);
/* A line of text: what would end it, as a command with lines of its own has it, becomes a blank. */
__attribute__((format(printf, 3, 4))) void katr_writer_info(struct katr_writer *writer,
							    const char *key, const char *format,
							    ...);
/* The recording's name: that of its file, without ".katr.zst". */
void katr_writer_name(struct katr_writer *writer, const char *path);

/* ---- records ---------------------------------------------------------------------------------- */
/* The id.  @placement: as many numbers as the kind has, ready to be written; none: @placement_nr 0. */
uint32_t katr_write_alloc(struct katr_writer *writer, struct katr_moment at, uint32_t class_index,
			  const uint64_t *placement, unsigned placement_nr);
/* @op: FREE or FREE_BATCHED. */
void katr_write_free(struct katr_writer *writer, struct katr_moment at, enum katr_op op,
		     bool is_inferred, uint32_t id);
/* The first id of the pieces. */
uint32_t katr_write_split(struct katr_writer *writer, struct katr_moment at, uint32_t id,
			  unsigned order, unsigned new_order);
void katr_write_fail(struct katr_writer *writer, struct katr_moment at, uint32_t class_index);
void katr_write_context(struct katr_writer *writer, struct katr_moment at, uint32_t task,
			unsigned context);
void katr_write_mark(struct katr_writer *writer, struct katr_moment at, const char *name);
/* @payload: table, rows and values, as encoded by katr_put_varint() and katr_zigzag(). */
void katr_write_sample(struct katr_writer *writer, struct katr_moment at, const uint8_t *payload,
		       size_t payload_nr);
void katr_write_kernel_event(struct katr_writer *writer, struct katr_moment at, unsigned kind,
			     const uint64_t *values, unsigned values_nr);

/* END; then header and records, compressed, replace @path: 0 or a negative errno. */
int katr_writer_end(struct katr_writer *writer, const char *path);

/* katr_compress.c: the two parts as one zstd frame; @path is replaced when all is done. */
int katr_compress(const char *path, const char *header, size_t header_nr, FILE *records);

/* ---- encoding --------------------------------------------------------------------------------- */
#define KATR_VARINT_BYTES_MAX 10

/* Bytes written to @to: 0 -> 1, 127 -> 1, 128 -> 2. */
static inline unsigned katr_put_varint(uint8_t *to, uint64_t value)
{
	unsigned nr = 0;

	for (; value >= 0x80; value >>= 7)
		to[nr++] = (uint8_t)(value | 0x80);
	to[nr++] = (uint8_t)value;
	return nr;
}

/* 0 -> 0, -1 -> 1, 1 -> 2. */
static inline uint64_t katr_zigzag(int64_t value)
{
	return (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0);
}

#endif
