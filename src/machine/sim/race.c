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
	uint32_t pc; /* from the start of the program */
	uint8_t task;
	uint8_t mask;
	bool write, atomic;
};

struct shadow_page {
	struct cell cells[WORDS_PAGE][CELLS];
};

struct sync {
	uintptr_t object;
	uint32_t run;
	clock_vector clock;
};

static struct shadow_page **shadow; /* by page of the arena */
static struct sync *syncs;
static clock_vector clocks[TASKS_MAX];
static clock_vector release_fence[TASKS_MAX], acquire_pending[TASKS_MAX];
static bool has_release_fence[TASKS_MAX];
static clock_vector cpu_clocks[64];
static unsigned tasks, self;

static void *room(size_t bytes)
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
	}
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
			clocks[i][child] = acquire_pending[i][child] = 0;
	}
	memset(clocks[child], 0, sizeof(clocks[child]));
	memcpy(clocks[child], clocks[parent], tasks * sizeof(uint32_t));
	clocks[child][child] = 1;
	clocks[parent][parent]++;
}

/* ---- objects that carry a clock ------------------------------------------------------------ */

static struct sync *sync_of(const volatile void *object)
{
	uintptr_t key = (uintptr_t)object;
	size_t slot = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 48;

	for (size_t i = 0; i < SYNCS; i++, slot = (slot + 1) & (SYNCS - 1)) {
		if (syncs[slot].run != sim_run_number) {
			syncs[slot].run = sim_run_number;
			syncs[slot].object = key;
			memset(syncs[slot].clock, 0, sizeof(syncs[slot].clock));
			return &syncs[slot];
		}
		if (syncs[slot].object == key)
			return &syncs[slot];
	}
	sim_fail("scenario", "too many synchronisation objects");
}

void race_acquire(const void *object)
{
	join(clocks[self], sync_of(object)->clock);
}

void race_release(const void *object)
{
	join(sync_of(object)->clock, clocks[self]);
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

static struct cell *cells_of(uintptr_t word)
{
	size_t page = (word - ARENA_BASE) >> 12;

	if (shadow[page] == NULL)
		shadow[page] = room(sizeof(struct shadow_page));
	return shadow[page]->cells[word >> 3 & (WORDS_PAGE - 1)];
}

static bool races(const struct cell *old, const struct cell *new)
{
	return old->run == sim_run_number && old->mask & new->mask && old->task != new->task &&
	       (old->write || new->write) && !(old->atomic && new->atomic) &&
	       old->clock > clocks[self][old->task];
}

static bool covered(const struct cell *old, const struct cell *new)
{
	return old->run != sim_run_number ||
	       ((old->mask & ~new->mask) == 0 && (new->write || !old->write) &&
		(old->atomic || !new->atomic) &&
		(old->task == new->task || old->clock <= clocks[self][old->task]));
}

static const char *kind_of(const struct cell *cell)
{
	if (cell->atomic)
		return cell->write ? "marked write" : "marked read";
	return cell->write ? "write" : "read";
}

static void report(const struct cell *old, const struct cell *new, uintptr_t word)
{
	char where[96];

	sim_failure.pc = new->pc + scene_image_base();
	sim_failure.other_pc = old->pc + scene_image_base();
	sim_fail("data race", "%s by CPU %u (%s) against %s by CPU %u (%s), at %s", kind_of(new),
		 sim_run_.tasks[new->task].cpu, sim_run_.tasks[new->task].name, kind_of(old),
		 sim_run_.tasks[old->task].cpu, sim_run_.tasks[old->task].name,
		 memory_describe((void *)(word + (unsigned)__builtin_ctz(new->mask)), where,
				 sizeof(where)));
}

static void touch_word(uintptr_t word, const struct cell *new)
{
	struct cell *cells = cells_of(word), *place = NULL;

	for (unsigned i = 0; i < CELLS; i++) {
		if (races(&cells[i], new))
			report(&cells[i], new, word);
		if (place == NULL && covered(&cells[i], new))
			place = &cells[i];
	}
	if (place == NULL)
		place = &cells[new->clock % CELLS];
	*place = *new;
}

static void touch(const volatile void *addr, size_t bytes, bool write, bool atomic, uintptr_t pc)
{
	uintptr_t start = (uintptr_t)addr, end = start + bytes;
	struct cell new = {
		.run = sim_run_number,
		.clock = clocks[self][self],
		.pc = (uint32_t)(pc - scene_image_base()),
		.task = (uint8_t)self,
		.write = write,
		.atomic = atomic,
	};

	if (!in_arena(addr))
		return;
	for (uintptr_t word = start & ~(uintptr_t)7; word < end; word += 8) {
		unsigned from = start > word ? (unsigned)(start - word) : 0;
		unsigned to = end - word < 8 ? (unsigned)(end - word) : 8;

		new.mask = (uint8_t)((0xffu >> (8 - (to - from))) << from);
		touch_word(word, &new);
	}
}

void race_plain(const volatile void *addr, size_t bytes, bool write, uintptr_t pc)
{
	touch(addr, bytes, write, false, pc);
}

void race_marked(const volatile void *addr, unsigned bytes, bool write, uintptr_t pc)
{
	touch(addr, bytes, write, true, pc);
}

static void publish(const volatile void *addr, bool rmw, bool release)
{
	struct sync *sync = sync_of(addr);
	const uint32_t *clock = release			  ? clocks[self]
				: has_release_fence[self] ? release_fence[self]
							  : NULL;

	/* A plain store ends the release sequence that others had begun; a locked one continues it. */
	if (!rmw)
		memset(sync->clock, 0, sizeof(sync->clock));
	if (clock != NULL)
		join(sync->clock, clock);
	if (release)
		clocks[self][self]++;
}

void race_atomic(const volatile void *addr, unsigned bytes, bool write, bool read, int order,
		 uintptr_t pc)
{
	bool acquire = order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
	bool release = order == __ATOMIC_RELEASE || order >= __ATOMIC_ACQ_REL;

	touch(addr, bytes, write, true, pc);
	if (read) {
		struct sync *sync = sync_of(addr);

		join(acquire ? clocks[self] : acquire_pending[self], sync->clock);
	}
	if (write)
		publish(addr, read, release);
}
