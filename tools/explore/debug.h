/* SPDX-License-Identifier: MIT */
/*
 * debug.h - what this program's debug information says of an event: source lines, variables, types
 *
 * debug.c reads it with elfutils' libdw; debug_none.c takes its place where there is none.
 */
#ifndef QUIRE_EXPLORE_DEBUG_H
#define QUIRE_EXPLORE_DEBUG_H

#include "machine/sim/internal.h"

/* NULL if there is debug information; else why source lines cannot be shown. */
const char *debug_open(void);

/* ---- places --------------------------------------------------------------------------------- */

struct place {
	const char *file;     /* from the root of the tree, without "src/": "page/drain.c" */
	const char *function; /* the one that the line is in */
	const char *text; /* the line, without what indents it; "" if the file is not to be had */
	unsigned line;
};

#define PLACES_MAX 8
/* Where a call that returns to @pc is made: the line, then the lines that the functions it is inlined in are
 * called from.  The count; 0: not known. */
unsigned debug_places(uintptr_t pc, struct place places[PLACES_MAX]);

/* The comment above a line of a file, as __FILE__ and __LINE__ name it, as one line of words; "" if there is none. */
void debug_comment(const char *file, unsigned line, char *text, size_t room);

/* ---- types ---------------------------------------------------------------------------------- */

typedef uint64_t type_id; /* 0: none */

enum type_kind {
	TYPE_OTHER,
	TYPE_STRUCT, /* or a union */
	TYPE_ARRAY,
	TYPE_POINTER,
	TYPE_BOOL,
	TYPE_ENUM,
	TYPE_SIGNED,
	TYPE_UNSIGNED,
};

struct type {
	type_id target; /* of a pointer or an array */
	uint64_t bytes;
	uint64_t nr;	  /* of an array */
	const char *name; /* "" if it has none */
	enum type_kind kind;
};

/* Without qualifiers and typedefs. */
struct type debug_type(type_id id);
/* The enumerator; NULL: none. */
const char *debug_enumerator(type_id id, uint64_t value);

struct member {
	const char *name; /* NULL: of a nameless union or struct */
	type_id type;
	uint64_t offset;
	unsigned bit,
		bits; /* of a bit field, from the lowest bit at the offset; bits 0: it is none */
};

/* Calls @tell for each member of a struct. */
void debug_members(type_id id, void (*tell)(const struct member *member, void *arg), void *arg);

/* ---- variables ------------------------------------------------------------------------------ */

struct variable {
	const char *name;
	type_id type;
	bool is_place;	/* the value is its address, else what it holds */
	bool is_own;	/* of the function that the event's line is in, not of a caller */
	bool is_inside; /* of the machine, which the event's line calls */
	uint64_t value;
};

/* The variables that have a value at an event, from the innermost function out; the count. */
unsigned debug_variables(const struct event *event, struct variable *variables, unsigned max);
/* The global that holds an address: its place and type.  False: none. */
bool debug_global(uintptr_t addr, struct variable *variable);
/* Reads memory as it is after the run, or the event's stack; false if there is none. */
bool debug_read(const struct event *event, uint64_t addr, unsigned bytes, uint64_t *value);

#endif
