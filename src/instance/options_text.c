/* SPDX-License-Identifier: MIT */
/*
 * instance/options_text.c - the options that an instance really uses, as text
 *
 * Every key of every module is printed with its value, so that the text tells of a default, of a limit
 * that had to be halved, and of what the system lacks.  Parsed again it makes the same instance.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"
#include "instance/kind.h"
#include "instance/options.h"

static bool has_cpu(const struct options_used *used, unsigned cpu)
{
	return cpu < used->isolated_nr && (used->isolated[cpu / 64] >> cpu % 64 & 1) != 0;
}

/* 2-5+8 */
static void put_cpus(struct text *text, const struct options_used *used)
{
	const char *between = "";

	for (unsigned cpu = 0; used->isolated != NULL && cpu < used->isolated_nr; cpu++) {
		unsigned first = cpu;

		if (!has_cpu(used, cpu))
			continue;
		while (has_cpu(used, cpu + 1))
			cpu++;
		text_put(text, between);
		text_put_u64(text, first);
		if (cpu != first) {
			text_put(text, "-");
			text_put_u64(text, cpu);
		}
		between = "+";
	}
	if (*between == '\0')
		text_put(text, "none");
}

static void put_word(struct text *text, const struct option_key *key, uint64_t number)
{
	unsigned i = 0;

	while (key->words[i] != NULL && option_word_number(key, i) != number)
		i++;
	CHECK_VALUES(key->words[i] != NULL, number, i);
	text_put(text, key->words[i]);
}

static void put_value(struct text *text, const struct option_key *key,
		      const struct options_used *used)
{
	uint64_t number;

	if (key->kind == OPTION_CPUS) {
		put_cpus(text, used);
		return;
	}
	number = option_number(key, &used->options);
	if (key->kind == OPTION_WORD)
		put_word(text, key, number);
	else
		option_put_number(text, key->kind, number);
}

size_t quire_text_options(const struct quire *q, char *buffer, size_t bytes)
{
	struct options_used used = { .isolated = NULL };
	const struct option_key *key;
	struct text text;

	text_init(&text, buffer, bytes);
	for (unsigned i = 0; module_kinds[i] != NULL; i++)
		module_kinds[i]->options->used(q, &used);
	for (unsigned i = 0; (key = option_key_at(i)) != NULL; i++) {
		text_put(&text, i == 0 ? "" : ",");
		text_put(&text, key->name);
		text_put(&text, ":");
		put_value(&text, key, &used);
	}
	return text.bytes;
}
