/* SPDX-License-Identifier: MIT */
/* trace.c - what happened in a run, for its report; names of addresses */
#include <stdio.h>
#include <stdlib.h>
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
	for (unsigned i = 0; i < trace_nr; i++)
		free(trace_events[i].kept);
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

/*
 * Keeps the stack, and the registers from which the callers' frames and variables can be found: those that a
 * callee preserves.
 */
#if defined(__x86_64__)

static NOINLINE struct kept *keep(void)
{
	uint64_t registers[KEPT_REGISTERS] = { 0 };
	size_t bytes;
	struct kept *kept;

	/* By DWARF's numbers: rbx 3, rbp 6, rsp 7, r12 to r15, where the code is 16. */
	__asm__ volatile("mov %%rbx, 24(%0)\n\tmov %%rbp, 48(%0)\n\tmov %%rsp, 56(%0)\n\t"
			 "mov %%r12, 96(%0)\n\tmov %%r13, 104(%0)\n\tmov %%r14, 112(%0)\n\t"
			 "mov %%r15, 120(%0)\n\tlea 0(%%rip), %%rax\n\tmov %%rax, 128(%0)"
			 :
			 : "r"(registers)
			 : "rax", "memory");
	if (!in_stacks((void *)registers[7]))
		return NULL;
	bytes = (size_t)(arena_stack_end(sim_run_.current) - (const char *)registers[7]);
	if (bytes > KEPT_STACK_MAX)
		bytes = KEPT_STACK_MAX;
	kept = malloc(sizeof(*kept) + bytes);
	if (kept == NULL)
		return NULL;
	memcpy(kept->registers, registers, sizeof(registers));
	kept->stack_bytes = bytes;
	memcpy(kept->stack, (const void *)registers[7], bytes);
	return kept;
}

#else

/* Here a report names no locals. */
static struct kept *keep(void)
{
	return NULL;
}

#endif

/* Can what is at @addr be read without a fault? */
static bool has_memory(const volatile void *addr)
{
	extern const char __executable_start[], _end[];
	uintptr_t image = (uintptr_t)__executable_start;

	return in_arena(addr) || (uintptr_t)addr - image < (uintptr_t)_end - image;
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
	if ((kind == POINT_WRITE || kind == POINT_STORE) && bytes <= 8 && has_memory(addr))
		unsettled = (int)trace_nr;
	if (addr != NULL && bytes != 0 && bytes <= 8 && has_memory(addr)) {
		trace_events[trace_nr].old = undo_load(trace_events[trace_nr].addr, bytes);
		trace_events[trace_nr].value = trace_events[trace_nr].old; /* unless it changes */
	}
	trace_events[trace_nr].kept = keep();
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

/* Of the last access: a note may say more about it. */
void trace_value(uint64_t value)
{
	unsigned last = trace_nr;

	if (!(sim_mode & MODE_TRACE))
		return;
	while (last != 0 && trace_events[last - 1].note != NULL)
		last--;
	if (last != 0)
		trace_events[last - 1].value = value;
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

/* The smallest range that holds [@addr, @addr + @bytes); NULL: none. */
static const struct named *named_of(const char *at, size_t bytes)
{
	const struct named *best = NULL;

	for (unsigned i = 0; i < names_nr; i++)
		if (at >= names[i].start && at + bytes <= names[i].start + names[i].bytes &&
		    (best == NULL || names[i].bytes < best->bytes))
			best = &names[i];
	return best;
}

const char *trace_name_of(const void *addr, size_t bytes, const void **start, size_t *named_bytes)
{
	const struct named *named = named_of(addr, bytes);

	if (named == NULL)
		return NULL;
	*start = named->start;
	*named_bytes = named->bytes;
	return named->name;
}

const char *memory_describe(const volatile void *addr, char *text, size_t bytes)
{
	const char *at = (const char *)(uintptr_t)addr;
	const struct named *best = named_of(at, 1);

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
