/* SPDX-License-Identifier: MIT */
/* kernel_none.c - the kernel's recorder where the libraries that it needs were missing */
#include "record/record.h"

#include <stdio.h>

enum exit_status record_kernel(const struct record_request *request)
{
	(void)request;
	fprintf(stderr,
		"quire record: this build cannot record the kernel: install libtracefs-dev and "
		"libtraceevent-dev, then build it again\n");
	return EXIT_USAGE;
}
