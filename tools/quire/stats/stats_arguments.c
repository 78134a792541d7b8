/* SPDX-License-Identifier: MIT */
#include "stats/stats.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "common/arguments.h"

static const char *const shapes[] = { "buddyinfo",   "pagetypeinfo", "zoneinfo",
				      "vmallocinfo", "percpu_stats", "slabinfo",
				      "options",     "blocks",	     "chunks",
				      NULL };

enum {
	OPTION_JSON,
	OPTION_PROMETHEUS,
	OPTION_SHAPE,
	OPTION_INSTANCE,
};

const struct option_row stats_rows[] = {
	[OPTION_JSON] = { "json", NULL, "all figures as one JSON object: docs/stat.md" },
	[OPTION_PROMETHEUS] = { "prometheus", NULL,
				"all figures in Prometheus' text format, for a textfile\n"
				"collector" },
	[OPTION_SHAPE] = { "shape", "NAME",
			   "in a shape of Linux's: buddyinfo, pagetypeinfo, zoneinfo,\n"
			   "vmallocinfo, percpu_stats, slabinfo; its options; or a\n"
			   "map of pageblocks or of per-CPU chunks: blocks, chunks" },
	[OPTION_INSTANCE] = { "instance", "N", "the process's Nth instance that is observed" },
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

static bool take_option(void *context, unsigned option, const char *value)
{
	struct stats_options *options = context;
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

bool stats_parse(struct stats_options *options, int argc, char **argv, enum exit_status *status)
{
	*options = (struct stats_options){ .form = STATS_TABLE };
	return arguments_take(&command_stats, argc, argv, take_option, options, status) &&
	       argument_pid("stats", argv + optind, &options->wanted.pid);
}
