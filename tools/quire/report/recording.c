/* SPDX-License-Identifier: MIT */
/*
 * recording.c - the figures of a recording: one pass over its records
 *
 * What is kept grows with the ids and not with the records, and all but the stretches of the maps has a fixed size.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report/recording.h"

/* An id while it lives. */
struct life {
	uint64_t place; /* LIFE_UNPLACED: not known */
	uint64_t tick;
};
#define LIFE_UNPLACED UINT64_MAX

/* Chunks of per-CPU memory lie this far apart in their map: more than the unit of any kernel. */
#define CHUNK_PLACES ((uint64_t)1 << 32)

static bool has_lives(struct reading *reading)
{
	uint32_t wanted = reading->reader.ids_nr;
	size_t room = (size_t)wanted * 2 + 1024;
	struct life *grown;

	if (wanted <= reading->lives_room)
		return true;
	grown = realloc(reading->lives, room * sizeof(grown[0]));
	if (grown == NULL) {
		reading->out_of_memory = true;
		return false;
	}
	reading->lives = grown;
	reading->lives_room = room;
	return true;
}

static uint64_t length_of(const struct reading *reading, const struct katr_class *class,
			  unsigned order)
{
	if (class->kind == KATR_PAGE)
		return (uint64_t)1 << order;
	if (class->kind == KATR_VMAP)
		return ((class->size_bytes - 1) >> reading->reader.params.page_shift) + 1;
	return class->size_bytes;
}

static uint64_t bytes_of(const struct reading *reading, const struct katr_class *class,
			 unsigned order)
{
	if (class->kind == KATR_PAGE)
		return (uint64_t)1 << (reading->reader.params.page_shift + order);
	return class->size_bytes;
}

/* Per-CPU memory is there once for each CPU. */
static uint64_t copies_of(const struct reading *reading, unsigned kind)
{
	return kind == KATR_PERCPU ? reading->reader.params.cpus_nr : 1;
}

static void put_live(struct reading *reading, unsigned kind)
{
	struct module *module = &reading->source->modules[reading->module_of_kind[kind]];
	uint64_t bytes = reading->reader.totals.live_bytes[kind] * copies_of(reading, kind);

	curve_put(module->curves[CURVE_ASKED], reading->seconds, (double)bytes);
	module->live_bytes = bytes;
	if (module->curves[CURVE_LINUX] != NULL && kind == KATR_PAGE)
		curve_put(module->curves[CURVE_LINUX], reading->seconds,
			  (double)(reading->reader.pages.summary.blocks_pinned << PAGEBLOCK_SHIFT));
}

/* ---- holders ---------------------------------------------------------------------------------- */

static void name_holder(const struct katr_class *class, char *name, size_t bytes)
{
	static const char *const types[KATR_MIGRATETYPES_NR] = { "unmovable", "movable",
								 "reclaimable", "high-order atomic",
								 "isolated" };

	char instance[32] = "";

	if (class->instance > 1) /* most programs have one */
		snprintf(instance, sizeof(instance), ", instance %u", class->instance);
	if (class->kind == KATR_PAGE)
		snprintf(name, bytes, "order %u, %s%s", class->order, types[class->migratetype],
			 instance);
	else
		snprintf(name, bytes, "%s%s",
			 class->site[0] != '\0' && strcmp(class->site, "?") != 0 ? class->site
										 : "not recorded",
			 instance);
}

/* The holder of a class; the last one stands for all that have no room. */
static uint32_t find_holder(struct reading *reading, const struct katr_class *class)
{
	struct source *source = reading->source;
	unsigned module = reading->module_of_kind[class->kind];
	struct holder *holder;
	char name[sizeof(holder->name)];

	name_holder(class, name, sizeof(name));
	for (unsigned i = 0; i < source->holders_nr; i++)
		if (source->holders[i].module == module &&
		    strcmp(source->holders[i].name, name) == 0)
			return i;
	if (source->holders_nr == HOLDERS_MAX)
		return HOLDERS_MAX - 1;
	holder = &source->holders[source->holders_nr];
	holder->module = module;
	snprintf(holder->name, sizeof(holder->name), "%s",
		 source->holders_nr + 1 < HOLDERS_MAX ? name : "all others");
	return source->holders_nr++;
}

static void make_holders(struct reading *reading)
{
	const struct katr_reader *reader = &reading->reader;

	reading->source->holders = calloc(HOLDERS_MAX, sizeof(struct holder));
	reading->holder_of_class = calloc((size_t)reader->classes_nr + 1, sizeof(uint32_t));
	if (reading->source->holders == NULL || reading->holder_of_class == NULL) {
		reading->out_of_memory = true;
		return;
	}
	for (uint32_t i = 0; i < reader->classes_nr; i++)
		if ((reader->params.kinds >> reader->classes[i].kind & 1) != 0)
			reading->holder_of_class[i] = find_holder(reading, &reader->classes[i]);
}

/* ---- records ---------------------------------------------------------------------------------- */

static uint64_t place_of(const struct katr_record *record, unsigned kind)
{
	if (record->place == KATR_PLACE_NONE)
		return LIFE_UNPLACED;
	return kind == KATR_PERCPU ? record->place * CHUNK_PLACES + record->place_offset
				   : record->place;
}

static void read_alloc(struct reading *reading, const struct katr_record *record)
{
	const struct katr_class *class = &reading->reader.classes[record->class_index];
	struct module *module = &reading->source->modules[reading->module_of_kind[class->kind]];
	struct holder *holder =
		&reading->source->holders[reading->holder_of_class[record->class_index]];
	uint64_t bytes = bytes_of(reading, class, record->order);

	if (!has_lives(reading))
		return;
	reading->lives[record->id] = (struct life){
		.place = place_of(record, class->kind),
		.tick = record->tick,
	};
	module->allocs_nr++;
	module->live_nr++;
	spread_add(&module->sizes, bytes);
	holder->allocs_nr++;
	holder->live_bytes += bytes * copies_of(reading, class->kind);
	if (holder->live_bytes > holder->peak_bytes)
		holder->peak_bytes = holder->live_bytes;
	put_live(reading, class->kind);
}

static void end_life(struct reading *reading, const struct katr_class *class, uint32_t id,
		     unsigned order, double seconds)
{
	struct module *module = &reading->source->modules[reading->module_of_kind[class->kind]];
	const struct life *life = &reading->lives[id];
	double begin = (double)life->tick * reading->tick_seconds;
	double all = reading->source->seconds;

	if (life->place == LIFE_UNPLACED)
		return;
	map_add(&module->linux_map, (struct map_stretch){
					    .place = life->place,
					    .length = length_of(reading, class, order),
					    .begin = (uint16_t)time_part(begin, all, MAP_COLUMNS),
					    .end = (uint16_t)time_part(seconds, all, MAP_COLUMNS),
				    });
}

static void read_free(struct reading *reading, const struct katr_record *record)
{
	const struct katr_class *class = &reading->reader.classes[record->class_index];
	struct module *module = &reading->source->modules[reading->module_of_kind[class->kind]];
	struct holder *holder =
		&reading->source->holders[reading->holder_of_class[record->class_index]];
	uint64_t ticks = record->tick - reading->lives[record->id].tick;

	/* Times are rounded down to ticks: it lived for less than one more.  An inferred free was some time before. */
	if (!record->flag)
		spread_add(&module->lifetimes, (ticks + 1) * reading->reader.params.tick_ns);
	end_life(reading, class, record->id, record->order, reading->seconds);
	module->frees_nr++;
	module->live_nr--;
	holder->live_bytes -=
		bytes_of(reading, class, record->order) * copies_of(reading, class->kind);
	put_live(reading, class->kind);
}

/* The pieces live on, since the whole block's allocation. */
static void read_split(struct reading *reading, const struct katr_record *record)
{
	unsigned kind = reading->reader.classes[record->class_index].kind;
	uint32_t pieces_nr = 1u << (record->order - record->new_order);
	struct life whole;

	if (!has_lives(reading))
		return;
	whole = reading->lives[record->id];
	for (uint32_t i = 0; i < pieces_nr; i++) {
		struct life *piece = &reading->lives[record->first_id + i];

		*piece = whole;
		if (whole.place != LIFE_UNPLACED)
			piece->place += (uint64_t)i << record->new_order;
	}
	reading->source->modules[reading->module_of_kind[kind]].live_nr += pieces_nr - 1;
}

static void read_mark(struct reading *reading, const struct katr_record *record)
{
	struct source *source = reading->source;
	struct mark *mark = &source->marks[source->marks_nr];

	if (source->marks_nr == MARKS_MAX) {
		source->marks_left_out++;
		return;
	}
	source->marks_nr++;
	snprintf(mark->name, sizeof(mark->name), "%s", record->name);
	mark->seconds = reading->seconds;
	for (unsigned i = 0; i < source->modules_nr; i++)
		mark->bytes[i] = source->modules[i].live_bytes;
}

static void read_event(struct reading *reading, const struct katr_record *record)
{
	struct source *source = reading->source;

	if (record->event_kind != KATR_EVENT_LOST)
		return;
	if (source->losses_nr == LOSSES_MAX) {
		source->losses_left_out++;
		return;
	}
	source->losses[source->losses_nr++] = (struct loss){
		.cpu = record->cpu,
		.begin = reading->cpu_seconds[record->cpu],
		.end = reading->seconds,
		.nr = record->event_value,
	};
}

static void read_record(struct reading *reading, const struct katr_record *record)
{
	reading->seconds = (double)record->tick * reading->tick_seconds;
	switch (record->op) {
	case KATR_ALLOC:
		read_alloc(reading, record);
		break;
	case KATR_FREE:
	case KATR_FREE_BATCHED:
		read_free(reading, record);
		break;
	case KATR_SPLIT:
		read_split(reading, record);
		break;
	case KATR_FAIL:
		reading->source
			->modules[reading->module_of_kind
					  [reading->reader.classes[record->class_index].kind]]
			.fails_nr++;
		break;
	case KATR_MARK:
		read_mark(reading, record);
		break;
	case KATR_SAMPLE:
		recording_add_sample(reading, record);
		break;
	case KATR_KEVENT:
		read_event(reading, record);
		break;
	default:
		break;
	}
	reading->cpu_seconds[record->cpu] = reading->seconds;
}

/* ---- the ends --------------------------------------------------------------------------------- */

/* What a kind is called; the slab objects of a program are its malloc's blocks. */
static const char *name_of_kind(const struct katr_reader *reader, unsigned kind)
{
	char workload[16];

	katr_info(reader, "workload", workload, sizeof(workload));
	return kind == KATR_SLAB && strcmp(workload, "program") == 0
		       ? "malloc"
		       : katr_kind_name((enum katr_kind)kind);
}

/* A module for each kind; that of pages has the kernel's line only if the recording says where they were. */
static void make_modules(struct reading *reading)
{
	static const char *const words[KATR_KINDS_NR] = {
		[KATR_PAGE] = "Linux: 2 MiB blocks that hold some of it",
		[KATR_PERCPU] = "Linux: populated, with what was there before",
		[KATR_VMAP] = "Linux: pages of areas, since the beginning",
		[KATR_SLAB] = "Linux: slabs, since the beginning",
	};
	const struct katr_params *params = &reading->reader.params;
	struct source *source = reading->source;

	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++) {
		struct module *module = &source->modules[source->modules_nr];

		if ((params->kinds >> kind & 1) == 0)
			continue;
		reading->module_of_kind[kind] = source->modules_nr++;
		module->kind = kind;
		snprintf(module->name, sizeof(module->name), "%s",
			 name_of_kind(&reading->reader, kind));
		snprintf(module->linux_is, sizeof(module->linux_is), "%s", words[kind]);
		if (source_curve(source, module, CURVE_ASKED) == NULL)
			reading->out_of_memory = true;
		if ((kind != KATR_PAGE || (params->place >> kind & 1) != 0) &&
		    source_curve(source, module, CURVE_LINUX) == NULL)
			reading->out_of_memory = true;
	}
}

/* As the recording says, else as its file is called. */
static void name_source(struct source *source, const struct katr_reader *reader)
{
	const char *slash = strrchr(source->path, '/');

	katr_info(reader, "name", source->name, sizeof(source->name));
	if (source->name[0] == '\0')
		snprintf(source->name, sizeof(source->name), "%s",
			 slash != NULL ? slash + 1 : source->path);
}

static void tell_how_made(struct reading *reading)
{
	static const char *const keys[] = { "workload", "command",  "kernel", "arch",
					    "recorded", "recorder", "events" };
	const struct katr_reader *reader = &reading->reader;
	struct source *source = reading->source;
	char value[sizeof(source->made[0].value)];

	name_source(source, reader);
	source_made(source, "file", "%s", source->path);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		katr_info(reader, keys[i], value, sizeof(value));
		source_made(source, keys[i], "%s", value);
	}
	source_made(source, "format", "KATRACE 1.%u", reader->minor);
	source_made(source, "machine", "%" PRIu64 " CPUs", reader->params.cpus_nr);
	katr_info(reader, "memtotal_kB", value, sizeof(value));
	if (value[0] != '\0')
		source_made(source, "memory", "%.1f GiB",
			    (double)strtoull(value, NULL, 10) / (1 << 20));
	katr_info(reader, "lost", value, sizeof(value));
	source->lost_nr = strtoull(value, NULL, 10);
	source_made(source, "lost",
		    source->lost_nr != 0 ? "%s events: figures are too small"
					 : "%s events: nothing is missing",
		    value[0] != '\0' ? value : "an unknown number of");
}

static void begin(struct reading *reading)
{
	const struct katr_params *params = &reading->reader.params;

	reading->tick_seconds = (double)params->tick_ns / 1e9;
	reading->source->seconds = (double)params->ticks * reading->tick_seconds;
	reading->source->page_bytes = (uint64_t)1 << params->page_shift;
	tell_how_made(reading);
	reading->cpu_seconds = calloc(params->cpus_nr, sizeof(reading->cpu_seconds[0]));
	if (reading->cpu_seconds == NULL)
		reading->out_of_memory = true;
	make_modules(reading);
	make_holders(reading);
}

/* What still lives reaches to the end. */
static void end_lives(struct reading *reading)
{
	for (uint32_t id = 0; id < reading->reader.ids_nr; id++) {
		const struct katr_object *object = &reading->reader.objects[id];

		if (object->live)
			end_life(reading, &reading->reader.classes[object->class_index], id,
				 object->order, reading->source->seconds);
	}
}

static void end_maps(struct reading *reading)
{
	uint64_t page_shift = reading->reader.params.page_shift;
	uint64_t block = (uint64_t)1 << (PAGEBLOCK_SHIFT - page_shift);

	for (unsigned kind = 0; kind < KATR_KINDS_NR; kind++) {
		struct map *map =
			&reading->source->modules[reading->module_of_kind[kind]].linux_map;

		if ((reading->reader.params.kinds >> kind & 1) == 0 || map->nr == 0)
			continue;
		if (kind == KATR_PAGE)
			map_end(map, block, block);
		else if (kind == KATR_PERCPU)
			map_end(map, CHUNK_PLACES, reading->unit_bytes);
		else
			map_end(map, AREA_GRANULE_PAGES, AREA_GRANULE_PAGES);
	}
}

static void end(struct reading *reading)
{
	end_lives(reading);
	end_maps(reading);
	source_end_curves(reading->source);
}

int source_read_recording(struct source *source, char *error, size_t error_bytes)
{
	struct reading reading = { .source = source, .unit_bytes = 1 << 16 };
	struct katr_record record;
	int result = 0;

	source->is_recording = true;
	if (katr_open(&reading.reader, source->path) == 0) {
		begin(&reading);
		while (!reading.out_of_memory && katr_next(&reading.reader, &record) == 1)
			read_record(&reading, &record);
	}
	if (reading.reader.error.failed) {
		katr_describe_error(&reading.reader, source->path, error, error_bytes);
		result = reading.reader.error.no_memory ? -ENOMEM : -1;
	} else if (reading.out_of_memory) {
		snprintf(error, error_bytes, "%s: %s", source->path, strerror(ENOMEM));
		result = -ENOMEM;
	} else {
		end(&reading);
	}
	katr_close(&reading.reader);
	free(reading.lives);
	free(reading.holder_of_class);
	free(reading.cpu_seconds);
	return result;
}
