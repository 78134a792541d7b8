/* SPDX-License-Identifier: MIT */
/*
 * katr_header.c - the sections before the records of a KATRACE file
 *
 * All sections are in memory.  Each is parsed by a reader limited to its own bytes, so none can
 * read into the next.  Before anything is allocated for a count, it is compared with the bytes that
 * are left (an item takes at least one byte), so a wrong count alone cannot cause a large
 * allocation.
 */
#include "trace/katr.h"

#include <stdlib.h>
#include <string.h>

enum section {
	SECTION_INFO = 1,
	SECTION_PARAMS = 2,
	SECTION_STRINGS = 3,
	SECTION_CLASSES = 4,
	SECTION_TASKS = 5,
	SECTION_TABLES = 6,
	SECTIONS_NR = 7,
};

static const char *const section_names[SECTIONS_NR] = {
	[SECTION_INFO] = "section INFO",       [SECTION_PARAMS] = "section PARAMS",
	[SECTION_STRINGS] = "section STRINGS", [SECTION_CLASSES] = "section CLASSES",
	[SECTION_TASKS] = "section TASKS",     [SECTION_TABLES] = "section TABLES",
};

/* A section begins at @bytes, which is NULL if the file has none. */
struct section_bytes {
	const uint8_t *bytes;
	size_t bytes_nr;
};

/* The most for which Linux itself is built. */
#define CPUS_MAX 8192

/* A percpu object must fit into one unit. */
#define PERCPU_BYTES_MAX (1u << 20)

static void fail(struct katr_reader *reader, const struct katr_input *input, const char *text)
{
	katr_fail_at(&reader->error, katr_input_offset(input), "%s", text);
}

/* A count of items that take at least a byte each. */
static uint32_t read_count(struct katr_reader *reader, struct katr_input *input)
{
	uint64_t count = katr_read_varint(input);

	if (count <= (uint64_t)(input->end - input->next) && count < UINT32_MAX)
		return (uint32_t)count;
	fail(reader, input, "a count exceeds its section");
	return 0;
}

static void *alloc_items(struct katr_reader *reader, const struct katr_input *input, size_t nr,
			 size_t item_bytes)
{
	void *items = calloc(nr + 1, item_bytes);

	if (items == NULL)
		katr_fail_no_memory(&reader->error, katr_input_offset(input));
	return items;
}

static const char *read_string_index(struct katr_reader *reader, struct katr_input *input)
{
	uint64_t index = katr_read_varint(input);

	if (index < reader->strings_nr)
		return reader->strings[index];
	fail(reader, input, "a string index is out of range");
	return "";
}

/* Bytes that are left over belong to a later minor version. */
static void check_all_read(struct katr_reader *reader, const struct katr_input *input)
{
	if (reader->minor == 0 && input->next < input->end)
		fail(reader, input, "bytes are left over in a section");
}

static uint8_t printable(uint8_t byte)
{
	return byte >= 0x20 && byte < 0x7f ? byte : '?';
}

static void parse_info(struct katr_reader *reader, struct katr_input *input)
{
	size_t bytes_nr = (size_t)(input->end - input->next);

	reader->info = alloc_items(reader, input, bytes_nr, 1);
	for (size_t i = 0; reader->info != NULL && i < bytes_nr; i++)
		reader->info[i] = (char)(input->next[i] == '\n' ? '\n' : printable(input->next[i]));
	input->next = input->end;
}

static void parse_params(struct katr_reader *reader, struct katr_input *input)
{
	struct katr_params *params = &reader->params;
	uint64_t *const fields[] = {
		&params->tick_ns,	&params->page_shift,	&params->cpus_nr, &params->kinds,
		&params->place,		&params->records_nr,	&params->ids_nr,  &params->ticks,
		&params->vmalloc_pages, &params->records_bytes,
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		*fields[i] = katr_read_varint(input);
	if (params->tick_ns == 0 || params->tick_ns > 1000000000)
		fail(reader, input, "tick_ns is not within 1 ns to 1 s");
	if (params->page_shift < 12 || params->page_shift > 16)
		fail(reader, input, "page_shift is not within 12 to 16");
	if (params->cpus_nr == 0 || params->cpus_nr > CPUS_MAX)
		fail(reader, input, "the number of CPUs is not within 1 to 8192");
	if (params->kinds >> KATR_KINDS_NR || params->place >> KATR_KINDS_NR)
		fail(reader, input, "there is an unknown kind of allocation");
	/* Ids are kept in 32 bits; UINT32_MAX stays free. */
	if (params->ids_nr >= UINT32_MAX)
		fail(reader, input, "there are more ids than 32 bits hold");
}

/* Copies the strings with a NUL after each, so that the length prefixes make room for the NULs. */
static void parse_strings(struct katr_reader *reader, struct katr_input *input)
{
	uint32_t strings_nr = read_count(reader, input);
	char *to;

	reader->strings = alloc_items(reader, input, strings_nr, sizeof(reader->strings[0]));
	reader->strings_bytes = alloc_items(reader, input, (size_t)(input->end - input->next), 1);
	to = reader->strings_bytes;
	for (uint32_t i = 0; i < strings_nr && !reader->error.failed; i++) {
		uint32_t bytes_nr = read_count(reader, input);

		reader->strings[i] = to;
		for (uint32_t j = 0; j < bytes_nr; j++)
			*to++ = (char)printable(katr_read_byte(input));
		*to++ = '\0';
		reader->strings_nr = i + 1;
	}
}

static bool is_power_of_two(uint64_t value)
{
	return value != 0 && (value & (value - 1)) == 0;
}

static void parse_page_class(struct katr_reader *reader, struct katr_input *input,
			     struct katr_class *class)
{
	uint64_t order = katr_read_varint(input);
	uint64_t gfp = katr_read_varint(input);
	uint64_t migratetype = katr_read_varint(input);

	if (order > KATR_ORDER_MAX || migratetype >= KATR_MIGRATETYPES_NR || gfp > UINT32_MAX) {
		fail(reader, input, "the order, type or gfp of a page class is out of range");
		return;
	}
	class->order = (uint8_t)order;
	class->gfp = (uint32_t)gfp;
	class->migratetype = (uint8_t)migratetype;
	class->size_bytes = (uint64_t)1 << (reader->params.page_shift + order);
	class->align_bytes = class->size_bytes;
}

static void parse_percpu_class(struct katr_reader *reader, struct katr_input *input,
			       struct katr_class *class)
{
	class->size_bytes = katr_read_varint(input);
	class->align_bytes = katr_read_varint(input);
	class->gfp = (uint32_t)katr_read_varint(input);
	class->detail = (uint8_t)katr_read_varint(input); /* the flags that are known lie in it */
	katr_read_varint(input);			  /* bytes_alloc */
	class->site = read_string_index(reader, input);
	if (class->size_bytes == 0 || class->size_bytes > PERCPU_BYTES_MAX ||
	    !is_power_of_two(class->align_bytes))
		fail(reader, input, "the size or alignment of a percpu class is out of range");
}

static void parse_vmap_class(struct katr_reader *reader, struct katr_input *input,
			     struct katr_class *class)
{
	uint64_t page_bytes = (uint64_t)1 << reader->params.page_shift;
	uint64_t type;

	class->size_bytes = katr_read_varint(input);
	class->align_bytes = katr_read_varint(input);
	katr_read_varint(input); /* range */
	type = katr_read_varint(input);
	class->detail = (uint8_t)(type <= UINT8_MAX ? type : KATR_AREA_UNKNOWN);
	class->site = read_string_index(reader, input);
	if (class->size_bytes == 0 || class->size_bytes % page_bytes != 0 ||
	    class->size_bytes >> 56 != 0 || !is_power_of_two(class->align_bytes))
		fail(reader, input, "the size or alignment of a vmap class is out of range");
}

static void parse_slab_class(struct katr_reader *reader, struct katr_input *input,
			     struct katr_class *class)
{
	class->asked_bytes = katr_read_varint(input);
	class->size_bytes = katr_read_varint(input);
	class->gfp = (uint32_t)katr_read_varint(input);
	katr_read_varint(input);	  /* flags */
	katr_read_varint(input);	  /* node, as z */
	read_string_index(reader, input); /* cache */
	class->site = read_string_index(reader, input);
	if ((class->asked_bytes > class->size_bytes && class->size_bytes != 0) ||
	    class->size_bytes >> 56 != 0)
		fail(reader, input, "the size of a slab class is out of range");
}

static void parse_class(struct katr_reader *reader, struct katr_input *row,
			struct katr_class *class)
{
	uint64_t kind = katr_read_varint(row);

	class->count = katr_read_varint(row);
	class->kind = (uint8_t)kind;
	class->site = "";
	switch (kind) {
	case KATR_PAGE:
		parse_page_class(reader, row, class);
		break;
	case KATR_PERCPU:
		parse_percpu_class(reader, row, class);
		break;
	case KATR_VMAP:
		parse_vmap_class(reader, row, class);
		break;
	case KATR_SLAB:
		parse_slab_class(reader, row, class);
		break;
	default:
		fail(reader, row, "a class is of an unknown kind");
	}
	if (reader->minor >= 2 && row->next < row->end)
		class->instance = (uint32_t)katr_read_varint(row);
}

static void parse_classes(struct katr_reader *reader, struct katr_input *input)
{
	uint32_t classes_nr = read_count(reader, input);

	reader->classes = alloc_items(reader, input, classes_nr, sizeof(reader->classes[0]));
	for (uint32_t i = 0; i < classes_nr && !reader->error.failed; i++) {
		uint32_t bytes_nr = read_count(reader, input);
		struct katr_input row = *input;

		katr_input_of_memory(&row, input->next, bytes_nr, katr_input_offset(input));
		input->next += bytes_nr;
		parse_class(reader, &row, &reader->classes[i]);
		check_all_read(reader, &row);
		reader->classes_nr = i + 1;
	}
}

/* Nothing here needs the tasks' names, but a context must name one of them. */
static void parse_tasks(struct katr_reader *reader, struct katr_input *input)
{
	uint32_t tasks_nr = read_count(reader, input);

	for (uint32_t i = 0; i < tasks_nr && !reader->error.failed; i++)
		read_string_index(reader, input);
	reader->tasks_nr = tasks_nr;
}

static void parse_columns(struct katr_reader *reader, struct katr_input *input,
			  struct katr_table *table)
{
	uint32_t columns_nr = read_count(reader, input);

	table->columns = alloc_items(reader, input, columns_nr, sizeof(table->columns[0]));
	table->is_string = alloc_items(reader, input, columns_nr, 1);
	for (uint32_t i = 0; i < columns_nr && !reader->error.failed; i++) {
		table->columns[i] = read_string_index(reader, input);
		table->is_string[i] = katr_read_byte(input);
		if (table->is_string[i] > 1)
			fail(reader, input, "a column is of an unknown type");
		table->columns_nr = i + 1;
	}
	if (columns_nr == 0)
		fail(reader, input, "a table has no columns");
}

static void parse_tables(struct katr_reader *reader, struct katr_input *input)
{
	uint32_t tables_nr = read_count(reader, input);

	reader->tables = alloc_items(reader, input, tables_nr, sizeof(reader->tables[0]));
	for (uint32_t i = 0; i < tables_nr && !reader->error.failed; i++) {
		reader->tables_nr = i + 1;
		reader->tables[i].name = read_string_index(reader, input);
		parse_columns(reader, input, &reader->tables[i]);
	}
}

/* Finds where each section begins; the sections must end where the records begin. */
static void find_sections(struct katr_reader *reader, struct section_bytes *sections)
{
	struct katr_input input = { .what = "the header", .error = &reader->error };

	katr_input_of_memory(&input, reader->header + 16, reader->header_bytes - 16, 16);
	while (!reader->error.failed) {
		uint64_t tag = katr_read_varint(&input);
		uint64_t bytes_nr;

		if (tag == 0 || reader->error.failed)
			break;
		bytes_nr = read_count(reader, &input);
		if (tag < SECTIONS_NR && sections[tag].bytes != NULL)
			fail(reader, &input, "a section occurs twice");
		if (tag < SECTIONS_NR)
			sections[tag] =
				(struct section_bytes){ .bytes = input.next, .bytes_nr = bytes_nr };
		input.next += bytes_nr;
	}
	if (input.next < input.end)
		fail(reader, &input, "the sections end before the records begin");
}

/* The order is that of use: classes name strings, and page sizes are in the parameters. */
void katr_parse_header(struct katr_reader *reader)
{
	static void (*const parse[SECTIONS_NR])(struct katr_reader *, struct katr_input *) = {
		[SECTION_INFO] = parse_info,	   [SECTION_PARAMS] = parse_params,
		[SECTION_STRINGS] = parse_strings, [SECTION_CLASSES] = parse_classes,
		[SECTION_TASKS] = parse_tasks,	   [SECTION_TABLES] = parse_tables,
	};
	struct section_bytes sections[SECTIONS_NR] = { { .bytes = NULL } };

	find_sections(reader, sections);
	for (unsigned tag = 1; tag < SECTIONS_NR && !reader->error.failed; tag++) {
		struct katr_input input = { .what = section_names[tag], .error = &reader->error };

		if (sections[tag].bytes == NULL) {
			katr_fail_at(&reader->error, reader->header_bytes, "%s is missing",
				     section_names[tag]);
			return;
		}
		katr_input_of_memory(&input, sections[tag].bytes, sections[tag].bytes_nr,
				     (uint64_t)(sections[tag].bytes - reader->header));
		parse[tag](reader, &input);
		check_all_read(reader, &input);
	}
}
