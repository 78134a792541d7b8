/* SPDX-License-Identifier: MIT */
#include "record/kernel_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <traceevent/kbuffer.h>

/*
 * A folio batch has at most 31 pages, each freed by one event; then comes a second one for each.  The
 * rest is room for interrupts in between.
 */
#define AHEAD_NR 256u

struct kernel_lane {
	struct kbuffer *buffer;
	const uint8_t *bytes;  /* the spool, mapped */
	size_t bytes_nr, next; /* of the page to be loaded next */
	const uint8_t *raw;    /* the next event; NULL: a page has to be loaded */
	unsigned long long raw_ns;
	uint64_t last_ns;
	uint64_t lost_nr;    /* before the event that is decoded next */
	uint64_t area_at;    /* position + 1 of the last area that was taken; 0 */
	uint64_t head, tail; /* given out, decoded: positions in the ring below */
	struct kernel_event ahead[AHEAD_NR];
	uint64_t freed_at[AHEAD_NR]; /* by page frame: position + 1 of its last free */
};

static void close_lane(struct kernel_lane *lane)
{
	if (lane->bytes != NULL)
		munmap((void *)lane->bytes, lane->bytes_nr);
	if (lane->buffer != NULL)
		kbuffer_free(lane->buffer);
}

static int open_lane(struct kernel_lane *lane, int spool)
{
	struct stat stat;
	void *bytes;

	lane->buffer = kbuffer_alloc(KBUFFER_LSIZE_SAME_AS_HOST, KBUFFER_ENDIAN_SAME_AS_HOST);
	if (lane->buffer == NULL)
		return -ENOMEM;
	if (fstat(spool, &stat) != 0)
		return -errno;
	if (stat.st_size == 0)
		return 0;
	bytes = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, spool, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	lane->bytes = bytes;
	lane->bytes_nr = (size_t)stat.st_size;
	return 0;
}

/* The next page with an event in it; false at the end of the spool. */
static bool load_page(struct kernel_stream *stream, struct kernel_lane *lane)
{
	while (lane->raw == NULL && lane->next + stream->formats->page_bytes <= lane->bytes_nr) {
		int missed;

		/* The library only reads it. */
		if (kbuffer_load_subbuffer(lane->buffer, (void *)(lane->bytes + lane->next)) == 0)
			lane->raw = kbuffer_read_event(lane->buffer, &lane->raw_ns);
		missed = kbuffer_missed_events(lane->buffer);
		if (missed < 0)
			lane->lost_nr = KERNEL_LOST_UNKNOWN;
		else if (lane->lost_nr != KERNEL_LOST_UNKNOWN)
			lane->lost_nr += (uint64_t)missed;
		lane->next += stream->formats->page_bytes;
		stream->bytes_done_nr += stream->formats->page_bytes;
	}
	return lane->raw != NULL;
}

static bool is_free_of(const struct kernel_event *event, uint64_t pfn)
{
	return event->op == KERNEL_PAGE_FREE && event->values[PAGE_PFN] == pfn;
}

/* Finds the free that a batched event belongs to, and marks it. */
static void match_batched(struct kernel_stream *stream, struct kernel_lane *lane, uint64_t pfn)
{
	uint64_t position = lane->freed_at[pfn % AHEAD_NR];

	/* Two pages of a batch may share an entry: then the ring is searched. */
	if (position <= lane->head || !is_free_of(&lane->ahead[(position - 1) % AHEAD_NR], pfn)) {
		position = lane->tail;
		while (position > lane->head &&
		       !is_free_of(&lane->ahead[(position - 1) % AHEAD_NR], pfn))
			position--;
	}
	if (position > lane->head)
		lane->ahead[(position - 1) % AHEAD_NR].is_batched = true;
	else
		stream->batched_unmatched_nr++;
}

/* Gives the stack to the area that it belongs to: the CPU's last one, of the same task. */
static void attach_stack(struct kernel_lane *lane, const struct kernel_event *stack)
{
	struct kernel_event *area = &lane->ahead[(lane->area_at - 1) % AHEAD_NR];
	uint64_t offset = stack->values[STACK_CALLERS];

	if (lane->area_at <= lane->head || area->pid != stack->pid || offset > stack->bytes_nr)
		return;
	area->callers = stack->bytes + offset;
	area->callers_nr = (uint32_t)((stack->bytes_nr - offset) / sizeof(unsigned long));
	lane->area_at = 0;
}

/* The event at @event is at the tail: keeps it, unless it only says something of an earlier one. */
static void take_event(struct kernel_stream *stream, struct kernel_lane *lane,
		       struct kernel_event *event)
{
	stream->raw[event->op]++;
	if (event->op == KERNEL_PAGE_FREE_BATCHED) {
		match_batched(stream, lane, event->values[PAGE_PFN]);
		return;
	}
	if (event->op == KERNEL_STACK) {
		attach_stack(lane, event);
		return;
	}
	/* Within a CPU the order of the buffer counts. */
	event->ns = lane->raw_ns > lane->last_ns ? lane->raw_ns : lane->last_ns;
	lane->last_ns = event->ns;
	event->lost_nr = lane->lost_nr;
	lane->lost_nr = 0;
	if (event->op == KERNEL_PAGE_FREE)
		lane->freed_at[event->values[PAGE_PFN] % AHEAD_NR] = lane->tail + 1;
	if (event->op == KERNEL_VMAP_ALLOC)
		lane->area_at = lane->tail + 1;
	lane->tail++;
}

/* Decodes as far ahead as there is room. */
static void fill(struct kernel_stream *stream, struct kernel_lane *lane)
{
	while (lane->tail - lane->head < AHEAD_NR && load_page(stream, lane)) {
		struct kernel_event *event = &lane->ahead[lane->tail % AHEAD_NR];

		if (kernel_event_decode(stream->formats, lane->raw,
					(uint32_t)kbuffer_event_size(lane->buffer), event))
			take_event(stream, lane, event);
		else
			stream->others_nr++;
		lane->raw = kbuffer_next_event(lane->buffer, &lane->raw_ns);
	}
}

static uint64_t head_ns(const struct kernel_lane *lane)
{
	return lane->head < lane->tail ? lane->ahead[lane->head % AHEAD_NR].ns : UINT64_MAX;
}

/* Chooses the CPU with the earliest event, and how far it may go before another's turn. */
static void choose_cpu(struct kernel_stream *stream)
{
	uint64_t first_ns = UINT64_MAX;

	stream->until_ns = UINT64_MAX;
	for (uint32_t cpu = 0; cpu < stream->cpus_nr; cpu++) {
		uint64_t ns = head_ns(&stream->lanes[cpu]);

		if (ns < first_ns) {
			stream->until_ns = first_ns;
			first_ns = ns;
			stream->cpu = cpu;
		} else if (ns < stream->until_ns) {
			stream->until_ns = ns;
		}
	}
}

int kernel_stream_init(struct kernel_stream *stream, const struct kernel_formats *formats,
		       const int *spools, uint32_t cpus_nr)
{
	*stream = (struct kernel_stream){ .formats = formats, .cpus_nr = cpus_nr };
	stream->lanes = calloc(cpus_nr, sizeof(stream->lanes[0]));
	if (stream->lanes == NULL) {
		stream->cpus_nr = 0;
		return -ENOMEM;
	}
	for (uint32_t cpu = 0; cpu < cpus_nr; cpu++) {
		int error = open_lane(&stream->lanes[cpu], spools[cpu]);

		if (error != 0)
			return error;
	}
	return 0;
}

const struct kernel_event *kernel_stream_next(struct kernel_stream *stream)
{
	struct kernel_lane *lane;

	if (!stream->is_begun) {
		for (uint32_t cpu = 0; cpu < stream->cpus_nr; cpu++)
			fill(stream, &stream->lanes[cpu]);
		stream->is_begun = true;
		choose_cpu(stream);
	} else {
		/* The event that was given out last leaves the ring only now. */
		lane = &stream->lanes[stream->cpu];
		if (lane->head < lane->tail)
			lane->head++;
		if (lane->tail - lane->head <= AHEAD_NR / 2)
			fill(stream, lane);
		if (head_ns(lane) > stream->until_ns || lane->head == lane->tail)
			choose_cpu(stream);
	}
	lane = &stream->lanes[stream->cpu];
	return lane->head < lane->tail ? &lane->ahead[lane->head % AHEAD_NR] : NULL;
}

void kernel_stream_fini(struct kernel_stream *stream)
{
	for (uint32_t cpu = 0; cpu < stream->cpus_nr; cpu++)
		close_lane(&stream->lanes[cpu]);
	free(stream->lanes);
}
