/* SPDX-License-Identifier: MIT */
/* options.h - the options of an instance: their table, their ranges, lists of CPUs */
#ifndef INSTANCE_OPTIONS_H
#define INSTANCE_OPTIONS_H

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
	KIND_SIZE,   /* uint64_t: digits and an optional k, m, g, t */
	KIND_NUMBER, /* uint32_t: digits */
	KIND_WORD,   /* an enum: option_word_number() */
	KIND_CPUS,   /* const char *: into the text */
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

/* Part of a text, not ended by a NUL. */
struct span {
	const char *start;
	size_t bytes;
};

#define OPTION_KEYS_NR 20
extern const struct option_key option_keys[OPTION_KEYS_NR];

/* Longer than any key or word: what is longer still is compared and quoted by its beginning. */
#define OPTION_SPELLING_BYTES_MAX 24

const struct option_key *option_key_find(struct span span);
const struct option_key *option_key_nearest(struct span span);
uint32_t option_word_number(const struct option_key *key, unsigned place);
/* The word's number, or 0. */
uint32_t option_word_find(const struct option_key *key, struct span span);
const char *option_word_nearest(const struct option_key *key, struct span span);

/* The table of keys as Markdown: docs/options.md holds this text, and a test compares them. */
void options_put_table(struct text *text);

#endif
