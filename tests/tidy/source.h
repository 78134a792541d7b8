/* SPDX-License-Identifier: MIT */
/* source.h - a C file as the tidy test sees it: its text, its code, its functions */
#ifndef TIDY_SOURCE_H
#define TIDY_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

/* Part of a text, not ended by a NUL. */
struct span {
	const char *start;
	size_t bytes;
};

struct function {
	struct span name;
	struct span head; /* from the end of what is before it, to its opening brace */
	struct span body; /* between the braces */
	unsigned line;
};

struct source {
	const char *path; /* from the root */
	char *text;
	char *code; /* the same, with comments, strings and preprocessor lines blanked */
	struct function *functions;
	size_t functions_nr;
};

/* NULL if the file cannot be read, or holds a NUL as binary files do. */
char *file_read(const char *path);

void source_init(struct source *source, const char *path, char *text);
void source_fini(struct source *source);

bool span_is(struct span span, const char *string);
bool span_starts(struct span span, const char *string);
bool span_ends(struct span span, const char *string);
/* The next identifier in @rest, which moves behind it; an empty one at the end. */
struct span span_next_name(struct span *rest);
/* Number of the line that @at, a place in @text, is on. */
unsigned line_of(const char *text, const char *at);

#endif
