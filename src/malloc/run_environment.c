/* SPDX-License-Identifier: MIT */
/*
 * run_environment.c - what `quire run` wrote into the environment is read, and taken out again
 *
 * This happens before main(), in the array that main() gets.  An entry that goes makes it shorter: the
 * entries behind it move up.
 */
#include "malloc/run_environment.h"

#include "base/mem.h"
#include "malloc/report.h"

/* Behind @word, or NULL if @text does not begin with it. */
static const char *skip(const char *text, const char *word)
{
	while (*word != '\0')
		if (*text++ != *word++)
			return NULL;
	return text;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* A number of base 10 or 16 up to @max, and the comma behind it.  Returns what follows, or NULL. */
static const char *number(const char *text, unsigned base, uint64_t max, uint64_t *value)
{
	const char *begin = text;

	*value = 0;
	for (; (unsigned)digit(*text) < base; text++) {
		if (*value > (max - (unsigned)digit(*text)) / base)
			return NULL;
		*value = *value * base + (unsigned)digit(*text);
	}
	return text != begin && *text == ',' ? text + 1 : NULL;
}

bool run_request_parse(const char *value, struct run_request *request)
{
	const char *rest = skip(value, "once,");
	uint64_t pid, fd, cookie;

	*request = (struct run_request){ .once = rest != NULL };
	if (rest == NULL)
		rest = skip(value, "all,");
	if (rest == NULL || (rest = number(rest, 10, INT32_MAX, &pid)) == NULL ||
	    (rest = number(rest, 10, INT32_MAX, &fd)) == NULL ||
	    (rest = number(rest, 16, UINT64_MAX, &cookie)) == NULL)
		return false;
	request->pid = (uint32_t)pid;
	request->fd = (uint32_t)fd;
	request->cookie = cookie;
	request->before = rest;
	return true;
}

/* ---- variables ------------------------------------------------------------------------------- */

const char *run_variable_value(const char *entry, const char *name)
{
	const char *rest = skip(entry, name);

	return rest != NULL && *rest == '=' ? rest + 1 : NULL;
}

size_t run_variable_place(char *const *environment, const char *name)
{
	const char *entry;
	size_t place = 0;

	while ((entry = environment[place]) != NULL && run_variable_value(entry, name) == NULL)
		place++;
	return place;
}

void run_variable_drop(char **entry)
{
	do
		entry[0] = entry[1];
	while (*entry++ != NULL);
}

/* ---- restoring ------------------------------------------------------------------------------- */

/* The entry of a variable, or NULL. */
static char **find(char **environment, const char *name)
{
	char **entry = &environment[run_variable_place(environment, name)];

	return *entry != NULL ? entry : NULL;
}

/* LD_PRELOAD without its first item. */
static void drop_preload(char **environment)
{
	static const char name[] = "LD_PRELOAD=";
	char **entry = find(environment, "LD_PRELOAD");
	size_t bytes;
	char *text;

	if (entry == NULL)
		return;
	text = *entry + sizeof(name) - 1;
	for (bytes = 0; text[bytes] != '\0' && text[bytes] != ':' && text[bytes] != ' ';)
		bytes++;
	if (text[bytes] == '\0') {
		run_variable_drop(entry);
		return;
	}
	/* The name moves behind the item, so that the entry is one text again. */
	text = *entry + bytes + 1;
	memcpy(text, name, sizeof(name) - 1);
	*entry = text;
}

void run_environment_restore(char **environment)
{
	char **own = find(environment, REPORT_VARIABLE);
	struct run_request request;
	char **conf;
	char *before;

	if (own == NULL || !run_request_parse(*own + sizeof(REPORT_VARIABLE), &request) ||
	    !request.once)
		return;
	conf = find(environment, "QUIRE_CONF");
	before = *own + (request.before - *own);
	if (conf != NULL && *before != '\0' && before[sizeof("QUIRE_CONF") - 1] == '=')
		*conf = before;
	else if (conf != NULL && *before != '\0')
		run_variable_drop(conf);
	run_variable_drop(find(environment, REPORT_VARIABLE));
	for (unsigned i = 0; i < RUN_PRELOADS_NR; i++)
		drop_preload(environment);
}
