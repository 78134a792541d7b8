/* SPDX-License-Identifier: MIT */
/* die.c - the end of the process */
#include "base/check.h"

#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

#include "machine/linux/hook.h"
#include "machine/linux/system.h"
#include "machine/process.h"

unsigned check_cpu(void)
{
	return process_cpu();
}

void check_die(const struct quire_stop *stop)
{
	/* One write, so that lines of several dying threads do not mix. */
	SYSTEM_CALL(SYS_write, STDERR_FILENO, stop->line, strlen(stop->line));
	hook_call(stop);
	abort();
}
