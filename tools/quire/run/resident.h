/* SPDX-License-Identifier: MIT */
/* resident.h - a process's resident memory, as /proc shows it */
#ifndef QUIRE_TOOL_RUN_RESIDENT_H
#define QUIRE_TOOL_RUN_RESIDENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct resident {
	uint64_t bytes;
	uint64_t peak_bytes; /* of this program; exec begins anew */
};

/* False if the process is not there, or has ended.  Takes some 20 us, whatever the process's size. */
bool resident_read(pid_t pid, struct resident *resident);
/* The same of an owner (malloc/owner.h): false, too, if another process has its pid by now. */
bool resident_read_owner(uint64_t who, struct resident *resident);

#endif
