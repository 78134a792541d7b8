/* SPDX-License-Identifier: MIT */
#include "stats/stats.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/arguments.h"

static const char *const shapes[] = { "buddyinfo",    "pagetypeinfo", "zoneinfo", "vmallocinfo",
				      "percpu_stats", "slabinfo",     "options",  NULL };

static void print_usage(FILE *file)
{
	fprintf(file,
		"usage: quire stats [--instance N] [--json | --prometheus | --shape NAME] [PID]\n"
		"\n"
		"Prints what a process on Quire holds and has done.  The process shows it if it "
		"was\n"
		"started with QUIRE_CONF=observe:on or by `quire run`; what it showed last can be\n"
		"read when it has ended, too.  Without PID: the only such process, or of several "
		"the\n"
		"one with the most memory, or the one that ended last.\n"
		"\n"
		"  --json         all figures as one JSON object: docs/stat.md\n"
		"  --prometheus   all figures in Prometheus' text format, for a textfile "
		"collector\n"
		"  --shape NAME   in a shape of Linux's: buddyinfo, pagetypeinfo, zoneinfo,\n"
		"                 vmallocinfo, percpu_stats, slabinfo; or its options\n"
		"  --instance N   the process's Nth instance that is observed\n"
		"\n"
		"Exit status: 0; 1 there is no such process, or it shows nothing; 2 wrong "
		"arguments,\n"
		"or a file that is no page of Quire's; 3 some output could not be written.\n");
}

enum option_value {
	OPTION_JSON = 256, /* above any letter */
	OPTION_PROMETHEUS,
	OPTION_SHAPE,
	OPTION_INSTANCE,
	OPTION_HELP,
};

static const struct option options_known[] = {
	{ .name = "json", .has_arg = no_argument, .val = OPTION_JSON },
	{ .name = "prometheus", .has_arg = no_argument, .val = OPTION_PROMETHEUS },
	{ .name = "shape", .has_arg = required_argument, .val = OPTION_SHAPE },
	{ .name = "instance", .has_arg = required_argument, .val = OPTION_INSTANCE },
	{ .name = "help", .has_arg = no_argument, .val = OPTION_HELP },
	{ .name = NULL },
};

static bool take_shape(struct stats_options *options, const char *name)
{
	for (unsigned i = 0; shapes[i] != NULL; i++)
		if (strcmp(name, shapes[i]) == 0)
			options->shape = shapes[i];
	if (options->shape == NULL)
		fprintf(stderr, "quire stats: there is no shape '%s'; the nearest is '%s'\n", name,
			command_nearest(name, shapes));
	return options->shape != NULL;
}

static bool take_option(struct stats_options *options, int option, const char *value)
{
	enum stats_form form = option == OPTION_JSON	     ? STATS_JSON
			       : option == OPTION_PROMETHEUS ? STATS_PROMETHEUS
							     : STATS_SHAPE;

	if (option == OPTION_INSTANCE) {
		options->wanted.instance = argument_number(value);
		if (options->wanted.instance == 0)
			fprintf(stderr,
				"quire stats: '%s' is no number of an instance: 1, 2, ...\n",
				value);
		return options->wanted.instance != 0;
	}
	if (options->form != STATS_TABLE && options->form != form) {
		fprintf(stderr, "quire stats: one of --json, --prometheus and --shape\n");
		return false;
	}
	options->form = form;
	return option != OPTION_SHAPE || take_shape(options, value);
}

static void refuse_option(const char *argument)
{
	static const char *const names[] = { "--json",	   "--prometheus", "--shape",
					     "--instance", "--help",	   NULL };

	argument_refuse("stats", argument, names);
}

bool stats_parse(struct stats_options *options, int argc, char **argv, enum exit_status *status)
{
	int option;

	*options = (struct stats_options){ .form = STATS_TABLE };
	*status = EXIT_USAGE;
	arguments_begin();
	while ((option = getopt_long(argc, argv, ":", options_known, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_usage(stdout);
			*status = EXIT_OK;
			return false;
		}
		if (option == ':')
			fprintf(stderr, "quire stats: '%s' needs a value\n", argv[optind - 1]);
		else if (option == '?')
			refuse_option(argv[optind - 1]);
		if (option == ':' || option == '?' || !take_option(options, option, optarg))
			return false;
	}
	return argument_pid("stats", argv + optind, &options->wanted.pid);
}
