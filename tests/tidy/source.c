/* SPDX-License-Identifier: MIT */
#include "source.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *file_read(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t bytes = 0, room = 1 << 16;
	char *text;

	if (file == NULL)
		return NULL;
	text = malloc(room);
	for (;;) {
		size_t got = fread(text + bytes, 1, room - 1 - bytes, file);

		bytes += got;
		if (got == 0)
			break;
		if (bytes == room - 1)
			text = realloc(text, room *= 2);
	}
	fclose(file);
	text[bytes] = '\0';
	if (strlen(text) == bytes)
		return text;
	free(text);
	return NULL;
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

bool span_is(struct span span, const char *string)
{
	return span.bytes == strlen(string) && memcmp(span.start, string, span.bytes) == 0;
}

bool span_starts(struct span span, const char *string)
{
	return span.bytes >= strlen(string) && memcmp(span.start, string, strlen(string)) == 0;
}

bool span_ends(struct span span, const char *string)
{
	size_t bytes = strlen(string);

	return span.bytes >= bytes && memcmp(span.start + span.bytes - bytes, string, bytes) == 0;
}

struct span span_next_name(struct span *rest)
{
	struct span name = { 0 };

	while (rest->bytes != 0 && !is_name(*rest->start)) {
		rest->start++;
		rest->bytes--;
	}
	name.start = rest->start;
	while (rest->bytes != 0 && is_name(*rest->start)) {
		rest->start++;
		rest->bytes--;
		name.bytes++;
	}
	return name;
}

unsigned line_of(const char *text, const char *at)
{
	unsigned line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

static void blank_bytes(char *start, const char *end)
{
	for (; start < end; start++) {
		if (*start != '\n')
			*start = ' ';
	}
}

/* End of the string or character constant that begins at @at. */
static char *quote_end(char *at)
{
	char quote = *at++;

	while (*at != '\0' && *at != quote && *at != '\n')
		at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
	return *at == quote ? at + 1 : at;
}

/* End of the comment that begins at @at, or NULL if none does. */
static char *comment_end(char *at)
{
	char *end;

	if (at[0] != '/' || (at[1] != '*' && at[1] != '/'))
		return NULL;
	end = at[1] == '*' ? strstr(at + 2, "*/") : strchr(at, '\n');
	if (end == NULL)
		return at + strlen(at);
	return at[1] == '*' ? end + 2 : end;
}

static void blank_comments_and_strings(char *at)
{
	while (*at != '\0') {
		char *end = comment_end(at);

		if (end == NULL && (*at == '"' || *at == '\''))
			end = quote_end(at);
		if (end == NULL) {
			at++;
			continue;
		}
		blank_bytes(at, end);
		at = end;
	}
}

static void blank_directives(char *at)
{
	while (at != NULL && *at != '\0') {
		char *first = at + strspn(at, " \t");
		char *end = strchr(at, '\n');

		if (*first == '#') {
			while (end != NULL && end[-1] == '\\')
				end = strchr(end + 1, '\n');
			blank_bytes(at, end == NULL ? at + strlen(at) : end);
		}
		at = end == NULL ? NULL : end + 1;
	}
}

/* Start of the parenthesis that @close ends, or NULL. */
static const char *paren_start(const char *start, const char *close)
{
	int depth = 0;

	for (; close >= start; close--) {
		depth += *close == ')';
		depth -= *close == '(';
		if (depth == 0)
			return close;
	}
	return NULL;
}

/*
 * The function's name if @head, which ends at a brace, is a function's: its last parenthesis, but
 * for attributes, is that of the parameters, and nothing is assigned after it.
 */
static struct span head_name(struct span head)
{
	const char *at = head.start + head.bytes - 1;
	struct span name = { 0 };

	for (;;) {
		while (at >= head.start && (is_name(*at) || isspace((unsigned char)*at)))
			at--;
		if (at < head.start || *at != ')')
			return name;
		at = paren_start(head.start, at);
		if (at == NULL)
			return name;
		at--;
		while (at >= head.start && isspace((unsigned char)*at))
			at--;
		name = (struct span){ .start = at + 1 };
		while (at >= head.start && is_name(*at)) {
			name.start = at--;
			name.bytes++;
		}
		if (!span_is(name, "__attribute__"))
			return name;
		name.bytes = 0;
	}
}

static void add_function(struct source *source, struct span head, struct span body)
{
	struct span name = head.bytes == 0 ? head : head_name(head);
	struct function *function;

	if (name.bytes == 0)
		return;
	source->functions =
		realloc(source->functions, (source->functions_nr + 1) * sizeof(*source->functions));
	function = &source->functions[source->functions_nr++];
	*function = (struct function){ .name = name, .head = head, .body = body };
	function->line = line_of(source->code, body.start);
}

static void find_functions(struct source *source)
{
	struct span head = { .start = source->code };
	const char *open = NULL;
	int depth = 0;

	for (const char *at = source->code; *at != '\0'; at++) {
		if (*at == '{' && depth++ == 0) {
			open = at;
			head.bytes = (size_t)(at - head.start);
		} else if (*at == '}' && depth > 0 && --depth == 0) {
			struct span body = { open + 1, (size_t)(at - open - 1) };

			add_function(source, head, body);
			head = (struct span){ .start = at + 1 };
		} else if (*at == ';' && depth == 0) {
			head = (struct span){ .start = at + 1 };
		}
	}
}

void source_init(struct source *source, const char *path, char *text)
{
	*source = (struct source){ .path = path, .text = text, .code = strdup(text) };
	blank_comments_and_strings(source->code);
	blank_directives(source->code);
	find_functions(source);
}

void source_fini(struct source *source)
{
	free(source->code);
	free(source->functions);
}
