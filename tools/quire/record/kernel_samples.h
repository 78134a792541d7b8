/* SPDX-License-Identifier: MIT */
/*
 * kernel_samples.h - the kernel's own figures, from files of /proc, as samples of a recording
 *
 * They are encoded as they are read, and wait for the events of their time.
 */
#ifndef QUIRE_TOOL_KERNEL_SAMPLES_H
#define QUIRE_TOOL_KERNEL_SAMPLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/katr_writer.h"

struct kernel_sample {
	uint64_t ns;  /* the middle of the read */
	size_t begin; /* in the bytes */
	size_t bytes_nr;
	const char *mark; /* set with this sample: "start" or "end"; NULL */
};

#define KERNEL_TABLES_NR 7

struct kernel_samples {
	const char *proc;  /* "/proc" */
	const char *debug; /* debugfs; NULL: not mounted */
	struct katr_writer *writer;
	uint32_t tables[KERNEL_TABLES_NR]; /* index + 1 of each that was seen */
	size_t keys_nr[KERNEL_TABLES_NR];  /* columns of those that have keys */
	uint8_t *bytes;
	size_t bytes_nr, bytes_room;
	struct kernel_sample *samples;
	size_t samples_nr, samples_room;
	int64_t *values; /* of the table that is being read */
	size_t values_nr, values_room;
	char *text; /* of the file that is being read */
	size_t text_room;
	int error; /* the first */
};

void kernel_samples_init(struct kernel_samples *samples, struct katr_writer *writer,
			 const char *proc, const char *debug);
void kernel_samples_fini(struct kernel_samples *samples);
/* Reads the figures that cost little; @is_full: also those that are long.  @mark may be NULL; it
 * lives as long as the samples. */
void kernel_samples_take(struct kernel_samples *samples, bool is_full, const char *mark);

#endif
