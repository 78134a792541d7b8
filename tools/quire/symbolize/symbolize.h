/* SPDX-License-Identifier: MIT */
/* symbolize.h - the parts of quire symbolize */
#ifndef QUIRE_TOOL_SYMBOLIZE_H
#define QUIRE_TOOL_SYMBOLIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/command.h"

/* ---- profile.c: a profile as it was read ---- */

struct bytes {
	const uint8_t *start;
	size_t nr;
};

struct profile_mapping {
	uint64_t id, start, limit, offset, path, build_id; /* the last two: numbers of strings */
	struct bytes message;
	bool has_symbols; /* somebody else found them already */
	bool is_silent;	  /* of none of its addresses is anything known */
};

struct profile_location {
	uint64_t id, mapping, address;
	struct bytes message;
	bool has_lines;
};

struct profile {
	uint8_t *text; /* of the message */
	size_t bytes;
	struct bytes *strings;
	struct profile_mapping *mappings;
	struct profile_location *locations;
	size_t strings_nr, mappings_nr, locations_nr;
	uint64_t functions_max; /* the largest number of one */
	bool is_short;		/* memory ran out while it was read */
};

/* 0; or, said, -ENOMEM, or -EINVAL: it is none, or cannot be read. */
int profile_read(struct profile *profile, const char *path);
void profile_fini(struct profile *profile);
/* A copy of a string, or NULL. */
char *profile_string(const struct profile *profile, uint64_t number);

/* ---- write.c: the same with functions ---- */

struct function_line {
	const char *function, *file; /* file: NULL, it is not known */
	int line, start_line;
};

struct writer;
struct writer *writer_begin(const struct profile *profile);
/* Lines of a location, the innermost first. */
void writer_add_line(struct writer *writer, const struct function_line *line);
/* That were all of the location's. */
void writer_end_location(struct writer *writer, const struct profile_location *location);
/* 0 or -errno. */
int writer_end(struct writer *writer, const char *path);

/* ---- debug_info.c, debug_info_none.c ---- */

struct debug_info;
/* NULL: there is no memory, or no libdw, which was said. */
struct debug_info *debug_info_open(void);
/* The file at @path, which is mapped as @mapping says.  NULL, or why it cannot be used. */
const char *debug_info_add(struct debug_info *info, const char *path, const char *build_id,
			   const struct profile_mapping *mapping);
/* Calls @line for each function that is at @address, the innermost first.  False: nothing is known. */
bool debug_info_find(struct debug_info *info, uint64_t address,
		     void (*line)(void *arg, const struct function_line *line), void *arg);
void debug_info_close(struct debug_info *info);

#endif
