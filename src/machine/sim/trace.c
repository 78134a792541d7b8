/* SPDX-License-Identifier: MIT */
/* trace.c - what happened in a run, for its report; names of addresses */
#include <stdio.h>
#include <string.h>

#include "machine/sim/internal.h"

struct event trace_events[EVENTS_MAX];
unsigned trace_nr;

struct named {
	const char *start;
	size_t bytes;
	char name[40];
};

static struct named names[NAMES_MAX];
static unsigned names_nr;
static int unsettled = -1; /* the event whose value is in memory by the next hook */

void trace_reset(void)
{
	trace_nr = 0;
	unsettled = -1;
}

/* Records the callers of the function at @event->pc: follows frame pointers from the hook
 * outwards. */
static void note_callers(struct event *event)
{
	const uintptr_t *frame = __builtin_frame_address(0);

	for (unsigned depth = 0; depth < 12 && in_stacks(frame); depth++) {
		const uintptr_t *outer = (const uintptr_t *)(void *)frame[0];

		if (frame[1] != event->pc) {
			frame = outer;
			continue;
		}
		for (unsigned i = 0; i < 2 && in_stacks(outer); i++) {
			event->callers[i] = outer[1];
			outer = (const uintptr_t *)(void *)outer[0];
		}
		return;
	}
}

void trace_add(enum point_kind kind, const volatile void *addr, unsigned bytes, uintptr_t pc)
{
	const struct task *task = current_task();

	if (trace_nr == EVENTS_MAX)
		return;
	trace_events[trace_nr] = (struct event){
		.task = sim_run_.current,
		.cpu = task->cpu,
		.kind = (uint8_t)kind,
		.bytes = (uint8_t)bytes,
		.irq_depth = task->irq_depth,
		.step = task->steps,
		.pc = pc,
		.addr = (const void *)(uintptr_t)addr,
	};
	note_callers(&trace_events[trace_nr]);
	if ((kind == POINT_WRITE || kind == POINT_STORE) && bytes <= 8 && in_arena(addr))
		unsettled = (int)trace_nr;
	else if (kind == POINT_READ && bytes <= 8 && in_arena(addr))
		trace_events[trace_nr].value = undo_load(trace_events[trace_nr].addr, bytes);
	trace_nr++;
}

void trace_settle(void)
{
	struct event *event;

	if (unsettled < 0)
		return;
	event = &trace_events[unsettled];
	event->value = undo_load(event->addr, event->bytes);
	unsettled = -1;
}

void trace_value(uint64_t value)
{
	if (!(sim_mode & MODE_TRACE) || trace_nr == 0)
		return;
	trace_events[trace_nr - 1].value = value;
	unsettled = -1;
}

void trace_note(const char *note, uint64_t value)
{
	const struct task *task = current_task();

	if (!(sim_mode & MODE_TRACE) || trace_nr == EVENTS_MAX)
		return;
	trace_settle();
	trace_events[trace_nr++] = (struct event){
		.task = sim_run_.current,
		.cpu = task->cpu,
		.kind = POINT_NOTE,
		.irq_depth = task->irq_depth,
		.step = task->steps,
		.note = note,
		.value = value,
	};
}

/* ---- names ---- */

void sim_name(const void *addr, size_t bytes, const char *name)
{
	struct named *named;

	if (sim_mode & MODE_LOG || names_nr == NAMES_MAX)
		return;
	named = &names[names_nr++];
	named->start = addr;
	named->bytes = bytes;
	snprintf(named->name, sizeof(named->name), "%s", name);
}

void trace_forget_names(void)
{
	names_nr = 0;
}

/* The smallest named range that holds an address. */
const char *memory_describe(const volatile void *addr, char *text, size_t bytes)
{
	const char *at = (const char *)(uintptr_t)addr;
	const struct named *best = NULL;

	for (unsigned i = 0; i < names_nr; i++)
		if (at >= names[i].start && at < names[i].start + names[i].bytes &&
		    (best == NULL || names[i].bytes < best->bytes))
			best = &names[i];
	if (best != NULL)
		snprintf(text, bytes, "%s+0x%zx", best->name, (size_t)(at - best->start));
	else if (in_stacks(addr))
		snprintf(text, bytes, "stack+0x%zx", (size_t)((uintptr_t)at - ARENA_STACKS));
	else if (in_arena(addr) && !in_pages(addr))
		snprintf(text, bytes, "heap+0x%zx", (size_t)((uintptr_t)at - ARENA_HEAP));
	else
		snprintf(text, bytes, "%p", (const void *)at);
	return text;
}
