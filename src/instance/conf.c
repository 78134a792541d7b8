/* SPDX-License-Identifier: MIT */
/*
 * instance/conf.c - where the default instance's options come from
 *
 *   from                      what it is for
 *   the built-in defaults
 *   /etc/quire.conf           the machine: one text a line, '#' begins a comment
 *   const char *quire_conf    the program, whose author defines it
 *   QUIRE_CONF                this run of it
 *   a call                    quire_create(): an instance of the program's own reads none of these
 *
 * Each changes what it names, and leaves the rest to those above it.
 */
#include "instance/conf.h"

#include <stddef.h>

#include "base/text.h"
#include "machine/process.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Ends the line at @line with a NUL, without comment and blanks; returns its text, and in *@next where the next line begins,
 * NULL at the end. */
static char *cut_line(char *line, char **next)
{
	char *end = line, *last;

	while (*end != '\0' && *end != '\n')
		end++;
	*next = *end == '\n' ? end + 1 : NULL;
	*end = '\0';
	for (last = line; *last != '\0' && *last != '#';)
		last++;
	while (last != line && is_blank(last[-1]))
		last--;
	*last = '\0';
	while (is_blank(*line))
		line++;
	return line;
}

/* Of a text that may go on, only whole lines can be used. */
static void drop_last_line(char *file, size_t bytes)
{
	while (bytes != 0 && file[bytes - 1] != '\n')
		bytes--;
	file[bytes] = '\0';
}

void conf_take_lines(char file[CONF_FILE_BYTES], size_t bytes, const char *where,
		     void (*take)(const struct conf_part *part, void *arg), void *arg)
{
	struct conf_part part = { .where = where };
	char *next = file;

	if (bytes == CONF_FILE_BYTES - 1)
		drop_last_line(file, bytes);
	while (next != NULL) {
		part.text = cut_line(next, &next);
		part.line++;
		if (part.text[0] != '\0')
			take(&part, arg);
	}
	part.error = "quire: options beyond 4,094 bytes are not read";
	if (bytes == CONF_FILE_BYTES - 1)
		take(&part, arg);
}

static void read_file(void (*take)(const struct conf_part *part, void *arg), void *arg)
{
	static char file[CONF_FILE_BYTES]; /* lists of CPUs point into it */

	long bytes = process_conf_file(file, sizeof(file));

	if (bytes > 0)
		conf_take_lines(file, (size_t)bytes, PROCESS_CONF_FILE, take, arg);
}

void conf_take_text(const char *text, const char *where,
		    void (*take)(const struct conf_part *part, void *arg), void *arg)
{
	const struct conf_part part = { .text = text, .where = where };

	if (text != NULL)
		take(&part, arg);
}

void conf_read(void (*take)(const struct conf_part *part, void *arg), void *arg)
{
	read_file(take, arg);
	conf_take_text(process_conf_symbol(), "quire_conf", take, arg);
	conf_take_text(process_env("QUIRE_CONF"), "QUIRE_CONF", take, arg);
}

void conf_put_place(struct text *text, const struct conf_part *part)
{
	text_put(text, " in ");
	text_put(text, part->where);
	if (part->line == 0)
		return;
	text_put(text, ":");
	text_put_u64(text, part->line);
}
