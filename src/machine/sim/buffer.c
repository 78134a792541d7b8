/* SPDX-License-Identifier: MIT */
/*
 * buffer.c - stores that other CPUs do not see yet
 *
 * Memory always shows the running task's view: the globally visible content, with the task's own
 * waiting stores applied.  So the owner's loads are forwarded at no cost.  When a task stops
 * running its stores are undone, newest first, and applied again when it continues.  A store
 * leaves ("is drained") at a fence, at a locked operation, when the buffer is full, or when the
 * scheduler decides so.  TSO: only the oldest may leave.  PSO: any may, unless an older one
 * overlaps it or it is a release.  Where loads may be late, the store of a locked operation may
 * wait as well, and leaves before any other task's store to the same bytes.
 *
 * A store's old value is the value that its owner saw, so undoing a chain of stores to one address
 * restores the globally visible value.
 */
#include <string.h>

#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

_Static_assert((BUFFER_MAX & (BUFFER_MAX - 1)) == 0, "indices of a ring are masked");

struct pending *buffer_unsettled;
static struct task *shown; /* whose stores memory shows; NULL: nobody's */
static struct pending buffers[TASKS_MAX][BUFFER_MAX]; /* rings */
static uint8_t first[TASKS_MAX];		      /* the position of the oldest store */

/* The waiting store number @index, counted from the oldest. */
static inline struct pending *pending_of(const struct task *task, unsigned index)
{
	size_t number = (size_t)(task - sim_run_.tasks);

	return &buffers[number][(first[number] + index) & (BUFFER_MAX - 1)];
}

void buffer_settle_slow(void)
{
	struct pending *last = buffer_unsettled;

	last->new = undo_load(last->addr, last->bytes);
	last->unsettled = false;
	buffer_unsettled = NULL;
}

static bool overlap(const struct pending *a, const struct pending *b)
{
	const char *a_start = a->addr, *b_start = b->addr;

	return a_start < b_start + b->bytes && b_start < a_start + a->bytes;
}

/* Its entry is free for another store. */
static inline void remove_oldest(struct task *task)
{
	struct pending *oldest = pending_of(task, 0);

	if (UNLIKELY(oldest->locked))
		sim_run_.locked_nr--;
	first[task - sim_run_.tasks]++;
	task->buffer_nr--;
	if (oldest == buffer_unsettled)
		buffer_unsettled = NULL;
}

static void forget_oldest(struct task *task)
{
	struct pending *oldest = pending_of(task, 0);

	if (UNLIKELY(sim_mode & MODE_LATE) && task == current_task()) {
		buffer_make_way(task, oldest->addr, oldest->bytes);
		late_store_left(sim_run_.current, oldest->addr, oldest->bytes, &oldest->old);
	}
	remove_oldest(task);
	if (oldest->lock != NULL)
		lock_left_buffer(oldest->lock);
}

/* PSO: the older entries move up by one. */
static inline void make_oldest(struct task *task, unsigned index)
{
	struct pending entry = *pending_of(task, index);

	for (unsigned i = index; i != 0; i--)
		*pending_of(task, i) = *pending_of(task, i - 1);
	*pending_of(task, 0) = entry;
}

static void forget_entry(struct task *task, unsigned index)
{
	make_oldest(task, index);
	forget_oldest(task);
}

/*
 * Memory shows the running task's own stores already.  While another task runs, memory shows what
 * all CPUs see, so the store is written now; the owner's younger stores are applied over it later.
 */
void buffer_drain_one(struct task *task, unsigned index)
{
	const struct pending *entry = pending_of(task, index);

	if (task != current_task()) {
		if (sim_mode & MODE_LATE) {
			buffer_make_way(task, entry->addr, entry->bytes);
			late_store_left((unsigned)(task - sim_run_.tasks), entry->addr,
					entry->bytes, entry->addr);
		}
		undo_store(entry->addr, entry->bytes, entry->new);
	}
	if (sim_mode & MODE_TRACE)
		trace_note("a waiting store becomes visible", (uint64_t)(uintptr_t)entry->addr);
	forget_entry(task, index);
}

bool buffer_can_drain(const struct task *task, unsigned index)
{
	const struct pending *entry = pending_of(task, index);

	if (index >= task->buffer_nr || entry->unsettled)
		return false;
	if (index == 0)
		return true;
	if (sim_opt.model == SIM_TSO || entry->barrier)
		return false;
	for (unsigned i = 0; i < index; i++)
		if (overlap(pending_of(task, i), entry) || pending_of(task, i)->lock != NULL)
			return false;
	return true;
}

void buffer_drain_all(struct task *task)
{
	while (task->buffer_nr != 0)
		forget_oldest(task);
}

bool buffer_has(const struct task *task, const volatile void *addr, unsigned bytes)
{
	const struct pending access = { .addr = (void *)(uintptr_t)addr, .bytes = (uint8_t)bytes };

	for (unsigned i = 0; i < task->buffer_nr; i++)
		if (overlap(pending_of(task, i), &access))
			return true;
	return false;
}

void buffer_drain_before(struct task *task, const volatile void *addr, unsigned bytes, bool acquire)
{
	const struct pending access = { .addr = (void *)(uintptr_t)addr, .bytes = (uint8_t)bytes };
	unsigned nr = 0;

	for (unsigned i = 0; i < task->buffer_nr; i++)
		if (overlap(pending_of(task, i), &access) ||
		    (acquire && pending_of(task, i)->barrier))
			nr = i + 1;
	while (nr-- != 0)
		forget_oldest(task);
}

static void add(struct task *task, void *addr, unsigned bytes, bool barrier, const void *lock)
{
	struct pending *entry;

	if (task->buffer_nr == BUFFER_MAX)
		forget_oldest(task);
	entry = pending_of(task, task->buffer_nr++);
	*entry = (struct pending){
		.addr = addr,
		.bytes = (uint8_t)bytes,
		.old = undo_load(addr, bytes),
		.barrier = barrier,
		.unsettled = true,
		.lock = lock,
	};
	buffer_unsettled = entry;
}

void buffer_add(struct task *task, void *addr, unsigned bytes, bool barrier)
{
	add(task, addr, bytes, barrier, NULL);
}

void buffer_add_unlock(struct task *task, void *addr, unsigned bytes, const void *lock)
{
	add(task, addr, bytes, true, lock);
}

void buffer_add_rmw(struct task *task, void *addr, unsigned bytes, bool barrier)
{
	add(task, addr, bytes, barrier, NULL);
	buffer_unsettled->locked = true;
	sim_run_.locked_nr++;
}

void buffer_store(void *to, const void *from, unsigned bytes)
{
	if (sim_mode & MODE_LOG)
		undo_note_small(to, bytes);
	if (in_pages(to) && !memory_is_touched(to, bytes))
		memory_note_write(to, bytes);
	if (sim_mode & MODE_LATE)
		late_watch(to, bytes);
	if (sim_mode & MODE_BUFFER && sim_mode & MODE_RUN)
		buffer_add(current_task(), to, bytes, false);
	memcpy(to, from, bytes);
	if (sim_mode & MODE_BUFFER)
		buffer_settle();
}

void buffer_unapply(struct task *task)
{
	buffer_settle();
	for (unsigned i = task->buffer_nr; i-- != 0;) {
		const struct pending *entry = pending_of(task, i);

		undo_store(entry->addr, entry->bytes, entry->old);
	}
	shown = NULL;
}

/* The old values are now the ones that other tasks have written meanwhile. */
void buffer_apply(struct task *task)
{
	for (unsigned i = 0; i < task->buffer_nr; i++) {
		struct pending *entry = pending_of(task, i);

		entry->old = undo_load(entry->addr, entry->bytes);
		undo_store(entry->addr, entry->bytes, entry->new);
	}
	shown = task;
}

/* ---- locked operations whose stores wait ---- */

/*
 * The store of a locked operation leaves alone: nothing has to leave before it, since a release waits for all earlier
 * stores, and every locked operation for those to its own bytes.
 */
static void locked_leaves(struct task *task, unsigned index)
{
	struct task *viewer = shown;
	unsigned number = (unsigned)(task - sim_run_.tasks);
	const struct pending *entry;

	make_oldest(task, index);
	entry = pending_of(task, 0);
	if (viewer == task) {
		late_store_left(number, entry->addr, entry->bytes, &entry->old);
	} else {
		if (viewer != NULL)
			buffer_unapply(viewer);
		late_store_left(number, entry->addr, entry->bytes, entry->addr);
		undo_store(entry->addr, entry->bytes, entry->new);
		if (viewer != NULL)
			buffer_apply(viewer);
	}
	if (sim_mode & MODE_TRACE)
		trace_note("a waiting store becomes visible", (uint64_t)(uintptr_t)entry->addr);
	remove_oldest(task);
}

static void make_way_slow(struct task *task, const char *start, const char *end)
{
	for (unsigned i = 0; i < task->buffer_nr;) {
		const struct pending *entry = pending_of(task, i);
		const char *at = entry->addr;

		if (entry->locked && at < end && start < at + entry->bytes)
			locked_leaves(task, i);
		else
			i++;
	}
}

void buffer_make_way(const struct task *task, const volatile void *addr, size_t bytes)
{
	const char *start = (const char *)(uintptr_t)addr;

	for (unsigned i = 0; sim_run_.locked_nr != 0 && i < sim_run_.tasks_nr; i++)
		if (&sim_run_.tasks[i] != task)
			make_way_slow(&sim_run_.tasks[i], start, start + bytes);
}

/* Makes all waiting stores visible. */
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

/* A child of fork does not get what waits on a CPU that its parent alone goes on with. */
void buffer_forget(struct task *task)
{
	while (task->buffer_nr != 0)
		remove_oldest(task);
}

/* The same for a running task, whose own stores leave first. */
void buffer_fence_everybody(void)
{
	struct task *task = current_task();

	buffer_drain_all(task);
	buffer_drain_everybody();
}
