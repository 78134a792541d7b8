/* SPDX-License-Identifier: MIT */
/*
 * race.c - data races by vector clocks
 *
 * Each task has a clock for every task: how much of it happened before now.  A release publishes
 * the clock in the object released, an acquire takes it over.  Two accesses to one byte race if
 * one is a write, one is plain, and neither happened before the other.
 *
 * Of each 8-byte word the last accesses are kept, with the bytes they touched.  One may be dropped
 * when a later access covers it: whatever races with the dropped one races with the later.
 * Handlers share the clock of the task they interrupt, and tasks on one CPU are ordered by the
 * switches between them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/sim/internal.h"

#define CELLS	   8
#define WORDS_PAGE 512 /* words in 4 KiB */
#define SYNCS	   65536

typedef uint32_t clock_vector[TASKS_MAX];

struct cell {
	uint32_t run;
	uint32_t clock;
	uint32_t pc;   /* its low bits: the program is smaller than 4 GiB */
	uint32_t what; /* bytes of the word, CELL_*, and the task above CELL_TASK_SHIFT */
};

/* So that one access covers another if it has all the bits of the other. */
#define CELL_BYTES	0xffu
#define CELL_WRITE	0x100u
#define CELL_PLAIN	0x200u
#define CELL_BITS	0x3ffu
#define CELL_TASK_SHIFT 16

/* Most words have one cell or two: those of neighbours share a cache line. */
struct shadow_page {
	struct cell cells[CELLS][WORDS_PAGE];
};

struct sync {
	uintptr_t object;
	uint32_t run;
	uint32_t number; /* of its clock: in the order of first use, so that a run's are together */
};

static struct shadow_page **shadow; /* by page of the arena */
static struct sync *syncs;
static clock_vector *sync_clocks;
static unsigned syncs_nr; /* of this run: */
static uint32_t syncs_run;
static clock_vector clocks[TASKS_MAX];
static clock_vector release_fence[TASKS_MAX], acquire_pending[TASKS_MAX];
static bool has_release_fence[TASKS_MAX];
static clock_vector cpu_clocks[64];
static unsigned tasks, self;

static NOINLINE void *room(size_t bytes)
{
	void *got = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (got == MAP_FAILED) {
		fprintf(stderr, "quire-explore: no memory for clocks\n");
		exit(2);
	}
	return got;
}

static void join(uint32_t *into, const uint32_t *from)
{
	for (unsigned i = 0; i < tasks; i++)
		if (from[i] > into[i])
			into[i] = from[i];
}

void race_reset(unsigned tasks_nr)
{
	if (shadow == NULL) {
		shadow = room((ARENA_BYTES >> 12) * sizeof(struct shadow_page *));
		syncs = room(SYNCS * sizeof(*syncs));
		sync_clocks = room(SYNCS * sizeof(*sync_clocks));
	}
	if (syncs_run == sim_run_number && tasks_nr > tasks) /* a later phase, with more of them */
		for (unsigned i = 0; i < syncs_nr; i++)
			memset(&sync_clocks[i][tasks], 0, (tasks_nr - tasks) * sizeof(uint32_t));
	tasks = tasks_nr;
	for (unsigned i = 0; i < TASKS_MAX; i++) {
		memset(clocks[i], 0, tasks * sizeof(uint32_t));
		memset(acquire_pending[i], 0, tasks * sizeof(uint32_t));
		clocks[i][i] = 1;
		has_release_fence[i] = false;
	}
	for (unsigned i = 0; i < sim_opt.cpus_nr; i++)
		memset(cpu_clocks[i], 0, tasks * sizeof(uint32_t));
}

void race_set_task(unsigned task)
{
	self = task;
}

void race_spawn(unsigned parent, unsigned child)
{
	if (child >= tasks) {
		tasks = child + 1;
		for (unsigned i = 0; i < tasks; i++)
			clocks[i][child] = acquire_pending[i][child] = release_fence[i][child] = 0;
		for (unsigned i = 0; i < sim_opt.cpus_nr; i++)
			cpu_clocks[i][child] = 0;
		for (unsigned i = 0; i < syncs_nr; i++)
			sync_clocks[i][child] = 0;
	}
	memset(clocks[child], 0, sizeof(clocks[child]));
	memcpy(clocks[child], clocks[parent], tasks * sizeof(uint32_t));
	clocks[child][child] = 1;
	clocks[parent][parent]++;
}

/* ---- objects that carry a clock ------------------------------------------------------------ */

static uint32_t *clock_of(const volatile void *object)
{
	uintptr_t key = (uintptr_t)object;
	size_t slot = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 48;

	if (syncs_run != sim_run_number) {
		syncs_run = sim_run_number;
		syncs_nr = 0;
	}
	for (size_t i = 0; i < SYNCS; i++, slot = (slot + 1) & (SYNCS - 1)) {
		struct sync *sync = &syncs[slot];

		if (sync->run != sim_run_number) {
			*sync = (struct sync){
				.object = key,
				.run = sim_run_number,
				.number = syncs_nr++,
			};
			memset(sync_clocks[sync->number], 0, tasks * sizeof(uint32_t));
			return sync_clocks[sync->number];
		}
		if (sync->object == key)
			return sync_clocks[sync->number];
	}
	sim_fail("scenario", "too many synchronisation objects");
}

void race_acquire(const void *object)
{
	join(clocks[self], clock_of(object));
}

void race_release(const void *object)
{
	join(clock_of(object), clocks[self]);
	clocks[self][self]++;
}

void race_fence(int order)
{
	if (order != __ATOMIC_RELEASE)
		join(clocks[self], acquire_pending[self]);
	if (order != __ATOMIC_ACQUIRE) {
		memcpy(release_fence[self], clocks[self], sizeof(clocks[self]));
		has_release_fence[self] = true;
		clocks[self][self]++;
	}
	if (order == __ATOMIC_SEQ_CST) {
		/* All such fences are in one order. */
		static const char total_order;

		race_acquire(&total_order);
		race_release(&total_order);
	}
}

/* A barrier on every CPU: what each did before is known to @task, and the other way round. */
void race_everybody_meets(unsigned task)
{
	for (unsigned i = 0; i < tasks; i++)
		join(clocks[task], clocks[i]);
	for (unsigned i = 0; i < tasks; i++) {
		join(clocks[i], clocks[task]);
		clocks[i][i]++;
	}
}

void race_cpu_leave(unsigned task, unsigned cpu)
{
	join(cpu_clocks[cpu], clocks[task]);
	clocks[task][task]++;
}

void race_cpu_enter(unsigned task, unsigned cpu)
{
	join(clocks[task], cpu_clocks[cpu]);
}

/* ---- accesses ----------------------------------------------------------------------------------- */

/* The word's first cell; its others follow, WORDS_PAGE apart. */
static inline struct cell *cells_of(uintptr_t word)
{
	size_t page = (word - ARENA_BASE) >> 12;

	if (UNLIKELY(shadow[page] == NULL))
		shadow[page] = room(sizeof(struct shadow_page));
	return &shadow[page]->cells[0][word >> 3 & (WORDS_PAGE - 1)];
}

static unsigned task_of(const struct cell *cell)
{
	return cell->what >> CELL_TASK_SHIFT;
}

static const char *kind_of(const struct cell *cell)
{
	if (!(cell->what & CELL_PLAIN))
		return cell->what & CELL_WRITE ? "marked write" : "marked read";
	return cell->what & CELL_WRITE ? "write" : "read";
}

static uintptr_t whole_pc(uint32_t low)
{
	uintptr_t base = scene_image_base();

	return base + (uint32_t)(low - (uint32_t)base);
}

static void report(const struct cell *old, const struct cell *new, uintptr_t word)
{
	const struct task *before = &sim_run_.tasks[task_of(old)];
	const struct task *now = &sim_run_.tasks[task_of(new)];
	unsigned byte = (unsigned)__builtin_ctz(new->what &CELL_BYTES);
	char where[96];

	sim_failure.pc = whole_pc(new->pc);
	sim_failure.other_pc = whole_pc(old->pc);
	sim_fail("data race", "%s by CPU %u (%s) against %s by CPU %u (%s), at %s", kind_of(new),
		 now->cpu, now->name, kind_of(old), before->cpu, before->name,
		 memory_describe((void *)(word + byte), where, sizeof(where)));
}

/* Whatever races with @old, of the same task or seen by it, races with @new. */
static inline bool covers(uint32_t new, uint32_t old)
{
	return (old & ~new &CELL_BITS) == 0;
}

static inline bool conflict(uint32_t old, uint32_t new)
{
	return old & new &CELL_BYTES && (old | new) & CELL_WRITE && (old | new) & CELL_PLAIN;
}

/* Found again at once the next time: most accesses repeat one of before the last release. */
static inline void move_to_front(struct cell *cells, struct cell *cell)
{
	struct cell found = *cell;

	*cell = cells[0];
	cells[0] = found;
}

static NOINLINE void touch_used_word(uintptr_t word, struct cell new)
{
	const uint32_t *seen = clocks[self];
	struct cell *cells = cells_of(word), *place = NULL, *cell = cells;

	for (unsigned i = 0; i < CELLS; i++, cell += WORDS_PAGE) {
		if (cell->run != new.run) { /* they fill up in order: so are the rest */
			place = place != NULL ? place : cell;
			break;
		}
		if (task_of(cell) == task_of(&new)) {
			if (cell->clock == new.clock && covers(cell->what, new.what)) {
				if (i != 0)
					move_to_front(cells, cell);
				return;
			}
		} else if (cell->clock > seen[task_of(cell)]) {
			if (UNLIKELY(conflict(cell->what, new.what)))
				report(cell, &new, word);
			continue;
		}
		if (place == NULL && covers(new.what, cell->what))
			place = cell;
	}
	if (place == NULL)
		place = &cells[new.clock % CELLS *WORDS_PAGE];
	*place = new;
}

/* The first touch in a run, and one that repeats the last, are most. */
static inline void touch_word(uintptr_t word, struct cell new)
{
	struct cell *cell = cells_of(word);

	if (cell->run != new.run)
		*cell = new;
	else if (cell->clock != new.clock || task_of(cell) != task_of(&new) ||
		 !covers(cell->what, new.what))
		touch_used_word(word, new);
}

static NOINLINE void touch_range(uintptr_t start, uintptr_t end, struct cell new)
{
	uint32_t what = new.what;

	for (uintptr_t word = start & ~(uintptr_t)7; word < end; word += 8) {
		unsigned from = start > word ? (unsigned)(start - word) : 0;
		unsigned to = end - word < 8 ? (unsigned)(end - word) : 8;

		new.what = what | (CELL_BYTES >> (8 - (to - from)) << from);
		touch_word(word, new);
	}
}

static inline void touch(const volatile void *addr, size_t bytes, uint32_t what, uintptr_t pc)
{
	uintptr_t start = (uintptr_t)addr;
	unsigned from = start & 7;
	struct cell new = {
		.run = sim_run_number,
		.clock = clocks[self][self],
		.pc = (uint32_t)pc,
		.what = what | self << CELL_TASK_SHIFT,
	};

	if (!in_arena(addr))
		return;
	if (UNLIKELY(from + bytes > 8 || bytes == 0)) {
		touch_range(start, start + bytes, new);
		return;
	}
	new.what |= CELL_BYTES >> (8 - bytes) << from;
	touch_word(start - from, new);
}

void race_plain(const volatile void *addr, size_t bytes, bool write, uintptr_t pc)
{
	touch(addr, bytes, CELL_PLAIN | (write ? CELL_WRITE : 0), pc);
}

void race_marked(const volatile void *addr, unsigned bytes, bool write, uintptr_t pc)
{
	touch(addr, bytes, write ? CELL_WRITE : 0, pc);
}

static void publish(const volatile void *addr, bool rmw, bool release)
{
	uint32_t *published = clock_of(addr);
	const uint32_t *clock = release			  ? clocks[self]
				: has_release_fence[self] ? release_fence[self]
							  : NULL;

	/* A plain store ends the release sequence that others had begun; a locked one continues it. */
	if (!rmw)
		memset(published, 0, tasks * sizeof(uint32_t));
	if (clock != NULL)
		join(published, clock);
	if (release)
		clocks[self][self]++;
}

void race_atomic(const volatile void *addr, unsigned bytes, bool write, bool read, int order,
		 uintptr_t pc)
{
	bool acquire = order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
	bool release = order == __ATOMIC_RELEASE || order >= __ATOMIC_ACQ_REL;

	touch(addr, bytes, write ? CELL_WRITE : 0, pc);
	if (read)
		join(acquire ? clocks[self] : acquire_pending[self], clock_of(addr));
	if (write)
		publish(addr, read, release);
}
