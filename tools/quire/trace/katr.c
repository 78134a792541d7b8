/* SPDX-License-Identifier: MIT */
/*
 * katr.c - the records of a KATRACE file, one after another, each checked against all before it
 *
 * Memory grows only with bytes that were really decoded: the totals in the header are limits that
 * the records are held to, never sizes of allocations.  One record cannot make more than 2^10 ids.
 */
#include "trace/katr.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A record's fault is reported where the record begins. */
void katr_fail(struct katr_reader *reader, const char *format, ...)
{
	char text[sizeof(reader->error.text)];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	katr_fail_at(&reader->error, reader->record_offset, "%s", text);
}

const char *katr_kind_name(unsigned kind)
{
	static const char *const names[KATR_KINDS_NR] = { "page", "percpu", "vmap", "slab" };

	return names[kind];
}

uint32_t katr_read_class(struct katr_reader *reader)
{
	uint64_t index = katr_read_varint(&reader->input);

	if (index < reader->classes_nr)
		return (uint32_t)index;
	katr_fail(reader, "class %" PRIu64 " is not one of %" PRIu32, index, reader->classes_nr);
	return 0;
}

/* ---- ops --------------------------------------------------------------------------------- */

static void read_context(struct katr_reader *reader)
{
	uint64_t context = katr_read_varint(&reader->input);

	if (context >> 2 >= reader->tasks_nr)
		katr_fail(reader, "task %" PRIu64 " is not one of %" PRIu32, context >> 2,
			  reader->tasks_nr);
}

static void read_mark(struct katr_reader *reader, struct katr_record *record)
{
	uint64_t string = katr_read_varint(&reader->input);

	if (string < reader->strings_nr)
		record->name = reader->strings[string];
	else
		katr_fail(reader, "a mark's name is not in the string table");
}

static bool has_room_for_value(struct katr_reader *reader, size_t values_nr)
{
	size_t room = values_nr < 64 ? 128 : values_nr * 2;
	int64_t *grown;

	if (values_nr < reader->values_room)
		return true;
	grown = realloc(reader->values, room * sizeof(grown[0]));
	if (grown == NULL) {
		katr_fail_no_memory(&reader->error, reader->record_offset);
		return false;
	}
	reader->values = grown;
	reader->values_room = room;
	return true;
}

/* The recording counted its own live bytes as it went: ours must be the same. */
static void check_event_counters(struct katr_reader *reader, const struct katr_record *record)
{
	static const char *const columns[KATR_KINDS_NR] = { "page_live_bytes", "percpu_live_bytes",
							    "vmap_live_bytes", "slab_live_bytes" };

	if (strcmp(record->table->name, "event_counters") != 0 || record->rows_nr != 1)
		return;
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++) {
		int column = katr_column(record->table, columns[kind]);

		if (column >= 0 &&
		    (uint64_t)record->values[column] != reader->totals.live_bytes[kind])
			katr_fail(reader,
				  "the recording counted %" PRId64
				  " live %s bytes, the records %" PRIu64,
				  record->values[column], katr_kind_name(kind),
				  reader->totals.live_bytes[kind]);
	}
}

static void read_sample(struct katr_reader *reader, struct katr_record *record)
{
	uint64_t table = katr_read_varint(&reader->input);
	uint64_t rows_nr = katr_read_varint(&reader->input);
	size_t values_nr = 0;

	if (table >= reader->tables_nr) {
		katr_fail(reader, "a sample's table is not one of %" PRIu32, reader->tables_nr);
		return;
	}
	record->table = &reader->tables[table];
	for (uint64_t row = 0; row < rows_nr && !reader->error.failed; row++) {
		for (uint32_t i = 0; i < record->table->columns_nr; i++) {
			int64_t value = katr_unzigzag(katr_read_varint(&reader->input));

			if (!has_room_for_value(reader, values_nr))
				return;
			reader->values[values_nr++] = value;
			if (record->table->is_string[i] && (uint64_t)value >= reader->strings_nr)
				katr_fail(reader,
					  "a sample names a string that is not in the table");
		}
	}
	record->rows_nr = rows_nr;
	record->values = reader->values;
	if (!reader->error.failed)
		check_event_counters(reader, record);
}

static void read_kernel_event(struct katr_reader *reader, struct katr_record *record)
{
	uint64_t values_nr;

	record->event_kind = katr_read_varint(&reader->input); /* unknown ones are skipped, too */
	values_nr = katr_read_varint(&reader->input);
	for (uint64_t i = 0; i < values_nr && !reader->error.failed; i++)
		if (i == 0)
			record->event_value = katr_read_varint(&reader->input);
		else
			katr_read_varint(&reader->input);
}

static void check_class_counts(struct katr_reader *reader)
{
	for (uint32_t i = 0; i < reader->classes_nr; i++)
		if (reader->classes[i].used != reader->classes[i].count)
			katr_fail(reader,
				  "class %" PRIu32 " was used %" PRIu64 " times, not %" PRIu64, i,
				  reader->classes[i].used, reader->classes[i].count);
}

/* The totals in END, in the header and as counted are the same, and nothing follows. */
static void read_end(struct katr_reader *reader)
{
	const struct katr_params *params = &reader->params;
	uint64_t records_nr = katr_read_varint(&reader->input);
	uint64_t ids_nr = katr_read_varint(&reader->input);
	uint64_t live_nr = katr_read_varint(&reader->input);
	uint64_t bytes = katr_input_offset(&reader->input) - reader->header_bytes;

	reader->ended = true;
	if (records_nr != reader->totals.records_nr || params->records_nr != records_nr)
		katr_fail(reader, "END counts %" PRIu64 " records; there are %" PRIu64, records_nr,
			  reader->totals.records_nr);
	if (ids_nr != reader->ids_nr || params->ids_nr != ids_nr)
		katr_fail(reader, "END counts %" PRIu64 " ids; there are %" PRIu32, ids_nr,
			  reader->ids_nr);
	if (live_nr != reader->totals.live_nr)
		katr_fail(reader, "END counts %" PRIu64 " live ids; there are %" PRIu64, live_nr,
			  reader->totals.live_nr);
	if (reader->tick != params->ticks)
		katr_fail(reader, "the last record's time is not the header's");
	if (bytes != params->records_bytes)
		katr_fail(reader, "the records are %" PRIu64 " bytes, not %" PRIu64, bytes,
			  params->records_bytes);
	check_class_counts(reader);
	if (katr_input_has_more(&reader->input))
		katr_fail(reader, "bytes follow END");
}

static void read_arguments(struct katr_reader *reader, struct katr_record *record)
{
	switch (record->op) {
	case KATR_ALLOC:
		katr_read_alloc(reader, record);
		break;
	case KATR_FREE:
	case KATR_FREE_BATCHED:
		katr_read_free(reader, record);
		break;
	case KATR_SPLIT:
		katr_read_split(reader, record);
		break;
	case KATR_FAIL:
		record->class_index = katr_read_class(reader);
		if (!reader->error.failed)
			reader->classes[record->class_index].used++;
		break;
	case KATR_CTX:
		read_context(reader);
		break;
	case KATR_MARK:
		read_mark(reader, record);
		break;
	case KATR_SAMPLE:
		read_sample(reader, record);
		break;
	case KATR_KEVENT:
		read_kernel_event(reader, record);
		break;
	case KATR_END:
		read_end(reader);
		break;
	default:
		katr_fail(reader, "an unknown op: %u", (unsigned)record->op);
	}
}

/* Head byte, CPU and time. */
static void read_head(struct katr_reader *reader, struct katr_record *record)
{
	uint8_t head = katr_read_byte(&reader->input);
	uint64_t ticks = head >> 6;

	record->op = (enum katr_op)(head & 15);
	record->flag = (head & 0x20) != 0;
	if (head & 0x10) {
		uint64_t cpu = katr_read_varint(&reader->input);

		if (cpu >= reader->params.cpus_nr)
			katr_fail(reader, "CPU %" PRIu64 " is not one of %" PRIu64, cpu,
				  reader->params.cpus_nr);
		else
			reader->cpu = (uint32_t)cpu;
	}
	if (ticks == 3)
		ticks += katr_read_varint(&reader->input);
	if (ticks > reader->params.ticks - reader->tick)
		katr_fail(reader, "the time passes the header's end");
	else
		reader->tick += ticks;
	record->cpu = reader->cpu;
	record->tick = reader->tick;
}

int katr_next(struct katr_reader *reader, struct katr_record *record)
{
	if (reader->error.failed)
		return -1;
	if (reader->ended)
		return 0;
	*record = (struct katr_record){ .op = KATR_END };
	if (!katr_input_has_more(&reader->input)) {
		katr_fail_at(&reader->error, katr_input_offset(&reader->input),
			     "truncated: there is no END record");
		return -1;
	}
	reader->record_offset = katr_input_offset(&reader->input);
	reader->totals.records_nr++;
	read_head(reader, record);
	if (!reader->error.failed)
		read_arguments(reader, record);
	return reader->error.failed ? -1 : 1;
}
