/* SPDX-License-Identifier: MIT */
/* katr_open.c - the fixed header of a KATRACE file, and everything else that is not a record */
#include "trace/katr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES 8
static const uint8_t magic[MAGIC_BYTES] = "KATRACE";

#define HEADER_FIXED_BYTES 16
/* The largest header published, with 126,000 tasks, is under 1 MiB. */
#define HEADER_BYTES_MAX   (64u << 20)
#define HEADER_STEP_BYTES  (1u << 20)

static uint32_t little_endian(const uint8_t *bytes, unsigned bytes_nr)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < bytes_nr; i++)
		value |= (uint32_t)bytes[i] << (8 * i);
	return value;
}

static void read_fixed_header(struct katr_reader *reader)
{
	uint8_t fixed[HEADER_FIXED_BYTES];
	uint32_t major;

	reader->input.what = "the fixed header";
	katr_read_bytes(&reader->input, fixed, sizeof(fixed));
	if (reader->error.failed)
		return;
	if (memcmp(fixed, magic, MAGIC_BYTES) != 0) {
		katr_fail_at(&reader->error, 0, "not a KATRACE recording");
		return;
	}
	major = little_endian(fixed + 8, 2);
	reader->minor = (uint16_t)little_endian(fixed + 10, 2);
	reader->header_bytes = little_endian(fixed + 12, 4);
	if (major != 1)
		katr_fail_at(&reader->error, 8, "version %" PRIu32 "; this reader knows version 1",
			     major);
	else if (reader->header_bytes <= HEADER_FIXED_BYTES ||
		 reader->header_bytes > HEADER_BYTES_MAX)
		katr_fail_at(&reader->error, 12, "a header of %" PRIu32 " bytes",
			     reader->header_bytes);
}

/* Grows the buffer as bytes arrive: the length alone must not make us allocate. */
static void read_header_bytes(struct katr_reader *reader)
{
	uint32_t have = HEADER_FIXED_BYTES;

	reader->input.what = "the header";
	while (have < reader->header_bytes && !reader->error.failed) {
		uint32_t step = reader->header_bytes - have;
		uint8_t *grown;

		if (step > HEADER_STEP_BYTES)
			step = HEADER_STEP_BYTES;
		grown = realloc(reader->header, have + step);
		if (grown == NULL) {
			katr_fail_no_memory(&reader->error, have);
			return;
		}
		reader->header = grown;
		katr_read_bytes(&reader->input, reader->header + have, step);
		have += step;
	}
}

static void init_records(struct katr_reader *reader)
{
	reader->input.what = "the file";
	reader->record_offset = reader->header_bytes;
	reader->last_pfn = calloc(reader->params.cpus_nr, sizeof(reader->last_pfn[0]));
	/* A pageblock is 2 MiB, for any page size. */
	if (reader->last_pfn == NULL ||
	    occupancy_init(&reader->pages, 21 - (unsigned)reader->params.page_shift) != 0)
		katr_fail_no_memory(&reader->error, reader->header_bytes);
}

int katr_open(struct katr_reader *reader, const char *path)
{
	*reader = (struct katr_reader){ .ids_nr = 0 };
	if (katr_input_open(&reader->input, path, &reader->error) != 0)
		return -1;
	read_fixed_header(reader);
	if (!reader->error.failed)
		read_header_bytes(reader);
	if (!reader->error.failed)
		katr_parse_header(reader);
	if (!reader->error.failed)
		init_records(reader);
	return reader->error.failed ? -1 : 0;
}

void katr_close(struct katr_reader *reader)
{
	katr_input_fini(&reader->input);
	for (uint32_t i = 0; i < reader->tables_nr; i++) {
		free(reader->tables[i].columns);
		free(reader->tables[i].is_string);
	}
	if (reader->pages.leaves != NULL)
		occupancy_fini(&reader->pages);
	free(reader->header);
	free(reader->info);
	free(reader->strings_bytes);
	free(reader->strings);
	free(reader->classes);
	free(reader->tables);
	free(reader->objects);
	free(reader->last_pfn);
	free(reader->values);
	*reader = (struct katr_reader){ .ids_nr = 0 };
}

/* ---- looking up ---------------------------------------------------------------------------- */

void katr_describe_error(const struct katr_reader *reader, const char *path, char *text,
			 size_t text_bytes)
{
	const struct katr_error *error = &reader->error;

	if (error->at_offset)
		snprintf(text, text_bytes, "%s: at byte %" PRIu64 ": %s", path, error->offset,
			 error->text);
	else
		snprintf(text, text_bytes, "%s: %s", path, error->text);
}

void katr_info(const struct katr_reader *reader, const char *key, char *value, size_t value_bytes)
{
	size_t key_bytes = strlen(key);
	const char *line = reader->info;

	value[0] = '\0';
	while (line != NULL && *line != '\0') {
		size_t line_bytes = strcspn(line, "\n");

		if (line_bytes > key_bytes && strncmp(line, key, key_bytes) == 0 &&
		    line[key_bytes] == '=')
			snprintf(value, value_bytes, "%.*s", (int)(line_bytes - key_bytes - 1),
				 line + key_bytes + 1);
		line += line_bytes + (line[line_bytes] == '\n');
	}
}

int katr_column(const struct katr_table *table, const char *name)
{
	for (uint32_t i = 0; i < table->columns_nr; i++)
		if (strcmp(table->columns[i], name) == 0)
			return (int)i;
	return -1;
}
