/* SPDX-License-Identifier: MIT */
/* kernel.c - records the kernel's memory events */
#include "record/record.h"

#include <stdio.h>

enum exit_status record_kernel(const struct record_request *request)
{
	(void)request;
	fprintf(stderr, "quire record: the kernel cannot be recorded yet\n");
	return EXIT_USAGE;
}
