/* SPDX-License-Identifier: MIT */
/*
 * trace_writer.h - small KATRACE files, right ones and wrong ones, for the reader's tests
 *
 * trace_make() writes a recording of two CPUs with every op, and pages, areas and per-CPU objects with
 * their placement.  The tests change its bytes and look at what the reader says.
 */
#ifndef TRACE_WRITER_H
#define TRACE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	uint8_t *data;
	size_t nr, room;
};

void bytes_put(struct bytes *bytes, const void *data, size_t nr);
void bytes_put_byte(struct bytes *bytes, unsigned byte);
void bytes_put_varint(struct bytes *bytes, uint64_t value);
void bytes_put_zigzag(struct bytes *bytes, int64_t value);
void bytes_free(struct bytes *bytes);

struct trace_counts {
	uint64_t allocs_nr, frees_nr, batched_nr, splits_nr, fails_nr, records_nr, ids_nr;
	uint64_t page_allocs_nr, vmap_allocs_nr, percpu_allocs_nr;
	uint64_t live_pages; /* at the end */
};

/* A right recording of about @steps_nr steps, drawn from @seed; what it holds into @counts. */
struct bytes trace_make(uint64_t seed, unsigned steps_nr, struct trace_counts *counts);

/* As one zstd frame with a checksum. */
struct bytes trace_compress(const struct bytes *bytes);
/* Whether @compressed is @bytes. */
bool trace_is_compressed(const struct bytes *compressed, const struct bytes *bytes);
/* A file in memory: its descriptor, and a path that it can be opened by. */
int memory_file(char *path, size_t path_bytes);
void file_write(const char *path, const struct bytes *bytes);
struct bytes file_read(const char *path);

/* splitmix64: the next number of a sequence. */
uint64_t random_next(uint64_t *state);

#endif
