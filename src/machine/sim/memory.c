/* SPDX-License-Identifier: MIT */
/*
 * memory.c - page tables, translation caches, and what an access may reach
 *
 * Each page has a state, a generation that changes with its backing, and a record of its last
 * change.  Each CPU caches generations.  A cached entry is used without reading the page table,
 * as in hardware; if the backing has changed meanwhile, the access went to a frame that may
 * belong to another user, and the run fails with both histories.
 *
 *   RESERVED   addresses only; an access fails
 *   READONLY   a read gets zeroes, a write fails
 *   COMMITTED  an access finds memory, or gets zeroes
 *   LEAVING    unbacked by a gather that has not finished: an access from any CPU fails
 *
 * A committed page may be a guard: an access fails.  Or it may be an alias: its entry names a
 * frame, another page, and an access also fails if the frame is not committed.  Writes through an
 * alias do not appear in the frame; scenarios use sim_frame_of() to find where an address leads.
 *
 * mips: entries stay until they are flushed.  x86: any entry may be gone at any access, drawn from
 * the run's seed and the task's own count of points, so that shrinking does not move the draws.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

struct page_entry *memory_pages;
bool *memory_advised;
static uint64_t *tlb; /* [cpu][page]: run number << 32 | generation + 1 */

#define HEAP_GRANULE 16
enum {
	OBJECT_NONE,
	OBJECT_LIVE,
	OBJECT_FREED,
};
static uint8_t *heap_state; /* by granule */
static uintptr_t *heap_freed_pc;
#define HEAP_GRANULES ((ARENA_STACKS - ARENA_HEAP) / HEAP_GRANULE)

static void *table(size_t bytes)
{
	void *got = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (got == MAP_FAILED) {
		fprintf(stderr, "quire-explore: no memory for tables\n");
		exit(2);
	}
	return got;
}

void memory_reset(void)
{
	if (memory_pages != NULL) {
		munmap(memory_pages, PAGES_MAX * sizeof(*memory_pages));
		munmap(memory_advised, PAGES_MAX / BLOCK_PAGES * sizeof(*memory_advised));
		munmap(tlb, 64 * PAGES_MAX * sizeof(*tlb));
		munmap(heap_state, HEAP_GRANULES);
		munmap(heap_freed_pc, HEAP_GRANULES * sizeof(*heap_freed_pc));
	}
	memory_pages = table(PAGES_MAX * sizeof(*memory_pages));
	memory_advised = table(PAGES_MAX / BLOCK_PAGES * sizeof(*memory_advised));
	tlb = table(64 * PAGES_MAX * sizeof(*tlb));
	heap_state = table(HEAP_GRANULES);
	heap_freed_pc = table(HEAP_GRANULES * sizeof(*heap_freed_pc));
}

void memory_set(size_t page, enum page_state state, const char *event, uintptr_t pc)
{
	struct page_entry *entry = &memory_pages[page];

	UNDO(*entry);
	if (state == PAGE_LEAVING || state == PAGE_RESERVED)
		entry->generation++;
	if (state == PAGE_NONE || state == PAGE_RESERVED) {
		entry->guard = false;
		entry->frame = 0;
	}
	entry->state = (uint8_t)state;
	entry->event = event;
	entry->pc = pc;
	entry->cpu = current_task()->cpu;
	entry->step = sim_run_.steps;
}

void memory_set_guard(size_t page, bool guard, const char *event, uintptr_t pc)
{
	memory_set(page, (enum page_state)memory_pages[page].state, event, pc);
	memory_pages[page].guard = guard;
	memory_pages[page].generation += guard;
}

/* No flush: no CPU may have cached a translation of the page. */
void memory_set_frame(size_t page, size_t frame, const char *event, uintptr_t pc)
{
	memory_set(page, PAGE_COMMITTED, event, pc);
	memory_pages[page].frame = (uint32_t)frame;
	memory_pages[page].generation++;
}

/* Drops the translation of one page that one CPU has cached. */
void memory_flush(unsigned cpu, size_t page)
{
	if (cpu < 64)
		tlb[cpu * PAGES_MAX + page] = 0;
}

static uint64_t tag(uint32_t generation)
{
	return (uint64_t)sim_run_number << 32 | (uint64_t)(generation + 1);
}

static bool evicted(const struct task *task)
{
	uint64_t mix = (sim_opt.seed ^ task->steps) * UINT64_C(0x9e3779b97f4a7c15);

	return sim_opt.tlb == SIM_TLB_X86 && (mix >> 40 & 3) == 0;
}

_Noreturn static void bad_access(const char *rule, const struct page_entry *entry,
				 const volatile void *addr, bool write, uintptr_t pc)
{
	sim_failure.pc = pc;
	sim_failure.other_pc = entry->pc;
	sim_failure.addr = (const void *)(uintptr_t)addr;
	sim_fail(rule, "CPU %u %s %p; the page: %s by CPU %u at step %u", current_task()->cpu,
		 write ? "writes" : "reads", (const void *)(uintptr_t)addr,
		 entry->event != NULL ? entry->event : "never reserved", entry->cpu, entry->step);
}

static void check_page(size_t page, const volatile void *addr, bool write, uintptr_t pc)
{
	struct page_entry *entry = &memory_pages[page];
	struct task *task = current_task();
	uint64_t *cached = &tlb[task->cpu * PAGES_MAX + page];

	if (entry->frame != 0 && memory_pages[entry->frame].state != PAGE_COMMITTED)
		bad_access("alias of a page that is gone", &memory_pages[entry->frame], addr, write,
			   pc);
	if (*cached >> 32 == sim_run_number && !evicted(task)) {
		if (*cached != tag(entry->generation))
			bad_access("stale translation", entry, addr, write, pc);
		return;
	}
	if (entry->state == PAGE_READONLY && !write)
		return;
	if (entry->state != PAGE_COMMITTED)
		bad_access(entry->state == PAGE_LEAVING ? "access after unback"
							: "access to unmapped page",
			   entry, addr, write, pc);
	if (entry->guard)
		bad_access("guard page", entry, addr, write, pc);
	*cached = tag(entry->generation);
}

const void *sim_frame_of(unsigned cpu, const void *addr)
{
	size_t page = ((uintptr_t)addr - ARENA_PAGES) >> 12;
	const struct page_entry *entry = &memory_pages[page];
	uint64_t cached = tlb[cpu * PAGES_MAX + page];
	size_t frame = entry->frame != 0 ? entry->frame : page;

	if (cached >> 32 == sim_run_number && cached != tag(entry->generation))
		sim_fail("stale translation", "CPU %u still reaches what was behind %p", cpu, addr);
	if (entry->state != PAGE_COMMITTED || entry->guard)
		return NULL;
	return (const char *)ARENA_PAGES + (frame << 12) + ((uintptr_t)addr & 4095);
}

static void check_object(const volatile void *addr, bool write, uintptr_t pc)
{
	size_t granule = ((uintptr_t)addr - ARENA_HEAP) / HEAP_GRANULE;

	if (heap_state[granule] == OBJECT_LIVE)
		return;
	sim_failure.pc = pc;
	sim_failure.other_pc = heap_freed_pc[granule];
	sim_failure.addr = (const void *)(uintptr_t)addr;
	sim_fail(heap_state[granule] == OBJECT_FREED ? "use after free" : "wild access",
		 "CPU %u %s %p", current_task()->cpu, write ? "writes" : "reads",
		 (const void *)(uintptr_t)addr);
}

void memory_access(const volatile void *addr, size_t bytes, bool write, uintptr_t pc)
{
	if (in_pages(addr)) {
		size_t first = ((uintptr_t)addr - ARENA_PAGES) >> 12;
		size_t last = ((uintptr_t)addr + bytes - 1 - ARENA_PAGES) >> 12;

		for (size_t page = first; page <= last && page < PAGES_MAX; page++)
			check_page(page, addr, write, pc);
	} else if (in_arena(addr) && !in_stacks(addr)) {
		check_object(addr, write, pc);
	}
}

/* Notes pages whose content a gather has to clear. */
void memory_note_write(const volatile void *addr, size_t bytes)
{
	size_t first, last;

	if (!in_pages(addr))
		return;
	first = ((uintptr_t)addr - ARENA_PAGES) >> 12;
	last = ((uintptr_t)addr + bytes - 1 - ARENA_PAGES) >> 12;
	for (size_t page = first; page <= last && page < PAGES_MAX; page++) {
		if (memory_pages[page].touched)
			continue;
		UNDO(memory_pages[page].touched);
		memory_pages[page].touched = true;
	}
}

void memory_zero(size_t page)
{
	char *addr = (char *)ARENA_PAGES + (page << 12);

	if (!memory_pages[page].touched)
		return;
	if (sim_mode & MODE_LOG)
		undo_note_range(addr, 4096);
	memset(addr, 0, 4096);
	if (sim_mode & MODE_LATE)
		late_pin_everybody(); /* as the flush of translations does that came before */
	UNDO(memory_pages[page].touched);
	memory_pages[page].touched = false;
}

/* ---- the scenario's objects ---- */

static void set_objects(const void *object, size_t bytes, uint8_t state, uintptr_t pc)
{
	size_t granule = ((uintptr_t)object - ARENA_HEAP) / HEAP_GRANULE;

	for (size_t i = 0; i < (bytes + HEAP_GRANULE - 1) / HEAP_GRANULE; i++) {
		UNDO(heap_state[granule + i]);
		UNDO(heap_freed_pc[granule + i]);
		heap_state[granule + i] = state;
		heap_freed_pc[granule + i] = pc;
	}
}

void *sim_zalloc(struct sim *sim, size_t bytes)
{
	size_t room = (bytes + 63) & ~(size_t)63;
	char *object = (char *)ARENA_HEAP + sim_run_.heap_used;
	size_t *head = (size_t *)(void *)object;

	(void)sim;
	if (sim_run_.heap_used + room + 64 > ARENA_STACKS - ARENA_HEAP)
		sim_fail("scenario", "the heap is full");
	sim_run_.heap_used += room + 64;
	UNDO(*head);
	*head = bytes;
	if (sim_mode & MODE_LOG)
		undo_note_range(object + 64, room);
	memset(object + 64, 0, room);
	set_objects(object + 64, room, OBJECT_LIVE, CALLER_PC);
	return object + 64;
}

void sim_free(void *object)
{
	size_t bytes = *(size_t *)(void *)((char *)object - 64);

	set_objects(object, bytes, OBJECT_FREED, CALLER_PC);
}

/* ---- owners of pages ---- */

void sim_own(const void *addr, size_t bytes)
{
	size_t first = ((uintptr_t)addr - ARENA_PAGES) >> 12;

	for (size_t i = first; i < first + (bytes >> 12); i++) {
		struct page_entry *entry = &memory_pages[i];

		if (entry->owned) {
			sim_failure.pc = CALLER_PC;
			sim_failure.other_pc = entry->owner_pc;
			sim_failure.addr = (const void *)(ARENA_PAGES + (i << 12));
			sim_fail("two owners", "page %p is CPU %u's already",
				 (const void *)(ARENA_PAGES + (i << 12)), entry->owner);
		}
		UNDO(*entry);
		entry->owned = true;
		entry->owner = current_task()->cpu;
		entry->owner_pc = CALLER_PC;
	}
}

void sim_disown(const void *addr, size_t bytes)
{
	size_t first = ((uintptr_t)addr - ARENA_PAGES) >> 12;

	for (size_t i = first; i < first + (bytes >> 12); i++) {
		if (!memory_pages[i].owned)
			sim_fail("scenario", "a page is given back that nobody owned");
		UNDO(memory_pages[i]);
		memory_pages[i].owned = false;
		memory_pages[i].owner_pc = CALLER_PC;
	}
}
