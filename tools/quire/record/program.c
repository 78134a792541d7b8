/* SPDX-License-Identifier: MIT */
/* program.c - records the calls of a program on Quire */
#include "record/record.h"

#include <stdio.h>

enum exit_status record_program(const struct record_request *request, int argc, char **argv)
{
	(void)request;
	(void)argc;
	fprintf(stderr, "quire record: %s: programs cannot be recorded yet\n", argv[0]);
	return EXIT_USAGE;
}
