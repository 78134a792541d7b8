/* SPDX-License-Identifier: MIT */
#include "report/report.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <quire/quire.h>

#include "common/arguments.h"

enum {
	OPTION_PAGE,
	OPTION_JSON,
	OPTION_PERFETTO,
	OPTION_A,
	OPTION_B,
	OPTION_NO_REPLAY,
};

const struct option_row report_rows[] = {
	[OPTION_PAGE] = { "o", "FILE", "the page; without it, or -, standard output" },
	[OPTION_JSON] = { "json", "FILE", "the figures for machines" },
	[OPTION_PERFETTO] = { "perfetto", "FILE", "a time line for ui.perfetto.dev" },
	[OPTION_A] = { "a", "STRING",
		       "one recording on two instances: options of the first,\n"
		       "as in QUIRE_CONF" },
	[OPTION_B] = { "b", "STRING", "and of the second" },
	[OPTION_NO_REPLAY] = { "no-replay", NULL, "only what was recorded" },
	{ .name = NULL },
};

static bool take_conf(const char **conf, const char *option, const char *value)
{
	struct quire_options parsed = QUIRE_OPTIONS_INIT();

	*conf = value;
	return argument_conf("report", option, value, &parsed);
}

static bool take_option(void *context, unsigned option, const char *value)
{
	struct report_request *request = context;

	switch (option) {
	case OPTION_PAGE:
		request->page = strcmp(value, "-") != 0 ? value : NULL;
		return true;
	case OPTION_JSON:
		request->json = value;
		return true;
	case OPTION_PERFETTO:
		request->perfetto = value;
		return true;
	case OPTION_A:
		return take_conf(&request->a, "-a", value);
	case OPTION_B:
		return take_conf(&request->b, "-b", value);
	default:
		request->skips_replay = true;
		return true;
	}
}

static bool refuse(const char *what)
{
	fprintf(stderr, "quire report: %s\n", what);
	return false;
}

static bool is_whole(const struct report_request *request)
{
	if (request->paths_nr == 0)
		return refuse("no recording and no statistics; quire report --help");
	if (request->paths_nr > SOURCES_MAX)
		return refuse("at most 8 inputs");
	if ((request->a != NULL) != (request->b != NULL))
		return refuse("-a and -b go together");
	if (request->a != NULL && (request->paths_nr > 1 || request->skips_replay))
		return refuse("-a and -b take one recording, and replay it");
	if (request->page == NULL && isatty(STDOUT_FILENO) == 1)
		return refuse("a page is not for a terminal: -o FILE");
	return true;
}

bool report_parse(struct report_request *request, int argc, char **argv, enum exit_status *status)
{
	*request = (struct report_request){ .page = NULL };
	if (!arguments_take(&command_report, argc, argv, take_option, request, status))
		return false;
	request->paths = argv + optind;
	request->paths_nr = (unsigned)(argc - optind);
	*status = EXIT_USAGE;
	return is_whole(request);
}
