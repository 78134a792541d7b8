/* SPDX-License-Identifier: MIT */
/*
 * guard.c - pages on which every access faults
 *
 * A guard is a marker in the page table (Linux 6.13): no mapping of its own, so a process may have
 * millions.  Whether the kernel knows it is asked once, on a good page of our own.  Where it does not,
 * a guard is a mapping without access, of which a process has 65,530.
 */
#include "machine/mem.h"

#include <errno.h>
#include <sys/mman.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/backing.h"
#include "machine/linux/system.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_GUARD_REMOVE
#define MADV_GUARD_REMOVE 103
#endif

enum {
	GUARDS_UNKNOWN,
	GUARDS_ARE_MARKERS,
	GUARDS_ARE_MAPPINGS,
};

/* Not through backing.h: the answer holds for the process and must not be a test's. */
static uint32_t probe(void)
{
	size_t bytes = mem_page_bytes();
	long page = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	long result;

	if (page < 0 && page > -4096)
		return GUARDS_UNKNOWN;
	/* Locked memory takes no guards; the probe's page shall not be. */
	SYSTEM_CALL(SYS_munlock, page, bytes);
	result = SYSTEM_CALL(SYS_madvise, page, bytes, MADV_GUARD_INSTALL);
	SYSTEM_CALL(SYS_munmap, page, bytes);
	return result == 0 ? GUARDS_ARE_MARKERS : GUARDS_ARE_MAPPINGS;
}

bool mem_guard_works(void)
{
	static uint32_t answer; /* atomic: two threads find the same */

	if (load_relaxed(&answer) == GUARDS_UNKNOWN)
		store_relaxed(&answer, probe());
	return load_relaxed(&answer) == GUARDS_ARE_MARKERS;
}

/* The kernel restarts an install that raced with faults a few times, then says so. */
static int advise(void *addr, size_t bytes, int advice)
{
	int error;

	do
		error = backing_advise(addr, bytes, advice);
	while (error == -EINTR);
	return error;
}

int mem_guard(void *addr, size_t bytes)
{
	int error = mem_guard_works() ? advise(addr, bytes, MADV_GUARD_INSTALL) : -EINVAL;

	/* Locked memory: a mapping instead. */
	if (error == -EINVAL)
		error = backing_protect(addr, bytes, PROT_NONE);
	return error == 0 ? 0 : -ENOMEM;
}

int mem_unguard(void *addr, size_t bytes)
{
	int error = mem_guard_works() ? advise(addr, bytes, MADV_GUARD_REMOVE) : -EINVAL;

	if (error == -EINVAL)
		error = backing_protect(addr, bytes, PROT_READ | PROT_WRITE);
	return error == 0 ? 0 : -ENOMEM;
}
