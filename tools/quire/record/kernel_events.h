/* SPDX-License-Identifier: MIT */
/*
 * kernel_events.h - the kernel's events that are recorded, and where their fields are
 *
 * Kernels differ in the events and fields they have.  Fields are found by name in each event's format
 * file.  An event without one of its required fields counts as absent; another field that is absent
 * reads 0.
 */
#ifndef QUIRE_TOOL_KERNEL_EVENTS_H
#define QUIRE_TOOL_KERNEL_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "trace/katr.h"

#define KERNEL_FIELDS_MAX 10

enum kernel_event_op {
	KERNEL_PAGE_ALLOC,
	KERNEL_PAGE_FREE,
	KERNEL_PAGE_FREE_BATCHED,
	KERNEL_PAGE_TAKEN,
	KERNEL_PAGE_GIVEN,
	KERNEL_PAGE_FALLBACK,
	KERNEL_PERCPU_ALLOC,
	KERNEL_PERCPU_FREE,
	KERNEL_PERCPU_FAIL,
	KERNEL_PERCPU_CREATE,
	KERNEL_PERCPU_DESTROY,
	KERNEL_VMAP_ALLOC,
	KERNEL_VMAP_FREE,
	KERNEL_VMAP_PURGE,
	KERNEL_KMALLOC,
	KERNEL_KFREE,
	KERNEL_CACHE_ALLOC,
	KERNEL_CACHE_FREE,
	KERNEL_TASK_NEW,
	KERNEL_TASK_RENAME,
	KERNEL_PRINT,
	KERNEL_STACK, /* of the area that the same CPU took just before */
	KERNEL_EVENTS_NR,
};

/* Indices of the fields. */
enum {
	PAGE_PFN,
	PAGE_ORDER,
	PAGE_GFP,
	PAGE_MIGRATETYPE
};
enum {
	TAKEN_PFN,
	TAKEN_REFILL
};
enum {
	FALLBACK_ORDER,
	FALLBACK_FROM_ORDER,
	FALLBACK_TYPE,
	FALLBACK_FROM_TYPE,
	FALLBACK_OWNS
};
enum {
	PERCPU_PTR,
	PERCPU_SIZE,
	PERCPU_ALIGN,
	PERCPU_BASE,
	PERCPU_OFF,
	PERCPU_RESERVED,
	PERCPU_ATOMIC,
	PERCPU_BYTES,
	PERCPU_GFP,
	PERCPU_SITE,
};
enum {
	FAILED_SIZE,
	FAILED_ALIGN,
	FAILED_RESERVED,
	FAILED_ATOMIC
};
enum {
	CHUNK_BASE
};
enum {
	VMAP_ADDR,
	VMAP_SIZE,
	VMAP_ALIGN,
	VMAP_START,
	VMAP_END,
	VMAP_FAILED
};
enum {
	PURGE_START,
	PURGE_END,
	PURGE_NR
};
enum {
	SLAB_PTR,
	SLAB_BYTES,
	SLAB_ROOM,
	SLAB_GFP,
	SLAB_SITE,
	SLAB_NODE,
	SLAB_CACHE,
	SLAB_ACCOUNTED
};
enum {
	TASK_PID,
	TASK_NAME
};
enum {
	PRINT_TEXT
};
enum {
	STACK_CALLERS
};

struct kernel_event_known {
	const char *system, *name;
	unsigned kinds; /* recorded with one of these; 0: always */
	unsigned required_nr;
	const char *fields[KERNEL_FIELDS_MAX + 1]; /* the required ones first */
};

extern const struct kernel_event_known kernel_events[KERNEL_EVENTS_NR];

/* Where a field is; bytes_nr 0: it runs to the end of the event. */
struct kernel_field {
	uint16_t offset;
	uint16_t bytes_nr;
	bool is_present;
	bool is_signed;
	bool is_text;	 /* an array in place */
	bool is_dynamic; /* offset and length of a text are in place */
};

struct kernel_format {
	bool is_present;
	uint16_t id;
	struct kernel_field fields[KERNEL_FIELDS_MAX];
};

struct kernel_formats {
	struct kernel_format events[KERNEL_EVENTS_NR];
	struct kernel_field type, flags, pid; /* common to all */
	int8_t op_of_id[UINT16_MAX + 1];      /* -1: another's */
	size_t page_bytes;		      /* of the ring buffer, read at a time */
};

struct kernel_event {
	uint64_t ns;
	uint64_t values[KERNEL_FIELDS_MAX]; /* offsets, of texts */
	uint64_t lost_nr; /* events of its CPU just before it; KERNEL_LOST_UNKNOWN */
	const uint8_t *bytes;
	const uint8_t *callers; /* VMAP_ALLOC: addresses, the innermost first; not aligned */
	uint32_t callers_nr;
	uint32_t bytes_nr;
	int32_t pid;
	enum kernel_event_op op;
	uint8_t context; /* as in the format: 0 task, 1 softirq, 2 hard interrupt, 3 NMI */
	bool is_batched; /* PAGE_FREE: of a folio batch */
};

#define KERNEL_LOST_UNKNOWN UINT64_MAX

/*
 * Reads the formats of the events of @kinds from a tracing directory.  Absent events are said on
 * stderr, one line each.  0, or -1 after saying what is wrong.
 */
int kernel_formats_read(struct kernel_formats *formats, const char *directory, unsigned kinds);
/* False: the bytes are of an event that is not ours, or too short for it. */
bool kernel_event_decode(const struct kernel_formats *formats, const uint8_t *bytes,
			 uint32_t bytes_nr, struct kernel_event *event);
/* The text of a field, at most @text_bytes - 1 long; empty if the event has none. */
void kernel_event_text(const struct kernel_formats *formats, const struct kernel_event *event,
		       unsigned field, char *text, size_t text_bytes);

#endif
