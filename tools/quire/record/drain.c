/* SPDX-License-Identifier: MIT */
/*
 * drain.c - what the command does while a program is recorded
 *
 * A segment stays in its ring until it is written behind the parts, so a command that is killed, or a disk that is full,
 * costs no event that was recorded before.
 */
#include "record/drain.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/progress.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/observed.h"
#include "machine/process.h"
#include "record/segment.h"
#include "run/resident.h"

/* Of each CPU, and at most of all of them.  A program that does nothing but allocate fills 16 MiB in some 30 ms; a command that
 * shares its CPUs is seldom away for so long. */
#define BUFFER_BYTES (UINT64_C(16) << 20)
#define BUFFERS_MAX  (UINT64_C(512) << 20)
#define SLOT_BYTES   sizeof(struct ring_event)

/* So often are the rings looked at if there is nothing in them, and if there is. */
#define NAP_NS	     4000000
#define SHORT_NAP_NS 1000000
/* And so often whether a process has ended. */
#define LOOK_NS	     UINT64_C(100000000)

/*
 * Slots whose pages are made before the program comes to them, 16 MiB: some 15 ms of a program that does nothing but
 * allocate.  A page that the program has to make itself, or to have cleared, costs it as much as the 128 events in it.
 */
#define AHEAD_NR ((UINT64_C(16) << 20) / SLOT_BYTES)
/* At a time: full rings are not to wait for it. */
#define TOUCH_NR ((UINT64_C(4) << 20) / SLOT_BYTES)

/* Behind the numbers that programs expect to be free. */
#define FD_MIN 200

/* ---- making ---------------------------------------------------------------------------------- */

/* A power of two, and two segments at least. */
static uint64_t slots_for(uint64_t buffer_bytes, uint32_t rings_nr)
{
	uint64_t bytes = buffer_bytes, slots_nr = 2 * RECORDING_SEGMENT_NR;

	if (bytes == 0)
		bytes = BUFFER_BYTES < BUFFERS_MAX / rings_nr ? BUFFER_BYTES
							      : BUFFERS_MAX / rings_nr;
	while (2 * slots_nr * SLOT_BYTES <= bytes)
		slots_nr *= 2;
	return slots_nr;
}

static uint64_t calendar_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Only if the system keeps time by the counter is it the same on all CPUs, and steady. */
static bool has_ticks(void)
{
	FILE *file =
		fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
	char name[8] = "";

	if (file == NULL)
		return false;
	(void)!fgets(name, sizeof(name), file);
	fclose(file);
	return clock_ticks() != 0 && strcmp(name, "tsc\n") == 0;
}

static void fill_header(struct recording_header *header, const struct drain_request *request)
{
	uint32_t cpus_nr = process_cpus_possible();
	size_t used = 0;

	header->version = RECORDING_VERSION;
	header->rings_nr = cpus_nr < RECORDING_RINGS_NR ? cpus_nr : RECORDING_RINGS_NR;
	header->slots_nr = slots_for(request->buffer_bytes, header->rings_nr);
	header->cookie = request->cookie;
	header->parts_nr = request->children ? RECORDING_PARTS_NR : 1;
	header->begin_ns = progress_now_ns();
	header->begin_ticks = has_ticks() ? clock_ticks() : 0;
	header->begin_calendar_ns = calendar_ns();
	for (char **word = request->program; *word != NULL; word++) {
		size_t left = sizeof(header->command) - used;
		int bytes =
			snprintf(header->command + used, left, "%s%s", used != 0 ? " " : "", *word);

		used += bytes >= 0 && (size_t)bytes < left ? (size_t)bytes : left - 1;
	}
	header->magic = RECORDING_MAGIC;
}

/* Only what is written takes room on the disk, and the first part, which the program is to find. */
static int make(struct drain *drain, const struct drain_request *request)
{
	struct recording_header header = { .magic = 0 };
	void *mapped;
	int error;

	fill_header(&header, request);
	drain->end = recording_part_offset(&header, header.parts_nr);
	drain->mapped_bytes = drain->end;
	if (ftruncate(drain->fd, (off_t)drain->end) != 0)
		return -errno;
	error = posix_fallocate(drain->fd, 0, (off_t)recording_part_offset(&header, 1));
	if (error != 0)
		return -error;
	mapped = mmap(NULL, drain->mapped_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, drain->fd, 0);
	if (mapped == MAP_FAILED)
		return -errno;
	drain->header = mapped;
	*drain->header = header;
	drain->touched_nr = calloc((size_t)header.parts_nr * header.rings_nr, sizeof(uint64_t));
	return drain->touched_nr != NULL ? 0 : -ENOMEM;
}

int drain_init(struct drain *drain, const struct drain_request *request)
{
	int fd = open(request->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	int error;

	*drain = (struct drain){ .fd = -1 };
	if (fd < 0)
		return -errno;
	drain->fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
	if (drain->fd < 0)
		drain->fd = fd;
	else
		close(fd);
	error = make(drain, request);
	if (error != 0) {
		drain_fini(drain);
		unlink(request->path);
	}
	return error;
}

void drain_fini(struct drain *drain)
{
	if (drain->header != NULL)
		munmap(drain->header, drain->mapped_bytes);
	free(drain->touched_nr);
	close(drain->fd);
}

/* ---- pages --------------------------------------------------------------------------------- */

static char *part_at(const struct drain *drain, unsigned idx)
{
	return (char *)drain->header + recording_part_offset(drain->header, idx);
}

static uint64_t *touched_of(struct drain *drain, unsigned part, unsigned cpu)
{
	return &drain->touched_nr[(size_t)part * drain->header->rings_nr + cpu];
}

/* Makes the next pages of a ring that is used, once each, if the program is near them: then true.  Where the system does not
 * (before Linux 5.14, or on a full disk), the program does. */
static bool touch_ring(struct drain *drain, unsigned part, unsigned cpu)
{
	const struct ring *ring = (struct ring *)(void *)part_at(drain, part) + cpu;
	uint64_t *touched_nr = touched_of(drain, part, cpu), slots_nr = drain->header->slots_nr;
	struct ring_slots slots = recording_slots(part_at(drain, part), slots_nr, cpu);
	uint64_t nr = slots_nr - *touched_nr < TOUCH_NR ? slots_nr - *touched_nr : TOUCH_NR;
	uint64_t reserved = load_relaxed(&ring->reserved); /* a hint */

	if (nr == 0 || reserved == 0 || *touched_nr >= reserved + AHEAD_NR)
		return false;
	(void)madvise(slots.event + *touched_nr, nr * SLOT_BYTES, MADV_POPULATE_WRITE);
	store_relaxed(touched_nr, *touched_nr + nr); /* tests look */
	return true;
}

/* ---- segments -------------------------------------------------------------------------------- */

static int write_all(int fd, const void *bytes, size_t bytes_nr, uint64_t at)
{
	const char *next = bytes;

	while (bytes_nr != 0) {
		ssize_t written = pwrite(fd, next, bytes_nr, (off_t)at);

		if (written < 0 && errno != EINTR)
			return -errno;
		if (written <= 0)
			continue;
		next += written;
		at += (uint64_t)written;
		bytes_nr -= (size_t)written;
	}
	return 0;
}

/* What a ring has lost since it was last asked. */
static void take_loss(struct ring *ring, struct recording_segment *head)
{
	if (load_relaxed(&ring->lost_nr) == 0) /* counters: a later look has the rest */
		return;
	head->lost_nr = exchange_acq_rel(&ring->lost_nr, 0);
	head->lost_first_ns = exchange_acq_rel(&ring->lost_first_ns, 0);
	head->lost_last_ns = load_relaxed(&ring->lost_last_ns);
	if (head->lost_first_ns == 0)
		head->lost_first_ns = head->lost_last_ns;
}

static void give_back_loss(struct ring *ring, const struct recording_segment *head)
{
	if (head->lost_nr == 0)
		return;
	store_relaxed(&ring->lost_first_ns, head->lost_first_ns); /* earlier than any other */
	fetch_add_relaxed(&ring->lost_nr, head->lost_nr);
}

/* Writes the next @nr slots of a ring.  False: it is left as it is. */
static bool move_segment(struct drain *drain, struct ring *ring, struct ring_slots slots,
			 uint64_t nr, bool is_end)
{
	struct recording_segment *head = &drain->segment.head;
	uint64_t whole_nr = ring_copy(ring, slots, nr, drain->segment.event);
	size_t bytes = sizeof(*head) + whole_nr * SLOT_BYTES;
	int error;

	if (whole_nr < nr && !is_end && !ring_is_short(ring, slots, nr))
		return false;
	head->slot = load_relaxed(&ring->taken);
	head->events_nr = (uint32_t)whole_nr;
	head->holes_nr = (uint32_t)(nr - whole_nr);
	take_loss(ring, head);
	segment_seal(head, drain->segment.event);
	error = write_all(drain->fd, head, bytes, drain->end);
	if (error != 0) { /* the next turn tries again */
		drain->error = error;
		give_back_loss(ring, head);
		return false;
	}
	drain->end += bytes;
	ring_give_back(ring, nr);
	return true;
}

/* Returns whether there was something. */
static bool drain_ring(struct drain *drain, unsigned part, unsigned cpu, bool is_end)
{
	struct ring *ring = (struct ring *)(void *)part_at(drain, part) + cpu;
	struct ring_slots slots =
		recording_slots(part_at(drain, part), drain->header->slots_nr, cpu);
	bool has_moved = false;
	uint64_t filled_nr;

	while ((filled_nr = ring_filled(ring)) >= RECORDING_SEGMENT_NR ||
	       (is_end && (filled_nr != 0 || load_relaxed(&ring->lost_nr) != 0))) {
		uint64_t nr = filled_nr < RECORDING_SEGMENT_NR ? filled_nr : RECORDING_SEGMENT_NR;

		drain->segment.head = (struct recording_segment){
			.process = load_relaxed(&drain->header->owner[part].process),
			.cpu = cpu,
		};
		if (!move_segment(drain, ring, slots, nr, is_end))
			break;
		has_moved = true;
	}
	return has_moved;
}

static bool drain_part(struct drain *drain, unsigned part, bool is_end)
{
	bool has_moved = false;

	for (unsigned cpu = 0; cpu < drain->header->rings_nr; cpu++) {
		has_moved |= drain_ring(drain, part, cpu, is_end);
		has_moved |= !is_end && touch_ring(drain, part, cpu);
	}
	return has_moved;
}

/* ---- processes ------------------------------------------------------------------------------- */

/* The program itself; what it has at its end stays in the recording. */
#define FIRST_PROCESS 1u

/* Into the part of a process that has ended, which is empty. */
static void put_end(struct drain *drain, unsigned part)
{
	const struct recording_header *header = drain->header;
	const struct ring_event event = { .time_ns = header->begin_ticks != 0 ? clock_ticks()
									      : progress_now_ns() };

	if (load_relaxed(&header->owner[part].process) != FIRST_PROCESS)
		(void)ring_put((struct ring *)(void *)part_at(drain, part),
			       recording_slots(part_at(drain, part), header->slots_nr, 0), &event,
			       RING_END, owner_pid(load_relaxed(&header->owner[part].who)));
}

/* A process has ended: another may have its part, which is empty and reads zero. */
static void take_back(struct drain *drain, unsigned part)
{
	struct recording_owner *owner = &drain->header->owner[part];
	uint64_t bytes = recording_part_bytes(drain->header);

	drain->error = 0;
	drain_part(drain, part, true);
	if (drain->error == 0) {
		put_end(drain, part);
		drain_part(drain, part, true);
	}
	if (drain->error != 0)
		return;
	if (fallocate(drain->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)recording_part_offset(drain->header, part), (off_t)bytes) != 0)
		memset(part_at(drain, part), 0, bytes);
	memset(touched_of(drain, part, 0), 0, drain->header->rings_nr * sizeof(uint64_t));
	store_release(&owner->who, 0u); /* pairs with the next one's compare-and-swap */
}

/* Without /proc, or with another namespace's, a process that nobody has waited for yet is taken for a living one. */
static bool has_ended(uint64_t who)
{
	struct resident resident;

	if (kill((pid_t)owner_pid(who), 0) != 0)
		return errno == ESRCH;
	return resident_read(getpid(), &resident) && !resident_read_owner(who, &resident);
}

static void look_for_ended(struct drain *drain)
{
	for (unsigned part = 0; part < drain->header->parts_nr; part++) {
		uint64_t who = load_acquire(&drain->header->owner[part].who); /* as below */

		if (who != 0 && has_ended(who))
			take_back(drain, part);
	}
}

/* So that ticks can be told in ns, however the recording ends. */
static void note_time(struct recording_header *header)
{
	header->last_ticks = clock_ticks();
	header->last_ns = progress_now_ns();
}

static bool drain_all(struct drain *drain, bool is_end)
{
	bool has_moved = false;

	note_time(drain->header);
	drain->error = 0;
	for (unsigned part = 0; part < drain->header->parts_nr; part++)
		/* Pairs with the library's compare-and-swap. */
		if (load_acquire(&drain->header->owner[part].who) != 0)
			has_moved |= drain_part(drain, part, is_end);
	return has_moved;
}

/* ---- the thread ------------------------------------------------------------------------------ */

static void *drain_thread(void *arg)
{
	struct drain *drain = arg;

	while (load_relaxed(&drain->is_stopping) == 0) { /* a later turn sees it */
		struct timespec nap = { .tv_nsec =
						drain_all(drain, false) ? SHORT_NAP_NS : NAP_NS };
		uint64_t now_ns = progress_now_ns();

		if (drain->header->parts_nr > 1 && now_ns - drain->looked_ns >= LOOK_NS) {
			drain->looked_ns = now_ns;
			look_for_ended(drain);
		}
		nanosleep(&nap, NULL);
	}
	return NULL;
}

int drain_begin(struct drain *drain)
{
	int error = pthread_create(&drain->thread, NULL, drain_thread, drain);

	drain->has_thread = error == 0;
	return -error;
}

int drain_end(struct drain *drain)
{
	if (drain->has_thread) {
		store_relaxed(&drain->is_stopping, 1u); /* the join orders the rest */
		pthread_join(drain->thread, NULL);
		drain->has_thread = false;
	}
	if (drain->header->parts_nr > 1)
		look_for_ended(drain);
	drain_all(drain, true);
	return drain->error;
}
