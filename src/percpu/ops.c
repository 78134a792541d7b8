/* SPDX-License-Identifier: MIT */
/*
 * percpu/ops.c - the library's side of quire/percpu_ops.h
 *
 * A program's inlined sequence calls this when it cannot run: in a build without sequences,
 * before the program's words are set, if the process or the thread has no CPU number, and on a
 * CPU for which some instance has no unit.  machine/cpu.h decides what happens instead.
 */
#define QUIRE_PERCPU_OPS_NO_INLINE
#include <quire/percpu_ops.h>

#include <quire/percpu.h>

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/cpu.h"

static bool is_width(unsigned bytes)
{
	return bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8;
}

static bool is_aligned(const volatile void *ptr, unsigned bytes)
{
	return is_width(bytes) && (uintptr_t)ptr % bytes == 0;
}

uint64_t quire_this_cpu_do(unsigned operation, volatile void *ptr, uint64_t value,
			   uint64_t expected)
{
	uint64_t result;

	if (UNLIKELY(!is_aligned(ptr, operation & 15u)))
		misuse_number("bad alignment", __func__, (const void *)(uintptr_t)ptr, "width",
			      operation & 15u);
	if (UNLIKELY(operation < QUIRE_THIS_CPU_READ || operation > (QUIRE_THIS_CPU_CMPXCHG | 8u)))
		misuse_number("unknown operation", __func__, (const void *)(uintptr_t)ptr,
			      "operation", operation);
	if (cpu_sequence(operation, ptr, value, expected, &result))
		return result;
	return cpu_fallback(operation, ptr, value, expected);
}

void *quire_this_cpu_copy(const volatile void *ptr)
{
	return quire_per_cpu_ptr((void *)(uintptr_t)ptr, cpu_unit(cpu_units_of(ptr)));
}

/* Pairs with the commits of sequences and with atomic operations: each copy is read once. */
static uint64_t read_copy(const volatile void *copy, unsigned bytes)
{
	switch (bytes) {
	case 1:
		return load_relaxed((const volatile uint8_t *)copy);
	case 2:
		return load_relaxed((const volatile uint16_t *)copy);
	case 4:
		return load_relaxed((const volatile uint32_t *)copy);
	default:
		return load_relaxed((const volatile uint64_t *)copy);
	}
}

uint64_t quire_per_cpu_sum_bytes(const volatile void *ptr, unsigned bytes)
{
	unsigned units = cpu_units_of(ptr);
	uint64_t sum = 0;

	if (UNLIKELY(!is_aligned(ptr, bytes)))
		misuse_number("bad alignment", __func__, (const void *)(uintptr_t)ptr, "width",
			      bytes);
	for (unsigned cpu = 0; cpu < units; cpu++)
		sum += read_copy((const volatile char *)ptr + cpu * QUIRE_PERCPU_STRIDE, bytes);
	return sum;
}

void quire_this_cpu_fill(struct quire_this_cpu_words *words)
{
	cpu_fill_words(words);
}
