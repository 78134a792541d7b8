/* SPDX-License-Identifier: MIT */
#include "record/kernel_convert.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const counter_columns[] = {
	"page_allocs",
	"page_frees",
	"page_live_bytes",
	"percpu_allocs",
	"percpu_frees",
	"percpu_live_bytes",
	"vmap_allocs",
	"vmap_frees",
	"vmap_live_bytes",
	"slab_allocs",
	"slab_frees",
	"slab_live_bytes",
	"zone_locked_pcp_order",
	"zone_locked_other",
	"pcpu_drain",
	"extfrag",
	"extfrag_fragmenting",
	"extfrag_steal",
	"chunks_created",
	"chunks_destroyed",
	"vmap_purges",
	"vmap_purged_areas",
	NULL,
};

void kernel_convert_fail(struct kernel_convert *convert, int error)
{
	if (convert->error == 0)
		convert->error = error;
}

int kernel_convert_init(struct kernel_convert *convert)
{
	convert->counters_table =
		katr_writer_table(convert->writer, "event_counters", counter_columns);
	convert->cpus = calloc(convert->stream->cpus_nr, sizeof(convert->cpus[0]));
	return convert->cpus == NULL ? -ENOMEM : convert->writer->error;
}

void kernel_convert_fini(struct kernel_convert *convert)
{
	page_map_fini(&convert->pages);
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++)
		live_map_fini(&convert->objects[kind]);
	live_map_fini(&convert->tasks);
	live_map_fini(&convert->chunks);
	live_map_fini(&convert->sites);
	free(convert->cpus);
	free(convert->losses);
}

struct katr_moment kernel_convert_moment(const struct kernel_convert *convert,
					 const struct kernel_event *event)
{
	return (struct katr_moment){ .ns = event->ns, .cpu = convert->stream->cpu };
}

/* An interrupt that comes while the recorder runs is not its own doing. */
bool kernel_convert_is_own(const struct kernel_convert *convert, const struct kernel_event *event)
{
	for (size_t i = 0; event->context == 0 && i < convert->own_pids_nr; i++)
		if (convert->own_pids[i] == event->pid)
			return true;
	return false;
}

uint32_t kernel_convert_site(struct kernel_convert *convert, uint64_t address)
{
	const struct live_entry *entry = live_map_find(&convert->sites, address);
	uint32_t string;

	if (entry != NULL)
		return entry->id;
	string = katr_writer_string(convert->writer, symbols_find(convert->symbols, address));
	if (live_map_put(&convert->sites, address, string, 0) != 0)
		kernel_convert_fail(convert, -ENOMEM);
	return string;
}

/* ---- tasks ------------------------------------------------------------------------------------ */

/* A task that was there before the recording: its name now. */
static void read_name(const struct kernel_convert *convert, int32_t pid, char *name,
		      size_t name_bytes)
{
	char path[4096];
	FILE *file;

	snprintf(name, name_bytes, pid == 0 ? "swapper" : "(ended)");
	snprintf(path, sizeof(path), "%s/%d/comm", convert->proc, pid);
	file = pid != 0 ? fopen(path, "r") : NULL;
	if (file == NULL)
		return;
	if (fgets(name, (int)name_bytes, file) != NULL)
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
}

static uint32_t add_task(struct kernel_convert *convert, int32_t pid, const char *name)
{
	uint32_t task = katr_writer_task(convert->writer, name);

	if (live_map_put(&convert->tasks, (uint64_t)pid, task, 0) != 0)
		kernel_convert_fail(convert, -ENOMEM);
	return task;
}

static uint32_t task_of(struct kernel_convert *convert, int32_t pid)
{
	const struct live_entry *entry = live_map_find(&convert->tasks, (uint64_t)pid);
	char name[64];

	if (entry != NULL)
		return entry->id;
	read_name(convert, pid, name, sizeof(name));
	return add_task(convert, pid, name);
}

static void take_task(struct kernel_convert *convert, const struct kernel_event *event)
{
	int32_t pid = (int32_t)event->values[TASK_PID];
	char name[64];

	kernel_event_text(convert->formats, event, TASK_NAME, name, sizeof(name));
	/* A number that is used again is that of a new task. */
	if (event->op == KERNEL_TASK_NEW)
		add_task(convert, pid, name);
	else
		katr_writer_rename_task(convert->writer, task_of(convert, pid), name);
}

void kernel_convert_context(struct kernel_convert *convert, const struct kernel_event *event)
{
	struct kernel_cpu *cpu = &convert->cpus[convert->stream->cpu];
	uint32_t task = task_of(convert, event->pid);
	uint32_t context = (task << 2 | event->context) + 1;

	if (cpu->context == context)
		return;
	cpu->context = context;
	katr_write_context(convert->writer, kernel_convert_moment(convert, event), task,
			   event->context);
}

/* ---- samples and marks ------------------------------------------------------------------------ */

static void write_counters(struct kernel_convert *convert, struct katr_moment at)
{
	uint8_t bytes[(2 + 3 * KATR_KINDS_NR + COUNTS_NR) * KATR_VARINT_BYTES_MAX];
	size_t nr = katr_put_varint(bytes, convert->counters_table);

	nr += katr_put_varint(bytes + nr, 1);
	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++) {
		const struct live_counts *counts = &convert->counts[kind];

		nr += katr_put_varint(bytes + nr, katr_zigzag((int64_t)counts->allocs_nr));
		nr += katr_put_varint(bytes + nr, katr_zigzag((int64_t)counts->frees_nr));
		nr += katr_put_varint(bytes + nr, katr_zigzag((int64_t)counts->live_bytes));
	}
	for (unsigned i = 0; i < COUNTS_NR; i++)
		nr += katr_put_varint(bytes + nr, katr_zigzag((int64_t)convert->counters[i]));
	katr_write_sample(convert->writer, at, bytes, nr);
}

static void write_mark(struct kernel_convert *convert, struct katr_moment at, const char *name)
{
	katr_write_mark(convert->writer, at, name);
	write_counters(convert, at);
}

/* Those up to a time. */
static void write_samples(struct kernel_convert *convert, uint64_t until_ns)
{
	const struct kernel_samples *samples = convert->samples;

	while (convert->samples_done_nr < samples->samples_nr) {
		const struct kernel_sample *sample = &samples->samples[convert->samples_done_nr];
		struct katr_moment at = { .ns = sample->ns, .cpu = convert->writer->cpu };

		if (sample->ns > until_ns)
			return;
		if (sample->mark != NULL)
			write_mark(convert, at, sample->mark);
		katr_write_sample(convert->writer, at, samples->bytes + sample->begin,
				  sample->bytes_nr);
		convert->samples_done_nr++;
	}
}

/* What was written to the trace by --mark; anything else is somebody else's. */
static void take_print(struct kernel_convert *convert, const struct kernel_event *event)
{
	char text[128];

	kernel_event_text(convert->formats, event, PRINT_TEXT, text, sizeof(text));
	if (strncmp(text, KERNEL_MARK_PREFIX, strlen(KERNEL_MARK_PREFIX)) != 0)
		return;
	text[strcspn(text, "\n")] = '\0';
	write_mark(convert, kernel_convert_moment(convert, event),
		   text + strlen(KERNEL_MARK_PREFIX));
}

/* ---- loss ------------------------------------------------------------------------------------- */

static void note_loss(struct kernel_convert *convert, const struct kernel_event *event)
{
	uint64_t lost_nr = event->lost_nr;
	uint64_t value = lost_nr != KERNEL_LOST_UNKNOWN ? lost_nr : 0;
	uint32_t cpu = convert->stream->cpu;
	size_t wanted = convert->losses_room * 2 + 64;
	struct kernel_loss *losses = convert->losses;

	if (convert->losses_nr == convert->losses_room) {
		losses = realloc(losses, wanted * sizeof(losses[0]));
		if (losses == NULL) {
			kernel_convert_fail(convert, -ENOMEM);
			return;
		}
		convert->losses = losses;
		convert->losses_room = wanted;
	}
	losses[convert->losses_nr++] = (struct kernel_loss){
		.nr = lost_nr,
		.from_ns = convert->cpus[cpu].last_ns,
		.to_ns = event->ns,
		.cpu = cpu,
	};
	convert->lost_nr += value;
	convert->has_unknown_loss |= lost_nr == KERNEL_LOST_UNKNOWN;
	katr_write_kernel_event(convert->writer, kernel_convert_moment(convert, event), 5, &value,
				1);
}

/* ---- the events ------------------------------------------------------------------------------- */

static void take(struct kernel_convert *convert, const struct kernel_event *event)
{
	switch (event->op) {
	case KERNEL_TASK_NEW:
	case KERNEL_TASK_RENAME:
		take_task(convert, event);
		break;
	case KERNEL_PRINT:
		take_print(convert, event);
		break;
	default:
		if (event->op <= KERNEL_PAGE_FALLBACK)
			kernel_convert_page(convert, event);
		else
			kernel_convert_object(convert, event);
	}
}

bool kernel_convert_step(struct kernel_convert *convert)
{
	const struct kernel_event *event = kernel_stream_next(convert->stream);

	if (convert->error == 0)
		convert->error = convert->writer->error;
	if (convert->error != 0)
		return false;
	write_samples(convert, event != NULL ? event->ns : UINT64_MAX);
	if (event == NULL)
		return false;
	if (convert->begin_ns == 0)
		convert->begin_ns =
			convert->writer->has_begun ? convert->writer->base_ns : event->ns;
	if (convert->cpus[convert->stream->cpu].last_ns == 0)
		convert->cpus[convert->stream->cpu].last_ns = convert->begin_ns;
	if (event->lost_nr != 0)
		note_loss(convert, event);
	take(convert, event);
	convert->cpus[convert->stream->cpu].last_ns = event->ns;
	return true;
}
