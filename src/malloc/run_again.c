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

/* Where the entry is in @environment, or where this ends. */
static size_t find(char *const *environment, const char *name)
{
	size_t i = 0;

	while (environment != NULL && environment[i] != NULL &&
	       value_of(environment[i], name) == NULL)
		i++;
	return i;
}

static const char *get(char *const *environment, const char *name)
{
	size_t i = find(environment, name);

	return environment == NULL || environment[i] == NULL ? NULL
							     : value_of(environment[i], name);
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

bool run_again_take(char **environment, struct run_again *again)
{
	size_t i = find(environment, RUN_AGAIN_VARIABLE);
	const char *value, *rest;

	*again = (struct run_again){ .value = NULL };
	if (environment == NULL || environment[i] == NULL)
		return false;
	value = value_of(environment[i], RUN_AGAIN_VARIABLE);
	for (; environment[i] != NULL; i++)
		environment[i] = environment[i + 1];
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
	size_t bytes;
};

static void put(struct pen *pen, const char *text, size_t bytes)
{
	if (pen->at != NULL)
		memcpy(pen->at + pen->bytes, text, bytes);
	pen->bytes += bytes;
}

static void put_text(struct pen *pen, const char *text)
{
	put(pen, text, length(text));
}

/* The first four are ours; @values points to where each begins. */
enum {
	OURS_NR = 4
};

static char *begin(struct pen *pen, const char *name)
{
	char *entry = pen->at != NULL ? pen->at + pen->bytes : NULL;

	put_text(pen, name);
	put_text(pen, "=");
	return entry;
}

static size_t put_ours(struct pen *pen, const struct run_again *again, char *const *environment,
		       char *entries[OURS_NR])
{
	const char *preload = get(environment, PRELOAD), *conf = get(environment, CONF);
	size_t nr = 0;

	entries[nr++] = begin(pen, PRELOAD);
	put(pen, again->preload, again->preload_bytes);
	if (preload != NULL)
		put_text(pen, ":");
	put(pen, preload != NULL ? preload : "", (preload != NULL ? length(preload) : 0) + 1);
	entries[nr++] = begin(pen, REPORT_VARIABLE);
	put(pen, again->value, again->request_bytes);
	put_text(pen, ",");
	if (again->conf != NULL)
		put_text(pen, conf != NULL ? CONF "=" : CONF);
	put_text(pen, again->conf != NULL && conf != NULL ? conf : "");
	put(pen, "", 1);
	entries[nr++] = begin(pen, RUN_AGAIN_VARIABLE);
	put(pen, again->value, length(again->value) + 1);
	if (again->conf != NULL) {
		entries[nr++] = begin(pen, CONF);
		put(pen, again->conf, length(again->conf) + 1);
	}
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

char **run_again_environment(const struct run_again *again, char *const *environment, void *memory)
{
	char **made = memory;
	size_t old_nr = entries_nr(environment);
	struct pen pen = { .at = (char *)(made + old_nr + OURS_NR + 1) };
	size_t nr = put_ours(&pen, again, environment, made);

	for (size_t i = 0; i < old_nr; i++)
		if (value_of(environment[i], PRELOAD) == NULL &&
		    (again->conf == NULL || value_of(environment[i], CONF) == NULL))
			made[nr++] = environment[i];
	made[nr] = NULL;
	return made;
}
