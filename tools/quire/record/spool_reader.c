/* SPDX-License-Identifier: MIT */
/*
 * spool_reader.c - a merge of runs
 *
 * A run is a segment, or what a ring holds.  Most runs are in order; in some a thread that was interrupted between the clock
 * and its slot has written late, and what is damaged has any times.  So each is sorted when it is opened, which is when its earliest event
 * is the next of all; as many are open at a time as there are CPUs that wrote, and some more.
 */
#include "record/spool_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "record/segment.h"

struct spool_run {
	uint64_t first_ns;
	uint64_t order; /* of runs whose times are the same */
	uint32_t process, cpu;
	const struct ring_event *source; /* in the file; NULL: @events is a copy of a ring */
	uint32_t events_nr, next;
	struct ring_event *events; /* once it is open */
};

static int fail(struct spool_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int fail(struct spool_reader *reader, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reader->error, sizeof(reader->error), format, arguments);
	va_end(arguments);
	return -1;
}

/* ---- finding the runs ------------------------------------------------------------------------ */

/* @items with room for one more of @item_bytes; NULL without memory, and they are as they were. */
static void *grow(struct spool_reader *reader, void *items, size_t nr, size_t *room,
		  size_t item_bytes)
{
	size_t more = *room == 0 ? 64 : 2 * *room;
	void *grown = items;

	if (nr < *room)
		return items;
	grown = realloc(items, more * item_bytes);
	if (grown == NULL)
		reader->no_memory = true;
	else
		*room = more;
	return grown;
}

static struct spool_run *add_run(struct spool_reader *reader)
{
	struct spool_run *runs =
		grow(reader, reader->runs, reader->runs_nr, &reader->runs_room, sizeof(runs[0]));

	if (runs == NULL)
		return NULL;
	reader->runs = runs;
	runs[reader->runs_nr] = (struct spool_run){ .order = reader->runs_nr };
	return &runs[reader->runs_nr++];
}

static void add_loss(struct spool_reader *reader, struct spool_loss loss)
{
	struct spool_loss *losses, *sum;

	if (loss.nr == 0 || loss.cpu >= reader->header->rings_nr)
		return;
	losses = grow(reader, reader->losses, reader->losses_nr, &reader->losses_room,
		      sizeof(losses[0]));
	if (losses == NULL)
		return;
	reader->losses = losses;
	losses[reader->losses_nr++] = loss;
	sum = &reader->loss[loss.cpu];
	if (sum->nr == 0 || loss.first_ns < sum->first_ns)
		sum->first_ns = loss.first_ns;
	if (loss.last_ns > sum->last_ns)
		sum->last_ns = loss.last_ns;
	sum->nr += loss.nr;
}

/* How far each ring was moved: what a command that was killed wrote and did not give back is there twice. */
struct moved {
	uint32_t process, cpu;
	uint64_t slot;
};

static uint64_t moved_slot(const struct moved *moved, size_t moved_nr, uint32_t process,
			   uint32_t cpu)
{
	for (size_t i = moved_nr; i-- > 0;)
		if (moved[i].process == process && moved[i].cpu == cpu)
			return moved[i].slot;
	return 0;
}

/* The bytes of the segment at @at; 0: there is none, or it is not whole. */
static size_t segment_bytes(const struct spool_reader *reader, uint64_t at)
{
	const struct recording_segment *head;
	size_t bytes;

	if (reader->bytes - at < sizeof(*head))
		return 0;
	head = (const void *)((const char *)reader->header + at);
	if (head->magic != RECORDING_SEGMENT_MAGIC || head->events_nr > RECORDING_SEGMENT_NR)
		return 0;
	bytes = sizeof(*head) + head->events_nr * sizeof(struct ring_event);
	if (reader->bytes - at < bytes ||
	    !segment_is_whole(head, (const struct ring_event *)(const void *)(head + 1)))
		return 0;
	return bytes;
}

/* Where the next whole segment begins behind @at; the end of the file if there is none. */
static uint64_t find_segment(const struct spool_reader *reader, uint64_t at)
{
	for (at += sizeof(uint64_t); at < reader->bytes; at += sizeof(uint64_t))
		if (segment_bytes(reader, at) != 0)
			return at;
	return reader->bytes;
}

static void note_damage(struct spool_reader *reader, uint64_t at, uint64_t next)
{
	if (next >= reader->bytes) {
		reader->torn_at = at;
		return;
	}
	if (reader->damaged_nr++ == 0)
		reader->damaged_at = at;
}

static void add_segment(struct spool_reader *reader, const struct recording_segment *head)
{
	struct spool_run *run;

	reader->holes_nr += head->holes_nr;
	add_loss(reader, (struct spool_loss){ .nr = head->lost_nr,
					      .first_ns = head->lost_first_ns,
					      .last_ns = head->lost_last_ns,
					      .cpu = head->cpu });
	if (head->events_nr == 0)
		return;
	run = add_run(reader);
	if (run == NULL)
		return;
	run->first_ns = head->first_ns;
	run->process = head->process;
	run->cpu = head->cpu;
	run->source = (const struct ring_event *)(const void *)(head + 1);
	run->events_nr = head->events_nr;
	reader->events_nr += head->events_nr;
}

/* The segments behind the parts.  @moved gets an entry each. */
static void add_segments(struct spool_reader *reader, struct moved **moved, size_t *moved_nr)
{
	uint64_t at = recording_part_offset(reader->header, reader->header->parts_nr);
	size_t room = 0;

	while (at < reader->bytes && !reader->no_memory) {
		const struct recording_segment *head =
			(const void *)((const char *)reader->header + at);
		size_t bytes = segment_bytes(reader, at);
		struct moved *more;

		if (bytes == 0) {
			uint64_t next = find_segment(reader, at);

			note_damage(reader, at, next);
			at = next;
			continue;
		}
		more = grow(reader, *moved, *moved_nr, &room, sizeof(*more));
		if (more == NULL)
			return;
		*moved = more;
		(*moved)[(*moved_nr)++] =
			(struct moved){ .process = head->process,
					.cpu = head->cpu,
					.slot = head->slot + head->events_nr + head->holes_nr };
		add_segment(reader, head);
		at += bytes;
	}
}

/* What is in a ring from slot @from on. */
static void add_ring(struct spool_reader *reader, const struct ring *ring, struct ring_slots slots,
		     struct spool_run where, uint64_t from)
{
	uint64_t end = ring->reserved;
	struct spool_run *run;

	if (from < ring->taken)
		from = ring->taken;
	add_loss(reader, (struct spool_loss){ .nr = ring->lost_nr,
					      .first_ns = ring->lost_first_ns,
					      .last_ns = ring->lost_last_ns,
					      .cpu = where.cpu });
	if (end <= from || end - from > slots.nr)
		return;
	run = add_run(reader);
	if (run == NULL)
		return;
	where.order = run->order;
	*run = where;
	run->first_ns = UINT64_MAX;
	run->events = malloc((end - from) * sizeof(run->events[0]));
	if (run->events == NULL) {
		reader->no_memory = true;
		return;
	}
	for (uint64_t n = from; n < end; n++)
		if (ring_read(slots, n, &run->events[run->events_nr])) {
			uint64_t time_ns = run->events[run->events_nr++].time_ns;

			if (time_ns < run->first_ns)
				run->first_ns = time_ns;
		}
	reader->events_nr += run->events_nr;
	reader->holes_nr += end - from - run->events_nr;
}

static void add_rings(struct spool_reader *reader, const struct moved *moved, size_t moved_nr)
{
	const struct recording_header *header = reader->header;

	for (unsigned part = 0; part < header->parts_nr; part++) {
		char *at = (char *)header + recording_part_offset(header, part);
		uint32_t process = header->owner[part].process;

		if (header->owner[part].who == 0)
			continue;
		for (unsigned cpu = 0; cpu < header->rings_nr && !reader->no_memory; cpu++)
			add_ring(reader, (const struct ring *)(const void *)at + cpu,
				 recording_slots(at, header->slots_nr, cpu),
				 (struct spool_run){ .process = process, .cpu = cpu },
				 moved_slot(moved, moved_nr, process, cpu));
	}
}

static int by_time(const void *left, const void *right)
{
	const struct spool_run *a = left, *b = right;

	if (a->first_ns != b->first_ns)
		return a->first_ns < b->first_ns ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

static int by_end(const void *left, const void *right)
{
	const struct spool_loss *a = left, *b = right;

	return (a->last_ns > b->last_ns) - (a->last_ns < b->last_ns);
}

/* An event's time in ns. */
static uint64_t in_ns(const struct spool_reader *reader, uint64_t time)
{
	const struct recording_header *header = reader->header;
	double ns;

	if (header->begin_ticks == 0 || header->last_ticks <= header->begin_ticks)
		return time;
	ns = (double)(header->last_ns - header->begin_ns) /
	     (double)(header->last_ticks - header->begin_ticks);
	if (time < header->begin_ticks)
		return header->begin_ns;
	return header->begin_ns + (uint64_t)((double)(time - header->begin_ticks) * ns);
}

static void put_in_ns(const struct spool_reader *reader, struct spool_loss *loss)
{
	if (loss->nr == 0)
		return;
	loss->first_ns = in_ns(reader, loss->first_ns);
	loss->last_ns = in_ns(reader, loss->last_ns);
}

static int find_runs(struct spool_reader *reader)
{
	struct moved *moved = NULL;
	size_t moved_nr = 0;

	reader->loss = calloc(reader->header->rings_nr, sizeof(reader->loss[0]));
	reader->no_memory = reader->loss == NULL;
	if (!reader->no_memory)
		add_segments(reader, &moved, &moved_nr);
	if (!reader->no_memory)
		add_rings(reader, moved, moved_nr);
	free(moved);
	if (reader->no_memory)
		return fail(reader, "%s", strerror(ENOMEM));
	for (size_t i = 0; i < reader->losses_nr; i++)
		put_in_ns(reader, &reader->losses[i]);
	for (uint32_t cpu = 0; cpu < reader->header->rings_nr; cpu++)
		put_in_ns(reader, &reader->loss[cpu]);
	if (reader->losses_nr != 0)
		qsort(reader->losses, reader->losses_nr, sizeof(reader->losses[0]), by_end);
	if (reader->runs_nr != 0)
		qsort(reader->runs, reader->runs_nr, sizeof(reader->runs[0]), by_time);
	return 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

static int check_header(struct spool_reader *reader)
{
	const struct recording_header *header = reader->header;

	if (header->magic != RECORDING_MAGIC)
		return fail(reader, "at byte 0: no spool of `quire record`");
	if (header->version != RECORDING_VERSION)
		return fail(reader, "at byte 8: version %" PRIu32 "; this program knows version %u",
			    header->version, RECORDING_VERSION);
	if (header->rings_nr == 0 || header->rings_nr > RECORDING_RINGS_NR ||
	    header->slots_nr < 2 * RECORDING_SEGMENT_NR ||
	    (header->slots_nr & (header->slots_nr - 1)) != 0 || header->slots_nr > UINT32_MAX ||
	    header->parts_nr == 0 || header->parts_nr > RECORDING_PARTS_NR)
		return fail(reader, "at byte 12: the header is damaged");
	if (reader->bytes < recording_part_offset(header, header->parts_nr))
		return fail(reader, "truncated at byte %" PRIu64 ": the rings end at %" PRIu64,
			    reader->bytes, recording_part_offset(header, header->parts_nr));
	return 0;
}

int spool_reader_open(struct spool_reader *reader, const char *path)
{
	struct stat status;
	void *mapped;

	*reader = (struct spool_reader){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (reader->fd < 0 || fstat(reader->fd, &status) != 0)
		return fail(reader, "%s", strerror(errno));
	reader->bytes = (uint64_t)status.st_size;
	if (!S_ISREG(status.st_mode) || reader->bytes < RECORDING_HEADER_BYTES)
		return fail(reader, "at byte 0: no spool of `quire record`");
	mapped = mmap(NULL, reader->bytes, PROT_READ, MAP_SHARED, reader->fd, 0);
	if (mapped == MAP_FAILED)
		return fail(reader, "%s", strerror(errno));
	reader->header = mapped;
	return check_header(reader) != 0 ? -1 : find_runs(reader);
}

void spool_reader_close(struct spool_reader *reader)
{
	for (size_t i = 0; i < reader->runs_nr; i++)
		free(reader->runs[i].events);
	free(reader->runs);
	free(reader->open);
	free(reader->loss);
	free(reader->losses);
	if (reader->header != NULL)
		munmap((void *)reader->header, reader->bytes);
	if (reader->fd >= 0)
		close(reader->fd);
}

/* ---- the merge ------------------------------------------------------------------------------- */

static uint64_t next_ns(const struct spool_run *run)
{
	return run->events[run->next].time_ns;
}

static bool is_before(const struct spool_run *a, const struct spool_run *b)
{
	if (next_ns(a) != next_ns(b))
		return next_ns(a) < next_ns(b);
	return a->order < b->order;
}

static void sift_up(struct spool_reader *reader, size_t i)
{
	struct spool_run **open = reader->open;

	for (; i != 0 && is_before(open[i], open[(i - 1) / 2]); i = (i - 1) / 2) {
		struct spool_run *run = open[i];

		open[i] = open[(i - 1) / 2];
		open[(i - 1) / 2] = run;
	}
}

static void sift_down(struct spool_reader *reader)
{
	struct spool_run **open = reader->open;
	size_t i = 0, child;

	while ((child = 2 * i + 1) < reader->open_nr) {
		struct spool_run *run = open[i];

		if (child + 1 < reader->open_nr && is_before(open[child + 1], open[child]))
			child++;
		if (!is_before(open[child], run))
			return;
		open[i] = open[child];
		open[child] = run;
		i = child;
	}
}

static bool is_sorted(const struct ring_event *events, uint32_t events_nr)
{
	for (uint32_t i = 1; i < events_nr; i++)
		if (events[i - 1].time_ns > events[i].time_ns)
			return false;
	return true;
}

/* Of pointers to events: equal times stay in the order of their slots. */
static int by_time_and_slot(const void *left, const void *right)
{
	const struct ring_event *a = *(const struct ring_event *const *)left;
	const struct ring_event *b = *(const struct ring_event *const *)right;

	if (a->time_ns != b->time_ns)
		return a->time_ns < b->time_ns ? -1 : 1;
	return (a > b) - (a < b);
}

/* 0, or -1 without memory. */
static int sort_events(struct spool_run *run)
{
	struct ring_event *sorted;
	const struct ring_event **order;
	uint32_t nr = run->events_nr;

	if (is_sorted(run->events, nr))
		return 0;
	sorted = malloc(nr * sizeof(sorted[0]));
	order = malloc(nr * sizeof(order[0]));
	if (sorted == NULL || order == NULL) {
		free(sorted);
		free(order);
		return -1;
	}
	for (uint32_t i = 0; i < nr; i++)
		order[i] = &run->events[i];
	qsort(order, nr, sizeof(order[0]), by_time_and_slot);
	for (uint32_t i = 0; i < nr; i++)
		sorted[i] = *order[i];
	free(order);
	free(run->events);
	run->events = sorted;
	return 0;
}

/* 0 or -1. */
static int open_run(struct spool_reader *reader, struct spool_run *run)
{
	size_t bytes = run->events_nr * sizeof(run->events[0]);
	struct spool_run **open;

	if (run->source != NULL) {
		run->events = malloc(bytes);
		if (run->events != NULL)
			memcpy(run->events, run->source, bytes);
	}
	open = grow(reader, reader->open, reader->open_nr, &reader->open_room, sizeof(open[0]));
	if (open != NULL)
		reader->open = open;
	if (open == NULL || run->events == NULL || sort_events(run) != 0)
		return fail(reader, "%s", strerror(ENOMEM));
	reader->open[reader->open_nr++] = run;
	sift_up(reader, reader->open_nr - 1);
	return 0;
}

static void close_first(struct spool_reader *reader)
{
	struct spool_run *run = reader->open[0];

	free(run->events);
	run->events = NULL;
	reader->open[0] = reader->open[--reader->open_nr];
}

int spool_reader_next(struct spool_reader *reader, struct spool_event *event)
{
	struct spool_run *run;

	while (reader->next_run < reader->runs_nr &&
	       (reader->open_nr == 0 ||
		reader->runs[reader->next_run].first_ns <= next_ns(reader->open[0]))) {
		run = &reader->runs[reader->next_run++];
		if (run->events_nr != 0 && open_run(reader, run) != 0)
			return -1;
	}
	if (reader->open_nr == 0)
		return 0;
	run = reader->open[0];
	*event = (struct spool_event){ .event = run->events[run->next++],
				       .process = run->process,
				       .cpu = run->cpu };
	event->event.time_ns = in_ns(reader, event->event.time_ns);
	if (run->next == run->events_nr)
		close_first(reader);
	sift_down(reader);
	return 1;
}
