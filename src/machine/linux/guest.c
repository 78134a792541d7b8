/* SPDX-License-Identifier: MIT */
/*
 * guest.c - the worker's thread is a guest of the program: how it runs, and the object with its code
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
 * The code.  A plugin with the static library may be closed with dlclose() while the worker sleeps
 * in its code.  So the object that holds this code is marked never to be unloaded, before the first
 * thread.  The main program never is unloaded, nor the shared library (-z nodelete): those are not
 * asked for, since dlopen() takes the dynamic linker's lock.  Static programs have no dlopen(), or one
 * that the linker warns of and that is not called.
 */
#include "machine/linux/guest.h"

#include <dlfcn.h>
#include <link.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/linux/system.h"

#define NAME	   "quire-worker"
#define CPUS_WORDS 128u /* 8,192 CPUs, Linux's most */

_Static_assert(sizeof(NAME) <= 16, "the kernel cuts names at 15 characters");

/* Not there in a static program; then there is nothing to be unloaded either. */
extern __typeof__(dlopen) dlopen __attribute__((weak));

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

/* ---- the object ---- */

struct object {
	const char *name; /* as dlopen() knows it; NULL until found */
	bool stays;
};

static bool holds(const struct dl_phdr_info *info, uintptr_t addr)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &info->dlpi_phdr[i];

		if (header->p_type == PT_LOAD &&
		    addr - info->dlpi_addr - header->p_vaddr < header->p_memsz)
			return true;
	}
	return false;
}

static bool is_nodelete(const struct dl_phdr_info *info)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Dyn) * entry;

		if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
			continue;
		entry = (const void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
		for (; entry->d_tag != DT_NULL; entry++)
			if (entry->d_tag == DT_FLAGS_1 && (entry->d_un.d_val & DF_1_NODELETE) != 0)
				return true;
	}
	return false;
}

static int find_object(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct object *object = arg;

	(void)bytes;
	if (!holds(info, (uintptr_t)guest_settle))
		return 0;
	object->name = info->dlpi_name;
	object->stays = info->dlpi_name[0] == '\0' || is_nodelete(info);
	return 1;
}

bool guest_pin_code(void)
{
	static uint32_t pinned; /* atomic: two may both ask, to the same end */
	struct object object = { .name = NULL };

	if (load_relaxed(&pinned) != 0)
		return true;
	(void)dl_iterate_phdr(find_object, &object);
	/* The handle is kept: it is one more that nobody closes. */
	if (object.name != NULL && !object.stays &&
	    (dlopen == NULL ||
	     dlopen(object.name, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE) == NULL))
		return false;
	store_relaxed(&pinned, 1u);
	return true;
}
