/* SPDX-License-Identifier: MIT */
/*
 * write.c - a profile with functions
 *
 * What was read is copied field by field, but for mappings and locations that got lines.  Strings that are new follow the
 * others, since the fields of a message may come in any order and those of one number keep theirs.
 */
#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "common/output.h"
#include "malloc/linux/gzip.h"
#include "symbolize/symbolize.h"

/* A field that is a message or a text, and one that is a number: the last bits of its key. */
#define IS_BYTES  2u
#define IS_NUMBER 0u

struct message {
	FILE *file;
	char *text;
	size_t bytes;
};

struct function {
	char *name, *path;
	uint64_t id;
};

struct writer {
	const struct profile *profile;
	struct message all;   /* fields that are ready */
	struct message lines; /* of the location at hand; not begun: it has none so far */
	void *functions;      /* tree, by name and file */
	uint64_t functions_nr, strings_nr;
	bool is_short; /* of memory */
};

static void put_number(FILE *file, uint64_t value)
{
	for (; value >= 128; value >>= 7)
		putc((int)(value & 127) | 128, file);
	putc((int)value, file);
}

static void put_field(FILE *file, unsigned field, uint64_t value)
{
	put_number(file, field << 3 | IS_NUMBER);
	put_number(file, value);
}

static void put_bytes(FILE *file, unsigned field, const void *bytes, size_t bytes_nr)
{
	put_number(file, field << 3 | IS_BYTES);
	put_number(file, bytes_nr);
	fwrite(bytes, 1, bytes_nr, file);
}

static bool message_begin(struct message *message)
{
	message->file = open_memstream(&message->text, &message->bytes);
	return message->file != NULL;
}

/* Its bytes are whole from here on. */
static bool message_end(struct message *message)
{
	bool is_whole = fclose(message->file) == 0;

	message->file = NULL;
	return is_whole;
}

struct writer *writer_begin(const struct profile *profile)
{
	struct writer *writer = calloc(1, sizeof(*writer));

	if (writer == NULL)
		return NULL;
	writer->profile = profile;
	writer->functions_nr = profile->functions_max;
	writer->strings_nr = profile->strings_nr;
	if (message_begin(&writer->all))
		return writer;
	free(writer);
	return NULL;
}

/* ---- functions ---- */

static int compare(const void *a, const void *b)
{
	const struct function *one = a, *other = b;
	int order = strcmp(one->name, other->name);

	return order != 0 ? order : strcmp(one->path, other->path);
}

static uint64_t put_string(struct writer *writer, const char *string)
{
	put_bytes(writer->all.file, 6, string, strlen(string));
	return writer->strings_nr++;
}

static void put_function(struct writer *writer, const struct function *function, int start_line)
{
	uint64_t name = put_string(writer, function->name);
	uint64_t path = put_string(writer, function->path);
	struct message message = { .file = NULL };

	if (!message_begin(&message)) {
		writer->is_short = true;
		return;
	}
	put_field(message.file, 1, function->id);
	put_field(message.file, 2, name);
	put_field(message.file, 3, name);
	put_field(message.file, 4, path);
	put_field(message.file, 5, (uint64_t)(start_line > 0 ? start_line : 0));
	if (message_end(&message))
		put_bytes(writer->all.file, 5, message.text, message.bytes);
	else
		writer->is_short = true;
	free(message.text);
}

static void free_function(void *node)
{
	struct function *function = node;

	free(function->name);
	free(function->path);
	free(function);
}

/* The number of the function; 0: there is no memory. */
static uint64_t function_of(struct writer *writer, const struct function_line *line)
{
	struct function *function = calloc(1, sizeof(*function)), **found;

	if (function == NULL)
		return 0;
	function->name = strdup(line->function);
	function->path = strdup(line->file != NULL ? line->file : "");
	found = function->name != NULL && function->path != NULL
			? tsearch(function, &writer->functions, compare)
			: NULL;
	if (found == NULL || *found != function) {
		free_function(function);
		return found != NULL ? (*found)->id : 0;
	}
	function->id = ++writer->functions_nr;
	put_function(writer, function, line->start_line);
	return function->id;
}

/* ---- locations ---- */

void writer_add_line(struct writer *writer, const struct function_line *line)
{
	struct message message = { .file = NULL };
	uint64_t function = function_of(writer, line);

	if (function == 0 || (writer->lines.file == NULL && !message_begin(&writer->lines)) ||
	    !message_begin(&message)) {
		writer->is_short = true;
		return;
	}
	put_field(message.file, 1, function);
	put_field(message.file, 2, (uint64_t)(line->line > 0 ? line->line : 0));
	if (message_end(&message))
		put_bytes(writer->lines.file, 4, message.text, message.bytes);
	else
		writer->is_short = true;
	free(message.text);
}

/* A message as it was, and more fields behind. */
static void put_longer(struct writer *writer, unsigned field, struct bytes message,
		       const char *more, size_t more_bytes)
{
	put_number(writer->all.file, field << 3 | IS_BYTES);
	put_number(writer->all.file, message.nr + more_bytes);
	fwrite(message.start, 1, message.nr, writer->all.file);
	fwrite(more, 1, more_bytes, writer->all.file);
}

void writer_end_location(struct writer *writer, const struct profile_location *location)
{
	struct message *lines = &writer->lines;

	if (lines->file == NULL)
		put_longer(writer, 4, location->message, "", 0);
	else if (message_end(lines))
		put_longer(writer, 4, location->message, lines->text, lines->bytes);
	else
		writer->is_short = true;
	free(lines->text);
	lines->text = NULL;
}

/* ---- the whole ---- */

/* Functions, files, lines and inlined functions are there: fields 7 to 10. */
static void put_mappings(struct writer *writer)
{
	static const char there[] = { 7 << 3, 1, 8 << 3, 1, 9 << 3, 1, 10 << 3, 1 };

	for (size_t i = 0; i < writer->profile->mappings_nr; i++) {
		const struct profile_mapping *mapping = &writer->profile->mappings[i];

		put_longer(writer, 3, mapping->message, there,
			   mapping->has_symbols ? sizeof(there) : 0);
	}
}

/* Into the memory of the output. */
static int write_to(void *arg, const void *bytes, size_t bytes_nr)
{
	return fwrite(bytes, 1, bytes_nr, arg) == bytes_nr ? 0 : -ENOMEM;
}

/* Everything that was read but what is written anew: mappings and locations. */
static void put_rest(struct gzip *gzip, const struct profile *profile)
{
	const uint8_t *at = profile->text, *end = at + profile->bytes;

	while (at < end) {
		const uint8_t *start = at;
		uint64_t key = *at, value = 0;

		while (*at++ >= 128)
			;
		for (unsigned shift = 0;; shift += 7) {
			value |= (uint64_t)(*at & 127) << shift;
			if (*at++ < 128)
				break;
		}
		if ((key & 7) == IS_BYTES)
			at += value;
		if (key != (3 << 3 | IS_BYTES) && key != (4 << 3 | IS_BYTES))
			gzip_put(gzip, start, (size_t)(at - start));
	}
}

int writer_end(struct writer *writer, const char *path)
{
	struct gzip *gzip = malloc(sizeof(*gzip));
	struct output output;
	int error = -ENOMEM;

	put_mappings(writer);
	if (message_end(&writer->all) && !writer->is_short && gzip != NULL &&
	    output_begin(&output) != NULL) {
		gzip_begin(gzip, write_to, output.file);
		put_rest(gzip, writer->profile);
		gzip_put(gzip, writer->all.text, writer->all.bytes);
		error = gzip_end(gzip);
		if (error == 0) {
			error = output_end(&output, path);
		} else {
			fclose(output.file);
			free(output.text);
		}
	}
	tdestroy(writer->functions, free_function);
	free(writer->all.text);
	free(gzip);
	free(writer);
	return error;
}
