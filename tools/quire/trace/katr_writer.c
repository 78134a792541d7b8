/* SPDX-License-Identifier: MIT */
#include "trace/katr_writer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct katr_writer_string {
	uint64_t hash;
	char *text;
};

struct katr_writer_class {
	uint64_t values[KATR_CLASS_VALUES_MAX];
	uint64_t count;
	uint8_t kind;
	uint8_t values_nr;
};

/* Slots are at most half full, so that a probe is short. */
#define SLOTS_MIN 64u

static void fail(struct katr_writer *writer, int error)
{
	if (writer->error == 0)
		writer->error = error != 0 ? -error : -EIO;
}

/* Doubles an array that is full; NULL with the failure kept. */
static void *grow(struct katr_writer *writer, void *items, uint32_t used, uint32_t *room,
		  size_t item_bytes)
{
	void *grown = items;

	if (used < *room)
		return items;
	grown = realloc(items, ((size_t)*room * 2 + SLOTS_MIN / 2) * item_bytes);
	if (grown == NULL)
		fail(writer, ENOMEM);
	else
		*room = *room * 2 + SLOTS_MIN / 2;
	return grown;
}

static bool text_open(struct katr_text *text)
{
	text->file = open_memstream(&text->bytes, &text->bytes_nr);
	return text->file != NULL;
}

/* False: what was written is not whole. */
static bool text_close(struct katr_text *text)
{
	bool is_whole = text->file != NULL && fclose(text->file) == 0;

	text->file = NULL;
	return is_whole;
}

static void put_varint(FILE *file, uint64_t value)
{
	uint8_t bytes[KATR_VARINT_BYTES_MAX];

	fwrite(bytes, 1, katr_put_varint(bytes, value), file);
}

void katr_writer_init(struct katr_writer *writer, FILE *records)
{
	*writer = (struct katr_writer){ .records = records, .page_shift = 12, .cpus_nr = 1 };
	if (records == NULL)
		fail(writer, errno);
	if (!text_open(&writer->info) || !text_open(&writer->tables))
		fail(writer, ENOMEM);
	katr_writer_string(writer, "");
}

void katr_writer_fini(struct katr_writer *writer)
{
	if (writer->records != NULL)
		fclose(writer->records);
	text_close(&writer->info);
	text_close(&writer->tables);
	free(writer->info.bytes);
	free(writer->tables.bytes);
	for (uint32_t i = 0; i < writer->strings_nr; i++)
		free(writer->strings[i].text);
	free(writer->strings);
	free(writer->string_slots.index);
	free(writer->classes);
	free(writer->class_slots.index);
	free(writer->tasks);
}

/* ---- strings and classes ---------------------------------------------------------------------- */

/* FNV-1a */
static uint64_t hash_bytes(const void *bytes, size_t nr)
{
	const uint8_t *byte = bytes;
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < nr; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3u;
	return hash ^ hash >> 29;
}

static uint64_t hash_class(const struct katr_writer_class *class)
{
	uint64_t hash = class->kind;

	for (unsigned i = 0; i < class->values_nr; i++)
		hash = (hash ^ class->values[i]) * 0x9e3779b97f4a7c15u ^ hash >> 32;
	return hash ^ hash >> 29;
}

static uint64_t string_hash(const struct katr_writer *writer, uint32_t index)
{
	return writer->strings[index].hash;
}

static uint64_t class_hash(const struct katr_writer *writer, uint32_t index)
{
	return hash_class(&writer->classes[index]);
}

static uint32_t first_slot(const struct katr_slots *slots, uint64_t hash)
{
	return (uint32_t)hash & (slots->nr - 1);
}

static uint32_t next_slot(const struct katr_slots *slots, uint32_t slot)
{
	return (slot + 1) & (slots->nr - 1);
}

static void put_slot(struct katr_slots *slots, uint64_t hash, uint32_t index)
{
	uint32_t slot = first_slot(slots, hash);

	while (slots->index[slot] != 0)
		slot = next_slot(slots, slot);
	slots->index[slot] = index + 1;
}

/* Room for one more than @used: twice as many slots if half are taken.  False without memory. */
static bool has_slots(struct katr_writer *writer, struct katr_slots *slots, uint32_t used,
		      uint64_t (*hash_of)(const struct katr_writer *writer, uint32_t index))
{
	struct katr_slots more = { .nr = slots->nr == 0 ? SLOTS_MIN : slots->nr * 2 };

	if (used < slots->nr / 2)
		return true;
	more.index = calloc(more.nr, sizeof(more.index[0]));
	if (more.index == NULL) {
		fail(writer, ENOMEM);
		return false;
	}
	for (uint32_t i = 0; i < used; i++)
		put_slot(&more, hash_of(writer, i), i);
	free(slots->index);
	*slots = more;
	return true;
}

static bool has_string_room(struct katr_writer *writer)
{
	struct katr_writer_string *strings = grow(writer, writer->strings, writer->strings_nr,
						  &writer->strings_room, sizeof(strings[0]));

	if (strings != NULL)
		writer->strings = strings;
	return strings != NULL &&
	       has_slots(writer, &writer->string_slots, writer->strings_nr, string_hash);
}

uint32_t katr_writer_string(struct katr_writer *writer, const char *string)
{
	const struct katr_slots *slots = &writer->string_slots;
	uint64_t hash = hash_bytes(string, strlen(string));
	char *text;
	uint32_t i;

	if (writer->error != 0 || !has_string_room(writer))
		return 0;
	for (i = first_slot(slots, hash); slots->index[i] != 0; i = next_slot(slots, i)) {
		uint32_t index = slots->index[i] - 1;

		if (writer->strings[index].hash == hash &&
		    strcmp(writer->strings[index].text, string) == 0)
			return index;
	}
	text = strdup(string);
	if (text == NULL) {
		fail(writer, ENOMEM);
		return 0;
	}
	writer->strings[writer->strings_nr] =
		(struct katr_writer_string){ .hash = hash, .text = text };
	slots->index[i] = writer->strings_nr + 1;
	return writer->strings_nr++;
}

static bool has_class_room(struct katr_writer *writer)
{
	struct katr_writer_class *classes = grow(writer, writer->classes, writer->classes_nr,
						 &writer->classes_room, sizeof(classes[0]));

	if (classes != NULL)
		writer->classes = classes;
	return classes != NULL &&
	       has_slots(writer, &writer->class_slots, writer->classes_nr, class_hash);
}

uint32_t katr_writer_class(struct katr_writer *writer, enum katr_kind kind, const uint64_t *values,
			   unsigned values_nr)
{
	struct katr_writer_class wanted = { .kind = (uint8_t)kind,
					    .values_nr = (uint8_t)values_nr };
	const struct katr_slots *slots = &writer->class_slots;
	uint32_t i;

	if (writer->error != 0 || !has_class_room(writer))
		return 0;
	memcpy(wanted.values, values, values_nr * sizeof(values[0]));
	for (i = first_slot(slots, hash_class(&wanted)); slots->index[i] != 0;
	     i = next_slot(slots, i)) {
		struct katr_writer_class *class = &writer->classes[slots->index[i] - 1];

		if (class->kind == wanted.kind &&
		    memcmp(class->values, wanted.values, sizeof(wanted.values)) == 0) {
			class->count++;
			return slots->index[i] - 1;
		}
	}
	wanted.count = 1;
	writer->classes[writer->classes_nr] = wanted;
	slots->index[i] = writer->classes_nr + 1;
	return writer->classes_nr++;
}

uint32_t katr_writer_task(struct katr_writer *writer, const char *name)
{
	uint32_t *tasks = grow(writer, writer->tasks, writer->tasks_nr, &writer->tasks_room,
			       sizeof(tasks[0]));

	if (tasks == NULL)
		return 0;
	writer->tasks = tasks;
	tasks[writer->tasks_nr] = katr_writer_string(writer, name);
	return writer->tasks_nr++;
}

void katr_writer_rename_task(struct katr_writer *writer, uint32_t task, const char *name)
{
	if (task < writer->tasks_nr)
		writer->tasks[task] = katr_writer_string(writer, name);
}

uint32_t katr_writer_table(struct katr_writer *writer, const char *name, const char *const *columns)
{
	FILE *file = writer->tables.file;
	size_t columns_nr = 0;

	if (writer->error != 0)
		return 0;
	while (columns[columns_nr] != NULL)
		columns_nr++;
	put_varint(file, katr_writer_string(writer, name));
	put_varint(file, columns_nr);
	for (size_t i = 0; i < columns_nr; i++) {
		bool is_string = columns[i][0] == '$';

		put_varint(file, katr_writer_string(writer, columns[i] + is_string));
		putc(is_string, file);
	}
	return writer->tables_nr++;
}

void katr_writer_info(struct katr_writer *writer, const char *key, const char *format, ...)
{
	va_list arguments;
	char *value;
	int bytes;

	if (writer->error != 0)
		return;
	va_start(arguments, format);
	bytes = vasprintf(&value, format, arguments);
	va_end(arguments);
	if (bytes < 0) {
		fail(writer, ENOMEM);
		return;
	}
	for (char *at = value; *at != '\0'; at++)
		if ((unsigned char)*at < ' ')
			*at = ' ';
	fprintf(writer->info.file, "%s=%s\n", key, value);
	free(value);
}

void katr_writer_name(struct katr_writer *writer, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	katr_writer_info(writer, "name", "%.*s", (int)strcspn(name, "."), name);
}

/* ---- records ---------------------------------------------------------------------------------- */

#define HEAD_BYTES_MAX	 (1 + 2 * KATR_VARINT_BYTES_MAX)
#define RECORD_BYTES_MAX (HEAD_BYTES_MAX + 4 * KATR_VARINT_BYTES_MAX)

static void put_bytes(struct katr_writer *writer, const uint8_t *bytes, size_t bytes_nr)
{
	if (writer->error == 0 && fwrite_unlocked(bytes, 1, bytes_nr, writer->records) != bytes_nr)
		fail(writer, errno);
	writer->records_bytes += bytes_nr;
}

/* The head of a record: bytes written to @to. */
static unsigned put_head(struct katr_writer *writer, uint8_t *to, struct katr_moment at,
			 unsigned op)
{
	uint64_t tick, ticks;
	unsigned nr = 1;

	if (!writer->has_begun)
		writer->base_ns = at.ns;
	writer->has_begun = true;
	tick = at.ns > writer->base_ns ? (at.ns - writer->base_ns) / KATR_TICK_NS : 0;
	ticks = tick > writer->tick ? tick - writer->tick : 0;
	writer->tick += ticks;
	to[0] = (uint8_t)(op | (ticks < 3 ? (unsigned)ticks : 3u) << 6);
	if (at.cpu != writer->cpu) {
		to[0] |= 0x10;
		nr += katr_put_varint(to + nr, at.cpu);
		writer->cpu = at.cpu;
	}
	if (ticks >= 3)
		nr += katr_put_varint(to + nr, ticks - 3);
	writer->records_nr++;
	return nr;
}

uint32_t katr_write_alloc(struct katr_writer *writer, struct katr_moment at, uint32_t class_index,
			  const uint64_t *placement, unsigned placement_nr)
{
	uint8_t bytes[RECORD_BYTES_MAX];
	unsigned nr = put_head(writer, bytes, at, KATR_ALLOC);

	nr += katr_put_varint(bytes + nr, class_index);
	for (unsigned i = 0; i < placement_nr; i++)
		nr += katr_put_varint(bytes + nr, placement[i]);
	put_bytes(writer, bytes, nr);
	/* Ids are kept in 32 bits; UINT32_MAX stays free. */
	if (writer->ids_nr == UINT32_MAX - 1) {
		fail(writer, EFBIG);
		return 0;
	}
	writer->live_nr++;
	return writer->ids_nr++;
}

void katr_write_free(struct katr_writer *writer, struct katr_moment at, enum katr_op op,
		     bool is_inferred, uint32_t id)
{
	uint8_t bytes[RECORD_BYTES_MAX];
	unsigned nr = put_head(writer, bytes, at, (unsigned)op | (is_inferred ? 0x20 : 0));

	nr += katr_put_varint(bytes + nr, writer->ids_nr - 1 - id);
	put_bytes(writer, bytes, nr);
	writer->live_nr--;
}

uint32_t katr_write_split(struct katr_writer *writer, struct katr_moment at, uint32_t id,
			  unsigned order, unsigned new_order)
{
	uint8_t bytes[RECORD_BYTES_MAX];
	unsigned nr = put_head(writer, bytes, at, KATR_SPLIT);
	uint32_t pieces_nr = 1u << (order - new_order);

	nr += katr_put_varint(bytes + nr, writer->ids_nr - 1 - id);
	nr += katr_put_varint(bytes + nr, new_order);
	put_bytes(writer, bytes, nr);
	if (writer->ids_nr >= UINT32_MAX - pieces_nr) {
		fail(writer, EFBIG);
		return 0;
	}
	writer->live_nr += pieces_nr - 1;
	writer->ids_nr += pieces_nr;
	return writer->ids_nr - pieces_nr;
}

/* A record of one number. */
static void put_number(struct katr_writer *writer, struct katr_moment at, enum katr_op op,
		       uint64_t number)
{
	uint8_t bytes[RECORD_BYTES_MAX];
	unsigned nr = put_head(writer, bytes, at, (unsigned)op);

	nr += katr_put_varint(bytes + nr, number);
	put_bytes(writer, bytes, nr);
}

void katr_write_fail(struct katr_writer *writer, struct katr_moment at, uint32_t class_index)
{
	put_number(writer, at, KATR_FAIL, class_index);
}

void katr_write_context(struct katr_writer *writer, struct katr_moment at, uint32_t task,
			unsigned context)
{
	put_number(writer, at, KATR_CTX, (uint64_t)task << 2 | context);
}

void katr_write_mark(struct katr_writer *writer, struct katr_moment at, const char *name)
{
	put_number(writer, at, KATR_MARK, katr_writer_string(writer, name));
}

void katr_write_sample(struct katr_writer *writer, struct katr_moment at, const uint8_t *payload,
		       size_t payload_nr)
{
	uint8_t bytes[RECORD_BYTES_MAX];

	put_bytes(writer, bytes, put_head(writer, bytes, at, KATR_SAMPLE));
	put_bytes(writer, payload, payload_nr);
}

void katr_write_kernel_event(struct katr_writer *writer, struct katr_moment at, unsigned kind,
			     const uint64_t *values, unsigned values_nr)
{
	uint8_t bytes[RECORD_BYTES_MAX];
	unsigned nr = put_head(writer, bytes, at, KATR_KEVENT);

	nr += katr_put_varint(bytes + nr, kind);
	nr += katr_put_varint(bytes + nr, values_nr);
	put_bytes(writer, bytes, nr);
	for (unsigned i = 0; i < values_nr; i++)
		put_bytes(writer, bytes, katr_put_varint(bytes, values[i]));
}

/* ---- the whole file --------------------------------------------------------------------------- */

static void put_strings(const struct katr_writer *writer, FILE *file)
{
	put_varint(file, writer->strings_nr);
	for (uint32_t i = 0; i < writer->strings_nr; i++) {
		put_varint(file, strlen(writer->strings[i].text));
		fputs(writer->strings[i].text, file);
	}
}

static void put_classes(const struct katr_writer *writer, FILE *file)
{
	put_varint(file, writer->classes_nr);
	for (uint32_t i = 0; i < writer->classes_nr; i++) {
		const struct katr_writer_class *class = &writer->classes[i];
		uint8_t row[(KATR_CLASS_VALUES_MAX + 2) * KATR_VARINT_BYTES_MAX];
		unsigned nr = katr_put_varint(row, class->kind);

		nr += katr_put_varint(row + nr, class->count);
		for (unsigned j = 0; j < class->values_nr; j++)
			nr += katr_put_varint(row + nr, class->values[j]);
		put_varint(file, nr);
		fwrite(row, 1, nr, file);
	}
}

static void put_params(const struct katr_writer *writer, FILE *file)
{
	const uint64_t params[] = {
		KATR_TICK_NS,	       writer->page_shift,    writer->cpus_nr, writer->kinds,
		writer->place,	       writer->records_nr,    writer->ids_nr,  writer->tick,
		writer->vmalloc_pages, writer->records_bytes,
	};

	for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++)
		put_varint(file, params[i]);
}

static void put_tasks(const struct katr_writer *writer, FILE *file)
{
	put_varint(file, writer->tasks_nr);
	for (uint32_t i = 0; i < writer->tasks_nr; i++)
		put_varint(file, writer->tasks[i]);
}

static void put_info(const struct katr_writer *writer, FILE *file)
{
	fwrite(writer->info.bytes, 1, writer->info.bytes_nr, file);
}

static void put_tables(const struct katr_writer *writer, FILE *file)
{
	put_varint(file, writer->tables_nr);
	fwrite(writer->tables.bytes, 1, writer->tables.bytes_nr, file);
}

/* One section: tag, length, payload. */
static void put_section(struct katr_writer *writer, FILE *file, unsigned tag,
			void (*put)(const struct katr_writer *writer, FILE *file))
{
	struct katr_text text = { .file = NULL };

	if (writer->error != 0 || !text_open(&text)) {
		fail(writer, ENOMEM);
		return;
	}
	put(writer, text.file);
	if (text_close(&text)) {
		put_varint(file, tag);
		put_varint(file, text.bytes_nr);
		fwrite(text.bytes, 1, text.bytes_nr, file);
	} else {
		fail(writer, ENOMEM);
	}
	free(text.bytes);
}

static void make_header(struct katr_writer *writer, struct katr_text *header)
{
	static const uint8_t begin[16] = { 'K', 'A', 'T', 'R', 'A', 'C', 'E', 0, 1, 0, 2, 0 };
	static void (*const sections[])(const struct katr_writer *writer, FILE *file) = {
		put_info, put_params, put_strings, put_classes, put_tasks, put_tables,
	};

	if (!text_open(header)) {
		fail(writer, ENOMEM);
		return;
	}
	fwrite(begin, 1, sizeof(begin), header->file);
	for (unsigned i = 0; i < sizeof(sections) / sizeof(sections[0]); i++)
		put_section(writer, header->file, i + 1, sections[i]);
	putc(0, header->file);
	if (!text_close(header)) {
		fail(writer, ENOMEM);
		return;
	}
	for (unsigned i = 0; i < 4; i++)
		header->bytes[12 + i] = (char)(header->bytes_nr >> (8 * i));
}

int katr_writer_end(struct katr_writer *writer, const char *path)
{
	struct katr_text header = { .file = NULL };
	uint8_t bytes[RECORD_BYTES_MAX + 2 * KATR_VARINT_BYTES_MAX];
	struct katr_moment last = { .ns = writer->base_ns, .cpu = writer->cpu };
	unsigned nr = put_head(writer, bytes, last, KATR_END);

	nr += katr_put_varint(bytes + nr, writer->records_nr);
	nr += katr_put_varint(bytes + nr, writer->ids_nr);
	nr += katr_put_varint(bytes + nr, writer->live_nr);
	put_bytes(writer, bytes, nr);
	katr_writer_info(writer, "records", "%llu", (unsigned long long)writer->records_nr);
	katr_writer_info(writer, "ids", "%u", writer->ids_nr);
	if (!text_close(&writer->info) || !text_close(&writer->tables))
		fail(writer, ENOMEM);
	make_header(writer, &header);
	if (writer->error == 0)
		writer->error = katr_compress(path, header.bytes, header.bytes_nr, writer->records);
	free(header.bytes);
	return writer->error;
}
