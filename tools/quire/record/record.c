/* SPDX-License-Identifier: MIT */
/* record.c - quire record: the allocations of the running kernel, or of a program on Quire */
#include "record/record.h"

#include <stddef.h>

static enum exit_status run(int argc, char **argv)
{
	struct record_request request;
	enum exit_status status;

	if (!record_parse(&request, argc, argv, &status))
		return status;
	if (request.recover != NULL)
		return record_recover(&request);
	return request.program != NULL ? record_program(&request) : record_kernel(&request);
}

const struct command command_record = {
	.name = "record",
	.summary = "record the allocations of the running kernel, or of a program",
	.synopsis = "quire record [-o FILE] [--buffer N] [--seconds N] [--events LIST]\n"
		    "quire record [-o FILE] [--buffer N] [--children] -- PROGRAM [ARG...]\n"
		    "quire record --recover SPOOL [-o FILE]\n"
		    "quire record --mark NAME",
	.about =
		"Records the memory events of the running kernel, until Ctrl-C or for N seconds,\n"
		"or the calls of a program on Quire, until it ends.  `quire report` and\n"
		"`quire replay` take the recording; the format is traces/FORMAT.md.  The kernel's\n"
		"events need root and tracefs; the figures of /proc are sampled beside them.",
	.options = record_rows,
	.exit_statuses =
		"Exit status: the program's, or 128 + n if signal n ended it; 0; 1 the system\n"
		"refused something; 2 wrong arguments, or something is missing; 3 events were\n"
		"lost, or the recording could not be written; 125 to 127 as of quire run.",
	.runs_program = true,
	.run = run,
};
