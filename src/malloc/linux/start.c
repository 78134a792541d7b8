/* SPDX-License-Identifier: MIT */
/* malloc/linux/start.c - how far the process has come: what malloc's first calls may do */
#include "malloc/heap.h"

#include <string.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/process.h"
#include "malloc/report.h"
#include "malloc/run_environment.h"

/* The dynamic linker stores the address when it relocates this library. */
static const void *volatile own_address = (const void *)&own_address;
/* atomic; libc is initialised before a library that depends on it */
static bool is_constructed;

bool malloc_is_bound(void)
{
	return own_address == (const void *)&own_address;
}

/* Without an environment the options would be missed; a program may also have none. */
bool malloc_may_begin(void)
{
	return malloc_is_bound() && (environ != NULL || load_relaxed(&is_constructed));
}

static __attribute__((constructor(101))) void note_constructed(void)
{
	store_relaxed(&is_constructed, true);
}

/*
 * What `quire run` set for this program is taken out of the environment before other libraries' constructors and
 * main() look at it; the heap has read it by then.
 */
static __attribute__((constructor(103))) void restore_environment(int argc, char **argv,
								  char **environment)
{
	if (environment == NULL || process_env(REPORT_VARIABLE) == NULL)
		return;
	(void)malloc_begin();
	run_environment_restore(environment, argc > 0 ? argv[0] : "");
}

/* Nothing can be done about a line that cannot be written. */
void malloc_warn(const char *line)
{
	SYSTEM_CALL(SYS_write, STDERR_FILENO, line, strlen(line));
}

void malloc_yield(void)
{
	SYSTEM_CALL(SYS_sched_yield);
}
