/* SPDX-License-Identifier: MIT */
/*
 * katr_input.h - the uncompressed bytes of a trace, read one after another
 *
 * The bytes come from a zstd file as they are wanted, or from memory.  Every read is checked.  The
 * first failure is kept with the offset at which it was seen, counted in the uncompressed bytes;
 * after it every read gives zero, so a caller must test `failed` once in each loop, not after
 * each read.
 */
#ifndef QUIRE_TOOL_KATR_INPUT_H
#define QUIRE_TOOL_KATR_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct katr_error {
	bool failed;
	bool no_memory; /* not the file's fault */
	bool at_offset; /* @offset means something: not so if the file cannot be opened */
	uint64_t offset;
	char text[160];
};

/* Keeps the first failure; later ones follow from it. */
__attribute__((format(printf, 3, 4))) void katr_fail_at(struct katr_error *error, uint64_t offset,
							const char *format, ...);

/* Memory ran out: that says nothing of the file. */
void katr_fail_no_memory(struct katr_error *error, uint64_t offset);

struct katr_zstd;

struct katr_input {
	const uint8_t *next, *end; /* decoded and not read yet */
	uint64_t end_offset;	   /* of @end */
	struct katr_zstd *zstd;	   /* NULL: nothing follows @end */
	const char *what;	   /* named when the bytes end too early */
	struct katr_error *error;
};

/* Opens a zstd file: 0, or -1 with @error filled.  Pair: katr_input_fini(). */
int katr_input_open(struct katr_input *input, const char *path, struct katr_error *error);
/* Bytes in memory that begin at @offset of the trace.  Needs no fini. */
void katr_input_of_memory(struct katr_input *input, const uint8_t *bytes, size_t bytes_nr,
			  uint64_t offset);
void katr_input_fini(struct katr_input *input);

/* Has more bytes at @next, decoding some if need be; false at the end, or after a failure. */
bool katr_input_has_more(struct katr_input *input);

uint64_t katr_input_offset(const struct katr_input *input);
uint8_t katr_read_byte(struct katr_input *input);
uint64_t katr_read_varint_slow(struct katr_input *input, uint8_t first);
void katr_read_bytes(struct katr_input *input, uint8_t *bytes, size_t bytes_nr);

/* `v` of the format: most are one byte long. */
static inline uint64_t katr_read_varint(struct katr_input *input)
{
	uint8_t first = katr_read_byte(input);

	return first < 0x80 ? first : katr_read_varint_slow(input, first);
}

/* `z` of the format: 0 -> 0, 1 -> -1, 2 -> 1. */
static inline int64_t katr_unzigzag(uint64_t value)
{
	return (int64_t)(value >> 1 ^ (0 - (value & 1)));
}

#endif
