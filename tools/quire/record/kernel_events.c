/* SPDX-License-Identifier: MIT */
#include "record/kernel_events.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include <traceevent/event-parse.h>

#define PAGES	(1u << KATR_PAGE)
#define PERCPU	(1u << KATR_PERCPU)
#define AREAS	(1u << KATR_VMAP)
#define OBJECTS (1u << KATR_SLAB)

const struct kernel_event_known kernel_events[KERNEL_EVENTS_NR] = {
	[KERNEL_PAGE_ALLOC] = { "kmem",
				"mm_page_alloc",
				PAGES,
				2,
				{ "pfn", "order", "gfp_flags", "migratetype" } },
	[KERNEL_PAGE_FREE] = { "kmem", "mm_page_free", PAGES, 2, { "pfn", "order" } },
	[KERNEL_PAGE_FREE_BATCHED] = { "kmem", "mm_page_free_batched", PAGES, 1, { "pfn" } },
	[KERNEL_PAGE_TAKEN] = { "kmem",
				"mm_page_alloc_zone_locked",
				PAGES,
				1,
				{ "pfn", "percpu_refill" } },
	[KERNEL_PAGE_GIVEN] = { "kmem", "mm_page_pcpu_drain", PAGES, 1, { "pfn" } },
	[KERNEL_PAGE_FALLBACK] = { "kmem",
				   "mm_page_alloc_extfrag",
				   PAGES,
				   5,
				   { "alloc_order", "fallback_order", "alloc_migratetype",
				     "fallback_migratetype", "change_ownership" } },
	[KERNEL_PERCPU_ALLOC] = { "percpu",
				  "percpu_alloc_percpu",
				  PERCPU,
				  5,
				  { "ptr", "size", "align", "base_addr", "off", "reserved",
				    "is_atomic", "bytes_alloc", "gfp_flags", "call_site" } },
	[KERNEL_PERCPU_FREE] = { "percpu", "percpu_free_percpu", PERCPU, 1, { "ptr" } },
	[KERNEL_PERCPU_FAIL] = { "percpu",
				 "percpu_alloc_percpu_fail",
				 PERCPU,
				 2,
				 { "size", "align", "reserved", "is_atomic" } },
	[KERNEL_PERCPU_CREATE] = { "percpu", "percpu_create_chunk", PERCPU, 1, { "base_addr" } },
	[KERNEL_PERCPU_DESTROY] = { "percpu", "percpu_destroy_chunk", PERCPU, 1, { "base_addr" } },
	[KERNEL_VMAP_ALLOC] = { "vmalloc",
				"alloc_vmap_area",
				AREAS,
				6,
				{ "addr", "size", "align", "vstart", "vend", "failed" } },
	[KERNEL_VMAP_FREE] = { "vmalloc", "free_vmap_area_noflush", AREAS, 1, { "va_start" } },
	[KERNEL_VMAP_PURGE] = { "vmalloc",
				"purge_vmap_area_lazy",
				AREAS,
				3,
				{ "start", "end", "npurged" } },
	[KERNEL_KMALLOC] = { "kmem",
			     "kmalloc",
			     OBJECTS,
			     3,
			     { "ptr", "bytes_req", "bytes_alloc", "gfp_flags", "call_site",
			       "node" } },
	[KERNEL_KFREE] = { "kmem", "kfree", OBJECTS, 1, { "ptr" } },
	[KERNEL_CACHE_ALLOC] = { "kmem",
				 "kmem_cache_alloc",
				 OBJECTS,
				 3,
				 { "ptr", "bytes_req", "bytes_alloc", "gfp_flags", "call_site",
				   "node", "name", "accounted" } },
	[KERNEL_CACHE_FREE] = { "kmem", "kmem_cache_free", OBJECTS, 1, { "ptr" } },
	[KERNEL_TASK_NEW] = { "task", "task_newtask", 0, 2, { "pid", "comm" } },
	[KERNEL_TASK_RENAME] = { "task", "task_rename", 0, 2, { "pid", "newcomm" } },
	[KERNEL_PRINT] = { "ftrace", "print", 0, 1, { "buf" } },
	[KERNEL_STACK] = { "ftrace", "kernel_stack", AREAS, 1, { "caller" } },
};

/* ---- formats ---------------------------------------------------------------------------------- */

/* A file of the tracing directory, whose size the system does not tell; NULL with errno. */
static char *read_file(const char *directory, const char *name, size_t *bytes_nr)
{
	char path[PATH_MAX];
	char *text = NULL;
	size_t room = 0;
	ssize_t nr;
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/events/%s", directory, name) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	file = fopen(path, "r");
	if (file == NULL)
		return NULL;
	nr = getdelim(&text, &room, '\0', file);
	fclose(file);
	if (nr < 0) {
		free(text);
		return NULL;
	}
	*bytes_nr = (size_t)nr;
	return text;
}

static struct kernel_field field_of(const struct tep_format_field *field)
{
	if (field == NULL)
		return (struct kernel_field){ .is_present = false };
	return (struct kernel_field){
		.offset = (uint16_t)field->offset,
		.bytes_nr = (uint16_t)field->size,
		.is_present = true,
		.is_signed = (field->flags & TEP_FIELD_IS_SIGNED) != 0,
		.is_text = (field->flags & TEP_FIELD_IS_ARRAY) != 0,
		.is_dynamic = (field->flags & TEP_FIELD_IS_DYNAMIC) != 0,
	};
}

/* Absent: what is missing, or NULL if nothing is. */
static const char *take_format(struct kernel_formats *formats, struct tep_event *event, int op)
{
	const struct kernel_event_known *known = &kernel_events[op];
	struct kernel_format *format = &formats->events[op];

	for (unsigned i = 0; known->fields[i] != NULL; i++) {
		format->fields[i] = field_of(tep_find_field(event, known->fields[i]));
		if (!format->fields[i].is_present && i < known->required_nr)
			return known->fields[i];
	}
	format->is_present = true;
	format->id = (uint16_t)event->id;
	formats->op_of_id[format->id] = (int8_t)op;
	formats->type = field_of(tep_find_common_field(event, "common_type"));
	formats->flags = field_of(tep_find_common_field(event, "common_flags"));
	formats->pid = field_of(tep_find_common_field(event, "common_pid"));
	return NULL;
}

static void read_format(struct kernel_formats *formats, struct tep_handle *tep,
			const char *directory, int op)
{
	const struct kernel_event_known *known = &kernel_events[op];
	struct tep_event *event = NULL;
	const char *missing = NULL;
	size_t bytes_nr = 0;
	char name[128];
	char *text;

	snprintf(name, sizeof(name), "%s/%s/format", known->system, known->name);
	text = read_file(directory, name, &bytes_nr);
	if (text != NULL && tep_parse_event(tep, text, bytes_nr, known->system) == 0)
		event = tep_find_event_by_name(tep, known->system, known->name);
	if (event != NULL)
		missing = take_format(formats, event, op);
	if (text == NULL)
		fprintf(stderr, "quire record: absent: %s:%s\n", known->system, known->name);
	else if (event == NULL)
		fprintf(stderr, "quire record: absent: %s:%s: its format cannot be read\n",
			known->system, known->name);
	else if (missing != NULL)
		fprintf(stderr, "quire record: absent: %s:%s: it has no field '%s'\n",
			known->system, known->name, missing);
	free(text);
}

static int read_page_header(struct kernel_formats *formats, struct tep_handle *tep,
			    const char *directory)
{
	size_t bytes_nr = 0;
	char *text = read_file(directory, "header_page", &bytes_nr);
	int error = errno;
	int page_bytes = -1;

	if (text != NULL && tep_parse_header_page(tep, text, bytes_nr, sizeof(long)) == 0)
		page_bytes = tep_get_sub_buffer_size(tep);
	if (page_bytes <= 0)
		fprintf(stderr, "quire record: %s/events/header_page: %s\n", directory,
			text == NULL ? strerror(error) : "cannot be read as a format");
	else
		formats->page_bytes = (size_t)page_bytes;
	free(text);
	return page_bytes > 0 ? 0 : -1;
}

static bool has_common_fields(const struct kernel_formats *formats)
{
	return formats->type.bytes_nr == 2 && formats->flags.bytes_nr == 1 &&
	       formats->pid.bytes_nr == 4;
}

int kernel_formats_read(struct kernel_formats *formats, const char *directory, unsigned kinds)
{
	struct tep_handle *tep = tep_alloc();
	unsigned present = 0;
	int result = -1;

	*formats = (struct kernel_formats){ .page_bytes = 0 };
	memset(formats->op_of_id, -1, sizeof(formats->op_of_id));
	if (tep == NULL) {
		fprintf(stderr, "quire record: %s\n", strerror(ENOMEM));
		return -1;
	}
	tep_set_loglevel(TEP_LOG_NONE);
	if (read_page_header(formats, tep, directory) == 0) {
		for (int op = 0; op < KERNEL_EVENTS_NR; op++) {
			if (kernel_events[op].kinds != 0 && (kernel_events[op].kinds & kinds) == 0)
				continue;
			read_format(formats, tep, directory, op);
			if (kernel_events[op].kinds != 0 && op != KERNEL_STACK)
				present += formats->events[op].is_present;
		}
		result = present > 0 && has_common_fields(formats) ? 0 : -1;
		if (result != 0)
			fprintf(stderr, "quire record: %s has none of the events\n", directory);
	}
	tep_free(tep);
	return result;
}

/* ---- events ----------------------------------------------------------------------------------- */

static uint64_t read_number(const uint8_t *at, unsigned bytes_nr, bool is_signed)
{
	uint64_t wide;
	uint32_t word;
	uint16_t half;

	switch (bytes_nr) {
	case 8:
		memcpy(&wide, at, 8);
		return wide;
	case 4:
		memcpy(&word, at, 4);
		return is_signed ? (uint64_t)(int64_t)(int32_t)word : word;
	case 2:
		memcpy(&half, at, 2);
		return is_signed ? (uint64_t)(int64_t)(int16_t)half : half;
	default:
		return is_signed ? (uint64_t)(int64_t)(int8_t)*at : *at;
	}
}

/* FORMAT.md's contexts, from the bits of common_flags (traces/EVENTS.md). */
static uint8_t context_of(unsigned flags)
{
	return (flags & 0x40) != 0 ? 3 : (flags & 0x08) != 0 ? 2 : (flags & 0x10) != 0 ? 1 : 0;
}

bool kernel_event_decode(const struct kernel_formats *formats, const uint8_t *bytes,
			 uint32_t bytes_nr, struct kernel_event *event)
{
	const struct kernel_format *format;
	int op;

	if (bytes_nr < (uint32_t)formats->pid.offset + 4)
		return false;
	op = formats->op_of_id[read_number(bytes + formats->type.offset, 2, false)];
	if (op < 0)
		return false;
	format = &formats->events[op];
	event->op = (enum kernel_event_op)op;
	event->bytes = bytes;
	event->bytes_nr = bytes_nr;
	event->pid = (int32_t)read_number(bytes + formats->pid.offset, 4, true);
	event->context = context_of(bytes[formats->flags.offset]);
	event->is_batched = false;
	event->callers_nr = 0;
	for (unsigned i = 0; kernel_events[op].fields[i] != NULL; i++) {
		const struct kernel_field *field = &format->fields[i];

		bool is_in_place = field->is_text && !field->is_dynamic;

		event->values[i] = is_in_place ? field->offset : 0;
		/* An array may be shorter than the format says. */
		if (!field->is_present || is_in_place)
			continue;
		if ((uint32_t)field->offset + field->bytes_nr > bytes_nr)
			return false;
		event->values[i] =
			read_number(bytes + field->offset, field->bytes_nr, field->is_signed);
	}
	return true;
}

void kernel_event_text(const struct kernel_formats *formats, const struct kernel_event *event,
		       unsigned field, char *text, size_t text_bytes)
{
	const struct kernel_field *place = &formats->events[event->op].fields[field];
	uint64_t offset = event->values[field];
	size_t nr;

	text[0] = '\0';
	if (!place->is_present)
		return;
	nr = place->bytes_nr;
	if (place->is_dynamic) {
		nr = offset >> 16 & 0xffff;
		offset &= 0xffff;
	}
	if (offset >= event->bytes_nr)
		return;
	if (nr == 0 || nr > event->bytes_nr - offset)
		nr = event->bytes_nr - offset;
	if (nr > text_bytes - 1)
		nr = text_bytes - 1;
	memcpy(text, event->bytes + offset, nr);
	text[nr] = '\0';
}
