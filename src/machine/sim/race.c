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
 *
 * Most words cannot race: one task uses them, or nobody writes to them.  So a word's accesses are kept only once
 * two tasks have used it, one of them to write, in any run of the scene.  A run that is the first to use a word so
 * has not kept what came before: it is executed again (race_has_learnt()), and its first outcome does not count.
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

/* Two words, so that comparing a cell takes two instructions, and writing one as well. */
struct cell {
	uint64_t when; /* the run in the upper half, the task's clock in the lower */
	uint64_t what; /* task, CELL_*, bytes of the word; below them the low half of the pc */
};

/* Chosen so that an access covers another one if it has all the bits of the other. */
#define CELL_BYTE	(UINT64_C(1) << 32)
#define CELL_BYTES	(CELL_BYTE * 0xff)
#define CELL_WRITE	(CELL_BYTE << 8)
#define CELL_PLAIN	(CELL_BYTE << 9)
#define CELL_BITS	(CELL_BYTES | CELL_WRITE | CELL_PLAIN)
#define CELL_TASK_SHIFT 48

/* Most words use one cell or two; those of neighbouring words share a cache line. */
struct shadow_page {
	struct cell cells[CELLS][WORDS_PAGE];
};

struct sync {
	uintptr_t object;
	uint32_t run;
	uint32_t number; /* of its clock, in the order of first use: a run's clocks are adjacent */
};

_Static_assert(TASKS_MAX < RACE_MANY, "a task's number plus 1 is not the mark of many");

uint8_t *race_users;		    /* by word of the arena */
static bool learnt;		    /* since race_has_learnt(): a word has become shared */
static struct shadow_page **shadow; /* by page of the arena */
static struct sync *syncs;
static clock_vector *sync_clocks;
static unsigned syncs_nr; /* of the run syncs_run */
static uint32_t syncs_run;
static clock_vector clocks[TASKS_MAX];
static clock_vector release_fence[TASKS_MAX], acquire_pending[TASKS_MAX];
static bool has_release_fence[TASKS_MAX];
static clock_vector cpu_clocks[64];
static unsigned tasks, self;
static uint32_t *seen = clocks[0]; /* how much of each task the running one has seen */

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

void race_forget(void)
{
	if (race_users != NULL)
		munmap(race_users, ARENA_BYTES / 8);
	race_users = room(ARENA_BYTES / 8);
	learnt = false;
}

bool race_has_learnt(void)
{
	bool has = learnt;

	learnt = false;
	return has;
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
	seen = clocks[task];
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

/* ---- objects that carry a clock ---- */

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

/* A barrier on every CPU: @task sees what every task did before it, and vice versa. */
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

/* ---- accesses ---- */

/* The word's first cell; the others follow, WORDS_PAGE apart.  NULL: its page has no cells yet. */
static inline struct cell *cells_of(uintptr_t word)
{
	struct shadow_page *page = shadow[(word - ARENA_BASE) >> 12];

	return page != NULL ? &page->cells[0][word >> 3 & (WORDS_PAGE - 1)] : NULL;
}

static inline uint64_t task_of(uint64_t what)
{
	return what >> CELL_TASK_SHIFT;
}

static const char *kind_of(uint64_t what)
{
	if (!(what & CELL_PLAIN))
		return what & CELL_WRITE ? "marked write" : "marked read";
	return what & CELL_WRITE ? "write" : "read";
}

static uintptr_t whole_pc(uint64_t what)
{
	uintptr_t base = scene_image_base();

	return base + (uint32_t)((uint32_t)what - (uint32_t)base);
}

static void report(uint64_t old, uint64_t new, uintptr_t word)
{
	const struct task *before = &sim_run_.tasks[task_of(old)];
	const struct task *now = &sim_run_.tasks[task_of(new)];
	unsigned byte = (unsigned)__builtin_ctzll((new &CELL_BYTES) / CELL_BYTE);
	char where[96];

	sim_failure.pc = whole_pc(new);
	sim_failure.other_pc = whole_pc(old);
	sim_failure.addr = (const void *)(word + byte);
	sim_fail("data race", "%s by CPU %u (%s) against %s by CPU %u (%s), at %s", kind_of(new),
		 now->cpu, now->name, kind_of(old), before->cpu, before->name,
		 memory_describe((void *)(word + byte), where, sizeof(where)));
}

/* If @old is the same task's or was seen by it, any access that races with @old races with @new. */
static inline bool covers(uint64_t new, uint64_t old)
{
	return (old & ~new &CELL_BITS) == 0;
}

static inline bool conflict(uint64_t old, uint64_t new)
{
	return old & new &CELL_BYTES && (old | new) & CELL_WRITE && (old | new) & CELL_PLAIN;
}

static inline bool same_run(uint64_t when)
{
	return when >> 32 == sim_run_number;
}

/* The next search finds it at once: most accesses repeat one from before the last release. */
static inline void move_to_front(struct cell *cells, struct cell *cell)
{
	struct cell found = *cell;

	*cell = cells[0];
	cells[0] = found;
}

static NOINLINE void touch_used_word(uintptr_t word, uint64_t when, uint64_t what)
{
	struct cell *cells = cells_of(word), *place = NULL, *cell = cells;

	for (unsigned i = 0; i < CELLS; i++, cell += WORDS_PAGE) {
		if (!same_run(cell->when)) { /* they fill up in order: the rest are unused too */
			place = place != NULL ? place : cell;
			break;
		}
		if (task_of(cell->what) == self) {
			if (cell->when == when && covers(cell->what, what)) {
				move_to_front(cells, cell);
				return;
			}
		} else if ((uint32_t)cell->when > seen[task_of(cell->what)]) {
			if (UNLIKELY(conflict(cell->what, what)))
				report(cell->what, what, word);
			continue;
		}
		if (place == NULL && covers(what, cell->what))
			place = cell;
	}
	if (place == NULL)
		place = &cells[(uint32_t)when % CELLS * WORDS_PAGE];
	*place = (struct cell){ .when = when, .what = what };
}

static NOINLINE void touch_new_page(uintptr_t word, uint64_t when, uint64_t what)
{
	shadow[(word - ARENA_BASE) >> 12] = room(sizeof(struct shadow_page));
	touch_used_word(word, when, what);
}

/* Can the word race?  Notes that this task uses it. */
static inline bool is_shared(uintptr_t word, bool write)
{
	uint8_t *users = &race_users[(word - ARENA_BASE) >> 3];
	unsigned mine = (self + 1) | (write ? RACE_WRITTEN : 0), both = *users | mine;

	if (*users == RACE_SHARED)
		return true;
	if (*users != 0 && ((*users ^ mine) & RACE_MANY) != 0)
		both |= RACE_MANY;
	learnt |= both == RACE_SHARED;
	*users = (uint8_t)both;
	return false;
}

/* Most accesses are the first to a word in a run, or come from the only task that has touched
 * it. */
static NOINLINE void touch_shared(uintptr_t word, uint64_t what)
{
	struct cell *cell = cells_of(word);
	uint64_t when = (uint64_t)sim_run_number << 32 | seen[self];

	what |= (uint64_t)self << CELL_TASK_SHIFT;
	if (UNLIKELY(cell == NULL)) {
		touch_new_page(word, when, what);
		return;
	}
	if (same_run(cell->when)) {
		bool alone = task_of(cell->what) == self;

		if (alone && cell->when == when && covers(cell->what, what))
			return;
		if (!alone || same_run(cell[WORDS_PAGE].when) || !covers(what, cell->what)) {
			touch_used_word(word, when, what);
			return;
		}
	}
	cell->when = when;
	cell->what = what;
}

static NOINLINE void touch_range(uintptr_t start, size_t bytes, uint64_t what)
{
	uintptr_t end = start + bytes;

	for (uintptr_t word = start & ~(uintptr_t)7; word < end; word += 8) {
		uint64_t from = start > word ? start - word : 0;
		uint64_t to = end - word < 8 ? end - word : 8;

		if (is_shared(word, what & CELL_WRITE))
			touch_shared(word, what | ((CELL_BYTE << to) - (CELL_BYTE << from)));
	}
}

static inline void touch(const volatile void *addr, size_t bytes, uint64_t what, uintptr_t pc)
{
	uintptr_t start = (uintptr_t)addr, from = start & 7;

	if (UNLIKELY(!in_arena(addr)))
		return;
	if (UNLIKELY(from + bytes > 8))
		touch_range(start, bytes, what | (uint32_t)pc);
	else if (is_shared(start - from, what & CELL_WRITE))
		touch_shared(start - from,
			     what | (uint32_t)pc | ((CELL_BYTE << bytes) - CELL_BYTE) << from);
}

void race_plain(const volatile void *addr, size_t bytes, bool write, uintptr_t pc)
{
	if (write)
		touch(addr, bytes, CELL_PLAIN | CELL_WRITE, pc);
	else
		touch(addr, bytes, CELL_PLAIN, pc);
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

	/* A plain store ends the release sequence that others had begun; a locked one continues
	 * it.  While a store waits in a buffer, others still read what was released before: then the
	 * clock is kept, and a race that needs it gone is not seen. */
	if (!rmw && !(sim_mode & MODE_BUFFER))
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
