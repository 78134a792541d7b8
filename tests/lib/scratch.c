/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shell.h"

char scratch[64];

int scratch_make(void **state)
{
	(void)state;
	snprintf(scratch, sizeof(scratch), "/tmp/%.32s.XXXXXX", program_invocation_short_name);
	return mkdtemp(scratch) != NULL ? 0 : -1;
}

int scratch_make_runtime(void **state)
{
	return scratch_make(state) == 0 ? setenv("XDG_RUNTIME_DIR", scratch, 1) : -1;
}

int scratch_remove(void **state)
{
	(void)state;
	return shell_remove(scratch);
}
