/* SPDX-License-Identifier: MIT */
/* malloc/linux/start.c - how far the process has come: what malloc's first calls may do */
#include "malloc/heap.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "machine/atomic.h"
#include "machine/linux/system.h"
#include "machine/process.h"
#include "malloc/profile_file.h"
#include "malloc/report.h"
#include "malloc/run_environment.h"

/* The dynamic linker stores the address when it relocates this library. */
static const void *volatile own_address = (const void *)&own_address;
static bool is_constructed; /* atomic */

bool malloc_is_relocated(void)
{
	return own_address == (const void *)&own_address;
}

/*
 * A resolver may run between two relocations of this library, or of the program that contains it.  libc has
 * an environment once all is relocated, and is initialised before a library that depends on it; a program may
 * also have no environment.
 */
bool malloc_is_bound(void)
{
	return malloc_is_relocated() && (environ != NULL || load_relaxed(&is_constructed));
}

/*
 * A process whose first thread ends by pthread_exit() ends with its last thread: that must not be the
 * instance's worker, which would sleep until it is needed.  libc runs the destructors of keys then, but not
 * those of C++ objects; exit() runs neither.
 */
static void first_thread_ends(void *arg)
{
	(void)arg;
	malloc_retire_worker();
}

static __attribute__((constructor(101))) void begin_program(void)
{
	pthread_key_t key;

	store_relaxed(&is_constructed, true);
	if (SYSTEM_CALL(SYS_gettid) == getpid() && pthread_key_create(&key, first_thread_ends) == 0)
		(void)pthread_setspecific(key, &malloc_heap);
}

/* After the handlers of fork, of priority 101. */
static __attribute__((constructor(102))) void register_heap(void)
{
	malloc_register();
}

/* After the program's own, and those of libraries that were loaded after this one. */
static __attribute__((destructor(101))) void end_program(void)
{
	malloc_end();
}

/*
 * What `quire run` set for this program is taken out of the environment before other libraries' constructors and
 * main() look at it; the heap has read it by then.
 */
static __attribute__((constructor(103))) void restore_environment(int argc, char **argv,
								  char **environment)
{
	(void)argc;
	(void)argv;
	if (environment == NULL || process_env(REPORT_VARIABLE) == NULL)
		return;
	(void)malloc_begin();
	run_environment_restore(environment);
}

/* A signal may come before the program's first block. */
static __attribute__((constructor(103))) void begin_profile(void)
{
	if (process_env(PROFILE_VARIABLE) != NULL)
		(void)malloc_begin();
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
