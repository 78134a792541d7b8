/* SPDX-License-Identifier: MIT */
/*
 * instance/options.h - the options of an instance: tables of keys, ranges, lists of CPUs
 *
 * Each module declares its own keys in a table (options.c in its folder) and does not know other
 * modules' keys.  Parsing, checking, the error line, the text of the options in use and
 * docs/options.md are all derived from the tables, so a new option needs one row and one field of
 * struct quire_options.
 */
#ifndef INSTANCE_OPTIONS_H
#define INSTANCE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/quire.h>

#include "base/text.h"

/* Bound of the CPU numbers in a list: the most CPUs that Linux can be built for. */
#define OPTIONS_CPUS_MAX 8192u

/* Returns 0, -EINVAL if a field is out of range, or -E2BIG if a field is set that this version does
 * not know.  A field of 0 means the default, and is always valid. */
int quire_options_check(const struct quire_options *options);

/*
 * Sets the bits of the CPUs in a list such as "2-5+8" ("2-5,8" means the same).  The list ends at
 * its NUL, or at a comma that is not followed by a digit, where the next option begins.  CPUs at or
 * above @bits_nr are ignored; @bits may be NULL if @bits_nr is 0.  Returns 0, or -EINVAL with some
 * bits set.
 */
int options_cpu_list(const char *list, uint64_t *bits, unsigned bits_nr);

/* ---- options_keys.c ---- */

enum option_kind {
	OPTION_SIZE,   /* uint64_t; written as digits and an optional k, m, g or t */
	OPTION_NUMBER, /* uint32_t; written as digits */
	OPTION_WORD,   /* an enum; written as a word: option_word_number() */
	OPTION_CPUS,   /* const char * that points into the text */
};

struct option_key {
	const char *name;
	enum option_kind kind;
	size_t offset;		  /* of the field in struct quire_options */
	uint64_t min, max;	  /* of a size or a number */
	const char *const *words; /* ends with NULL */
	const uint32_t *numbers;  /* that the words stand for; NULL: 1, 2, ... */
	const char *unit;	  /* of a number; NULL: none, or bytes of a size */
	const char *takes;	  /* columns of docs/options.md: its values, */
	const char *by_default;	  /* its default, */
	const char *does;	  /* and its meaning */
};

/* The options that an instance uses, with defaults resolved. */
struct options_used {
	struct quire_options options; /* no field is 0 for a default; isolated is below instead */
	const uint64_t *isolated;     /* bitmap of CPUs; NULL if none */
	unsigned isolated_nr;	      /* bits */
};

/* Part of a text, not terminated by a NUL. */
struct span {
	const char *start;
	size_t bytes;
};

/* A module declares one in the file options.c of its folder. */
struct option_table {
	const struct option_key *keys;
	unsigned keys_nr;
	/* Fills in the fields of its keys as @q uses them. */
	void (*used)(const struct quire *q, struct options_used *used);
};

#define OPTION_FIELD(name) offsetof(struct quire_options, name)

/* "on", "off": enum quire_switch. */
extern const char *const option_switch_words[];

static inline enum quire_switch option_switch(enum quire_switch given, enum quire_switch by_default)
{
	return given != QUIRE_DEFAULT ? given : by_default;
}

/* The largest size: page numbers fit into 32 bits, and pages have at least 4 KiB. */
#define OPTION_BYTES_MAX (((uint64_t)1 << 44) - ((uint64_t)2 << 20))

/* Key number @i of all modules' tables together; NULL after the last. */
const struct option_key *option_key_at(unsigned i);

/* Longer than any key or word.  Of longer spellings only the beginning is compared and quoted. */
#define OPTION_SPELLING_BYTES_MAX 24

bool span_is(struct span span, const char *string);
const struct option_key *option_key_find(struct span span);
const struct option_key *option_key_nearest(struct span span);
uint32_t option_word_number(const struct option_key *key, unsigned place);
bool option_word_find(const struct option_key *key, struct span span, uint32_t *number);
const char *option_word_nearest(const struct option_key *key, struct span span);

/* Appends a number in the syntax of options, such as 64m. */
void option_put_number(struct text *text, enum option_kind kind, uint64_t value);
/* The value of the key's field; 0 means the default. */
uint64_t option_number(const struct option_key *key, const struct quire_options *options);

/* Appends the tables of keys as Markdown.  A test compares this text with docs/options.md. */
void options_put_table(struct text *text);

#endif
