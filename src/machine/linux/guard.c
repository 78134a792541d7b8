/* SPDX-License-Identifier: MIT */
/*
 * guard.c - pages on which every access faults
 *
 * A guard is a marker in the page table (Linux 6.13): no mapping of its own, so a process may have
 * millions.  Whether the kernel knows it is asked once in a process, on a good page of our own.
 * Where it does not, and in locked memory, which takes no markers, a guard is a mapping without
 * access, of which a process has 65,530; so those have a budget (mappings.c).  As soon as there has been one of those, guards are taken
 * out in both ways.
 */
#include "machine/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/backing.h"
#include "machine/linux/gather.h"
#include "machine/linux/system.h"

enum guards {
	GUARDS_UNKNOWN,
	GUARDS_ARE_MARKERS,
	GUARDS_ARE_MAPPINGS,
};

/* Atomic, relaxed: a guard is taken out by who knows of it, so after it was set. */
static bool has_mappings;

/* Not through backing.h: the answer holds for the process and must not be a test's. */
static enum guards probe(void)
{
	size_t bytes = mem_page_bytes();
	long page = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	long installed, removed;

	if (page < 0 && page > -4096)
		return GUARDS_UNKNOWN;
	/* Under mlockall(MCL_FUTURE) it would be locked and refused for that. */
	SYSTEM_CALL(SYS_munlock, page, bytes);
	installed = SYSTEM_CALL(SYS_madvise, page, bytes, BACKING_GUARD_INSTALL);
	removed = SYSTEM_CALL(SYS_madvise, page, bytes, BACKING_GUARD_REMOVE);
	SYSTEM_CALL(SYS_munmap, page, bytes);
	return installed == 0 && removed == 0 ? GUARDS_ARE_MARKERS : GUARDS_ARE_MAPPINGS;
}

bool mem_guard_works(void)
{
	static uint32_t answer; /* atomic: two threads that ask find the same */
	enum guards guards = (enum guards)load_relaxed(&answer);

	if (guards == GUARDS_UNKNOWN) {
		/* LeakSanitizer reads all that /proc/self/maps calls readable: a marker kills it. */
		guards = annotate_has_lsan() ? GUARDS_ARE_MAPPINGS : probe();
		store_relaxed(&answer, (uint32_t)guards);
	}
	return guards == GUARDS_ARE_MARKERS;
}

static void check_range(const void *addr, size_t bytes)
{
	size_t misaligned = ((uintptr_t)addr | bytes) & (mem_page_bytes() - 1);

	CHECK_VALUES(misaligned == 0 && bytes != 0, (uintptr_t)addr, bytes);
}

/* The kernel gives up an install that keeps racing with faults, and says so. */
static int advise(void *addr, size_t bytes, int advice)
{
	int error;

	do
		error = backing_advise(addr, bytes, advice);
	while (error == -EINTR);
	return error;
}

/*
 * The system keeps what is locked (before Linux 5.18): it is cleared by hand, for the range reads zero
 * when the guard is out.  Opening it again joins it with its neighbours and takes no new charge.
 */
static int clear_behind(void *addr, size_t bytes)
{
	int error = backing_protect(addr, bytes, PROT_READ | PROT_WRITE);

	if (error != 0)
		return error;
	memset(addr, 0, bytes);
	return backing_protect(addr, bytes, PROT_NONE);
}

/* No access, and no memory either: as a marker does. */
static int forbid(void *addr, size_t bytes)
{
	int error = backing_protect(addr, bytes, PROT_NONE);

	if (error != 0)
		return error;
	store_relaxed(&has_mappings, true);
	if (backing_advise(addr, bytes, MADV_DONTNEED) == 0 ||
	    backing_advise(addr, bytes, BACKING_DONTNEED_LOCKED) == 0)
		return 0;
	return clear_behind(addr, bytes);
}

/* A guard that is a mapping of its own, if there may be one more. */
static int map_guard(void *addr, size_t bytes)
{
	int error;

	if (!mem_mappings_take(MAPPINGS_GUARDS, MAPPINGS_A_GUARD))
		return -ENOSPC;
	error = forbid(addr, bytes);
	if (error == 0)
		return 0;
	mem_mappings_give(MAPPINGS_GUARDS, MAPPINGS_A_GUARD);
	return -ENOMEM;
}

int mem_guard(void *addr, size_t bytes, bool *mapped)
{
	int error = -EINVAL;

	check_range(addr, bytes);
	if (mem_guard_works())
		error = advise(addr, bytes, BACKING_GUARD_INSTALL);
	*mapped = error == -EINVAL;
	if (!*mapped)
		return error == 0 ? 0 : -ENOMEM;
	error = map_guard(addr, bytes);
	*mapped = error == 0;
	return error;
}

int mem_unguard(void *addr, size_t bytes)
{
	int error = 0;

	check_range(addr, bytes);
	if (mem_guard_works())
		error = advise(addr, bytes, BACKING_GUARD_REMOVE);
	if (error == 0 && load_relaxed(&has_mappings))
		error = backing_protect(addr, bytes, PROT_READ | PROT_WRITE);
	return error == 0 ? 0 : -ENOMEM;
}

void mem_unguard_ranges(struct mem_range *ranges, unsigned ranges_nr)
{
	struct gather gather = { .ranges = ranges, .ranges_nr = ranges_nr };

	for (unsigned i = 0; i < ranges_nr; i++)
		ranges[i].error = 0;
	if (mem_guard_works() && ranges_nr != 0)
		gather_advise(&gather, BACKING_GUARD_REMOVE);
	for (unsigned i = 0; i < ranges_nr; i++) {
		if (ranges[i].error != 0 || load_relaxed(&has_mappings))
			ranges[i].error = mem_unguard(ranges[i].addr, ranges[i].bytes);
	}
}
