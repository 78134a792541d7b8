/* SPDX-License-Identifier: MIT */
/* ktest.c - `quire ktest`: Linux's own test modules, against the headers of quire/linux */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/arguments.h"
#include "common/command.h"
#include "common/output.h"
#include "ktest/modules.h"

struct request {
	const char *compiler, *headers, *tree;
	bool prints_all;
};

/* What has been said of all modules so far. */
struct tally {
	unsigned found, failed;
};

/* ---- one module ---- */

static void say(const char *what, const char *path, const char *why)
{
	printf("%-8s %s%s%s\n", what, path, why[0] != '\0' ? ": " : "", why);
	(void)output_flush("quire ktest");
}

static void print_indented(const char *text)
{
	while (*text != '\0') {
		size_t bytes = strcspn(text, "\n");

		printf("    %.*s\n", (int)bytes, text);
		text += bytes + (text[bytes] == '\n');
	}
}

/* The first line that has "error" in it; else the first one. */
static void first_error(const char *text, char *line, size_t line_bytes)
{
	const char *at = strstr(text, "error");

	if (at == NULL)
		at = text;
	while (at > text && at[-1] != '\n')
		at--;
	(void)snprintf(line, line_bytes, "%.*s", (int)strcspn(at, "\n"), at);
}

/* Whether a summary counts failures: "passed: 3 failed: 1 xfailed: 2", of which the last are expected. */
static bool counts_failures(const char *text)
{
	for (const char *at = text; (at = strstr(at, "failed: ")) != NULL;) {
		bool is_expected = at > text && at[-1] == 'x';

		at += strlen("failed: ");
		if (!is_expected && isdigit((unsigned char)*at) && strtoul(at, NULL, 10) != 0)
			return true;
	}
	return false;
}

static bool could_run(int error, const char *path)
{
	if (error == 0)
		return true;
	say("failed", path, strerror(-error));
	return false;
}

static bool is_built(const struct request *request, const struct kit *kit, const char *path,
		     const char *source)
{
	struct ran ran;
	char line[256];
	bool is_ok;

	if (!could_run(module_build(kit, source, &ran), path))
		return false;
	is_ok = ran.is_ok;
	if (!is_ok) {
		first_error(ran.text, line, sizeof(line));
		say("unbuilt", path, line);
		if (request->prints_all)
			print_indented(ran.text);
	}
	free(ran.text);
	return is_ok;
}

static bool is_passed(const struct request *request, const struct kit *kit, const char *path,
		      const char *const *parameters)
{
	struct ran ran;
	bool is_ok;

	if (!could_run(module_run(kit, parameters, &ran), path))
		return false;
	is_ok = ran.is_ok && !counts_failures(ran.text);
	say(is_ok ? "passed" : "failed", path,
	    is_ok	? ""
	    : ran.is_ok ? "its summary counts failures"
			: ran.ended);
	if (!is_ok || request->prints_all)
		print_indented(ran.text);
	free(ran.text);
	return is_ok;
}

/* @words: its own parameters, up to the first word that is none; what is known comes before, so they count. */
static void test_module(const struct request *request, const struct kit *kit, const char *path,
			char *const *words, struct tally *tally)
{
	const struct known_module *known = known_module_of(path);
	const char *parameters[PARAMETERS_MAX + 1] = { NULL };
	char source[PATH_MAX];
	unsigned n = 0;

	tally->found++;
	if (known != NULL && known->skipped != NULL) {
		say("skipped", path, known->skipped);
		return;
	}
	for (unsigned i = 0; known != NULL && known->parameters[i] != NULL; i++)
		parameters[n++] = known->parameters[i];
	for (; *words != NULL && strchr(*words, '=') != NULL && n < PARAMETERS_MAX; words++)
		parameters[n++] = *words;
	if (snprintf(source, sizeof(source), "%s/%s", request->tree, path) >= PATH_MAX ||
	    !is_built(request, kit, path, source) || !is_passed(request, kit, path, parameters))
		tally->failed++;
}

/* ---- which ones ---- */

static bool is_there(const char *tree, const char *path)
{
	char whole[PATH_MAX];

	return snprintf(whole, sizeof(whole), "%s/%s", tree, path) < PATH_MAX &&
	       access(whole, R_OK) == 0;
}

static void test_known(const struct request *request, const struct kit *kit, struct tally *tally)
{
	char *const none[] = { NULL };
	char path[PATH_MAX];

	for (const struct known_module *row = known_modules; row->file != NULL; row++)
		for (const char *const *folder = known_folders; *folder != NULL; folder++)
			if (snprintf(path, sizeof(path), "%s/%s", *folder, row->file) < PATH_MAX &&
			    is_there(request->tree, path))
				test_module(request, kit, path, none, tally);
}

static void test_named(const struct request *request, const struct kit *kit, char *const *words,
		       struct tally *tally)
{
	for (; *words != NULL; words++)
		if (strchr(*words, '=') == NULL)
			test_module(request, kit, *words, words + 1, tally);
}

/* Before anything is built.  False, said: a word is no file of the tree, or a parameter without one. */
static bool are_words_right(const char *tree, char *const *words)
{
	struct stat is;
	unsigned parameters_nr = 0;

	if (stat(tree, &is) != 0 || !S_ISDIR(is.st_mode)) {
		fprintf(stderr, "quire ktest: %s is no folder\n", tree);
		return false;
	}
	for (unsigned i = 0; words[i] != NULL; i++) {
		bool is_parameter = strchr(words[i], '=') != NULL;

		parameters_nr = is_parameter ? parameters_nr + 1 : 0;
		if (is_parameter && i == 0) {
			fprintf(stderr, "quire ktest: %s belongs behind a module\n", words[i]);
			return false;
		}
		if (parameters_nr > PARAMETERS_MAX / 2) {
			fprintf(stderr, "quire ktest: too many parameters: %s\n", words[i]);
			return false;
		}
		if (!is_parameter && !is_there(tree, words[i])) {
			fprintf(stderr, "quire ktest: %s/%s: %s\n", tree, words[i],
				strerror(errno));
			return false;
		}
	}
	return true;
}

/* ---- the command ---- */

enum {
	OPTION_CC,
	OPTION_HEADERS,
	OPTION_VERBOSE,
};

static const struct option_row rows[] = {
	[OPTION_CC] = { "cc", "PROGRAM", "the compiler: gcc or clang; default $CC, or cc" },
	[OPTION_HEADERS] = { "headers", "DIR", "where quire/linux is; default: as installed" },
	[OPTION_VERBOSE] = { "verbose", NULL, "what modules and the compiler print, too" },
	{ .name = NULL },
};

static bool take_option(void *context, unsigned option, const char *value)
{
	struct request *request = context;

	switch (option) {
	case OPTION_CC:
		request->compiler = value;
		return true;
	case OPTION_HEADERS:
		request->headers = value;
		return true;
	default:
		request->prints_all = true;
		return true;
	}
}

static enum exit_status test_tree(const struct request *request, struct kit *kit,
				  char *const *words)
{
	struct tally tally = { .found = 0 };

	if (words[0] != NULL)
		test_named(request, kit, words, &tally);
	else
		test_known(request, kit, &tally);
	if (tally.found == 0) {
		fprintf(stderr, "quire ktest: %s has none of the modules, such as %s/%s\n",
			request->tree, known_folders[0], known_modules[0].file);
		return EXIT_USAGE;
	}
	return tally.failed == 0 ? EXIT_OK : EXIT_FOUND;
}

static enum exit_status run(int argc, char **argv)
{
	const char *compiler = getenv("CC");
	struct request request = {
		.compiler = compiler != NULL && compiler[0] != '\0' ? compiler : "cc",
	};
	struct kit kit;
	enum exit_status status;
	char error[PATH_MAX + 256];

	if (!arguments_take(&command_ktest, argc, argv, take_option, &request, &status))
		return status;
	if (argv[optind] == NULL) {
		fprintf(stderr, "quire ktest: which kernel tree?\n");
		return EXIT_USAGE;
	}
	request.tree = argv[optind];
	if (!are_words_right(request.tree, argv + optind + 1))
		return EXIT_USAGE;
	kit.compiler = request.compiler;
	if (!kit_find(&kit, request.headers, error, sizeof(error))) {
		fprintf(stderr, "quire ktest: %s\n", error);
		return EXIT_USAGE;
	}
	status = test_tree(&request, &kit, argv + optind + 1);
	kit_end(&kit);
	return status;
}

const struct command command_ktest = {
	.name = "ktest",
	.summary = "run Linux's own test modules against Quire",
	.synopsis = "quire ktest [--cc PROGRAM] [--headers DIR] [--verbose] DIR\n"
		    "            [MODULE [NAME=VALUE...]]...",
	.about =
		"Compiles those test modules of a kernel's source in DIR that test what Quire\n"
		"has, unchanged, against the headers of quire/linux, runs them as programs, and\n"
		"says in a line of each whether it passed.  Or the modules named, which are paths\n"
		"below DIR, with parameters as for insmod.  QUIRE_CONF has the options of their\n"
		"instance, backing:memfd if it is not set; kmalloc() is libquire-malloc's.",
	.options = rows,
	.exit_statuses =
		"Exit status: 0 all passed, or were skipped; 1 one failed, or was not built; 2\n"
		"wrong arguments, no such tree, or no module in it; 3 some output could not be\n"
		"written.",
	.run = run,
};
