/* SPDX-License-Identifier: MIT */
/*
 * guest.c - settings of the worker's thread, which is a guest in the program
 *
 * A thread inherits policy, priority, CPUs and memory policy from its creator, here from the
 * thread that happened to free or allocate first: perhaps a real-time thread on a dedicated CPU.
 * So the worker's thread sets, by direct system calls and without allocating:
 *
 *   name            quire-worker
 *   policy          SCHED_OTHER, nice 0
 *   memory policy   the system's default
 *   CPUs            those that the process had when this library was loaded, except the isolated
 *                   ones.  Not all CPUs that the system would allow: a user who starts a program
 *                   under taskset means all its threads.  Not the starter's CPUs: it may have a
 *                   dedicated one.  If only isolated CPUs are left, they are used.
 *
 * Settings that the system refuses stay as inherited: a nice value above 0 without CAP_SYS_NICE,
 * CPUs that have left the process's cpuset.  Until these calls are done, the thread runs like its
 * starter.  The starter blocks the signals before it creates the thread (work.c).
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

static uint64_t cpus_at_start[CPUS_WORDS]; /* all zero: unknown */
static unsigned cpus_bits;		   /* the number of them that the kernel wrote */

/* Usually those of the main thread, before the program has moved it.  Another's constructor may have asked first. */
static __attribute__((constructor)) void note_cpus(void)
{
	long bytes;

	if (cpus_bits != 0)
		return;
	bytes = SYSTEM_CALL(SYS_sched_getaffinity, 0L, sizeof(cpus_at_start), cpus_at_start);
	cpus_bits = bytes > 0 ? (unsigned)bytes * 8 : 0;
	if (bytes < 0)
		memset(cpus_at_start, 0, sizeof(cpus_at_start));
}

unsigned guest_cpus_end(unsigned *bits)
{
	unsigned cpus;

	note_cpus(); /* before our constructor there is no other thread */
	cpus = *bits = cpus_bits;
	while (cpus != 0 && (cpus_at_start[(cpus - 1) / 64] >> ((cpus - 1) % 64) & 1) == 0)
		cpus--;
	return cpus;
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
