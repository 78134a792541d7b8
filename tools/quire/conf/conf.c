/* SPDX-License-Identifier: MIT */
/*
 * conf.c - `quire conf`: every option, its value, and where it comes from
 *
 * Values are those of an instance that is made from what was read here, or, of a process, what it shows (stats/seen.h). Where
 * they come from is what the same code as the library's reads (instance/conf.h): the file and the environment, of a process the file
 * that it sees, the program's quire_conf, which the process shows, too, and its own environment. Some defaults follow other options: those
 * that an instance made here of the same options has as well. A value that is none of these is from a call, or what the system left.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

#include "base/text.h"
#include "common/arguments.h"
#include "common/command.h"
#include "instance/conf.h"
#include "instance/options.h"
#include "machine/process.h"
#include "stats/seen.h"
#include "stats/stats.h"

#define KEYS_MAX 64
#define PLACES	 200u

/* What was said of one option, the strongest last. */
struct said {
	char value[64];
	char places[PLACES]; /* "QUIRE_CONF, over /etc/quire.conf:1 (321)"; "": nobody */
};

/* Each option's value. */
struct values {
	char of[KEYS_MAX][64]; /* "": not named */
};

struct copy {
	struct copy *next;
	char text[];
};

struct conf {
	struct quire_options given; /* all that was said and is right */
	struct said said[KEYS_MAX];
	struct values built_in; /* of an instance of which nobody says anything */
	struct values followed; /* of one that is made here from @given */
	bool is_wrong;
	struct copy *copies;
};

struct conf_options {
	uint32_t pid;
	bool diff;
};

/* ---- what is said ---- */

static int key_index(const char *item)
{
	struct span name = { item, strcspn(item, ":") };
	const struct option_key *key;

	for (unsigned i = 0; i < KEYS_MAX && (key = option_key_at(i)) != NULL; i++)
		if (span_is(name, key->name))
			return (int)i;
	return -1;
}

static void note(struct said *said, const char *value, const char *place)
{
	const struct said before = *said;

	if (before.places[0] != '\0')
		snprintf(said->places, sizeof(said->places), "%.60s, over %.60s (%.40s)", place,
			 before.places, before.value);
	else
		snprintf(said->places, sizeof(said->places), "%.60s", place);
	snprintf(said->value, sizeof(said->value), "%.60s", value);
}

static void take_item(struct conf *conf, const char *item, const char *place)
{
	char error[256];
	int key;

	if (quire_options_parse(item, &conf->given, error, sizeof(error)) != 0) {
		fprintf(stderr, "%s in %s\n", error, place);
		conf->is_wrong = true;
		return;
	}
	key = key_index(item);
	if (key >= 0)
		note(&conf->said[key], item + strcspn(item, ":") + 1, place);
}

/* A list of CPUs points into it until the instance is made.  NULL: no memory. */
static char *keep_copy(struct conf *conf, const char *text)
{
	struct copy *copy = malloc(sizeof(*copy) + strlen(text) + 1);

	if (copy == NULL)
		return NULL;
	strcpy(copy->text, text);
	copy->next = conf->copies;
	conf->copies = copy;
	return copy->text;
}

static void free_copies(struct conf *conf)
{
	while (conf->copies != NULL) {
		struct copy *copy = conf->copies;

		conf->copies = copy->next;
		free(copy);
	}
}

static void take(const struct conf_part *part, void *arg)
{
	struct conf *conf = arg;
	char *items, *rest, *item, place[64];
	struct text text;

	text_init(&text, place, sizeof(place));
	conf_put_place(&text, part);
	if (part->error != NULL) {
		fprintf(stderr, "%s%s\n", part->error, place);
		conf->is_wrong = true;
		return;
	}
	items = rest = keep_copy(conf, part->text);
	while (items != NULL && (item = strsep(&rest, ",")) != NULL)
		if (item[0] != '\0')
			take_item(conf, item, place + strlen(" in "));
}

/* @text is what quire_text_options() prints: "key:value,key:value" */
static void read_values(const char *text, struct values *values)
{
	char *items = strdup(text), *rest = items, *item;

	*values = (struct values){ { "" } };
	while (items != NULL && (item = strsep(&rest, ",")) != NULL) {
		int key = key_index(item);

		if (key >= 0)
			snprintf(values->of[key], sizeof(values->of[key]), "%.60s",
				 item + strcspn(item, ":") + 1);
	}
	free(items);
}

/* ---- printing ---- */

static const char *unit_of(const struct option_key *key)
{
	if (key->unit != NULL)
		return key->unit;
	return key->kind == OPTION_SIZE ? "bytes" : "-";
}

/* True if both are the same number of bytes, words or CPUs, however they are written. */
static bool is_same(const struct option_key *key, const char *a, const char *b)
{
	struct quire_options one = QUIRE_OPTIONS_INIT(), two = QUIRE_OPTIONS_INIT();
	char text[128], error[256];

	if (key->kind == OPTION_CPUS)
		return strcmp(a, b) == 0;
	snprintf(text, sizeof(text), "%s:%s", key->name, a);
	if (quire_options_parse(text, &one, error, sizeof(error)) != 0)
		return false;
	snprintf(text, sizeof(text), "%s:%s", key->name, b);
	return quire_options_parse(text, &two, error, sizeof(error)) == 0 &&
	       option_number(key, &one) == option_number(key, &two);
}

/* Of a value that nobody says. */
static const char *origin_unsaid(const struct conf *conf, unsigned i, const char *value)
{
	const struct option_key *key = option_key_at(i);

	if (is_same(key, value, conf->built_in.of[i]))
		return "built in";
	return is_same(key, value, conf->followed.of[i]) ? "follows other options"
							 : "a call, or the system";
}

static void print_key(const struct conf *conf, unsigned i, const char *value, bool diff)
{
	const struct option_key *key = option_key_at(i);
	const struct said *said = &conf->said[i];
	bool is_said = said->places[0] != '\0';
	const char *origin = is_said ? said->places : origin_unsaid(conf, i, value);
	char left[320];

	if (diff && !is_said && is_same(key, value, conf->built_in.of[i]))
		return;
	if (is_said && !is_same(key, value, said->value)) {
		snprintf(left, sizeof(left), "%s says %s; a call or the system left this", origin,
			 said->value);
		origin = left;
	}
	printf("%-18s %-17s %-8s %s\n", key->name, value, unit_of(key), origin);
}

static void print_all(const struct conf *conf, const struct values *values,
		      const struct conf_options *options)
{
	for (unsigned i = 0; i < KEYS_MAX && option_key_at(i) != NULL; i++)
		if (values->of[i][0] != '\0')
			print_key(conf, i, values->of[i], options->diff);
}

/* ---- what a program started here would get ---- */

/* What an instance uses that is made from @given.  False without memory. */
static bool options_used(const struct quire_options *given, char *used, size_t bytes)
{
	struct quire *q;

	if (quire_create(given, &q) != 0)
		return false;
	quire_text_options(q, used, bytes);
	quire_destroy(q);
	return true;
}

/* What is used without any options, and with what was said. */
static bool read_here(struct conf *conf)
{
	char used[2048];

	if (!options_used(NULL, used, sizeof(used)))
		return false;
	read_values(used, &conf->built_in);
	conf->given.observe = QUIRE_DEFAULT; /* this is not the program */
	if (!options_used(&conf->given, used, sizeof(used)))
		return false;
	read_values(used, &conf->followed);
	return true;
}

static enum exit_status show_here(struct conf *conf, const struct conf_options *options)
{
	conf_read(take, conf);
	if (!read_here(conf)) {
		fprintf(stderr, "quire conf: no memory for an instance with these options\n");
		return EXIT_FOUND;
	}
	print_all(conf, &conf->followed, options);
	return conf->is_wrong ? EXIT_FOUND : EXIT_OK;
}

/* ---- a process ---- */

/* The system's file as the process sees it. */
static void take_file(struct conf *conf, uint32_t pid)
{
	char path[64], text[CONF_FILE_BYTES];
	size_t bytes;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/root" PROCESS_CONF_FILE, pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	bytes = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[bytes] = '\0';
	conf_take_lines(text, bytes, PROCESS_CONF_FILE, take, conf);
}

/* Quire's malloc reads a variable of its own. */
static bool is_on_malloc(uint32_t pid)
{
	char path[64], line[4352];
	bool is_it = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
	file = fopen(path, "re");
	while (file != NULL && !is_it && fgets(line, sizeof(line), file) != NULL)
		is_it = strstr(line, "/libquire-malloc.so") != NULL;
	if (file != NULL)
		fclose(file);
	return is_it;
}

static void take_variable(struct conf *conf, uint32_t pid, const char *name)
{
	char value[2048];
	const struct conf_part part = { .text = value, .where = name };

	if (seen_variable(pid, name, value, sizeof(value)))
		take(&part, conf);
}

/* Of one that has ended nothing but the values is left, and what the program says. */
static void take_said(struct conf *conf, const struct seen *seen)
{
	const struct conf_part program = { .text = seen_section(seen, "quire_conf"),
					   .where = "quire_conf" };

	if (seen->alive)
		take_file(conf, seen->pid);
	if (program.text != NULL)
		take(&program, conf);
	if (!seen->alive)
		return;
	take_variable(conf, seen->pid, "QUIRE_CONF");
	if (is_on_malloc(seen->pid))
		take_variable(conf, seen->pid, "QUIRE_MALLOC_CONF");
}

static enum exit_status show_process(struct conf *conf, const struct conf_options *options)
{
	const struct seen_wanted wanted = { .pid = options->pid };
	enum exit_status status = EXIT_FOUND;
	struct seen *seen = calloc(1, sizeof(*seen));
	int error = seen != NULL ? seen_find(&wanted, seen) : -ENOMEM;
	const char *used = error ? NULL : seen_section(seen, "options");
	struct values values;

	if (error) {
		status = stats_refuse("quire conf", &wanted, seen, error);
	} else if (used == NULL) {
		fprintf(stderr, "quire conf: process %" PRIu32 " does not show its options\n",
			options->pid);
	} else {
		take_said(conf, seen);
		if (!read_here(conf))
			fprintf(stderr,
				"quire conf: no memory to tell which options follow others\n");
		read_values(used, &values);
		print_all(conf, &values, options);
		status = conf->is_wrong ? EXIT_FOUND : EXIT_OK;
	}
	free(seen);
	return status;
}

/* ---- the command ---- */

enum {
	OPTION_DIFF,
};

static const struct option_row rows[] = {
	[OPTION_DIFF] = { "diff", NULL, "only what is not built in, whoever says it" },
	{ .name = NULL },
};

static bool take_option(void *context, unsigned option, const char *value)
{
	struct conf_options *options = context;

	(void)value;
	options->diff = option == OPTION_DIFF;
	return true;
}

static enum exit_status run(int argc, char **argv)
{
	struct conf_options options = { .pid = 0 };
	struct conf *conf;
	enum exit_status status;

	if (!arguments_take(&command_conf, argc, argv, take_option, &options, &status) ||
	    !argument_pid("conf", argv + optind, &options.pid))
		return status;
	conf = calloc(1, sizeof(*conf));
	if (conf == NULL)
		return command_no_memory("conf");
	conf->given = (struct quire_options)QUIRE_OPTIONS_INIT();
	status = options.pid != 0 ? show_process(conf, &options) : show_here(conf, &options);
	free_copies(conf);
	free(conf);
	return status;
}

const struct command command_conf = {
	.name = "conf",
	.summary = "every option, its value, and where it comes from",
	.synopsis = "quire conf [--diff] [PID]",
	.about =
		"Prints every option with its value, its unit and where it comes from: built in,\n"
		"/etc/quire.conf:LINE, the program's quire_conf, QUIRE_CONF, or a call.  Without\n"
		"PID: what a program started here would get; with it: what the process has, if it\n"
		"shows it (`quire stats --help`).",
	.options = rows,
	.exit_statuses =
		"Exit status: 0; 1 an option is wrong, or the process shows none; 2 wrong\n"
		"arguments; 3 some output could not be written.",
	.run = run,
};
