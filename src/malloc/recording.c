/* SPDX-License-Identifier: MIT */
/* malloc/recording.c - a process's part of the spool: taking one, and writing to it */
#include "malloc/recording.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/handed.h"
#include "machine/lean.h"
#include "machine/observed.h"
#include "machine/process.h"
#include "malloc/report.h"
#include "malloc/run_environment.h"

#define SEVERAL UINT64_MAX /* threads: no process_thread() */

/* Written before the heap is ready, and while a child of fork has one thread. */
static struct {
	/* Atomic, since a handler in such a child may come at any step.  The part begins with them; NULL: there is none. */
	struct ring *ring;
	struct lean_stacks
		cpus; /* without stacks: it says which CPU this is, faster than the system */
	uint64_t slots_nr, bytes;
	bool in_ticks;
	/* Atomic: process_thread() of the only one that has put events; 0: none has; SEVERAL. */
	uint64_t only_thread;
	uint32_t pid;
} recording;

static bool is_ours(const struct recording_header *header, const struct run_request *request)
{
	return header->magic == RECORDING_MAGIC && header->version == RECORDING_VERSION &&
	       header->cookie == request->cookie && header->parts_nr <= RECORDING_PARTS_NR &&
	       header->rings_nr != 0 && header->rings_nr <= RECORDING_RINGS_NR;
}

/* The part that the process had before exec, or a free one.  NULL: none is left. */
static struct recording_owner *take_part(struct recording_header *header, uint32_t pid)
{
	uint64_t who = owner_word(pid, observed_start_ticks(0));

	for (unsigned idx = 0; idx < header->parts_nr; idx++)
		if (owner_is(load_relaxed(&header->owner[idx].who), who))
			return &header->owner[idx];
	for (unsigned idx = 0; idx < header->parts_nr; idx++) {
		struct recording_owner *owner = &header->owner[idx];
		uint64_t nobody = 0;

		if (!cas_acq_rel(&owner->who, &nobody, who)) /* pairs with the command's store */
			continue;
		store_relaxed(&owner->process, fetch_add_relaxed(&header->processes_nr, 1u) + 1);
		return owner;
	}
	return NULL;
}

static void put_name(uint64_t time)
{
	char name[16] = "";
	uint64_t words[2];

	handed_name(name);
	memcpy(words, name, sizeof(words));
	recording_put(RING_NAME, time, (const void *)(uintptr_t)words[0], words[1]);
}

/* False: what is left to do, is to count it. */
static bool begin_part(int fd, struct recording_header *header, enum ring_op op, uint32_t parent)
{
	uint32_t pid = handed_pid();
	struct recording_owner *owner = take_part(header, pid);
	uint64_t time;
	void *part;

	if (owner == NULL)
		return false;
	part = handed_map_file(fd, recording_part_offset(header, (unsigned)(owner - header->owner)),
			       recording_part_bytes(header));
	if (part == NULL) {
		store_release(&owner->who, 0u); /* pairs with take_part() */
		return false;
	}
	lean_setup(&recording.cpus, header->rings_nr, false, true);
	recording.slots_nr = header->slots_nr;
	recording.bytes = recording_part_bytes(header);
	recording.pid = pid;
	recording.in_ticks = header->begin_ticks != 0;
	recording.only_thread = 0;
	store_release(&recording.ring, part); /* pairs with recording_put() */
	time = recording_now();
	recording_put(op, time, (const void *)(uintptr_t)pid, parent);
	put_name(time);
	return true;
}

static bool begin(const struct run_request *request, enum ring_op op, uint32_t parent)
{
	struct recording_header *header;
	bool has_begun = false;
	int fd = report_open_recording(request);

	if (fd < 0)
		return false;
	header = handed_map_file(fd, 0, sizeof(*header));
	if (header != NULL && is_ours(header, request)) {
		has_begun = begin_part(fd, header, op, parent);
		if (!has_begun)
			fetch_add_relaxed(&header->unrecorded_nr, 1u);
	}
	if (header != NULL)
		handed_unmap(header, sizeof(*header));
	handed_close(fd);
	return has_begun;
}

bool recording_begin(void)
{
	struct run_request request;

	return report_is_wanted(&request) && begin(&request, RING_BEGIN, 0);
}

bool recording_begin_child(void)
{
	struct run_request request;
	uint32_t parent = recording.pid;
	struct ring *ring = recording.ring;

	store_release(&recording.ring, NULL); /* likewise */
	handed_unmap(ring, recording.bytes);
	return report_is_wanted(&request) && !request.once && begin(&request, RING_CHILD, parent);
}

/* Threads differ in it, and a new one may have that of one that has ended: a thread's data lie 64 bytes apart at least. */
static uint32_t own_thread(void)
{
	return (uint32_t)(process_thread() >> 4);
}

bool recording_is_on(void)
{
	return load_acquire(&recording.ring) != NULL; /* pairs with begin_part() */
}

/* Before the thread puts its event, and so before another thread can have what it frees. */
static void note_thread(void)
{
	uint64_t thread = process_thread(), only = 0;

	if (load_relaxed(&recording.only_thread) == SEVERAL)
		return; /* without a store, which would take the line from all other CPUs */
	if (!cas_relaxed(&recording.only_thread, &only, thread) && only != thread)
		store_relaxed(&recording.only_thread, SEVERAL);
}

/*
 * A thread that finds a block in memory, or on a CPU's stack, must read the clock after that load if another thread's event is
 * about the same block: its time would be the smaller one.  That costs as much as the reading itself, so it is left out
 * as long as there is no other thread's event.  Where the block is another thread's gift, only_thread was changed before
 * it, and is loaded after it: x86 keeps both in order, and elsewhere there are no ticks.
 */
uint64_t recording_now(void)
{
	if (UNLIKELY(!recording.in_ticks))
		return clock_now_ns();
	if (LIKELY(load_relaxed(&recording.only_thread) == process_thread()))
		return clock_ticks_early();
	note_thread();
	return clock_ticks();
}

void recording_put(enum ring_op op, uint64_t time, const void *address, uint64_t bytes)
{
	struct ring *ring = load_acquire(&recording.ring); /* pairs with begin_part() */
	unsigned cpu;
	const struct ring_event event = { .time_ns = time,
					  .address = (uintptr_t)address,
					  .bytes = bytes };

	if (UNLIKELY(ring == NULL))
		return;
	cpu = lean_slot(&recording.cpus);
	(void)ring_put(&ring[cpu], recording_slots(ring, recording.slots_nr, cpu), &event, op,
		       own_thread());
}
