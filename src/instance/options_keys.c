/* SPDX-License-Identifier: MIT */
/* instance/options_keys.c - a key by its name in all modules' tables, and the nearest right spelling of a wrong one */
#include "instance/options.h"

#include <stdbool.h>
#include <stddef.h>

#include "base/mem.h"
#include "instance/kind.h"

const char *const option_switch_words[] = { "on", "off", NULL };

_Static_assert(sizeof(enum quire_switch) == 4 && sizeof(enum quire_worker) == 4,
	       "words are stored as 32-bit numbers");

const struct option_key *option_key_at(unsigned i)
{
	for (unsigned kind = 0; module_kinds[kind] != NULL; kind++) {
		const struct option_table *table = module_kinds[kind]->options;

		if (i < table->keys_nr)
			return &table->keys[i];
		i -= table->keys_nr;
	}
	return NULL;
}

static size_t string_bytes(const char *string)
{
	size_t bytes = 0;

	while (string[bytes] != '\0')
		bytes++;
	return bytes;
}

bool span_is(struct span span, const char *string)
{
	return span.bytes == string_bytes(string) && memcmp(span.start, string, span.bytes) == 0;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/*
 * Letters to insert, delete or replace to make @string of @span.
 * limt, limit: 1.  onn, on: 1.  zones, zones: 0.
 */
static size_t spelling_distance(struct span span, const char *string)
{
	size_t row[OPTION_SPELLING_BYTES_MAX + 1];
	size_t columns = least(string_bytes(string), OPTION_SPELLING_BYTES_MAX);

	for (size_t j = 0; j <= columns; j++)
		row[j] = j;
	for (size_t i = 0; i < least(span.bytes, OPTION_SPELLING_BYTES_MAX); i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < columns; j++) {
			size_t replaced = diagonal + (span.start[i] != string[j]);

			diagonal = row[j + 1];
			row[j + 1] = least(replaced, least(row[j], row[j + 1]) + 1);
		}
	}
	return row[columns];
}

const char *option_word_nearest(const struct option_key *key, struct span span)
{
	const char *nearest = key->words[0];

	for (unsigned i = 1; key->words[i] != NULL; i++) {
		if (spelling_distance(span, key->words[i]) < spelling_distance(span, nearest))
			nearest = key->words[i];
	}
	return nearest;
}

uint32_t option_word_number(const struct option_key *key, unsigned place)
{
	return key->numbers != NULL ? key->numbers[place] : place + 1;
}

bool option_word_find(const struct option_key *key, struct span span, uint32_t *number)
{
	for (uint32_t i = 0; key->words[i] != NULL; i++) {
		if (span_is(span, key->words[i])) {
			*number = option_word_number(key, i);
			return true;
		}
	}
	return false;
}

const struct option_key *option_key_nearest(struct span span)
{
	const struct option_key *nearest = option_key_at(0), *key;

	for (unsigned i = 1; (key = option_key_at(i)) != NULL; i++) {
		if (spelling_distance(span, key->name) < spelling_distance(span, nearest->name))
			nearest = key;
	}
	return nearest;
}

const struct option_key *option_key_find(struct span span)
{
	const struct option_key *key;

	for (unsigned i = 0; (key = option_key_at(i)) != NULL; i++) {
		if (span_is(span, key->name))
			return key;
	}
	return NULL;
}

void options_put_table(struct text *text)
{
	const struct option_key *key;

	text_put(text, "| key | takes | default | meaning |\n|---|---|---|---|\n");
	for (unsigned i = 0; (key = option_key_at(i)) != NULL; i++) {
		text_put(text, "| `");
		text_put(text, key->name);
		text_put(text, "` | ");
		text_put(text, key->takes);
		text_put(text, " | ");
		text_put(text, key->by_default);
		text_put(text, " | ");
		text_put(text, key->does);
		text_put(text, " |\n");
	}
}
