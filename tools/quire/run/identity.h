/* SPDX-License-Identifier: MIT */
/*
 * identity.h - is what the process runs now what the library came alive in?
 *
 * exec makes it another program, into which the library may not have come along.
 */
#ifndef QUIRE_TOOL_RUN_IDENTITY_H
#define QUIRE_TOOL_RUN_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "malloc/report.h"

struct identity {
	const struct report_owner *owner; /* what the library writes */
	/* As it was at the last look. */
	uint32_t images_nr;
	uint64_t program;
};

void identity_look(struct identity *identity, pid_t pid);
/* After the end: the process was another program than the library has last come alive in.  Of one that became
 * another after the last look it is not known. */
bool identity_is_other(const struct identity *identity);

#endif
