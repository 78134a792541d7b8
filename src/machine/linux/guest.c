/* SPDX-License-Identifier: MIT */
/*
 * guest.c - the worker's thread is a guest of the program: how it runs
 *
 * A thread inherits policy, priority, CPUs and memory policy from the one that made it, here from
 * whoever happened to free or allocate first: perhaps a real-time thread on a CPU of its own.  So the
 * thread sets, by system calls of its own, without libc's wrappers and without memory:
 *
 *   name            quire-worker
 *   policy          SCHED_OTHER, nice 0
 *   memory policy   the system's default
 *   CPUs            those that the process had when this library was loaded, but the isolated ones.
 *                   Not all that the system would give: somebody who starts a program under taskset
 *                   means its threads too.  Not the starter's: it may have a CPU for itself.  If only
 *                   isolated CPUs are left, they are used.
 *
 * What the system refuses stays as it was inherited: a nice value above 0 without CAP_SYS_NICE, CPUs
 * that have left the process's cpuset.  There is an instant before that in which the thread runs as its
 * starter does.  Signals are blocked by the starter, before the thread is there (work.c).
 *
 * The object that holds its code stays loaded: object.c.
 */
#include "machine/linux/guest.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "machine/linux/system.h"

#define NAME	   "quire-worker"
#define CPUS_WORDS 128u /* 8,192 CPUs, Linux's most */

_Static_assert(sizeof(NAME) <= 16, "the kernel cuts names at 15 characters");

static uint64_t cpus_at_start[CPUS_WORDS]; /* none: unknown */

/* Of the main thread, as a rule, before the program has moved it. */
static __attribute__((constructor)) void note_cpus(void)
{
	if (SYSTEM_CALL(SYS_sched_getaffinity, 0L, sizeof(cpus_at_start), cpus_at_start) < 0)
		memset(cpus_at_start, 0, sizeof(cpus_at_start));
}

static void set_cpus(const uint64_t *isolated_cpus, size_t words_nr)
{
	uint64_t cpus[CPUS_WORDS], any = 0;

	for (size_t i = 0; i < CPUS_WORDS; i++) {
		cpus[i] = cpus_at_start[i];
		if (isolated_cpus != NULL && i < words_nr)
			cpus[i] &= ~isolated_cpus[i];
		any |= cpus[i];
	}
	SYSTEM_CALL(SYS_sched_setaffinity, 0L, sizeof(cpus), any != 0 ? cpus : cpus_at_start);
}

void guest_settle(const uint64_t *isolated_cpus, size_t words_nr)
{
	const struct sched_param parameters = { .sched_priority = 0 };

	SYSTEM_CALL(SYS_prctl, (long)PR_SET_NAME, NAME, 0L, 0L, 0L);
	SYSTEM_CALL(SYS_sched_setscheduler, 0L, (long)SCHED_OTHER, &parameters);
	SYSTEM_CALL(SYS_setpriority, (long)PRIO_PROCESS, 0L, 0L);
	SYSTEM_CALL(SYS_set_mempolicy, 0L /* MPOL_DEFAULT */, NULL, 0L);
	set_cpus(isolated_cpus, words_nr);
}
