/* SPDX-License-Identifier: MIT */
/* report.h - the parsed command line of `quire report` */
#ifndef QUIRE_TOOL_REPORT_H
#define QUIRE_TOOL_REPORT_H

#include <stdbool.h>

#include "common/command.h"

#define SOURCES_MAX 8u
#define CONF_ROOM   512u

struct report_request {
	const char *page; /* of -o; NULL: standard output */
	const char *json, *perfetto;
	const char *a, *b; /* options of the instance, for one recording on two; NULL: none */
	bool skips_replay;
	char **paths;
	unsigned paths_nr;
};

extern const struct option_row report_rows[];
/* report_arguments.c: true to go on; otherwise the command ends with *@status, and said why. */
bool report_parse(struct report_request *request, int argc, char **argv, enum exit_status *status);

#endif
