/* SPDX-License-Identifier: MIT */
/* percpu/plain.c - a stand-in for the allocator until it is there: a range that only grows */
#include <quire/percpu.h>

#include "machine/atomic.h"
#include "machine/mem.h"
#include "machine/process.h"

#define STAND_IN_BYTES ((size_t)64 << 10)

static char *stand_in;
static size_t stand_in_used;

void *quire_alloc_percpu(struct quire *q, size_t bytes, size_t align, unsigned flags)
{
	size_t units = process_cpus_possible();
	char *base = load_acquire(&stand_in);

	(void)q;
	(void)flags;
	if (align == 0)
		align = 8;
	bytes = (bytes + 63) & ~(size_t)63;
	if (base == NULL) {
		base = mem_reserve(units * QUIRE_PERCPU_STRIDE, QUIRE_PERCPU_STRIDE, "percpu");
		for (size_t i = 0; i < units; i++)
			mem_commit(base + i * QUIRE_PERCPU_STRIDE, STAND_IN_BYTES, "percpu");
		store_release(&stand_in, base);
	}
	return base + fetch_add_relaxed(&stand_in_used, bytes);
}

void quire_free_percpu(struct quire *q, void *ptr)
{
	(void)q;
	(void)ptr;
}

unsigned quire_percpu_units(struct quire *q)
{
	(void)q;
	return process_cpus_possible();
}
