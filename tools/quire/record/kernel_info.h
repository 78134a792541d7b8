/* SPDX-License-Identifier: MIT */
/* kernel_info.h - the INFO section of a recording of the kernel: what was recorded, where, and what was counted */
#ifndef QUIRE_TOOL_KERNEL_INFO_H
#define QUIRE_TOOL_KERNEL_INFO_H

#include "record/kernel_convert.h"

struct kernel_about {
	const char *path; /* of the recording, which is named after it */
	double seconds;
	unsigned interval_ms; /* between samples */
};

/* All keys but `lost`.  The writer knows its CPUs and kinds. */
void kernel_info_put(const struct kernel_convert *convert, const struct kernel_about *about);

#endif
