/* SPDX-License-Identifier: MIT */
/* run_again.c - what `quire run` wrote into the environment is written again, for a program that exec makes */
#include "malloc/run_again.h"

#include "base/text.h"
#include "malloc/report.h"
#include "malloc/run_environment.h"

#define PRELOAD "LD_PRELOAD"
#define CONF	"QUIRE_CONF"

/* The value in @environment; or NULL. */
static const char *get(char *const *environment, const char *name)
{
	const char *entry = NULL;

	if (environment != NULL)
		entry = environment[run_variable_place(environment, name)];
	return entry != NULL ? run_variable_value(entry, name) : NULL;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The bytes of a word that a space follows, or the end. */
static size_t word_bytes(const char *text)
{
	size_t bytes = 0;

	while (text[bytes] != '\0' && text[bytes] != ' ')
		bytes++;
	return bytes;
}

const char *run_again_take(char **environment)
{
	const char *value = get(environment, RUN_AGAIN_VARIABLE);

	if (value != NULL)
		run_variable_drop(
			&environment[run_variable_place(environment, RUN_AGAIN_VARIABLE)]);
	return value;
}

bool run_again_parse(const char *value, struct run_again *again)
{
	const char *rest;

	*again = (struct run_again){ .value = NULL };
	again->request_bytes = word_bytes(value);
	if (again->request_bytes == 0 || value[again->request_bytes] == '\0')
		return false;
	again->preload = value + again->request_bytes + 1;
	again->preload_bytes = word_bytes(again->preload);
	if (again->preload_bytes == 0)
		return false;
	rest = again->preload + again->preload_bytes;
	again->conf = *rest == ' ' ? rest + 1 : NULL;
	again->value = value;
	return true;
}

bool run_again_is_asked(char *const *environment)
{
	return get(environment, REPORT_VARIABLE) != NULL;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Ends the entry. */
static void end(struct text *text)
{
	text_put_bytes(text, "", 1);
}

/* As many as there can be of our own. */
enum {
	OURS_NR = 4
};

/* Returns where the entry begins, if there is room. */
static char *begin(struct text *text, const char *name)
{
	char *entry = text->bytes < text->room_bytes ? text->buffer + text->bytes : NULL;

	text_put(text, name);
	text_put(text, "=");
	return entry;
}

/* @entries gets where each begins. */
static size_t put_ours(struct text *text, const struct run_again *again, char *const *environment,
		       char *entries[OURS_NR])
{
	const char *preload = get(environment, PRELOAD), *conf = get(environment, CONF);
	size_t nr = 0;

	if (again->conf != NULL) {
		entries[nr++] = begin(text, CONF);
		text_put(text, again->conf);
		end(text);
	}
	entries[nr++] = begin(text, RUN_AGAIN_VARIABLE);
	text_put(text, again->value);
	end(text);
	entries[nr++] = begin(text, REPORT_VARIABLE);
	text_put_bytes(text, again->value, again->request_bytes);
	text_put(text, ",");
	if (again->conf != NULL)
		text_put(text, conf != NULL ? CONF "=" : CONF);
	text_put(text, again->conf != NULL && conf != NULL ? conf : "");
	end(text);
	entries[nr++] = begin(text, PRELOAD);
	text_put_bytes(text, again->preload, again->preload_bytes);
	text_put(text, preload != NULL ? ":" : "");
	text_put(text, preload != NULL ? preload : "");
	end(text);
	return nr;
}

static size_t entries_nr(char *const *environment)
{
	size_t nr = 0;

	while (environment != NULL && environment[nr] != NULL)
		nr++;
	return nr;
}

size_t run_again_bytes(const struct run_again *again, char *const *environment)
{
	char *entries[OURS_NR];
	struct text text;

	text_init(&text, NULL, 0); /* it counts */
	(void)put_ours(&text, again, environment, entries);
	return (entries_nr(environment) + OURS_NR + 1) * sizeof(char *) + text.bytes;
}

/* One of those that put_ours() writes. */
static bool is_ours(const struct run_again *again, const char *entry)
{
	return run_variable_value(entry, PRELOAD) != NULL ||
	       run_variable_value(entry, REPORT_VARIABLE) != NULL ||
	       run_variable_value(entry, RUN_AGAIN_VARIABLE) != NULL ||
	       (again->conf != NULL && run_variable_value(entry, CONF) != NULL);
}

char **run_again_environment(const struct run_again *again, char *const *environment, void *memory,
			     size_t bytes)
{
	size_t old_nr = entries_nr(environment), nr = 0;
	size_t array_bytes = (old_nr + OURS_NR + 1) * sizeof(char *);
	char **made = memory;
	struct text text;

	if (array_bytes > bytes)
		return NULL;
	for (size_t i = 0; i < old_nr; i++) {
		char *entry = environment[i];

		if (entry == NULL) /* taken out since it was counted */
			break;
		if (!is_ours(again, entry))
			made[nr++] = entry;
	}
	text_init(&text, (char *)memory + array_bytes, bytes - array_bytes);
	nr += put_ours(&text, again, environment, made + nr);
	made[nr] = NULL;
	return text.bytes <= text.room_bytes ? made : NULL; /* its last byte is a NUL */
}
