/* SPDX-License-Identifier: MIT */
/* memory.h - page table entries, read by memory.c and changed by mem.c */
#ifndef MACHINE_SIM_MEMORY_H
#define MACHINE_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "machine/sim/internal.h"

#define BLOCK_PAGES 512u /* of 4 KiB, where a huge page fits */

enum page_state {
	PAGE_NONE,
	PAGE_RESERVED,
	PAGE_READONLY,
	PAGE_COMMITTED,
	PAGE_LEAVING,
};

struct page_entry {
	const char *event; /* its last change; pc, cpu and step tell where it was made */
	uintptr_t pc;
	uintptr_t owner_pc;
	uint32_t generation;
	uint32_t step;
	uint32_t frame; /* an alias of this page; 0: no alias (page 0 is never a frame) */
	uint16_t cpu;
	uint16_t owner;
	uint8_t state;
	bool owned;
	bool touched; /* may hold anything but zeroes */
	bool guard;
	bool shared; /* may be a frame */
	bool gone;   /* given back while a part of its block stayed: huge.c */
};

extern struct page_entry *memory_pages;
extern bool *memory_advised; /* by block of 2 MiB: huge pages are wanted */

/* True if memory_note_write() has nothing to do. */
static inline bool memory_is_touched(const volatile void *addr, size_t bytes)
{
	size_t first = ((uintptr_t)addr - ARENA_PAGES) >> 12;

	return memory_pages[first].touched && ((uintptr_t)addr & 4095) + bytes <= 4096;
}

void memory_set(size_t page, enum page_state state, const char *event, uintptr_t pc);
void memory_set_guard(size_t page, bool guard, const char *event, uintptr_t pc);
void memory_set_frame(size_t page, size_t frame, const char *event, uintptr_t pc);
void memory_flush(unsigned cpu, size_t page);
void memory_zero(size_t page);
/* Memory of [addr, addr + bytes) went back to the system: huge.c. */
void huge_went(void *addr, size_t bytes);

#endif
