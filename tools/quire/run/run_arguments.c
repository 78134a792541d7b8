/* SPDX-License-Identifier: MIT */
#include "run/run.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/arguments.h"

enum {
	OPTION_CHILDREN,
	OPTION_JSON,
	OPTION_PROFILE,
	OPTION_CONF,
	OPTION_EXEC,
	OPTION_COMPARE,
	OPTION_WITH,
	OPTION_SVG,
};

const struct option_row run_rows[] = {
	[OPTION_CHILDREN] = { "children", NULL,
			      "the program's children run on Quire too and are added up;\n"
			      "without it, they find the environment as it was" },
	[OPTION_JSON] = { "json", "FILE", "the same for machines, when the program has ended" },
	[OPTION_PROFILE] = { "profile", "FILE",
			     "what holds memory at its end, by stack, sampled: for pprof" },
	[OPTION_CONF] = { "conf", "STRING", "options, as in QUIRE_CONF: \"limit:2g,decay:250\"" },
	[OPTION_EXEC] = { "exec", NULL, "becomes the program: no second process, and no figures" },
	[OPTION_COMPARE] = { "compare", NULL,
			     "runs the program twice, first without Quire, and prints its\n"
			     "memory over time; it reads nothing from standard input" },
	[OPTION_WITH] = { "with", "LIBRARY",
			  "and once with LIBRARY in LD_PRELOAD; may be repeated" },
	[OPTION_SVG] = { "svg", "FILE", "the same as a picture" },
	{ .name = NULL },
};

static bool take_other(struct run_options *options, const char *library)
{
	if (library[0] == '\0' || strpbrk(library, ": ") != NULL) {
		fprintf(stderr, "quire run: --with takes one library, not '%s'\n", library);
		return false;
	}
	if (options->others_nr == OTHERS_MAX) {
		fprintf(stderr, "quire run: --with takes at most %d libraries\n", OTHERS_MAX);
		return false;
	}
	options->others[options->others_nr++] = library;
	return true;
}

static bool take_option(void *context, unsigned option, const char *value)
{
	struct run_options *options = context;

	if (option == OPTION_WITH)
		return take_other(options, value);
	if (option == OPTION_EXEC)
		options->execs = true;
	else if (option == OPTION_CHILDREN)
		options->children = true;
	else if (option == OPTION_COMPARE)
		options->compares = true;
	else if (option == OPTION_JSON)
		options->json = value;
	else if (option == OPTION_PROFILE)
		options->profile = value;
	else if (option == OPTION_SVG)
		options->svg = value;
	else
		options->conf = value;
	return true;
}

/* Refuses options that exclude each other, and a missing program. */
static bool is_whole(const struct run_options *options)
{
	if (options->execs && (options->json != NULL || options->compares)) {
		fprintf(stderr, "quire run: --exec goes with neither --json nor --compare\n");
		return false;
	}
	if (options->profile != NULL && (options->execs || options->compares)) {
		fprintf(stderr, "quire run: --profile goes with neither --exec nor --compare\n");
		return false;
	}
	if (options->compares && (options->json != NULL || options->children)) {
		fprintf(stderr, "quire run: --compare goes with neither --json nor --children\n");
		return false;
	}
	if ((options->svg != NULL || options->others_nr != 0) && !options->compares) {
		fprintf(stderr, "quire run: --svg and --with go with --compare\n");
		return false;
	}
	if (options->arguments[0] != NULL)
		return true;
	fprintf(stderr, "quire run: name a program; `quire run --help` says more\n");
	return false;
}

bool run_parse(struct run_options *options, int argc, char **argv, enum exit_status *status)
{
	if (!arguments_take(&command_run, argc, argv, take_option, options, status))
		return false;
	options->arguments = argv + optind;
	return is_whole(options);
}
