/* SPDX-License-Identifier: MIT */
/*
 * instance/options.h - the options of an instance: modules' tables of them, ranges, lists of CPUs
 *
 * Each module declares its own keys in a table (options.c in its folder) and knows no other's.  Parsing,
 * checking, the error line, the text of what an instance uses and docs/options.md all go by the tables,
 * so a new option is one new row and its field in struct quire_options.
 */
#ifndef INSTANCE_OPTIONS_H
#define INSTANCE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/quire.h>

#include "base/text.h"

/* CPU numbers in a list are below this: the most that Linux can be built for. */
#define OPTIONS_CPUS_MAX 8192u

/* 0; -EINVAL if a field is out of range, -E2BIG if one is unknown.  Zero fields, being defaults, are
 * always right. */
int quire_options_check(const struct quire_options *options);

/*
 * Sets the bits of the CPUs in a list such as "2-5+8" ("2-5,8" means the same).  The list ends at
 * its NUL, or at a comma that no digit follows: there the next option begins.  CPUs at or above
 * @bits_nr are passed over; @bits may be NULL if @bits_nr is 0.  0, or -EINVAL with some bits set.
 */
int options_cpu_list(const char *list, uint64_t *bits, unsigned bits_nr);

/* ---- options_keys.c ---- */

enum option_kind {
	OPTION_SIZE,   /* uint64_t: digits and an optional k, m, g, t */
	OPTION_NUMBER, /* uint32_t: digits */
	OPTION_WORD,   /* an enum: option_word_number() */
	OPTION_CPUS,   /* const char *: into the text */
};

struct option_key {
	const char *name;
	enum option_kind kind;
	size_t offset;		  /* of the field in struct quire_options */
	uint64_t min, max;	  /* of a size or a number */
	const char *const *words; /* ends with NULL */
	const uint32_t *numbers;  /* of the words; NULL: 1, 2, ... */
	const char *takes;
	const char *by_default;
	const char *does;
};

/* Options as an instance really uses them. */
struct options_used {
	struct quire_options options; /* no field means a default; but for isolated, which is: */
	const uint64_t *isolated;     /* bit a CPU; NULL if none */
	unsigned isolated_nr;	      /* bits */
};

/* Part of a text, not ended by a NUL. */
struct span {
	const char *start;
	size_t bytes;
};

/* What a module declares in its own folder: options.c there. */
struct option_table {
	const struct option_key *keys;
	unsigned keys_nr;
	/* Fills in the fields of its keys as @q really uses them; NULL: another module does. */
	void (*used)(const struct quire *q, struct options_used *used);
};

#define OPTION_FIELD(name) offsetof(struct quire_options, name)

/* "on", "off": enum quire_switch. */
extern const char *const option_switch_words[];

static inline enum quire_switch option_switch(enum quire_switch given, enum quire_switch by_default)
{
	return given != QUIRE_DEFAULT ? given : by_default;
}

/* The largest of a size: page numbers fit into 32 bits, and pages have at least 4 KiB. */
#define OPTION_BYTES_MAX (((uint64_t)1 << 44) - ((uint64_t)2 << 20))

/* The @i-th key of all modules' tables; NULL behind the last. */
const struct option_key *option_key_at(unsigned i);

/* Longer than any key or word: what is longer still is compared and quoted by its beginning. */
#define OPTION_SPELLING_BYTES_MAX 24

bool span_is(struct span span, const char *string);
const struct option_key *option_key_find(struct span span);
const struct option_key *option_key_nearest(struct span span);
uint32_t option_word_number(const struct option_key *key, unsigned place);
bool option_word_find(const struct option_key *key, struct span span, uint32_t *number);
const char *option_word_nearest(const struct option_key *key, struct span span);

/* A number as it is written: 64m; the field's number, 0 for the default. */
void option_put_number(struct text *text, enum option_kind kind, uint64_t value);
uint64_t option_number(const struct option_key *key, const struct quire_options *options);

/* The tables of keys as Markdown: docs/options.md holds this text, and a test compares them. */
void options_put_table(struct text *text);

#endif
