/* SPDX-License-Identifier: MIT */
/* record.c - quire record: the allocations of the running kernel, or of a program on Quire */
#include "record/record.h"

#include <stddef.h>

static enum exit_status run(int argc, char **argv)
{
	struct record_request request;
	enum exit_status status;
	int words_nr = 0;

	if (!record_parse(&request, argc, argv, &status))
		return status;
	if (request.program == NULL)
		return record_kernel(&request);
	while (request.program[words_nr] != NULL)
		words_nr++;
	return record_program(&request, words_nr, request.program);
}

const struct command command_record = {
	.name = "record",
	.summary = "record the allocations of the running kernel, or of a program",
	.run = run,
};
