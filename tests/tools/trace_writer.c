/* SPDX-License-Identifier: MIT */
#include "trace_writer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <zstd.h>

#define CPUS_NR	   2
#define LIVE_MAX   4096
#define PAGE_SHIFT 12

/* The set-up of a test is never allowed to fail quietly. */
static void require(bool is_right, const char *what)
{
	if (!is_right) {
		fprintf(stderr, "trace_writer: %s\n", what);
		abort();
	}
}

void bytes_put(struct bytes *bytes, const void *data, size_t nr)
{
	if (bytes->nr + nr > bytes->room) {
		bytes->room = (bytes->nr + nr) * 2;
		bytes->data = realloc(bytes->data, bytes->room);
		require(bytes->data != NULL, "out of memory");
	}
	if (nr > 0)
		memcpy(bytes->data + bytes->nr, data, nr);
	bytes->nr += nr;
}

void bytes_put_byte(struct bytes *bytes, unsigned byte)
{
	uint8_t data = (uint8_t)byte;

	bytes_put(bytes, &data, 1);
}

void bytes_put_varint(struct bytes *bytes, uint64_t value)
{
	for (; value >= 0x80; value >>= 7)
		bytes_put_byte(bytes, (unsigned)(value & 0x7f) | 0x80);
	bytes_put_byte(bytes, (unsigned)value);
}

void bytes_put_zigzag(struct bytes *bytes, int64_t value)
{
	bytes_put_varint(bytes, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void bytes_free(struct bytes *bytes)
{
	free(bytes->data);
	*bytes = (struct bytes){ .data = NULL };
}

uint64_t random_next(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

/* ---- strings, classes, tables: their indices are fixed --------------------------------------- */

enum string {
	STRING_EMPTY,
	STRING_START,
	STRING_END,
	STRING_SITE,
	STRING_TASK,
	STRING_EVENT_COUNTERS,
	STRING_PAGE_LIVE_BYTES,
	STRING_ZONE,
	STRING_FREE,
	STRING_PERCPU_LIVE_BYTES,
	STRING_VMAP_LIVE_BYTES,
	STRING_VMAP_PURGES,
	STRING_VMALLOCINFO,
	STRING_TYPE,
	STRING_AREAS,
	STRING_BYTES,
	STRING_VMALLOC,
	STRING_UNPURGED,
	STRING_MEMINFO,
	STRING_PERCPU,
	STRING_VMALLOC_USED,
	STRING_PERCPU_GLOBAL,
	STRING_CHUNKS,
	STRING_OBJECTS,
	STRING_EMPTY_PAGES,
	STRING_CHUNKS_CREATED,
	STRINGS_NR,
};

static const char *const strings[STRINGS_NR] = {
	"",
	"start",
	"end+1s",
	"site",
	"task",
	"event_counters",
	"page_live_bytes",
	"zone",
	"free",
	"percpu_live_bytes",
	"vmap_live_bytes",
	"vmap_purges",
	"vmallocinfo",
	"type",
	"areas",
	"bytes",
	"vmalloc",
	"unpurged",
	"meminfo_kB",
	"Percpu",
	"VmallocUsed",
	"percpu_global",
	"nr_chunks",
	"nr_cur_alloc",
	"empty_pop_pages",
	"chunks_created",
};

/* Pages first, then areas, then objects. */
#define PAGE_CLASSES_NR	  5
#define OBJECT_CLASSES_NR 5
#define CLASSES_NR	  (PAGE_CLASSES_NR + OBJECT_CLASSES_NR)
#define VMAP_CLASSES_NR	  3
static const struct {
	uint8_t order, migratetype;
} page_classes[PAGE_CLASSES_NR] = { { 0, 1 }, { 0, 0 }, { 3, 1 }, { 1, 2 }, { 0, 3 } };

/* Areas have a guard page in their size, but for the block of vm_map_ram. */
enum kind {
	KIND_PAGE,
	KIND_PERCPU,
	KIND_VMAP
};
static const struct {
	enum kind kind;
	unsigned size, align;
	unsigned detail; /* vmap: type; percpu: flags */
} object_classes[OBJECT_CLASSES_NR] = {
	{ KIND_VMAP, 5u << PAGE_SHIFT, 4u << PAGE_SHIFT, 1 },
	{ KIND_VMAP, 33u << PAGE_SHIFT, 1, 2 },
	{ KIND_VMAP, 8u << PAGE_SHIFT, 1, 4 },
	{ KIND_PERCPU, 16, 8, 0 },
	{ KIND_PERCPU, 1216, 64, 2 },
};

struct live {
	uint64_t id;
	unsigned order; /* ORDER_NONE: not a page */
	unsigned class;
};
#define ORDER_NONE 99u

struct writer {
	struct bytes records;
	struct trace_counts *counts;
	uint64_t random;
	uint64_t ticks;
	uint64_t class_uses[CLASSES_NR];
	uint64_t next_pfn, last_pfn[CPUS_NR];
	int64_t live_bytes[3]; /* by kind, not of pages */
	unsigned cpu;
	struct live live[LIVE_MAX];
	unsigned live_nr;
};

static void put_head(struct writer *writer, unsigned op)
{
	uint64_t ticks = random_next(&writer->random) % 6;
	unsigned cpu = (unsigned)(random_next(&writer->random) / 8 % CPUS_NR);
	bool moves = cpu != writer->cpu;

	bytes_put_byte(&writer->records,
		       op | (moves ? 0x10u : 0) | (unsigned)(ticks < 3 ? ticks : 3) << 6);
	if (moves)
		bytes_put_varint(&writer->records, cpu);
	if (ticks >= 3)
		bytes_put_varint(&writer->records, ticks - 3);
	writer->cpu = cpu;
	writer->ticks += ticks;
	writer->counts->records_nr++;
}

static void put_page_alloc(struct writer *writer, unsigned class)
{
	unsigned order = page_classes[class].order;
	uint64_t pfn = (writer->next_pfn + (1u << order) - 1) & ~((uint64_t)(1u << order) - 1);

	put_head(writer, 0);
	bytes_put_varint(&writer->records, class);
	bytes_put_zigzag(&writer->records, (int64_t)(pfn - writer->last_pfn[writer->cpu]));
	writer->last_pfn[writer->cpu] = pfn;
	/* Gaps, so that blocks are left half empty. */
	writer->next_pfn = pfn + (1u << order) + random_next(&writer->random) % 64;
	writer->live[writer->live_nr++] =
		(struct live){ .id = writer->counts->ids_nr++, .order = order, .class = class };
	writer->class_uses[class]++;
	writer->counts->allocs_nr++;
	writer->counts->page_allocs_nr++;
	writer->counts->live_pages += 1u << order;
}

/* One area or object of the class that is @index after the pages'. */
static void put_object_alloc(struct writer *writer, unsigned index)
{
	unsigned class = PAGE_CLASSES_NR + index;

	put_head(writer, 0);
	bytes_put_varint(&writer->records, class);
	if (object_classes[index].kind == KIND_VMAP) {
		bytes_put_zigzag(&writer->records, 5);
		writer->counts->vmap_allocs_nr++;
	} else {
		bytes_put_varint(&writer->records, 0); /* chunk */
		bytes_put_varint(&writer->records, 64 * writer->counts->percpu_allocs_nr % 4096);
		writer->counts->percpu_allocs_nr++;
	}
	writer->live[writer->live_nr++] = (struct live){ .id = writer->counts->ids_nr++,
							 .order = ORDER_NONE,
							 .class = class };
	writer->live_bytes[object_classes[index].kind] += object_classes[index].size;
	writer->class_uses[class]++;
	writer->counts->allocs_nr++;
}

static struct live take_live(struct writer *writer)
{
	unsigned index = (unsigned)(random_next(&writer->random) % writer->live_nr);
	struct live live = writer->live[index];

	writer->live[index] = writer->live[--writer->live_nr];
	return live;
}

static void put_age(struct writer *writer, uint64_t id)
{
	bytes_put_varint(&writer->records, writer->counts->ids_nr - 1 - id);
}

static void put_free(struct writer *writer, bool batched)
{
	struct live live = take_live(writer);
	bool is_page = live.order != ORDER_NONE;

	put_head(writer, batched && is_page ? 2 : 1);
	put_age(writer, live.id);
	writer->counts->frees_nr++;
	if (is_page) {
		writer->counts->batched_nr += batched;
		writer->counts->live_pages -= 1u << live.order;
	} else {
		unsigned index = live.class - PAGE_CLASSES_NR;

		writer->live_bytes[object_classes[index].kind] -= object_classes[index].size;
	}
}

/* Splits a live block, if the one drawn can be split. */
static void put_split(struct writer *writer)
{
	struct live live = take_live(writer);
	unsigned new_order;

	if (live.order == ORDER_NONE || live.order == 0) {
		writer->live[writer->live_nr++] = live;
		return;
	}
	new_order = (unsigned)(random_next(&writer->random) % live.order);
	put_head(writer, 3);
	put_age(writer, live.id);
	bytes_put_varint(&writer->records, new_order);
	for (unsigned i = 0; i < 1u << (live.order - new_order); i++)
		writer->live[writer->live_nr++] = (struct live){ .id = writer->counts->ids_nr++,
								 .order = new_order,
								 .class = live.class };
	writer->counts->splits_nr++;
}

static void put_mark(struct writer *writer, enum string name)
{
	put_head(writer, 6);
	bytes_put_varint(&writer->records, name);
	put_head(writer, 7); /* zone: two rows of a name and its free pages */
	bytes_put_varint(&writer->records, 1);
	bytes_put_varint(&writer->records, 2);
	for (int row = 0; row < 2; row++) {
		bytes_put_zigzag(&writer->records, STRING_TASK);
		bytes_put_zigzag(&writer->records, 1000 + row);
	}
	put_head(writer, 7); /* event_counters: one row */
	bytes_put_varint(&writer->records, 0);
	bytes_put_varint(&writer->records, 1);
	bytes_put_zigzag(&writer->records, (int64_t)(writer->counts->live_pages << PAGE_SHIFT));
	bytes_put_zigzag(&writer->records, writer->live_bytes[KIND_PERCPU]);
	bytes_put_zigzag(&writer->records, writer->live_bytes[KIND_VMAP]);
	bytes_put_zigzag(&writer->records, 7);
	bytes_put_zigzag(&writer->records, 21);
	put_head(writer, 7); /* vmallocinfo: two rows of type, areas, bytes */
	bytes_put_varint(&writer->records, 2);
	bytes_put_varint(&writer->records, 2);
	for (int row = 0; row < 2; row++) {
		bytes_put_zigzag(&writer->records, row == 0 ? STRING_VMALLOC : STRING_UNPURGED);
		bytes_put_zigzag(&writer->records, 10 + row);
		bytes_put_zigzag(&writer->records, 4096 * (10 + row));
	}
	put_head(writer, 7); /* meminfo: Percpu and VmallocUsed */
	bytes_put_varint(&writer->records, 3);
	bytes_put_varint(&writer->records, 1);
	bytes_put_zigzag(&writer->records, 2320);
	bytes_put_zigzag(&writer->records, 16648);
	put_head(writer, 7); /* percpu_global */
	bytes_put_varint(&writer->records, 4);
	bytes_put_varint(&writer->records, 1);
	bytes_put_zigzag(&writer->records, 24);
	bytes_put_zigzag(&writer->records, 1604);
	bytes_put_zigzag(&writer->records, 189);
}

static void put_other(struct writer *writer)
{
	put_head(writer, 5); /* a context */
	bytes_put_varint(&writer->records, 1);
	put_head(writer, 8); /* a kernel event of three values */
	bytes_put_varint(&writer->records, 4);
	bytes_put_varint(&writer->records, 3);
	for (unsigned i = 0; i < 3; i++)
		bytes_put_varint(&writer->records, i * 1000);
	put_head(writer, 4); /* a refused allocation */
	bytes_put_varint(&writer->records, 0);
	writer->class_uses[0]++;
	writer->counts->fails_nr++;
}

static void put_step(struct writer *writer)
{
	uint64_t choice = random_next(&writer->random) % 100;

	if (writer->live_nr + 16 > LIVE_MAX || (writer->live_nr > 8 && choice < 40)) {
		/* Rows of batched frees, as the kernel makes them. */
		bool batched = choice % 2 != 0;

		for (unsigned i = 0; i < (batched ? 5u : 1u) && writer->live_nr > 0; i++)
			put_free(writer, batched);
	} else if (choice < 45 && writer->live_nr > 0) {
		put_split(writer);
	} else if (choice < 50) {
		put_object_alloc(writer, (unsigned)(choice % VMAP_CLASSES_NR));
	} else if (choice < 53) {
		put_object_alloc(writer, VMAP_CLASSES_NR + (unsigned)(choice % (OBJECT_CLASSES_NR -
										VMAP_CLASSES_NR)));
	} else if (choice < 56) {
		put_other(writer);
	} else {
		put_page_alloc(writer, (unsigned)(choice % PAGE_CLASSES_NR));
	}
}

/* ---- sections -------------------------------------------------------------------------------- */

static void put_section(struct bytes *file, unsigned tag, struct bytes *section)
{
	bytes_put_varint(file, tag);
	bytes_put_varint(file, section->nr);
	bytes_put(file, section->data, section->nr);
	bytes_free(section);
}

static void put_info(struct bytes *file)
{
	static const char info[] = "name=made\nworkload=a made-up recording\nkernel=Linux 6 #1\n";
	struct bytes section = { .data = NULL };

	bytes_put(&section, info, sizeof(info) - 1);
	put_section(file, 1, &section);
}

static void put_params(struct bytes *file, const struct writer *writer)
{
	const uint64_t values[] = { 256,
				    PAGE_SHIFT,
				    CPUS_NR,
				    7,
				    7,
				    writer->counts->records_nr,
				    writer->counts->ids_nr,
				    writer->ticks,
				    1u << 20,
				    writer->records.nr };
	struct bytes section = { .data = NULL };

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		bytes_put_varint(&section, values[i]);
	put_section(file, 2, &section);
}

static void put_strings(struct bytes *file)
{
	struct bytes section = { .data = NULL };

	bytes_put_varint(&section, STRINGS_NR);
	for (size_t i = 0; i < STRINGS_NR; i++) {
		bytes_put_varint(&section, strlen(strings[i]));
		bytes_put(&section, strings[i], strlen(strings[i]));
	}
	put_section(file, 3, &section);
}

static void put_values(struct bytes *bytes, const uint64_t *values, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		bytes_put_varint(bytes, values[i]);
}

static void put_page_class(struct bytes *row, unsigned class, uint64_t uses)
{
	const uint64_t values[] = { KIND_PAGE, uses, page_classes[class].order, 0xcc0,
				    page_classes[class].migratetype };

	put_values(row, values, sizeof(values) / sizeof(values[0]));
}

static void put_object_class(struct bytes *row, unsigned index, uint64_t uses)
{
	const uint64_t size = object_classes[index].size, align = object_classes[index].align;
	const uint64_t detail = object_classes[index].detail;
	const uint64_t vmap[] = { KIND_VMAP, uses, size, align, 0, detail, STRING_SITE };
	const uint64_t percpu[] = { KIND_PERCPU, uses,	 size,	   align,
				    0xcc0,	 detail, size * 4, STRING_SITE };

	if (object_classes[index].kind == KIND_VMAP)
		put_values(row, vmap, sizeof(vmap) / sizeof(vmap[0]));
	else
		put_values(row, percpu, sizeof(percpu) / sizeof(percpu[0]));
}

static void put_classes(struct bytes *file, const struct writer *writer)
{
	struct bytes section = { .data = NULL };

	bytes_put_varint(&section, CLASSES_NR);
	for (unsigned i = 0; i < CLASSES_NR; i++) {
		struct bytes row = { .data = NULL };

		if (i < PAGE_CLASSES_NR)
			put_page_class(&row, i, writer->class_uses[i]);
		else
			put_object_class(&row, i - PAGE_CLASSES_NR, writer->class_uses[i]);
		bytes_put_varint(&section, row.nr);
		bytes_put(&section, row.data, row.nr);
		bytes_free(&row);
	}
	put_section(file, 4, &section);
}

static void put_tasks_and_tables(struct bytes *file)
{
	static const uint8_t tasks[] = { 1, STRING_TASK };
	static const uint8_t tables[] = {
		5,
		/* name, columns; then name and type of each */
		STRING_EVENT_COUNTERS,
		5,
		STRING_PAGE_LIVE_BYTES,
		0,
		STRING_PERCPU_LIVE_BYTES,
		0,
		STRING_VMAP_LIVE_BYTES,
		0,
		STRING_VMAP_PURGES,
		0,
		STRING_CHUNKS_CREATED,
		0,
		STRING_ZONE,
		2,
		STRING_ZONE,
		1,
		STRING_FREE,
		0,
		STRING_VMALLOCINFO,
		3,
		STRING_TYPE,
		1,
		STRING_AREAS,
		0,
		STRING_BYTES,
		0,
		STRING_MEMINFO,
		2,
		STRING_PERCPU,
		0,
		STRING_VMALLOC_USED,
		0,
		STRING_PERCPU_GLOBAL,
		3,
		STRING_CHUNKS,
		0,
		STRING_OBJECTS,
		0,
		STRING_EMPTY_PAGES,
		0,
	};
	struct bytes section = { .data = NULL };

	bytes_put(&section, tasks, sizeof(tasks));
	put_section(file, 5, &section);
	bytes_put(&section, tables, sizeof(tables));
	put_section(file, 6, &section);
}

static struct bytes put_file(const struct writer *writer)
{
	static const uint8_t fixed[16] = "KATRACE\0\1\0\0\0";
	struct bytes file = { .data = NULL };

	bytes_put(&file, fixed, sizeof(fixed));
	put_info(&file);
	put_params(&file, writer);
	put_strings(&file);
	put_classes(&file, writer);
	put_tasks_and_tables(&file);
	bytes_put_varint(&file, 0);
	for (unsigned i = 0; i < 4; i++)
		file.data[12 + i] = (uint8_t)(file.nr >> (8 * i));
	bytes_put(&file, writer->records.data, writer->records.nr);
	return file;
}

struct bytes trace_make(uint64_t seed, unsigned steps_nr, struct trace_counts *counts)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	struct bytes file;

	require(writer != NULL, "out of memory");
	*counts = (struct trace_counts){ .records_nr = 0 };
	writer->counts = counts;
	writer->random = seed;
	writer->next_pfn = 1000;
	put_mark(writer, STRING_START);
	for (unsigned i = 0; i < steps_nr; i++)
		put_step(writer);
	put_mark(writer, STRING_END);
	put_head(writer, 15);
	bytes_put_varint(&writer->records, counts->records_nr);
	bytes_put_varint(&writer->records, counts->ids_nr);
	bytes_put_varint(&writer->records, writer->live_nr);
	file = put_file(writer);
	bytes_free(&writer->records);
	free(writer);
	return file;
}

/* ---- files ----------------------------------------------------------------------------------- */

struct bytes trace_compress(const struct bytes *bytes)
{
	struct bytes out = { .room = ZSTD_compressBound(bytes->nr) };
	ZSTD_CCtx *context = ZSTD_createCCtx();

	out.data = malloc(out.room);
	require(out.data != NULL && context != NULL, "out of memory");
	ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
	out.nr = ZSTD_compress2(context, out.data, out.room, bytes->data, bytes->nr);
	require(!ZSTD_isError(out.nr), "zstd cannot compress");
	ZSTD_freeCCtx(context);
	return out;
}

bool trace_is_compressed(const struct bytes *compressed, const struct bytes *bytes)
{
	uint8_t *out = malloc(bytes->nr + 1);
	size_t nr;
	bool is_same;

	require(out != NULL, "out of memory");
	nr = ZSTD_decompress(out, bytes->nr + 1, compressed->data, compressed->nr);
	is_same = nr == bytes->nr && memcmp(out, bytes->data, nr) == 0;
	free(out);
	return is_same;
}

int memory_file(char *path, size_t path_bytes)
{
	int fd = memfd_create("trace", 0);

	require(fd >= 0, "memfd_create");
	snprintf(path, path_bytes, "/proc/self/fd/%d", fd);
	return fd;
}

void file_write(const char *path, const struct bytes *bytes)
{
	FILE *file = fopen(path, "wb");

	require(file != NULL, path);
	require(bytes->nr == 0 || fwrite(bytes->data, 1, bytes->nr, file) == bytes->nr, path);
	require(fclose(file) == 0, path);
}

struct bytes file_read(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct bytes bytes = { .data = NULL };
	uint8_t part[4096];
	size_t nr;

	require(file != NULL, path);
	while ((nr = fread(part, 1, sizeof(part), file)) > 0)
		bytes_put(&bytes, part, nr);
	fclose(file);
	return bytes;
}
