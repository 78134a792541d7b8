/* SPDX-License-Identifier: MIT */
#include "run/run.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/arguments.h"

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: quire run [--children] [--json FILE] [--conf STRING] -- PROGRAM "
		"ARGUMENT...\n"
		"       quire run --exec [--children] [--conf STRING] -- PROGRAM ARGUMENT...\n"
		"       quire run --compare [--svg FILE] [--conf STRING] -- PROGRAM ARGUMENT...\n"
		"\n"
		"Runs a program with its malloc() served by Quire, and prints four lines to "
		"standard\n"
		"error when it has ended: memory in use, memory resident, calls, sizes.\n"
		"\n"
		"  --children     the program's children run on Quire too and are added up; "
		"without\n"
		"                 it, they find the environment as it was\n"
		"  --json FILE    the same for machines; FILE is written when the program has "
		"ended\n"
		"  --conf STRING  options, as in QUIRE_CONF: \"limit:2g,decay:250\"\n"
		"  --exec         becomes the program: no second process, and no figures\n"
		"  --compare      runs the program twice, first without Quire, and prints its "
		"memory\n"
		"                 over time; it reads nothing from standard input\n"
		"  --svg FILE     the same as a picture\n"
		"\n"
		"Signals are passed on to the program.  Exit status: the program's, or 128 + n if\n"
		"signal n ended it; 2 wrong arguments, or a program that cannot run on Quire "
		"(linked\n"
		"statically, set-user-ID, with a malloc of its own); 125 Quire did not start in "
		"it;\n"
		"126 it cannot be executed; 127 it was not found; 3 it ended with 0 and some "
		"output\n"
		"could not be written.\n");
}

enum option_value {
	OPTION_EXEC = 256, /* above any letter */
	OPTION_CHILDREN,
	OPTION_COMPARE,
	OPTION_JSON,
	OPTION_SVG,
	OPTION_CONF,
	OPTION_HELP,
};

static const struct option options_known[] = {
	{ .name = "exec", .has_arg = no_argument, .val = OPTION_EXEC },
	{ .name = "children", .has_arg = no_argument, .val = OPTION_CHILDREN },
	{ .name = "compare", .has_arg = no_argument, .val = OPTION_COMPARE },
	{ .name = "json", .has_arg = required_argument, .val = OPTION_JSON },
	{ .name = "svg", .has_arg = required_argument, .val = OPTION_SVG },
	{ .name = "conf", .has_arg = required_argument, .val = OPTION_CONF },
	{ .name = "help", .has_arg = no_argument, .val = OPTION_HELP },
	{ .name = NULL },
};

static void refuse_option(const char *argument)
{
	static const char *const names[] = { "--exec", "--children", "--compare", "--json",
					     "--svg",  "--conf",     "--help",	  NULL };

	argument_refuse("run", argument, names);
}

static void take_option(struct run_options *options, int option, const char *value)
{
	if (option == OPTION_EXEC)
		options->execs = true;
	else if (option == OPTION_CHILDREN)
		options->children = true;
	else if (option == OPTION_COMPARE)
		options->compares = true;
	else if (option == OPTION_JSON)
		options->json = value;
	else if (option == OPTION_SVG)
		options->svg = value;
	else
		options->conf = value;
}

/* Refuses options that exclude each other, and a missing program. */
static bool is_whole(const struct run_options *options)
{
	if (options->execs && (options->json != NULL || options->compares)) {
		fprintf(stderr, "quire run: --exec goes with neither --json nor --compare\n");
		return false;
	}
	if (options->compares && (options->json != NULL || options->children)) {
		fprintf(stderr, "quire run: --compare goes with neither --json nor --children\n");
		return false;
	}
	if (options->svg != NULL && !options->compares) {
		fprintf(stderr, "quire run: --svg goes with --compare\n");
		return false;
	}
	if (options->arguments[0] != NULL)
		return true;
	fprintf(stderr, "quire run: name a program; `quire run --help` says more\n");
	return false;
}

bool run_parse(struct run_options *options, int argc, char **argv, enum exit_status *status)
{
	int option;

	*status = EXIT_USAGE;
	arguments_begin();
	/* "+": the first word that is no option is the program, also without "--". */
	while ((option = getopt_long(argc, argv, "+:", options_known, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_usage(stdout);
			*status = EXIT_OK;
			return false;
		}
		if (option == ':')
			fprintf(stderr, "quire run: '%s' needs a value\n", argv[optind - 1]);
		else if (option == '?')
			refuse_option(argv[optind - 1]);
		if (option == ':' || option == '?')
			return false;
		take_option(options, option, optarg);
	}
	options->arguments = argv + optind;
	return is_whole(options);
}
