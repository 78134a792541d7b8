/* SPDX-License-Identifier: MIT */
#include "base/check.h"

#include <stdlib.h>

#include "machine/linux/system.h"
#include "machine/process.h"

unsigned check_cpu(void)
{
	return process_cpu();
}

void check_die(const char *line, size_t bytes)
{
	/* One write, so that lines of several dying threads do not mix. */
	SYSTEM_CALL(SYS_write, STDERR_FILENO, line, bytes);
	abort();
}
