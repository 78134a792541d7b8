/* SPDX-License-Identifier: MIT */
/*
 * mem.c - reserving addresses and committing memory
 *
 * A reservation is a private anonymous mapping without access and without charge.  Committing
 * makes a part writable.  Under strict overcommit (mode 2) the system charges it then, and may
 * refuse; otherwise the system charges pages as they are touched.  Decommitting maps the part
 * afresh, which returns memory, charge and page tables in one call.
 *
 * Core files contain committed memory and no reservations.  Reservations are not locked either: a
 * program that called mlockall(MCL_FUTURE) means the memory it uses, so committing locks the
 * committed part.  A reservation that existed before mlockall() stays as the system left it: with
 * MCL_CURRENT it is locked, and populated as it is committed; otherwise not.
 *
 * A refused call changes nothing, with one exception: mem_commit() over a range that is partly
 * committed may have committed more of it; repeating the call is safe.
 */
#include "machine/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/addresses.h"
#include "machine/linux/annotate_ops.h"
#include "machine/linux/backing.h"
#include "machine/linux/gather.h"
#include "machine/linux/system.h"

#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

/* How mlockall() treats new mappings. */
enum locking {
	LOCKING_NONE,
	LOCKING_ON_FAULT,
	LOCKING_ALL,
};

/* Atomic, relaxed: some reservation was unlocked, so commits have to lock. */
static bool commits_lock;

size_t mem_page_bytes(void)
{
	static size_t page_bytes; /* atomic: 0 until known; every reader finds the same */
	size_t bytes = load_relaxed(&page_bytes);

	if (bytes == 0) {
		bytes = (size_t)sysconf(_SC_PAGESIZE);
		store_relaxed(&page_bytes, bytes);
	}
	return bytes;
}

static bool is_page_aligned(const void *addr, size_t bytes)
{
	return (((uintptr_t)addr | bytes) & (mem_page_bytes() - 1)) == 0 && bytes != 0;
}

/* The kernel returns addresses and -1 .. -4095. */
static bool is_refusal(intptr_t result)
{
	return result < 0 && result > -4096;
}

static uintptr_t align_up(uintptr_t value, size_t align_bytes)
{
	return (value + align_bytes - 1) & ~((uintptr_t)align_bytes - 1);
}

/* Unmaps a mapping, or at least discards its memory: unmapping may need one mapping more than the
 * process may have.  0, or -errno if the addresses are lost. */
static int give_up(void *addr, size_t bytes)
{
	int error = backing_unmap(addr, bytes);

	if (error != 0 && backing_advise(addr, bytes, MADV_DONTNEED) != 0)
		backing_advise(addr, bytes, BACKING_DONTNEED_LOCKED);
	return error;
}

/* Unmaps @start .. @end unless it is empty; 0 or -errno. */
static int cut(uintptr_t start, uintptr_t end)
{
	return start == end ? 0 : backing_unmap((void *)start, end - start);
}

/*
 * Maps too much and cuts off both ends; 0 if refused.  Cutting needs no further mapping unless the
 * kernel has merged ours with a neighbour: then a cut is a split, which may be refused, and the
 * rest is unmapped too.
 */
static uintptr_t map_and_trim(size_t bytes, size_t align_bytes)
{
	size_t mapped_bytes = bytes + align_bytes - mem_page_bytes();
	intptr_t mapped = backing_map_none(NULL, mapped_bytes);
	uintptr_t start = (uintptr_t)mapped, end = start + mapped_bytes;
	uintptr_t used = align_up(start, align_bytes);

	if (is_refusal(mapped))
		return 0;
	if (cut(start, used) != 0) {
		give_up((void *)start, mapped_bytes);
		return 0;
	}
	if (cut(used + bytes, end) != 0) {
		give_up((void *)used, end - used);
		return 0;
	}
	return used;
}

/* Maps exactly @bytes and succeeds if that happens to be aligned: there may be no room for more. */
static uintptr_t map_exactly(size_t bytes, size_t align_bytes)
{
	intptr_t mapped = backing_map_none(NULL, bytes);

	if (is_refusal(mapped))
		return 0;
	if (((uintptr_t)mapped & (align_bytes - 1)) == 0)
		return (uintptr_t)mapped;
	give_up((void *)mapped, bytes);
	return 0;
}

/* The kernel refuses this advice for locked pages. */
static bool refuses_dontneed(const void *addr)
{
	return SYSTEM_CALL(SYS_madvise, addr, mem_page_bytes(), MADV_DONTNEED) == -EINVAL;
}

void mem_set_apart(void *addr, size_t bytes)
{
	system_dump_range(addr, bytes, false);
	if (!refuses_dontneed(addr))
		return;
	store_relaxed(&commits_lock, true);
	SYSTEM_CALL(SYS_munlock, addr, bytes);
}

void *mem_reserve(size_t bytes, size_t align_bytes, const char *name)
{
	uintptr_t addr = 0;

	CHECK_VALUES((align_bytes & (align_bytes - 1)) == 0, align_bytes, bytes);
	CHECK_VALUES(is_page_aligned(NULL, bytes), bytes, align_bytes);
	if (!addresses_take(bytes))
		return NULL;
	if (align_bytes > mem_page_bytes() && bytes + align_bytes > bytes)
		addr = map_and_trim(bytes, align_bytes);
	if (addr == 0)
		addr = map_exactly(bytes, align_bytes);
	if (addr == 0) {
		addresses_put(bytes);
		return NULL;
	}
	annotate_reserve((void *)addr, bytes);
	mem_set_apart((void *)addr, bytes);
	system_name_range((void *)addr, bytes, name);
	return (void *)addr;
}

/*
 * Room for the first small thing: as a rule the default instance, 88 KiB, of which memory comes with use.  It
 * saves a process that has one instance a call and a mapping.
 */
#define ROOM_BYTES ((size_t)96 << 10)

static char room[ROOM_BYTES] __attribute__((aligned(4096))); /* zero unless it is taken */
static uint32_t room_taken;				     /* atomic */

static void *room_take(size_t bytes)
{
	uint32_t nobody = 0;

	if (bytes > ROOM_BYTES || !is_page_aligned(room, bytes) ||
	    !cas_acquire(&room_taken, &nobody, UINT32_C(1)))
		return NULL;
	return room;
}

static bool room_put(const void *addr, size_t bytes)
{
	if (addr != room)
		return false;
	memset(room, 0, bytes);
	store_release(&room_taken, UINT32_C(0)); /* pairs with room_take() */
	return true;
}

/* Its addresses are counted and not asked for: they are few. */
void *mem_map(size_t bytes, const char *name)
{
	void *found = room_take(bytes);
	intptr_t mapped;

	CHECK_VALUES(is_page_aligned(NULL, bytes), bytes, 0);
	if (found != NULL)
		return found;
	mapped = backing_map_fresh(NULL, bytes);
	if (is_refusal(mapped))
		return NULL;
	addresses_add(bytes);
	annotate_reserve((void *)mapped, bytes);
	system_name_range((void *)mapped, bytes, name);
	return (void *)mapped;
}

void mem_release(void *addr, size_t bytes)
{
	CHECK_VALUES(is_page_aligned(addr, bytes), (uintptr_t)addr, bytes);
	if (room_put(addr, bytes))
		return;
	annotate_release(addr, bytes);
	if (give_up(addr, bytes) == 0)
		addresses_put(bytes);
}

/* A new mapping shows what mlockall() asked for: whether it is locked, and whether it is
 * populated. */
static enum locking future_locking(void)
{
	size_t bytes = mem_page_bytes();
	unsigned char present = 1;
	enum locking locking = LOCKING_NONE;
	long page = SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);

	/* A locked mapping beyond RLIMIT_MEMLOCK is refused with this error. */
	if (page == -EAGAIN)
		return LOCKING_ALL;
	if (is_refusal(page))
		return LOCKING_NONE;
	if (refuses_dontneed((void *)page)) {
		SYSTEM_CALL(SYS_mincore, page, bytes, &present);
		locking = (present & 1) != 0 ? LOCKING_ALL : LOCKING_ON_FAULT;
	}
	SYSTEM_CALL(SYS_munmap, page, bytes);
	return locking;
}

/* Tests without a fault: the kernel reads a signal set there before it rejects the invalid way of
 * setting a mask. */
static bool is_readable(uintptr_t page)
{
	return SYSTEM_CALL(SYS_rt_sigprocmask, -1L, page, NULL, 8L) != -EFAULT;
}

/*
 * After a refusal: unlocks the pages that are inaccessible; those that another commit has made
 * accessible stay locked.  One query per page.
 */
static void unlock_unusable(uintptr_t start, size_t bytes)
{
	size_t page_bytes = mem_page_bytes();
	uintptr_t end = start + bytes;

	for (uintptr_t at = start; at < end; at += page_bytes) {
		uintptr_t first = at;

		while (at < end && !is_readable(at))
			at += page_bytes;
		if (at != first)
			SYSTEM_CALL(SYS_munlock, first, at - first);
	}
}

/*
 * Locks first and then makes the part accessible: undoing the lock loses nothing, while undoing the
 * access might hit memory in use, in a part that was accessible before.  The lock is on fault,
 * since inaccessible pages cannot be populated; the kernel checks the limit all the same.
 */
static int lock_and_protect(void *addr, size_t bytes, enum locking locking)
{
	long error = 0;

	if (locking != LOCKING_NONE)
		error = SYSTEM_CALL(SYS_mlock2, addr, bytes, MLOCK_ONFAULT);
	if (error == 0)
		error = backing_protect(addr, bytes, PROT_READ | PROT_WRITE);
	if (error != 0 && locking != LOCKING_NONE)
		unlock_unusable((uintptr_t)addr, bytes);
	/* As in a new mapping under MCL_FUTURE, pages that cannot be populated now are populated
	 * when they are touched. */
	if (error == 0 && locking == LOCKING_ALL)
		SYSTEM_CALL(SYS_mlock, addr, bytes);
	return (int)error;
}

int mem_commit_apart(void *addr, size_t bytes)
{
	enum locking locking = load_relaxed(&commits_lock) ? future_locking() : LOCKING_NONE;

	CHECK_VALUES(is_page_aligned(addr, bytes), (uintptr_t)addr, bytes);
	/* Every reason (ENOMEM, EAGAIN under RLIMIT_MEMLOCK, EPERM) means that there is no
	 * memory. */
	return lock_and_protect(addr, bytes, locking) != 0 ? -ENOMEM : 0;
}

int mem_commit(void *addr, size_t bytes)
{
	int error = mem_commit_apart(addr, bytes);

	if (error == 0)
		system_dump_range(addr, bytes, true);
	return error;
}

int mem_commit_readonly(void *addr, size_t bytes)
{
	CHECK_VALUES(is_page_aligned(addr, bytes), (uintptr_t)addr, bytes);
	return backing_protect(addr, bytes, PROT_READ);
}

int mem_decommit(void *addr, size_t bytes, const char *name)
{
	intptr_t mapped;

	CHECK_VALUES(is_page_aligned(addr, bytes), (uintptr_t)addr, bytes);
	mapped = backing_map_none(addr, bytes);
	if (mapped != (intptr_t)addr)
		return (int)mapped;
	mem_set_apart(addr, bytes);
	system_name_range(addr, bytes, name);
	return 0;
}

bool mem_commits_lock(void)
{
	return load_relaxed(&commits_lock);
}

/*
 * Whether the page at @addr is locked: the kernel refuses to treat locked pages as cold (EINVAL),
 * and for others the advice is a harmless hint.  Bypasses backing.h, since it changes no mapping.
 */
static bool page_is_locked(const void *addr)
{
	uintptr_t page = (uintptr_t)addr & ~(uintptr_t)(mem_page_bytes() - 1);

	return SYSTEM_CALL(SYS_madvise, page, mem_page_bytes(), MADV_COLD) == -EINVAL;
}

/*
 * MCL_FUTURE locks future mappings, which only a new mapping shows.  An unlocked new mapping also
 * proves that the kernel knows the advice (Linux 5.4): an older one refuses it for every page.
 */
static bool is_locked_indeed(const void *witness)
{
	size_t bytes = mem_page_bytes();
	long page =
		SYSTEM_CALL(SYS_mmap, NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
	bool future, knows_advice;

	/* Under MCL_FUTURE a mapping beyond RLIMIT_MEMLOCK is refused with this error. */
	if (page == -EAGAIN)
		return true;
	if (is_refusal(page))
		return false;
	future = refuses_dontneed((void *)page);
	knows_advice = !page_is_locked((void *)page);
	SYSTEM_CALL(SYS_munmap, page, bytes);
	return future || (knows_advice && page_is_locked(witness));
}

/*
 * mlockall(MCL_CURRENT) locks existing memory, for example a variable of ours: one call shows it.
 * MCL_FUTURE alone matters only if reservations have been unlocked because of it.
 */
bool mem_is_locked(void)
{
	static char witness;

	if (!page_is_locked(&witness) && !load_relaxed(&commits_lock))
		return false;
	return is_locked_indeed(&witness);
}
