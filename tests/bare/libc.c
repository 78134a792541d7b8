/* SPDX-License-Identifier: MIT */
/*
 * libc.c - memory for the tests' own records
 *
 * A record is a power of two of bytes, the first 16 of which are its class.  Freed ones are listed by class; new ones
 * come from one mapping, which only grows.
 */
#include <stdlib.h>

#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "machine/bare/console.h"
#include "machine/bare/spin.h"
#include "machine/mem.h"

#define HEAP_BYTES   ((size_t)64 << 20)
#define HEADER_BYTES ((size_t)16)
#define CLASSES_NR   32u

struct record {
	unsigned class;
	struct record *next;
};

_Static_assert(sizeof(struct record) <= HEADER_BYTES, "the program's part is aligned to 16");

static struct {
	struct spin spin;
	char *start;
	size_t used_bytes;
	struct record *free[CLASSES_NR];
} heap;

static unsigned class_of(size_t bytes)
{
	unsigned class = 5;

	while (((size_t)1 << class) < bytes + HEADER_BYTES)
		class ++;
	return class;
}

static struct record *take_locked(unsigned class)
{
	struct record *record = heap.free[class];

	CHECK(spin_is_held(&heap.spin));
	if (record != NULL) {
		heap.free[class] = record->next;
		return record;
	}
	CHECK_VALUES(heap.used_bytes + ((size_t)1 << class) <= HEAP_BYTES, heap.used_bytes, class);
	record = (struct record *)(void *)(heap.start + heap.used_bytes);
	heap.used_bytes += (size_t)1 << class;
	return record;
}

void *malloc(size_t bytes)
{
	unsigned class = class_of(bytes);
	uint64_t flags;
	struct record *record;

	CHECK_VALUES(class < CLASSES_NR, bytes, CLASSES_NR);
	flags = spin_acquire(&heap.spin);
	if (heap.start == NULL)
		heap.start = mem_map(HEAP_BYTES, "tests");
	CHECK(heap.start != NULL);
	record = take_locked(class);
	spin_release(&heap.spin, flags);
	record->class = class;
	return (char *)record + HEADER_BYTES;
}

void *calloc(size_t nr, size_t bytes)
{
	void *addr = malloc(nr * bytes);

	memset(addr, 0, nr * bytes);
	return addr;
}

void free(void *addr)
{
	struct record *record;
	uint64_t flags;

	if (addr == NULL)
		return;
	record = (struct record *)(void *)((char *)addr - HEADER_BYTES);
	flags = spin_acquire(&heap.spin);
	record->next = heap.free[record->class];
	heap.free[record->class] = record;
	spin_release(&heap.spin, flags);
}

void abort(void)
{
	console_print("abort()\n");
	console_end(CONSOLE_FAILED);
}

void _exit(int status)
{
	console_print("_exit(%d)\n", status);
	console_end(CONSOLE_FAILED);
}
