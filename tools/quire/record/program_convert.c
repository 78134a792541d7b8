/* SPDX-License-Identifier: MIT */
/*
 * program_convert.c - from the calls of processes to a recording, whose allocations have numbers and no addresses
 *
 * Calls on instances of the program's own: program_calls.c.  Each block of malloc() is an allocation of kind slab, as those of kmalloc() are: its class is its size and the call that made it.  A
 * block that realloc() changes, where it is or elsewhere, ends, and another begins.  A thread is a task of the recording,
 * a process is not told apart from others but by its tasks' names.
 *
 * A child of fork has what its parent had.  Its frees of that are dropped, since the parent's blocks are still there.  What
 * a program has when it becomes another one by exec ends then, and what a child has when it ends.
 */
#include "record/program_convert.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/progress.h"
#include "record/live_map.h"
#include "record/program_calls.h"
#include "record/program_live.h"
#include "record/record.h"
#include "record/spool_reader.h"
#include "record/unnamed.h"
#include "trace/katr_writer.h"

#define PROGRESS_EVENTS 65536u
#define NAME_BYTES	17
#define KEVENT_LOST	5

struct process {
	char name[NAME_BYTES];
	uint32_t threads_nr;
};

struct converter {
	struct spool_reader reader;
	struct katr_writer writer;
	struct program_live live;
	struct live_map tasks;	   /* by program_place() of their threads */
	struct process *processes; /* by number */
	uint32_t processes_nr;
	uint32_t *task_of; /* by CPU: of its last record; UINT32_MAX: none */
	uint32_t sites[RING_OPS_NR];
	uint64_t last_ns;
	size_t losses_nr; /* that are in the recording */
	bool no_memory;
};

/* ---- tasks ----------------------------------------------------------------------------------- */

/* Numbers begin at 1, and few are given out. */
static struct process *process_at(struct converter *converter, uint32_t number)
{
	if (number >= converter->processes_nr) {
		size_t nr = (size_t)number + 16;
		struct process *processes =
			realloc(converter->processes, nr * sizeof(processes[0]));

		if (processes == NULL) {
			converter->no_memory = true;
			return NULL;
		}
		memset(&processes[converter->processes_nr], 0,
		       (nr - converter->processes_nr) * sizeof(processes[0]));
		converter->processes = processes;
		converter->processes_nr = (uint32_t)nr;
	}
	return &converter->processes[number];
}

/* The task of an event's thread: the first thread of a process has its name, the others a number behind it. */
static uint32_t task_of(struct converter *converter, const struct spool_event *event)
{
	uint64_t place = program_place(event->process, ring_event_thread(&event->event));
	const struct live_entry *known = live_map_find(&converter->tasks, place);
	struct process *process;
	char name[NAME_BYTES + 16];
	uint32_t task;

	if (known != NULL)
		return known->id;
	process = process_at(converter, event->process);
	if (process == NULL)
		return 0;
	process->threads_nr++;
	if (process->threads_nr == 1)
		snprintf(name, sizeof(name), "%s", process->name);
	else
		snprintf(name, sizeof(name), "%s/%" PRIu32, process->name, process->threads_nr);
	task = katr_writer_task(&converter->writer, name);
	if (live_map_put(&converter->tasks, place, task, 0) != 0)
		converter->no_memory = true;
	return task;
}

static void take_name(struct converter *converter, const struct spool_event *event)
{
	struct process *process = process_at(converter, event->process);

	if (process == NULL)
		return;
	memcpy(process->name, &event->event.address, sizeof(uint64_t));
	memcpy(process->name + sizeof(uint64_t), &event->event.bytes, sizeof(uint64_t));
}

static void put_context(struct converter *converter, const struct spool_event *event,
			struct katr_moment at)
{
	uint32_t task = task_of(converter, event);

	if (converter->task_of[event->cpu] == task)
		return;
	converter->task_of[event->cpu] = task;
	katr_write_context(&converter->writer, at, task, 0);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* The largest that the format has; only refused calls ask for more. */
#define BYTES_MAX ((UINT64_C(1) << 56) - 1)

static uint32_t class_of(struct converter *converter, enum ring_op op, uint64_t asked_bytes)
{
	uint64_t bytes = asked_bytes < BYTES_MAX ? asked_bytes : BYTES_MAX;
	/* bytes_req, bytes_alloc, gfp, flags, node, cache, site */
	const uint64_t values[] = { bytes, bytes, 0, 0, 0, 0, converter->sites[op] };

	return katr_writer_class(&converter->writer, KATR_SLAB, values,
				 sizeof(values) / sizeof(values[0]));
}

static void take_block(struct converter *converter, const struct spool_event *event,
		       struct katr_moment at, enum ring_op site)
{
	const struct program_block block = {
		.kind = KATR_SLAB,
		.place = program_place(event->process, event->event.address),
		.bytes = event->event.bytes,
		.class_index = class_of(converter, site, event->event.bytes),
	};

	if (ring_event_op(&event->event) == RING_REFUSED)
		program_live_refuse(&converter->live, at, &block);
	else
		program_live_begin(&converter->live, at, &block);
}

static void free_block(struct converter *converter, const struct spool_event *event,
		       struct katr_moment at)
{
	program_live_end(&converter->live, at, KATR_SLAB,
			 program_place(event->process, event->event.address));
}

static void take_event(struct converter *converter, const struct spool_event *event)
{
	struct katr_moment at = { .ns = event->event.time_ns, .cpu = event->cpu };
	enum ring_op op = ring_event_op(&event->event);

	converter->last_ns = at.ns;
	if (op == RING_NAME) {
		take_name(converter, event);
		return;
	}
	if (op == RING_BEGIN || op == RING_CHILD || op == RING_END) {
		program_live_end_process(&converter->live, at, event->process);
		return;
	}
	put_context(converter, event, at);
	switch (op) {
	case RING_FREE:
	case RING_LEFT:
		free_block(converter, event, at);
		break;
	case RING_RESIZED:
		free_block(converter, event, at);
		take_block(converter, event, at, RING_MOVED);
		break;
	case RING_REFUSED:
		take_block(converter, event, at, RING_MALLOC);
		break;
	case RING_MALLOC:
	case RING_CALLOC:
	case RING_ALIGNED:
	case RING_MOVED:
		take_block(converter, event, at, op);
		break;
	default:
		program_take_call(&converter->live, event, converter->writer.cpus_nr);
	}
}

/* ---- what is missing ------------------------------------------------------------------------- */

static uint64_t lost_nr(const struct spool_reader *reader)
{
	uint64_t nr = 0;

	for (uint32_t cpu = 0; cpu < reader->header->rings_nr; cpu++)
		nr += reader->loss[cpu].nr;
	return nr;
}

static double since_begin(const struct spool_reader *reader, uint64_t ns)
{
	return ((double)ns - (double)reader->header->begin_ns) / 1e9;
}

static void say_remedy(const struct spool_reader *reader)
{
	uint64_t mib = record_roomier_mib(reader->header->slots_nr * sizeof(struct ring_event));

	fprintf(stderr, "quire record: the program was faster than the disk or this command");
	if (mib != 0)
		fprintf(stderr, "; more room helps: --buffer %" PRIu64 "m", mib);
	fprintf(stderr, "\n");
}

/* Returns whether something is missing. */
static bool say_missing(const struct spool_reader *reader)
{
	uint32_t unrecorded_nr = reader->header->unrecorded_nr;
	uint64_t lost = lost_nr(reader);

	for (uint32_t cpu = 0; cpu < reader->header->rings_nr; cpu++) {
		const struct spool_loss *loss = &reader->loss[cpu];

		if (loss->nr != 0)
			fprintf(stderr,
				"quire record: CPU %" PRIu32 " lost %" PRIu64
				" events, %.3f s to %.3f s after the beginning\n",
				cpu, loss->nr, since_begin(reader, loss->first_ns),
				since_begin(reader, loss->last_ns));
	}
	if (lost != 0)
		say_remedy(reader);
	if (reader->holes_nr != 0)
		fprintf(stderr,
			"quire record: %" PRIu64
			" events are missing that were being written at the end, or too late\n",
			reader->holes_nr);
	if (reader->damaged_nr != 0)
		fprintf(stderr,
			"quire record: %" PRIu64
			" segments are damaged and left out; the first at byte %" PRIu64 "\n",
			reader->damaged_nr, reader->damaged_at);
	if (reader->torn_at != 0)
		fprintf(stderr,
			"quire record: the last segment, at byte %" PRIu64
			", is not whole and left out\n",
			reader->torn_at);
	if (unrecorded_nr != 0)
		fprintf(stderr,
			"quire record: %" PRIu32 " processes are not in it: at most %u at a time, "
			"and there must be room for "
			"their rings\n",
			unrecorded_nr, RECORDING_PARTS_NR);
	return lost != 0 || reader->damaged_nr != 0 || unrecorded_nr != 0;
}

static void put_missing(struct converter *converter)
{
	const struct spool_reader *reader = &converter->reader;
	struct katr_writer *writer = &converter->writer;

	katr_writer_info(writer, "lost", "%" PRIu64, lost_nr(reader));
	for (uint32_t cpu = 0; cpu < reader->header->rings_nr; cpu++) {
		const struct spool_loss *loss = &reader->loss[cpu];
		char key[32];

		snprintf(key, sizeof(key), "lost.cpu%" PRIu32, cpu);
		if (loss->nr != 0)
			katr_writer_info(writer, key, "%" PRIu64 " from %.6f s to %.6f s", loss->nr,
					 since_begin(reader, loss->first_ns),
					 since_begin(reader, loss->last_ns));
	}
	katr_writer_info(writer, "unread", "%" PRIu64, reader->holes_nr);
	katr_writer_info(writer, "damaged_segments", "%" PRIu64,
			 reader->damaged_nr + (reader->torn_at != 0));
	katr_writer_info(writer, "unrecorded_processes", "%" PRIu32, reader->header->unrecorded_nr);
}

/* ---- the whole recording --------------------------------------------------------------------- */

static void put_info(struct converter *converter, const char *output)
{
	const struct recording_header *header = converter->reader.header;
	struct katr_writer *writer = &converter->writer;
	time_t calendar = (time_t)(header->begin_calendar_ns / 1000000000);
	struct utsname system = { .release = "" };
	char date[32] = "";
	struct tm tm;

	(void)uname(&system);
	if (gmtime_r(&calendar, &tm) != NULL)
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
	katr_writer_name(writer, output);
	katr_writer_info(writer, "workload", "program");
	katr_writer_info(writer, "command", "%.*s", (int)sizeof(header->command), header->command);
	katr_writer_info(writer, "kernel", "%s", system.release);
	katr_writer_info(writer, "arch", "%s", system.machine);
	katr_writer_info(writer, "possible_cpus", "%" PRIu32, header->rings_nr);
	katr_writer_info(writer, "clock", "monotonic");
	katr_writer_info(writer, "recorded", "%s", date);
	katr_writer_info(writer, "seconds", "%.3f",
			 converter->last_ns > header->begin_ns
				 ? since_begin(&converter->reader, converter->last_ns)
				 : 0.0);
	katr_writer_info(writer, "processes", "%" PRIu32, header->processes_nr);
	katr_writer_info(writer, "raw_events", "%" PRIu64, converter->reader.events_nr);
	put_missing(converter);
	program_live_put_info(&converter->live);
}

/* Losses that ended up to @ns. */
static void put_losses(struct converter *converter, uint64_t ns)
{
	const struct spool_reader *reader = &converter->reader;

	for (; converter->losses_nr < reader->losses_nr; converter->losses_nr++) {
		const struct spool_loss *loss = &reader->losses[converter->losses_nr];
		const struct katr_moment at = { .ns = loss->last_ns, .cpu = loss->cpu };

		if (loss->last_ns > ns)
			return;
		katr_write_kernel_event(&converter->writer, at, KEVENT_LOST, &loss->nr, 1);
	}
}

static bool has_no_memory(const struct converter *converter)
{
	return converter->no_memory || converter->live.no_memory;
}

/* 0, or -1 with @reader->error. */
static int take_events(struct converter *converter)
{
	struct progress progress;
	struct spool_event event;
	uint64_t nr = 0;
	int more;

	progress_begin(&progress, "convert", converter->reader.events_nr);
	while ((more = spool_reader_next(&converter->reader, &event)) > 0 &&
	       !has_no_memory(converter)) {
		put_losses(converter, event.event.time_ns);
		if (event.cpu < converter->reader.header->rings_nr && event.process != 0)
			take_event(converter, &event);
		if (++nr % PROGRESS_EVENTS == 0)
			progress_add(&progress, PROGRESS_EVENTS, true);
	}
	progress_end(&progress);
	return more < 0 ? -1 : 0;
}

/* What no record is without. */
static bool prepare(struct converter *converter)
{
	static const char *const names[RING_OPS_NR] = {
		[RING_MALLOC] = "malloc",
		[RING_CALLOC] = "calloc",
		[RING_ALIGNED] = "aligned_alloc",
		[RING_MOVED] = "realloc",
	};
	const struct recording_header *header = converter->reader.header;
	struct katr_moment begin = { .ns = header->begin_ns };

	converter->task_of = malloc(header->rings_nr * sizeof(converter->task_of[0]));
	if (converter->task_of == NULL)
		return false;
	memset(converter->task_of, 0xff, header->rings_nr * sizeof(converter->task_of[0]));
	converter->live.writer = &converter->writer;
	converter->last_ns = header->begin_ns;
	converter->writer.page_shift =
		(uint32_t)__builtin_ctzl((unsigned long)sysconf(_SC_PAGESIZE));
	converter->writer.cpus_nr = header->rings_nr;
	converter->writer.kinds = UINT64_C(1) << KATR_SLAB;
	for (unsigned op = 0; op < RING_OPS_NR; op++)
		if (names[op] != NULL)
			converter->sites[op] = katr_writer_string(&converter->writer, names[op]);
	katr_write_mark(&converter->writer, begin, "start");
	return true;
}

static int refuse(const char *path, const char *what)
{
	fprintf(stderr, "quire record: %s: %s\n", path, what);
	return -1;
}

static int write_recording(struct converter *converter, const char *spool, const char *output)
{
	struct katr_moment end = { .cpu = 0 };
	int error;

	if (!prepare(converter))
		return refuse(output, strerror(ENOMEM));
	if (take_events(converter) != 0)
		return refuse(spool, converter->reader.error);
	if (has_no_memory(converter))
		return refuse(output, strerror(ENOMEM));
	put_losses(converter, UINT64_MAX);
	end.ns = converter->last_ns;
	katr_write_mark(&converter->writer, end, "end");
	put_info(converter, output);
	error = katr_writer_end(&converter->writer, output);
	if (error != 0)
		return refuse(output, strerror(-error));
	return say_missing(&converter->reader) ? 1 : 0;
}

int program_convert(const char *spool, const char *output)
{
	struct converter *converter = calloc(1, sizeof(*converter));
	int records, result;

	if (converter == NULL)
		return refuse(output, strerror(ENOMEM));
	records = unnamed_open(output);
	katr_writer_init(&converter->writer, records >= 0 ? fdopen(records, "w+b") : NULL);
	if (spool_reader_open(&converter->reader, spool) != 0)
		result = refuse(spool, converter->reader.error);
	else
		result = write_recording(converter, spool, output);
	spool_reader_close(&converter->reader);
	katr_writer_fini(&converter->writer);
	program_live_fini(&converter->live);
	live_map_fini(&converter->tasks);
	free(converter->processes);
	free(converter->task_of);
	free(converter);
	return result;
}
