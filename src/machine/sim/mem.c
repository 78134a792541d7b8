/* SPDX-License-Identifier: MIT */
/*
 * mem.c - reservations, backing and gathers of the simulated machine
 *
 * Addresses are allocated upwards and never twice in a run.  gather_unback and gather_unmap
 * remove the entries from the page table at once.  gather_finish flushes the translations that
 * CPUs have cached; only then is the content discarded and the range usable again.
 */
#include <string.h>

#include "base/errno.h"
#include "machine/batch.h"
#include "machine/mem.h"
#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

static size_t page_of(const void *addr)
{
	return ((uintptr_t)addr - ARENA_PAGES) >> 12;
}

void sim_limit_aliases(size_t pages)
{
	sim_run_.aliases_max = pages;
}

size_t sim_reserved_bytes(void)
{
	return sim_run_.reserved_bytes;
}

size_t mem_page_bytes(void)
{
	return (size_t)1 << sim_opt.page_shift;
}

uint64_t mem_machine_bytes(void)
{
	return UINT64_C(32) << 20;
}

/* The files of a cgroup that permits a quarter of it, unless the scenario has changed that. */
struct mem_limit mem_limit_read(void)
{
	sched_point(POINT_GATHER, NULL, 0, CALLER_PC);
	return (struct mem_limit){ .bytes = sim_run_.group_bytes != 0 ? sim_run_.group_bytes
								      : UINT64_C(8) << 20,
				   .source = MEM_LIMIT_MAX };
}

void sim_set_group_bytes(uint64_t bytes)
{
	sim_run_.group_bytes = bytes;
	sched_point(POINT_GATHER, NULL, 0, CALLER_PC);
}

/* Only the arena's length limits reservations. */
size_t mem_reserve_share(void)
{
	return SIZE_MAX;
}

/* This machine has no page tables. */
int mem_move(void *from, void *to, size_t bytes)
{
	(void)from;
	(void)to;
	(void)bytes;
	return -ENOTSUP;
}

void mem_reserve_most(void)
{
}

void sim_lock_memory(void)
{
	sim_run_.memory_is_locked = true;
}

bool mem_is_locked(void)
{
	return sim_run_.memory_is_locked;
}

bool mem_commits_lock(void)
{
	return sim_run_.memory_is_locked;
}

/* Does the system refuse a call here?  The scheduler decides. */
bool sim_refuses(void)
{
	if (!(sim_opt.events & SIM_REFUSE) || sim_run_.refusals_left == 0 ||
	    !sched_decide(ACT_REFUSE))
		return false;
	sim_run_.refusals_left--;
	trace_note("the machine refuses", 0);
	return true;
}

static void set_all(const void *addr, size_t bytes, enum page_state state, const char *event,
		    uintptr_t pc)
{
	size_t first = page_of(addr);

	CHECK(in_pages(addr) && bytes >> 12 <= PAGES_MAX - first);
	for (size_t i = first; i < first + (bytes >> 12); i++)
		memory_set(i, state, event, pc);
}

static void flush_all(const void *addr, size_t bytes, unsigned first_cpu, unsigned cpus_nr)
{
	for (unsigned cpu = first_cpu; cpu < first_cpu + cpus_nr; cpu++)
		for (size_t i = page_of(addr); i < page_of(addr) + (bytes >> 12); i++)
			memory_flush(cpu, i);
}

static void empty_all(const void *addr, size_t bytes)
{
	for (size_t i = page_of(addr); i < page_of(addr) + (bytes >> 12); i++)
		memory_zero(i);
}

void *mem_reserve(size_t bytes, size_t align_bytes, const char *name)
{
	size_t start;
	char *addr;

	sched_point(POINT_GATHER, NULL, 0, CALLER_PC); /* others may reserve here */
	start = (sim_run_.reserve_used + align_bytes - 1) & ~(align_bytes - 1);
	addr = (char *)ARENA_PAGES + start;
	if (align_bytes > (UINT64_C(256) << 20) || start + bytes > ARENA_END - ARENA_PAGES)
		return NULL;
	if (sim_refuses())
		return NULL;
	sim_run_.reserve_used = start + bytes;
	sim_run_.reserved_bytes += bytes;
	sim_name(addr, bytes, name);
	return addr;
}

static void uncount_reserved(size_t bytes)
{
	if (bytes > sim_run_.reserved_bytes)
		sim_fail("misuse", "more is released than was reserved");
	sim_run_.reserved_bytes -= bytes;
}

void mem_release(void *addr, size_t bytes)
{
	sched_point(POINT_GATHER, addr, 0, CALLER_PC);
	uncount_reserved(bytes);
	set_all(addr, bytes, PAGE_NONE, "released", CALLER_PC);
	flush_all(addr, bytes, 0, sim_opt.cpus_nr);
	empty_all(addr, bytes);
}

int mem_commit(void *addr, size_t bytes)
{
	sched_point(POINT_GATHER, addr, 0, CALLER_PC);
	if (sim_refuses())
		return -12;
	/* Pages that a gather is taking away are committed already, and stay as they are. */
	for (size_t i = page_of(addr); i < page_of(addr) + (bytes >> 12); i++)
		if (memory_pages[i].state != PAGE_COMMITTED &&
		    memory_pages[i].state != PAGE_LEAVING)
			memory_set(i, PAGE_COMMITTED, "committed", CALLER_PC);
	return 0;
}

int mem_commit_apart(void *addr, size_t bytes)
{
	return mem_commit(addr, bytes);
}

void *mem_map(size_t bytes, const char *name)
{
	void *addr = mem_reserve(bytes, mem_page_bytes(), name);

	if (addr == NULL || mem_commit(addr, bytes) == 0)
		return addr;
	mem_release(addr, bytes);
	return NULL;
}

int mem_commit_readonly(void *addr, size_t bytes)
{
	sched_point(POINT_GATHER, addr, 0, CALLER_PC);
	if (sim_refuses())
		return -12;
	for (size_t i = page_of(addr); i < page_of(addr) + (bytes >> 12); i++)
		if (memory_pages[i].state != PAGE_COMMITTED)
			memory_set(i, PAGE_READONLY, "committed for reading", CALLER_PC);
	return 0;
}

int mem_decommit(void *addr, size_t bytes, const char *name)
{
	(void)name;
	sched_point(POINT_GATHER, addr, 0, CALLER_PC);
	if (sim_refuses())
		return -12;
	set_all(addr, bytes, PAGE_RESERVED, "decommitted", CALLER_PC);
	flush_all(addr, bytes, 0, sim_opt.cpus_nr);
	empty_all(addr, bytes);
	return 0;
}

int mem_find_written(const struct mem_stretches *s, uint64_t *masks)
{
	unsigned each = (unsigned)(s->page_bytes >> 12);

	for (unsigned i = 0; i < s->nr; i++) {
		sched_point(POINT_GATHER, s->addr, 0, CALLER_PC);
		masks[i] = 0;
		for (unsigned k = 0; k < s->pages * each; k++) {
			size_t page = page_of(s->addr + i * s->stride_bytes) + k;

			masks[i] |= (uint64_t)memory_pages[page].touched << (k / each);
		}
	}
	return 0;
}

/* Models the systems where it does: they are the harder case. */
bool mem_reading_takes_memory(void)
{
	return true;
}

/* ---- mappings ---- */

_Static_assert(sizeof(sim_run_.mappings_used) / sizeof(uint32_t) == MAPPINGS_KINDS_NR,
	       "one count for each kind");

/* Small, so that a scenario can use it up.  The scheduler may also refuse earlier. */
#define MAPPINGS_MAX 16u

bool mem_mappings_take(enum mem_mappings kind, uint32_t nr)
{
	sched_point(POINT_GATHER, &sim_run_.mappings_used[kind], 0, CALLER_PC);
	if (sim_run_.mappings_used[kind] + nr > MAPPINGS_MAX || sim_refuses())
		return false;
	sim_run_.mappings_used[kind] += nr;
	return true;
}

void mem_mappings_add(enum mem_mappings kind, uint32_t nr)
{
	sim_run_.mappings_used[kind] += nr;
}

void mem_mappings_give(enum mem_mappings kind, uint32_t nr)
{
	if (nr > sim_run_.mappings_used[kind])
		sim_fail("misuse", "more mappings are given back than were taken");
	sim_run_.mappings_used[kind] -= nr;
}

void mem_mappings_read(struct mem_mappings_stat *stat)
{
	*stat = (struct mem_mappings_stat){ .max = MAPPINGS_MAX };
	for (unsigned i = 0; i < MAPPINGS_KINDS_NR; i++)
		stat->used[i] = sim_run_.mappings_used[i];
}

/* ---- guards ---- */

bool mem_guard_works(void)
{
	return true;
}

/* A call that is refused may have come half way. */
static int set_guards(void *addr, size_t bytes, bool guard, uintptr_t pc)
{
	bool refused;

	sched_point(POINT_GATHER, addr, 0, pc);
	refused = sim_refuses();
	if (refused)
		bytes = bytes >> 13 << 12;
	for (size_t i = page_of(addr); i < page_of(addr) + (bytes >> 12); i++) {
		if (guard && memory_pages[i].state != PAGE_COMMITTED)
			sim_fail("misuse", "a guard in memory that is not committed");
		if (guard || memory_pages[i].guard)
			memory_set_guard(i, guard, guard ? "made a guard" : "no guard any more",
					 pc);
	}
	if (guard) {
		flush_all(addr, bytes, 0, sim_opt.cpus_nr);
		empty_all(addr, bytes);
	}
	return refused ? -12 : 0;
}

int mem_guard(void *addr, size_t bytes, bool *mapped)
{
	*mapped = false;
	return set_guards(addr, bytes, true, CALLER_PC);
}

int mem_unguard(void *addr, size_t bytes)
{
	return set_guards(addr, bytes, false, CALLER_PC);
}

void mem_unguard_ranges(struct mem_range *ranges, unsigned ranges_nr)
{
	sim_log_write(ranges, ranges_nr * sizeof(*ranges));
	for (unsigned i = 0; i < ranges_nr; i++)
		ranges[i].error = set_guards(ranges[i].addr, ranges[i].bytes, false, CALLER_PC);
}

/* ---- frames ---- */

void *mem_reserve_shared(size_t bytes, size_t align_bytes, const char *name)
{
	char *addr = mem_reserve(bytes, align_bytes, name);

	for (size_t i = 0; addr != NULL && i < bytes >> 12; i++) {
		UNDO(memory_pages[page_of(addr) + i].shared);
		memory_pages[page_of(addr) + i].shared = true;
	}
	return addr;
}

void mem_forget_shared(size_t bytes)
{
	uncount_reserved(bytes);
}

static void map_frame(char *addr, const char *frame, size_t bytes, uintptr_t pc)
{
	for (size_t i = 0; i < bytes >> 12; i++) {
		size_t page = page_of(addr) + i, of = page_of(frame) + i;

		if (memory_pages[of].state != PAGE_COMMITTED || !memory_pages[of].shared)
			sim_fail("misuse", "what is mapped again is not a committed frame");
		if (memory_pages[page].state != PAGE_COMMITTED)
			sim_fail("misuse", "a frame is mapped where nothing is committed");
		if (memory_pages[page].frame != 0)
			sim_fail("two mappings", "a frame is mapped at %p, where one is",
				 (const void *)(addr + (i << 12)));
		memory_set_frame(page, of, "mapped", pc);
	}
}

int mem_map_frames(void *addr, void *const *frames, size_t frames_nr, size_t frame_bytes)
{
	for (size_t i = 0; i < frames_nr; i++) {
		sched_point(POINT_GATHER, frames[i], 0, CALLER_PC);
		if (sim_refuses() ||
		    (sim_run_.aliases_max != 0 &&
		     sim_run_.aliases_nr + (frame_bytes >> 12) > sim_run_.aliases_max))
			return -12;
		sim_run_.aliases_nr += frame_bytes >> 12;
		map_frame((char *)addr + i * frame_bytes, frames[i], frame_bytes, CALLER_PC);
	}
	return 0;
}

/* ---- gather ---- */

void gather_begin(struct gather *gather, struct mem_range *ranges, unsigned ranges_max)
{
	sched_point(POINT_GATHER, gather, 0, CALLER_PC);
	sim_log_write(gather, sizeof(*gather));
	*gather = (struct gather){ .ranges = ranges, .ranges_max = batch_most(ranges_max) };
}

void gather_lend(struct gather *gather, struct mem_vector *vector, unsigned vector_max)
{
	sim_log_write(gather, sizeof(*gather));
	gather->vector = vector;
	gather->vector_max = vector_max;
}

bool gather_is_full(const struct gather *gather)
{
	return gather->ranges_nr == gather->ranges_max;
}

static bool is_committed(enum page_state state)
{
	return state == PAGE_COMMITTED || state == PAGE_LEAVING;
}

static bool is_leaving(enum page_state state)
{
	return state == PAGE_LEAVING;
}

/* A range may have parts that are not committed, and these stay so. */
static void change_all(const struct mem_range *range, bool (*is_meant)(enum page_state state),
		       enum page_state state, const char *event, uintptr_t pc)
{
	for (size_t i = page_of(range->addr); i < page_of(range->addr) + (range->bytes >> 12); i++)
		if (is_meant((enum page_state)memory_pages[i].state))
			memory_set(i, state, event, pc);
}

static void take_away(struct gather *gather, const struct mem_range *what, enum gather_kind kind,
		      const char *event, uintptr_t pc)
{
	struct mem_range *range = &gather->ranges[gather->ranges_nr];

	sched_point(POINT_GATHER, what->addr, 0, pc);
	CHECK(!gather_is_full(gather));
	CHECK(gather->ranges_nr == 0 || gather->kind == kind);
	sim_log_write(gather, sizeof(*gather));
	sim_log_write(range, sizeof(*range));
	gather->kind = kind;
	gather->ranges_nr++;
	*range = *what;
	if (sim_refuses())
		range->error = -12;
	else
		change_all(range, is_committed, PAGE_LEAVING, event, pc);
}

void gather_unback(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes };

	take_away(gather, &range, GATHER_UNBACK, "unbacked", CALLER_PC);
}

void gather_unback_shared(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes, .shared = true };

	take_away(gather, &range, GATHER_UNBACK, "unbacked", CALLER_PC);
}

void gather_unmap(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes };

	take_away(gather, &range, GATHER_UNMAP, "unmapped", CALLER_PC);
}

void gather_unmap_frames(struct gather *gather, void *addr, size_t bytes)
{
	struct mem_range range = { .addr = addr, .bytes = bytes };

	take_away(gather, &range, GATHER_UNMAP_FRAMES, "unmapped", CALLER_PC);
}

static void flush_range(const struct mem_range *range)
{
	flush_all(range->addr, range->bytes, 0, sim_opt.cpus_nr);
}

static void forget_frames(const struct mem_range *range)
{
	for (size_t i = page_of(range->addr); i < page_of(range->addr) + (range->bytes >> 12);
	     i++) {
		sim_run_.aliases_nr -= memory_pages[i].frame != 0;
		UNDO(memory_pages[i]);
		memory_pages[i].frame = 0;
		memory_pages[i].guard = false;
	}
}

static void finish_range(const struct gather *gather, const struct mem_range *range)
{
	static const char *const events[] = {
		[GATHER_UNBACK] = "unbacked, gather finished",
		[GATHER_UNMAP] = "unmapped, gather finished",
		[GATHER_UNMAP_FRAMES] = "unmapped, gather finished",
	};

	flush_range(range);
	empty_all(range->addr, range->bytes);
	change_all(range, is_leaving, gather->kind == GATHER_UNMAP ? PAGE_RESERVED : PAGE_COMMITTED,
		   events[gather->kind], CALLER_PC);
	if (gather->kind == GATHER_UNMAP_FRAMES)
		forget_frames(range);
}

size_t gather_finish(struct gather *gather)
{
	size_t bytes = 0;

	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		sched_point(POINT_GATHER, gather->ranges[i].addr, 0, CALLER_PC);
		if (gather->ranges[i].error != 0)
			continue;
		finish_range(gather, &gather->ranges[i]);
		bytes += gather->ranges[i].bytes;
	}
	/* Only now, since what is left of a block may be in another range. */
	for (unsigned i = 0; gather->kind == GATHER_UNBACK && i < gather->ranges_nr; i++)
		if (gather->ranges[i].error == 0)
			huge_went(gather->ranges[i].addr, gather->ranges[i].bytes);
	return bytes;
}

bool gather_gave_back(const struct gather *gather, const void *addr)
{
	const char *at = addr;

	for (unsigned i = 0; i < gather->ranges_nr; i++) {
		const struct mem_range *range = &gather->ranges[i];
		const char *start = range->addr;

		if (at >= start && at < start + range->bytes)
			return range->error == 0;
	}
	return false;
}
