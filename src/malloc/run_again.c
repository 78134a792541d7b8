/* SPDX-License-Identifier: MIT */
/* run_again.c - what `quire run` wrote into the environment is written again, for a program that exec makes */
#include "malloc/run_again.h"

#include "base/mem.h"
#include "malloc/report.h"

#define PRELOAD "LD_PRELOAD"
#define CONF	"QUIRE_CONF"

static size_t length(const char *text)
{
	size_t bytes = 0;

	while (text[bytes] != '\0')
		bytes++;
	return bytes;
}

/* The value, if @entry is @name's; or NULL. */
static const char *value_of(const char *entry, const char *name)
{
	while (*name != '\0')
		if (*entry++ != *name++)
			return NULL;
	return *entry == '=' ? entry + 1 : NULL;
}

/* The value in @environment; or NULL. */
static const char *get(char *const *environment, const char *name)
{
	const char *entry, *value = NULL;

	if (environment == NULL)
		return NULL;
	while (value == NULL && (entry = *environment++) != NULL)
		value = value_of(entry, name);
	return value;
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

	if (value == NULL)
		return NULL;
	while (value_of(*environment, RUN_AGAIN_VARIABLE) != value)
		environment++;
	for (; *environment != NULL; environment++)
		environment[0] = environment[1];
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

/* Writes behind what was written, or only counts. */
struct pen {
	char *at; /* NULL: it counts */
	size_t room, bytes;
};

/* Counts what does not fit. */
static void put(struct pen *pen, const char *text, size_t bytes)
{
	if (pen->at != NULL && pen->bytes <= pen->room && bytes <= pen->room - pen->bytes)
		memcpy(pen->at + pen->bytes, text, bytes);
	pen->bytes += bytes;
}

static void put_text(struct pen *pen, const char *text)
{
	put(pen, text, length(text));
}

static void end(struct pen *pen)
{
	put(pen, "", 1);
}

/* As many as there can be of our own. */
enum {
	OURS_NR = 4
};

static char *begin(struct pen *pen, const char *name)
{
	char *entry = pen->at != NULL && pen->bytes <= pen->room ? pen->at + pen->bytes : NULL;

	put_text(pen, name);
	put_text(pen, "=");
	return entry;
}

/* @entries gets where each begins. */
static size_t put_ours(struct pen *pen, const struct run_again *again, char *const *environment,
		       char *entries[OURS_NR])
{
	const char *preload = get(environment, PRELOAD), *conf = get(environment, CONF);
	size_t nr = 0;

	if (again->conf != NULL) {
		entries[nr++] = begin(pen, CONF);
		put_text(pen, again->conf);
		end(pen);
	}
	entries[nr++] = begin(pen, RUN_AGAIN_VARIABLE);
	put_text(pen, again->value);
	end(pen);
	entries[nr++] = begin(pen, REPORT_VARIABLE);
	put(pen, again->value, again->request_bytes);
	put_text(pen, ",");
	if (again->conf != NULL)
		put_text(pen, conf != NULL ? CONF "=" : CONF);
	put_text(pen, again->conf != NULL && conf != NULL ? conf : "");
	end(pen);
	entries[nr++] = begin(pen, PRELOAD);
	put(pen, again->preload, again->preload_bytes);
	put_text(pen, preload != NULL ? ":" : "");
	put_text(pen, preload != NULL ? preload : "");
	end(pen);
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
	struct pen pen = { .at = NULL };
	char *entries[OURS_NR];

	(void)put_ours(&pen, again, environment, entries);
	return (entries_nr(environment) + OURS_NR + 1) * sizeof(char *) + pen.bytes;
}

/* One of those that put_ours() writes. */
static bool is_ours(const struct run_again *again, const char *entry)
{
	return value_of(entry, PRELOAD) != NULL || value_of(entry, REPORT_VARIABLE) != NULL ||
	       value_of(entry, RUN_AGAIN_VARIABLE) != NULL ||
	       (again->conf != NULL && value_of(entry, CONF) != NULL);
}

char **run_again_environment(const struct run_again *again, char *const *environment, void *memory,
			     size_t bytes)
{
	size_t old_nr = entries_nr(environment), nr = 0;
	size_t array_bytes = (old_nr + OURS_NR + 1) * sizeof(char *);
	struct pen pen;
	char **made = memory;

	if (array_bytes > bytes)
		return NULL;
	for (size_t i = 0; i < old_nr; i++) {
		char *entry = environment[i];

		if (entry == NULL) /* taken out since it was counted */
			break;
		if (!is_ours(again, entry))
			made[nr++] = entry;
	}
	pen = (struct pen){ .at = (char *)memory + array_bytes, .room = bytes - array_bytes };
	nr += put_ours(&pen, again, environment, made + nr);
	made[nr] = NULL;
	return pen.bytes <= pen.room ? made : NULL;
}
