/* SPDX-License-Identifier: MIT */
/*
 * frames.c - memory that can be mapped again
 *
 * A shared reservation maps an unnamed file (memfd) of its length, which is empty at first.  The
 * descriptor is closed at once: the program may close descriptors that it does not know, or need
 * all of them.  Further mappings are copies of the first: mremap() of a shared mapping with an old
 * size of 0 adds one and leaves the first.
 *
 * Committing is mprotect(), as for private memory; nothing is charged until it is touched.
 * MADV_REMOVE punches a hole into the file, which also removes those pages from all mappings; they
 * read zero again.  The kernel refuses that for locked memory.
 *
 * Fork does not copy these mappings: parent and child would share the memory but not the records of
 * its owner.  An alias inherits that from the mapping it was copied from.
 */
#include <errno.h>
#include <sys/mman.h>

#include "base/check.h"
#include "machine/linux/addresses.h"
#include "machine/linux/backing.h"
#include "machine/linux/gather.h"
#include "machine/linux/system.h"

/* The kernel returns addresses and -1 .. -4095. */
static bool is_refusal(intptr_t result)
{
	return result < 0 && result > -4096;
}

/* Maps the file over a reservation.  Returns 0 or -errno. */
static int map_over(char *addr, size_t bytes, const char *name)
{
	int file = backing_make_file(name, bytes);
	intptr_t mapped;

	if (file < 0)
		return file;
	mapped = backing_map_file(addr, bytes, file);
	SYSTEM_CALL(SYS_close, file);
	if (is_refusal(mapped))
		return (int)mapped;
	mem_set_apart(addr, bytes);
	return backing_advise(addr, bytes, MADV_DONTFORK);
}

void *mem_reserve_shared(size_t bytes, size_t align_bytes, const char *name)
{
	char *addr = mem_reserve(bytes, align_bytes, name);

	if (addr == NULL)
		return NULL;
	if (map_over(addr, bytes, name) != 0) {
		mem_release(addr, bytes);
		return NULL;
	}
	return addr;
}

void mem_forget_shared(size_t bytes)
{
	addresses_put(bytes);
}

/*
 * Fresh memory should form one mapping with its neighbours, which have been advised against huge
 * pages.  A kernel without huge pages refuses the advice and does not need it.
 */
int mem_unmap_frames(void *addr, size_t bytes)
{
	intptr_t mapped = backing_map_fresh(addr, bytes);

	if (mapped != (intptr_t)addr)
		return (int)mapped;
	(void)backing_advise(addr, bytes, MADV_NOHUGEPAGE);
	return 0;
}

/* The number of frames from @frames[0] on that are contiguous. */
static size_t run_length(void *const *frames, size_t frames_nr, size_t frame_bytes)
{
	size_t n = 1;

	while (n < frames_nr && frames[n] == (char *)frames[n - 1] + frame_bytes)
		n++;
	return n;
}

int mem_map_frames(void *addr, void *const *frames, size_t frames_nr, size_t frame_bytes)
{
	size_t run;

	for (size_t i = 0; i < frames_nr; i += run) {
		char *at = (char *)addr + i * frame_bytes;
		intptr_t mapped;

		run = run_length(&frames[i], frames_nr - i, frame_bytes);
		mapped = backing_map_again(at, frames[i], run * frame_bytes);
		if (mapped == (intptr_t)at)
			continue;
		/* A call that was refused late has left its target inaccessible.  The caller's
		 * gather unmaps the frames mapped before. */
		(void)mem_unmap_frames(at, run * frame_bytes);
		return -ENOMEM;
	}
	return 0;
}

/* The system would unlock all of the mapping that contains the first range. */
int mem_move(void *from, void *to, size_t bytes)
{
	intptr_t moved;

	if (mem_is_locked() || !mem_mappings_take(MAPPINGS_MOVES, MAPPINGS_A_MOVE))
		return -ENOSPC;
	moved = backing_move(to, from, bytes);
	if (moved == (intptr_t)to)
		return 0;
	mem_mappings_give(MAPPINGS_MOVES, MAPPINGS_A_MOVE);
	return mem_unmap_frames(to, bytes) == 0 ? (int)moved : -EBUSY;
}
