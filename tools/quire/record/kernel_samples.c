/* SPDX-License-Identifier: MIT */
#include "record/kernel_samples.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/progress.h"

enum {
	TABLE_MEMINFO,
	TABLE_VMSTAT,
	TABLE_BUDDY,
	TABLE_ZONE,
	TABLE_PCP,
	TABLE_VMALLOCINFO,
	TABLE_PERCPU,
};

/* More than /proc/vmstat has. */
#define KEYS_MAX      512u
#define KEY_BYTES_MAX 48u

void kernel_samples_init(struct kernel_samples *samples, struct katr_writer *writer,
			 const char *proc, const char *debug)
{
	*samples = (struct kernel_samples){ .proc = proc, .debug = debug, .writer = writer };
}

void kernel_samples_fini(struct kernel_samples *samples)
{
	free(samples->bytes);
	free(samples->samples);
	free(samples->values);
	free(samples->text);
}

/* ---- arrays ----------------------------------------------------------------------------------- */

/* Room for @more items: the array, or NULL with the failure kept. */
static void *room_for(struct kernel_samples *samples, void *items, size_t wanted, size_t *room,
		      size_t item_bytes)
{
	size_t grown_room = wanted * 2;
	void *grown = items;

	if (wanted <= *room)
		return items;
	grown = realloc(items, grown_room * item_bytes);
	if (grown == NULL)
		samples->error = -ENOMEM;
	else
		*room = grown_room;
	return grown;
}

static void add_value(struct kernel_samples *samples, uint64_t value)
{
	int64_t *values = room_for(samples, samples->values, samples->values_nr + 1,
				   &samples->values_room, sizeof(values[0]));

	if (values == NULL)
		return;
	samples->values = values;
	values[samples->values_nr++] = (int64_t)value;
}

static void put_number(struct kernel_samples *samples, uint64_t value)
{
	uint8_t *bytes =
		room_for(samples, samples->bytes, samples->bytes_nr + KATR_VARINT_BYTES_MAX,
			 &samples->bytes_room, 1);

	if (bytes == NULL)
		return;
	samples->bytes = bytes;
	samples->bytes_nr += katr_put_varint(bytes + samples->bytes_nr, value);
}

/* Ends a table's sample: what is among the values are its rows. */
static void end_sample(struct kernel_samples *samples, unsigned table, size_t columns_nr,
		       uint64_t ns)
{
	struct kernel_sample *all = room_for(samples, samples->samples, samples->samples_nr + 1,
					     &samples->samples_room, sizeof(all[0]));
	size_t begin = samples->bytes_nr;

	if (all == NULL)
		return;
	samples->samples = all;
	put_number(samples, samples->tables[table] - 1);
	put_number(samples, samples->values_nr / columns_nr);
	for (size_t i = 0; i < samples->values_nr; i++)
		put_number(samples, katr_zigzag(samples->values[i]));
	all[samples->samples_nr++] = (struct kernel_sample){
		.ns = ns, .begin = begin, .bytes_nr = samples->bytes_nr - begin
	};
	samples->values_nr = 0;
}

static void declare(struct kernel_samples *samples, unsigned table, const char *name,
		    const char *const *columns)
{
	if (samples->tables[table] == 0)
		samples->tables[table] = katr_writer_table(samples->writer, name, columns) + 1;
}

/* ---- files ------------------------------------------------------------------------------------ */

/* The whole file as text, valid until the next; NULL: the kernel does not have it.  @ns: the middle of
 * the read. */
static char *read_text(struct kernel_samples *samples, const char *directory, const char *name,
		       uint64_t *ns)
{
	const size_t part_bytes = 32768;
	uint64_t begin_ns = progress_now_ns();
	char path[PATH_MAX];
	size_t text_nr = 0;
	ssize_t nr = -1;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	do {
		char *text = room_for(samples, samples->text, text_nr + part_bytes,
				      &samples->text_room, 1);

		if (text == NULL)
			break;
		samples->text = text;
		nr = read(fd, text + text_nr, part_bytes - 1);
		text_nr += nr > 0 ? (size_t)nr : 0;
		text[text_nr] = '\0';
	} while (nr > 0);
	close(fd);
	*ns = begin_ns + (progress_now_ns() - begin_ns) / 2;
	return nr == 0 && text_nr > 0 ? samples->text : NULL;
}

/* The line at @text, which is cut off, and where the next one begins; NULL at the end. */
static char *next_line(char **text)
{
	char *line = *text;
	char *end = strchr(line, '\n');

	if (*line == '\0')
		return NULL;
	*text = end != NULL ? end + 1 : line + strlen(line);
	if (end != NULL)
		*end = '\0';
	return line;
}

/* "Active(anon):" -> "Active_anon" */
static void copy_key(char *to, const char *from, size_t nr)
{
	size_t used = 0;

	for (size_t i = 0; i < nr && used < KEY_BYTES_MAX - 1; i++) {
		if (isalnum((unsigned char)from[i]) || from[i] == '_')
			to[used++] = from[i];
		else if (from[i] == '(')
			to[used++] = '_';
	}
	to[used] = '\0';
}

/* Lines of a key and a number, up to a line that begins with @end; the first reading names the
 * columns. */
static void take_keys(struct kernel_samples *samples, unsigned table, const char *name, char *text,
		      const char *end)
{
	static char keys[KEYS_MAX][KEY_BYTES_MAX];
	const char *columns[KEYS_MAX + 1];
	size_t keys_nr = 0;
	char *line;

	while ((line = next_line(&text)) != NULL && keys_nr < KEYS_MAX &&
	       (end == NULL || strncmp(line, end, strlen(end)) != 0)) {
		char *key = line + strspn(line, " \t");
		size_t key_nr = strcspn(key, ": \t");
		char *number = key + key_nr + strspn(key + key_nr, ": \t");

		if (!isdigit((unsigned char)*number))
			continue;
		copy_key(keys[keys_nr], key, key_nr);
		columns[keys_nr] = keys[keys_nr];
		add_value(samples, strtoull(number, NULL, 10));
		keys_nr++;
	}
	columns[keys_nr] = NULL;
	if (samples->tables[table] == 0 && keys_nr > 0) {
		declare(samples, table, name, columns);
		samples->keys_nr[table] = keys_nr;
	}
	/* Rows have as many values as the table has columns. */
	if (keys_nr != samples->keys_nr[table])
		samples->values_nr = 0;
}

/* ---- zones ------------------------------------------------------------------------------------ */

/* "Node 0, zone   Normal ...": the zone's name, as a string's index; what follows it. */
static bool take_zone(struct kernel_samples *samples, const char *line, uint32_t *zone,
		      const char **rest)
{
	char name[32], text[64];
	unsigned node;
	int end = 0;

	if (sscanf(line, "Node %u, zone %31s%n", &node, name, &end) != 2)
		return false;
	if (node == 0)
		snprintf(text, sizeof(text), "%s", name);
	else
		snprintf(text, sizeof(text), "%s/%u", name, node);
	*zone = katr_writer_string(samples->writer, text);
	*rest = line + end;
	return true;
}

#define BUDDY_ORDERS 11u

static void take_buddy(struct kernel_samples *samples, char *text, uint64_t ns)
{
	static const char *const columns[] = { "$zone", "o0", "o1", "o2", "o3",	 "o4", "o5",
					       "o6",	"o7", "o8", "o9", "o10", NULL };
	char *line;

	declare(samples, TABLE_BUDDY, "buddy", columns);
	while ((line = next_line(&text)) != NULL) {
		const char *rest;
		uint32_t zone;

		if (!take_zone(samples, line, &zone, &rest))
			continue;
		add_value(samples, zone);
		for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
			char *end;

			add_value(samples, strtoull(rest, &end, 10));
			rest = end;
		}
	}
	end_sample(samples, TABLE_BUDDY, 1 + BUDDY_ORDERS, ns);
}

/* The number after a key, which is the line's first word. */
static bool has_number(const char *line, const char *key, uint64_t *number)
{
	size_t key_nr = strlen(key);

	line += strspn(line, " \t");
	if (strncmp(line, key, key_nr) != 0 || !isspace((unsigned char)line[key_nr]))
		return false;
	*number = strtoull(line + key_nr, NULL, 10);
	return true;
}

/* A row that is being read: the keys in the order of its columns. */
struct row {
	const char *const *keys;
	size_t keys_nr;
	size_t found_nr;
	uint64_t values[8];
};

static void take_row_line(struct row *row, const char *line)
{
	for (size_t i = 0; i < row->keys_nr; i++)
		if (has_number(line, row->keys[i], &row->values[i]))
			row->found_nr++;
}

/* The row is whole: its values follow those that the caller has added. */
static void end_row(struct kernel_samples *samples, struct row *row)
{
	for (size_t i = 0; i < row->keys_nr; i++)
		add_value(samples, row->values[i]);
	row->found_nr = 0;
}

static void take_zones(struct kernel_samples *samples, char *text, uint64_t ns)
{
	static const char *const columns[] = { "$zone",	  "free",    "min",	"low", "high",
					       "spanned", "present", "managed", NULL };
	static const char *const keys[] = { "pages free", "min",     "low",    "high",
					    "spanned",	  "present", "managed" };
	struct row row = { .keys = keys, .keys_nr = 7 };
	uint32_t zone = 0;
	const char *rest;
	char *line;

	declare(samples, TABLE_ZONE, "zone", columns);
	while ((line = next_line(&text)) != NULL) {
		if (take_zone(samples, line, &zone, &rest)) {
			row.found_nr = 0;
			continue;
		}
		if (row.found_nr < row.keys_nr) {
			take_row_line(&row, line);
			if (row.found_nr == row.keys_nr) {
				add_value(samples, zone);
				end_row(samples, &row);
				row.found_nr = row.keys_nr; /* until the next zone */
			}
		}
	}
	end_sample(samples, TABLE_ZONE, 8, ns);
}

static void take_lists(struct kernel_samples *samples, char *text, uint64_t ns)
{
	static const char *const columns[] = { "$zone", "cpu", "count", "high", "batch", NULL };
	static const char *const keys[] = { "cpu:", "count:", "high:", "batch:" };
	struct row row = { .keys = keys, .keys_nr = 4 };
	uint32_t zone = 0;
	const char *rest;
	char *line;

	declare(samples, TABLE_PCP, "pcp", columns);
	while ((line = next_line(&text)) != NULL) {
		if (take_zone(samples, line, &zone, &rest))
			continue;
		take_row_line(&row, line);
		if (row.found_nr == row.keys_nr) {
			add_value(samples, zone);
			end_row(samples, &row);
		}
	}
	end_sample(samples, TABLE_PCP, 5, ns);
}

/* ---- areas ------------------------------------------------------------------------------------ */

static const char *const area_types[] = { "unpurged", "vmalloc",    "vmap",
					  "ioremap",  "vm_map_ram", "other" };
#define AREA_TYPES_NR (sizeof(area_types) / sizeof(area_types[0]))

static size_t type_of_area(const char *line)
{
	for (size_t type = 0; type < AREA_TYPES_NR - 1; type++) {
		const char *found = strstr(line, area_types[type]);

		/* A whole word, and not the beginning of the caller's name. */
		if (found != NULL && found[-1] == ' ' &&
		    (found[strlen(area_types[type])] == '\0' ||
		     found[strlen(area_types[type])] == ' '))
			return type;
	}
	return AREA_TYPES_NR - 1;
}

static void take_areas(struct kernel_samples *samples, char *text, uint64_t ns)
{
	static const char *const columns[] = { "$type", "areas", "bytes", "pages", NULL };
	uint64_t areas[AREA_TYPES_NR] = { 0 }, bytes[AREA_TYPES_NR] = { 0 };
	uint64_t pages[AREA_TYPES_NR] = { 0 };
	char *line;

	declare(samples, TABLE_VMALLOCINFO, "vmallocinfo", columns);
	while ((line = next_line(&text)) != NULL) {
		const char *pages_text = strstr(line, " pages=");
		uint64_t area_bytes;
		size_t type;

		if (sscanf(line, "0x%*x-0x%*x %" SCNu64, &area_bytes) != 1)
			continue;
		type = type_of_area(line);
		areas[type]++;
		bytes[type] += area_bytes;
		if (pages_text != NULL)
			pages[type] += strtoull(pages_text + strlen(" pages="), NULL, 10);
	}
	for (size_t type = 0; type < AREA_TYPES_NR; type++) {
		if (areas[type] == 0)
			continue;
		add_value(samples, katr_writer_string(samples->writer, area_types[type]));
		add_value(samples, areas[type]);
		add_value(samples, bytes[type]);
		add_value(samples, pages[type]);
	}
	end_sample(samples, TABLE_VMALLOCINFO, 4, ns);
}

/* ---- all -------------------------------------------------------------------------------------- */

/* A file of keys, up to a line that begins with @end if that is not NULL; @folder NULL: there is none. */
static void take_key_file(struct kernel_samples *samples, unsigned table, const char *name,
			  const char *folder, const char *path, const char *end)
{
	uint64_t ns;
	char *text = folder != NULL ? read_text(samples, folder, path, &ns) : NULL;

	if (text == NULL)
		return;
	take_keys(samples, table, name, text, end);
	if (samples->values_nr > 0)
		end_sample(samples, table, samples->values_nr, ns);
}

/* The same file read once more for each table: a table's parser cuts the text up. */
static void take_file(struct kernel_samples *samples, const char *path,
		      void (*take)(struct kernel_samples *samples, char *text, uint64_t ns))
{
	uint64_t ns;
	char *text = read_text(samples, samples->proc, path, &ns);

	if (text != NULL)
		take(samples, text, ns);
}

void kernel_samples_take(struct kernel_samples *samples, bool is_full, const char *mark)
{
	size_t first = samples->samples_nr;

	take_key_file(samples, TABLE_MEMINFO, "meminfo_kB", samples->proc, "meminfo", NULL);
	take_file(samples, "buddyinfo", take_buddy);
	take_file(samples, "zoneinfo", take_zones);
	take_file(samples, "zoneinfo", take_lists);
	take_key_file(samples, TABLE_VMSTAT, "vmstat", samples->proc, "vmstat", NULL);
	if (is_full) {
		take_file(samples, "vmallocinfo", take_areas);
		take_key_file(samples, TABLE_PERCPU, "percpu_global", samples->debug,
			      "percpu_stats", "Per Chunk");
	}
	if (mark != NULL && samples->samples_nr > first)
		samples->samples[first].mark = mark;
}
