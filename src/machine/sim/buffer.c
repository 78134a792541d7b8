/* SPDX-License-Identifier: MIT */
/*
 * buffer.c - stores that other CPUs do not see yet
 *
 * Memory always shows the running task's view: what everybody sees, with the task's own waiting
 * stores on top.  So the owner's loads are forwarded for free.  When a task stops running its
 * stores are taken back, newest first, and put on again when it goes on.  A store leaves ("is
 * drained") at a fence, a locked operation, when the buffer is full, or when the scheduler says so.
 * TSO: only the oldest may leave.  PSO: any may, unless an older one overlaps it or it is a release.
 *
 * A store's old value is what its owner saw there; a chain of stores to one address therefore
 * unwinds to what everybody sees.
 */
#include <string.h>

#include "machine/sim/internal.h"

static struct pending buffers[TASKS_MAX][BUFFER_MAX];

static struct pending *buffer_of(const struct task *task)
{
	return buffers[task - sim_run_.tasks];
}

/* A plain store is announced before it happens; by the next hook its value is in memory. */
void buffer_settle(struct task *task)
{
	struct pending *last;

	if (task->buffer_nr == 0)
		return;
	last = &buffer_of(task)[task->buffer_nr - 1];
	if (!last->unsettled)
		return;
	last->new = undo_load(last->addr, last->bytes);
	last->unsettled = false;
}

static bool overlap(const struct pending *a, const struct pending *b)
{
	const char *a_start = a->addr, *b_start = b->addr;

	return a_start < b_start + b->bytes && b_start < a_start + a->bytes;
}

static void forget_entry(struct task *task, unsigned index)
{
	struct pending *buffer = buffer_of(task);
	const void *lock = buffer[index].lock;

	for (unsigned i = index; i + 1 < task->buffer_nr; i++)
		buffer[i] = buffer[i + 1];
	task->buffer_nr--;
	if (lock != NULL)
		lock_left_buffer(lock);
}

/*
 * The running task's own store: memory shows it already.  A switched-out task's: memory shows
 * what everybody sees, so write it, and younger overlapping stores of the task now replace it.
 */
void buffer_drain_one(struct task *task, unsigned index)
{
	struct pending *entry = &buffer_of(task)[index];

	if (task != current_task())
		undo_store(entry->addr, entry->bytes, entry->new);
	if (sim_mode & MODE_TRACE)
		trace_note("a waiting store becomes visible", (uint64_t)(uintptr_t)entry->addr);
	forget_entry(task, index);
}

bool buffer_can_drain(const struct task *task, unsigned index)
{
	const struct pending *buffer = buffer_of(task);

	if (index == 0)
		return task->buffer_nr != 0 && !buffer[0].unsettled;
	if (sim_opt.model != SIM_PSO || index >= task->buffer_nr || buffer[index].unsettled ||
	    buffer[index].barrier)
		return false;
	for (unsigned i = 0; i < index; i++)
		if (overlap(&buffer[i], &buffer[index]) || buffer[i].lock != NULL)
			return false;
	return true;
}

void buffer_drain_all(struct task *task)
{
	while (task->buffer_nr != 0)
		forget_entry(task, 0);
}

static void add(struct task *task, const struct pending *entry)
{
	if (task->buffer_nr == BUFFER_MAX)
		forget_entry(task, 0);
	buffer_of(task)[task->buffer_nr++] = *entry;
}

void buffer_add(struct task *task, void *addr, unsigned bytes, bool barrier)
{
	struct pending entry = {
		.addr = addr,
		.bytes = (uint8_t)bytes,
		.old = undo_load(addr, bytes),
		.barrier = barrier,
		.unsettled = true,
	};

	add(task, &entry);
}

void buffer_add_unlock(struct task *task, void *addr, unsigned bytes, const void *lock)
{
	buffer_add(task, addr, bytes, true);
	buffer_of(task)[task->buffer_nr - 1].lock = lock;
}

void buffer_unapply(struct task *task)
{
	struct pending *buffer = buffer_of(task);

	buffer_settle(task);
	for (unsigned i = task->buffer_nr; i-- != 0;)
		undo_store(buffer[i].addr, buffer[i].bytes, buffer[i].old);
}

/* What others wrote meanwhile is now the old value. */
void buffer_apply(struct task *task)
{
	struct pending *buffer = buffer_of(task);

	for (unsigned i = 0; i < task->buffer_nr; i++) {
		buffer[i].old = undo_load(buffer[i].addr, buffer[i].bytes);
		undo_store(buffer[i].addr, buffer[i].bytes, buffer[i].new);
	}
}

/* With nobody running: memory shows what everybody sees. */
void buffer_drain_everybody(void)
{
	for (unsigned i = 0; i < sim_run_.tasks_nr; i++) {
		struct task *task = &sim_run_.tasks[i];

		if (task == current_task()) {
			buffer_drain_all(task);
			continue;
		}
		while (task->buffer_nr != 0)
			buffer_drain_one(task, 0);
	}
}

/* The same from a running task: its view is taken off and put on again. */
void buffer_fence_everybody(void)
{
	struct task *task = current_task();

	buffer_drain_all(task);
	buffer_drain_everybody();
}
