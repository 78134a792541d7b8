/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/pprof.c - a profile of the heap as a file that pprof reads
 *
 * A message of protobuf is a row of fields; a field that is a message or a text has its length in front.  So each small
 * message is built in a buffer, and the whole, which is one message, needs no length.
 *
 * An address in the profile is that of the call, a byte in front of the address to which it returns, so that it lies in the call's
 * line.  A location's number is its place among all addresses in order.
 *
 *   string       number
 *   texts[]      from 0 on
 *   of module n  its file TEXTS_NR + 2 n, its build id the next
 */
#include "malloc/linux/pprof.h"

#include <link.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "malloc/linux/gzip.h"
#include "malloc/profile.h"
#include "malloc/traces.h"

struct out {
	const struct pprof *pprof;
	struct gzip gzip;
};

/* ---- messages ---- */

/* The largest is a sample: a number for each call and four sums, ten bytes each at most. */
#define MESSAGE_BYTES ((size_t)(TRACE_CALLS_MOST + 8) * 10)

struct message {
	size_t used;
	uint8_t bytes[MESSAGE_BYTES];
};

/* Fields of these messages, by their names in profile.proto. */
enum {
	PROFILE_SAMPLE_TYPE = 1,
	PROFILE_SAMPLE = 2,
	PROFILE_MAPPING = 3,
	PROFILE_LOCATION = 4,
	PROFILE_STRING = 6,
	PROFILE_TIME = 9,
	PROFILE_DURATION = 10,
	PROFILE_PERIOD_TYPE = 11,
	PROFILE_PERIOD = 12,
	PROFILE_COMMENT = 13,
	PROFILE_DEFAULT_TYPE = 14,
	TYPE_TYPE = 1,
	TYPE_UNIT = 2,
	SAMPLE_LOCATION = 1,
	SAMPLE_VALUE = 2,
	MAPPING_ID = 1,
	MAPPING_START = 2,
	MAPPING_LIMIT = 3,
	MAPPING_OFFSET = 4,
	MAPPING_FILE = 5,
	MAPPING_BUILD_ID = 6,
	LOCATION_ID = 1,
	LOCATION_MAPPING = 2,
	LOCATION_ADDRESS = 3,
};
#define WIRE_NUMBER 0u
#define WIRE_BYTES  2u

static void put_number(struct message *message, uint64_t value)
{
	CHECK(message->used + 10 <= sizeof(message->bytes));
	for (; value >= 128; value >>= 7)
		message->bytes[message->used++] = (uint8_t)(value | 128);
	message->bytes[message->used++] = (uint8_t)value;
}

static void put_field(struct message *message, unsigned field, uint64_t value)
{
	put_number(message, field << 3 | WIRE_NUMBER);
	put_number(message, value);
}

/* A field of the profile that is @bytes_nr of bytes. */
static void put_bytes(struct out *out, unsigned field, const void *bytes, size_t bytes_nr)
{
	struct message head = { .used = 0 };

	put_number(&head, field << 3 | WIRE_BYTES);
	put_number(&head, bytes_nr);
	gzip_put(&out->gzip, head.bytes, head.used);
	gzip_put(&out->gzip, bytes, bytes_nr);
}

static void put_message(struct out *out, unsigned field, const struct message *message)
{
	put_bytes(out, field, message->bytes, message->used);
}

static void put_profile_field(struct out *out, unsigned field, uint64_t value)
{
	struct message message = { .used = 0 };

	put_field(&message, field, value);
	gzip_put(&out->gzip, message.bytes, message.used);
}

/* ---- texts and types ---- */

enum {
	TEXT_NONE,
	TEXT_ALLOC_OBJECTS,
	TEXT_ALLOC_SPACE,
	TEXT_INUSE_OBJECTS,
	TEXT_INUSE_SPACE,
	TEXT_COUNT,
	TEXT_BYTES,
	TEXT_SPACE,
	TEXT_COMMENT,
	TEXTS_NR,
};

static void put_texts(struct out *out)
{
	static const char *const texts[TEXT_COMMENT] = {
		"",	 "alloc_objects", "alloc_space", "inuse_objects", "inuse_space",
		"count", "bytes",	  "space"
	};
	char comment[96];
	struct text text;

	for (unsigned i = 0; i < TEXT_COMMENT; i++) {
		size_t bytes = 0;

		while (texts[i][bytes] != '\0')
			bytes++;
		put_bytes(out, PROFILE_STRING, texts[i], bytes);
	}
	text_init(&text, comment, sizeof(comment));
	text_put(&text, "quire: ");
	text_put_u64(&text, traces_lost_nr(out->pprof->traces));
	text_put(&text, " samples lost for want of memory");
	put_bytes(out, PROFILE_STRING, comment, text.bytes);
}

static void put_type(struct out *out, unsigned field, unsigned type, unsigned unit)
{
	struct message message = { .used = 0 };

	put_field(&message, TYPE_TYPE, type);
	put_field(&message, TYPE_UNIT, unit);
	put_message(out, field, &message);
}

static void put_head(struct out *out)
{
	const struct pprof *pprof = out->pprof;

	put_type(out, PROFILE_SAMPLE_TYPE, TEXT_ALLOC_OBJECTS, TEXT_COUNT);
	put_type(out, PROFILE_SAMPLE_TYPE, TEXT_ALLOC_SPACE, TEXT_BYTES);
	put_type(out, PROFILE_SAMPLE_TYPE, TEXT_INUSE_OBJECTS, TEXT_COUNT);
	put_type(out, PROFILE_SAMPLE_TYPE, TEXT_INUSE_SPACE, TEXT_BYTES);
	put_type(out, PROFILE_PERIOD_TYPE, TEXT_SPACE, TEXT_BYTES);
	put_profile_field(out, PROFILE_PERIOD, (uint64_t)1 << pprof->mean_shift);
	put_profile_field(out, PROFILE_TIME, pprof->time_ns);
	put_profile_field(out, PROFILE_DURATION, pprof->duration_ns);
	put_profile_field(out, PROFILE_DEFAULT_TYPE, TEXT_INUSE_SPACE);
	put_profile_field(out, PROFILE_COMMENT, TEXT_COMMENT);
	put_texts(out);
}

/* ---- modules ---- */

struct modules {
	const char *at; /* in the text of maps */
	unsigned nr;	/* so far */
	struct pprof_module module;
};

static uint64_t read_hex(const char **at)
{
	uint64_t value = 0;

	for (;; ++*at) {
		char c = **at;

		if (c >= '0' && c <= '9')
			value = value << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			value = value << 4 | (uint64_t)(c - 'a' + 10);
		else
			return value;
	}
}

static void skip(const char **at, bool (*is_it)(char c))
{
	while (**at != '\0' && is_it(**at))
		++*at;
}

static bool is_word(char c)
{
	return c != ' ' && c != '\n';
}

static bool is_space(char c)
{
	return c == ' ';
}

static bool is_in_line(char c)
{
	return c != '\n';
}

/* The path that stays when its file is removed. */
static size_t path_bytes_of(const char *path, size_t bytes)
{
	static const char deleted[] = " (deleted)";
	size_t n = sizeof(deleted) - 1;

	return bytes > n && memcmp(path + bytes - n, deleted, n) == 0 ? bytes - n : bytes;
}

/* "START-END PERMS OFFSET DEVICE INODE   PATH": reads a line.  True: it is code of a file. */
static bool read_line(struct modules *modules)
{
	struct pprof_module next = { .start = read_hex(&modules->at) };
	bool is_code;

	if (*modules->at == '-')
		modules->at++;
	next.end = read_hex(&modules->at);
	skip(&modules->at, is_space);
	is_code = modules->at[0] != '\0' && modules->at[1] != '\0' && modules->at[2] == 'x';
	skip(&modules->at, is_word);
	skip(&modules->at, is_space);
	next.offset = read_hex(&modules->at);
	for (unsigned i = 0; i < 2; i++) {
		skip(&modules->at, is_space);
		skip(&modules->at, is_word);
	}
	skip(&modules->at, is_space);
	next.path = modules->at;
	skip(&modules->at, is_in_line);
	next.path_bytes = path_bytes_of(next.path, (size_t)(modules->at - next.path));
	if (*modules->at == '\n')
		modules->at++;
	if (next.path_bytes == modules->module.path_bytes && next.path_bytes != 0 &&
	    memcmp(next.path, modules->module.path, next.path_bytes) == 0)
		next.base = modules->module.base;
	if (next.offset == 0)
		next.base = next.start;
	modules->module = next;
	return is_code && next.path[0] == '/';
}

static bool next_module(struct modules *modules)
{
	while (*modules->at != '\0')
		if (read_line(modules)) {
			modules->nr++;
			return true;
		}
	return false;
}

static struct modules first_modules(const struct pprof *pprof)
{
	return (struct modules){ .at = pprof->maps };
}

static bool is_program(const struct pprof *pprof, const struct pprof_module *module)
{
	size_t i = 0;

	while (i < module->path_bytes && pprof->program[i] == module->path[i])
		i++;
	return i == module->path_bytes && pprof->program[i] == '\0';
}

/* The program first: that is what pprof takes it for. */
static void put_modules(struct out *out, bool of_program)
{
	struct modules modules = first_modules(out->pprof);
	const struct pprof_module *module = &modules.module;

	while (next_module(&modules)) {
		unsigned string = TEXTS_NR + 2 * (modules.nr - 1);
		struct message message = { .used = 0 };

		if (is_program(out->pprof, module) != of_program)
			continue;
		put_field(&message, MAPPING_ID, modules.nr);
		put_field(&message, MAPPING_START, module->start);
		put_field(&message, MAPPING_LIMIT, module->end);
		put_field(&message, MAPPING_OFFSET, module->offset);
		put_field(&message, MAPPING_FILE, string);
		put_field(&message, MAPPING_BUILD_ID, string + 1);
		put_message(out, PROFILE_MAPPING, &message);
	}
}

#define BUILD_ID_MOST 32u
#define PARTS_MOST    64u /* of a program header */
#define NOTES_MOST    32u

static bool is_gnu(const struct pprof *pprof, const struct pprof_module *module, uint64_t at)
{
	char name[4];

	return pprof->read(pprof->arg, module, at, name, sizeof(name)) &&
	       memcmp(name, "GNU", 4) == 0;
}

/* Its bytes among the notes at @at. */
static unsigned id_in_notes(const struct pprof *pprof, const struct pprof_module *module,
			    uint64_t at, uint64_t end, uint8_t *id)
{
	for (unsigned i = 0; i < NOTES_MOST && at + sizeof(ElfW(Nhdr)) <= end; i++) {
		ElfW(Nhdr) note;
		uint64_t name = at + sizeof(note), text;

		if (!pprof->read(pprof->arg, module, at, &note, sizeof(note)))
			return 0;
		text = name + (((uint64_t)note.n_namesz + 3) & ~(uint64_t)3);
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
		    note.n_descsz <= BUILD_ID_MOST && is_gnu(pprof, module, name))
			return pprof->read(pprof->arg, module, text, id, note.n_descsz)
				       ? note.n_descsz
				       : 0;
		at = text + (((uint64_t)note.n_descsz + 3) & ~(uint64_t)3);
	}
	return 0;
}

/* Bytes of the module's build id; 0: it has none. */
static unsigned read_build_id(const struct pprof *pprof, const struct pprof_module *module,
			      uint8_t *id)
{
	ElfW(Ehdr) head;
	unsigned bytes = 0;

	if (!pprof->read(pprof->arg, module, 0, &head, sizeof(head)) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 || head.e_phentsize != sizeof(ElfW(Phdr)))
		return 0;
	for (unsigned i = 0; i < head.e_phnum && i < PARTS_MOST && bytes == 0; i++) {
		ElfW(Phdr) part;

		if (!pprof->read(pprof->arg, module, head.e_phoff + i * sizeof(part), &part,
				 sizeof(part)))
			return 0;
		if (part.p_type == PT_NOTE)
			bytes = id_in_notes(pprof, module, part.p_offset,
					    part.p_offset + part.p_filesz, id);
	}
	return bytes;
}

static void put_module_strings(struct out *out)
{
	struct modules modules = first_modules(out->pprof);

	while (next_module(&modules)) {
		static const char digits[] = "0123456789abcdef";
		uint8_t id[BUILD_ID_MOST];
		unsigned bytes = read_build_id(out->pprof, &modules.module, id);
		char text[2 * BUILD_ID_MOST];

		for (unsigned i = 0; i < bytes; i++) {
			text[2 * i] = digits[id[i] >> 4];
			text[2 * i + 1] = digits[id[i] & 15];
		}
		put_bytes(out, PROFILE_STRING, modules.module.path, modules.module.path_bytes);
		put_bytes(out, PROFILE_STRING, text, 2 * (size_t)bytes);
	}
}

/* ---- addresses ---- */

/* The scratch behind @out: traces as they were found, and the addresses of all. */
struct found {
	const struct trace **trace;
	size_t traces_nr;
	uint64_t *address; /* in order, each once, when they are sorted */
	size_t addresses_nr;
	size_t room; /* words that are left */
};

static void find_trace(struct trace *trace, void *arg)
{
	struct found *found = arg;

	if (found->room < 1 + (size_t)trace->calls_nr)
		return;
	found->room -= 1 + (size_t)trace->calls_nr;
	found->trace[found->traces_nr++] = trace;
}

static void sift(uint64_t *heap, size_t at, size_t nr)
{
	for (size_t child = 2 * at + 1; child < nr; child = 2 * at + 1) {
		uint64_t value = heap[at];

		if (child + 1 < nr && heap[child + 1] > heap[child])
			child++;
		if (value >= heap[child])
			return;
		heap[at] = heap[child];
		heap[child] = value;
		at = child;
	}
}

/* A heap's largest goes to the end, again and again. */
static void sort(uint64_t *words, size_t nr)
{
	for (size_t i = nr / 2; i-- > 0;)
		sift(words, i, nr);
	for (size_t last = nr; last-- > 1;) {
		uint64_t largest = words[0];

		words[0] = words[last];
		words[last] = largest;
		sift(words, 0, last);
	}
}

static void find_addresses(struct found *found)
{
	size_t unique_nr = 0;

	found->address = (uint64_t *)(void *)(found->trace + found->traces_nr);
	for (size_t i = 0; i < found->traces_nr; i++)
		for (unsigned call = 0; call < found->trace[i]->calls_nr; call++)
			found->address[found->addresses_nr++] = found->trace[i]->pc[call] - 1;
	sort(found->address, found->addresses_nr);
	for (size_t i = 0; i < found->addresses_nr; i++)
		if (unique_nr == 0 || found->address[unique_nr - 1] != found->address[i])
			found->address[unique_nr++] = found->address[i];
	found->addresses_nr = unique_nr;
}

static size_t location_of(const struct found *found, uint64_t address)
{
	size_t first = 0, end = found->addresses_nr;

	while (end - first > 1) {
		size_t middle = first + (end - first) / 2;

		if (found->address[middle] <= address)
			first = middle;
		else
			end = middle;
	}
	return first + 1;
}

/* Both lists are in order. */
static void put_locations(struct out *out, const struct found *found)
{
	struct modules modules = first_modules(out->pprof);
	bool is_module = next_module(&modules);

	for (size_t i = 0; i < found->addresses_nr; i++) {
		uint64_t address = found->address[i];
		struct message message = { .used = 0 };

		while (is_module && modules.module.end <= address)
			is_module = next_module(&modules);
		put_field(&message, LOCATION_ID, i + 1);
		if (is_module && modules.module.start <= address)
			put_field(&message, LOCATION_MAPPING, modules.nr);
		put_field(&message, LOCATION_ADDRESS, address);
		put_message(out, PROFILE_LOCATION, &message);
	}
}

static void put_packed(struct message *message, unsigned field, const struct message *numbers)
{
	put_number(message, field << 3 | WIRE_BYTES);
	put_number(message, numbers->used);
	CHECK(message->used + numbers->used <= sizeof(message->bytes));
	memcpy(message->bytes + message->used, numbers->bytes, numbers->used);
	message->used += numbers->used;
}

static void put_sample(struct out *out, const struct found *found, const struct trace *trace)
{
	struct profile_figures figures = profile_figures(trace);
	struct message message = { .used = 0 }, numbers = { .used = 0 };

	for (unsigned i = 0; i < trace->calls_nr; i++)
		put_number(&numbers, location_of(found, trace->pc[i] - 1));
	put_packed(&message, SAMPLE_LOCATION, &numbers);
	numbers.used = 0;
	put_number(&numbers, figures.alloc_blocks);
	put_number(&numbers, figures.alloc_bytes);
	put_number(&numbers, figures.used_blocks);
	put_number(&numbers, figures.used_bytes);
	put_packed(&message, SAMPLE_VALUE, &numbers);
	put_message(out, PROFILE_SAMPLE, &message);
}

/* ---- the whole ---- */

size_t pprof_scratch_bytes(const struct traces *traces)
{
	/* A trace takes more words there than it takes here. */
	return sizeof(struct out) + traces_used(traces);
}

int pprof_write(const struct pprof *pprof)
{
	struct out *out = pprof->scratch;
	struct found found = { .trace = (const struct trace **)(void *)(out + 1) };

	CHECK(pprof->scratch_bytes >= sizeof(*out));
	out->pprof = pprof;
	found.room = (pprof->scratch_bytes - sizeof(*out)) / sizeof(uint64_t);
	traces_each(pprof->traces, find_trace, &found);
	find_addresses(&found);
	gzip_begin(&out->gzip, pprof->write, pprof->arg);
	put_head(out);
	put_module_strings(out);
	put_modules(out, true);
	put_modules(out, false);
	put_locations(out, &found);
	for (size_t i = 0; i < found.traces_nr; i++)
		put_sample(out, &found, found.trace[i]);
	return gzip_end(&out->gzip);
}
