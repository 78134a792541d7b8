/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - operations on per-CPU data where no sequence can do them
 *
 *   the process    the thread                 an operation is
 *   sequences      has a CPU number           a sequence
 *   sequences      has none (not libc's)      one atomic instruction, kept on one CPU meanwhile
 *   none           any                        one atomic instruction on the current CPU's copy
 *
 * The middle row mixes with sequences, and is right because of where it runs: while this thread
 * is on the copy's CPU no other thread is, so a sequence of that CPU that has begun is a
 * preempted one, and begins again.  It asks the kernel to stay there, which takes microseconds.
 */
#include "machine/cpu.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/linux/fence.h"
#include "machine/linux/probe.h"
#include "machine/linux/system.h"
#include "machine/process.h"

/* The kernel has at most 8,192 CPUs. */
#define CPUS_MOST  8192u
#define MASK_WORDS (CPUS_MOST / 64)

struct quire_this_cpu_words cpu_words = QUIRE_THIS_CPU_WORDS_INIT;

/* Sequences may run meanwhile and see one of the two filled: then they refuse. */
static void fill(struct quire_this_cpu_words *words)
{
	store_relaxed(&words->rseq_offset, probe_rseq_offset());
	store_relaxed(&words->cpus_nr, process_cpus_possible());
}

bool cpu_has_sequences(void)
{
	if (probe_once() == PROBE_NO_SEQUENCES)
		return false;
	if (load_relaxed(&cpu_words.cpus_nr) == 0)
		fill(&cpu_words);
	return true;
}

void cpu_fill_words(struct quire_this_cpu_words *words)
{
	if (cpu_has_sequences())
		fill(words);
}

void cpu_fence(void)
{
	if (cpu_has_sequences())
		fence_all();
}

#define SEQUENCE_CASES(bytes, type)                                                                \
	case QUIRE_THIS_CPU_READ | (bytes): {                                                      \
		type old_;                                                                         \
		bool done_ = quire_seq_read_##bytes(&cpu_words, ptr, &old_);                       \
                                                                                                   \
		*result = old_;                                                                    \
		return done_;                                                                      \
	}                                                                                          \
	case QUIRE_THIS_CPU_WRITE | (bytes):                                                       \
		return quire_seq_write_##bytes(&cpu_words, ptr, (type)value);                      \
	case QUIRE_THIS_CPU_ADD | (bytes):                                                         \
		return quire_seq_add_##bytes(&cpu_words, ptr, (type)value);                        \
	case QUIRE_THIS_CPU_AND | (bytes):                                                         \
		return quire_seq_and_##bytes(&cpu_words, ptr, (type)value);                        \
	case QUIRE_THIS_CPU_OR | (bytes):                                                          \
		return quire_seq_or_##bytes(&cpu_words, ptr, (type)value);                         \
	case QUIRE_THIS_CPU_ADD_RETURN | (bytes): {                                                \
		size_t slot_;                                                                      \
		type sum_;                                                                         \
		bool done_ =                                                                       \
			quire_seq_add_return_##bytes(&cpu_words, ptr, (type)value, &sum_, &slot_); \
                                                                                                   \
		*result = sum_;                                                                    \
		return done_;                                                                      \
	}                                                                                          \
	case QUIRE_THIS_CPU_XCHG | (bytes): {                                                      \
		type old_;                                                                         \
		bool done_ = quire_seq_xchg_##bytes(&cpu_words, ptr, (type)value, &old_);          \
                                                                                                   \
		*result = old_;                                                                    \
		return done_;                                                                      \
	}                                                                                          \
	case QUIRE_THIS_CPU_CMPXCHG | (bytes): {                                                   \
		type old_;                                                                         \
		bool done_ = quire_seq_cmpxchg_##bytes(&cpu_words, ptr, (type)expected,            \
						       (type)value, &old_);                        \
                                                                                                   \
		*result = old_;                                                                    \
		return done_;                                                                      \
	}

bool cpu_sequence(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
		  uint64_t *result)
{
	*result = 0;
	switch (operation) {
		SEQUENCE_CASES(1, uint8_t)
		SEQUENCE_CASES(2, uint16_t)
		SEQUENCE_CASES(4, uint32_t)
		SEQUENCE_CASES(8, uint64_t)
	default:
		return false;
	}
}

/* Pairs with whatever else is done to the copy: only the copy's own order counts. */
#define ATOMIC_CASE(bytes, type)                                                                   \
	case bytes: {                                                                              \
		volatile type *copy_ = copy;                                                       \
		type old_ = load_relaxed(copy_);                                                   \
		struct cpu_effect effect_;                                                         \
                                                                                                   \
		do                                                                                 \
			effect_ = cpu_apply(operation, old_, value, expected);                     \
		while (!cas_relaxed(copy_, &old_, (type)effect_.bits));                            \
		return effect_.result;                                                             \
	}

static uint64_t do_atomically(unsigned operation, volatile void *ptr, unsigned cpu, uint64_t value,
			      uint64_t expected)
{
	volatile void *copy = (volatile char *)ptr + (size_t)cpu * QUIRE_PERCPU_STRIDE;

	switch (operation & 15u) {
		ATOMIC_CASE(1, uint8_t)
		ATOMIC_CASE(2, uint16_t)
		ATOMIC_CASE(4, uint32_t)
		ATOMIC_CASE(8, uint64_t)
	default:
		return 0;
	}
}

/* A load alone, where a compare-and-swap would write to memory that nobody else writes. */
static uint64_t do_once(unsigned operation, volatile void *ptr, unsigned cpu, uint64_t value,
			uint64_t expected)
{
	volatile void *copy = (volatile char *)ptr + (size_t)cpu * QUIRE_PERCPU_STRIDE;

	switch (operation) {
	case QUIRE_THIS_CPU_READ | 1u:
		return load_relaxed((volatile uint8_t *)copy);
	case QUIRE_THIS_CPU_READ | 2u:
		return load_relaxed((volatile uint16_t *)copy);
	case QUIRE_THIS_CPU_READ | 4u:
		return load_relaxed((volatile uint32_t *)copy);
	case QUIRE_THIS_CPU_READ | 8u:
		return load_relaxed((volatile uint64_t *)copy);
	case QUIRE_THIS_CPU_ADD | 8u:
		(void)fetch_add_relaxed((volatile uint64_t *)copy, value);
		return 0;
	case QUIRE_THIS_CPU_ADD_RETURN | 8u:
		return fetch_add_relaxed((volatile uint64_t *)copy, value) + value;
	default:
		return do_atomically(operation, ptr, cpu, value, expected);
	}
}

static unsigned current_cpu(void)
{
	unsigned cpu = 0;

	CHECK(SYSTEM_CALL(SYS_getcpu, &cpu, NULL, NULL) == 0);
	CHECK(cpu < CPUS_MOST);
	return cpu;
}

/* The CPU may be gone, or forbidden, between the question and the answer: then there is another. */
static unsigned stay_on_a_cpu(void)
{
	uint64_t only[MASK_WORDS];
	unsigned cpu;

	do {
		cpu = current_cpu();
		for (unsigned i = 0; i < MASK_WORDS; i++)
			only[i] = i == cpu / 64 ? UINT64_C(1) << (cpu % 64) : 0;
	} while (SYSTEM_CALL(SYS_sched_setaffinity, 0L, sizeof(only), only) == -EINVAL);
	CHECK(current_cpu() == cpu);
	return cpu;
}

static uint64_t do_staying(unsigned operation, volatile void *ptr, uint64_t value,
			   uint64_t expected)
{
	uint64_t before[MASK_WORDS];
	uint64_t result;
	long bytes = SYSTEM_CALL(SYS_sched_getaffinity, 0L, sizeof(before), before);

	CHECK(bytes > 0);
	result = do_once(operation, ptr, stay_on_a_cpu(), value, expected);
	/* Refused only if none of those CPUs is left: then any is as good. */
	SYSTEM_CALL(SYS_sched_setaffinity, 0L, (size_t)bytes, before);
	return result;
}

uint64_t cpu_fallback(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected)
{
	uint64_t result;

	if (!cpu_has_sequences())
		return do_once(operation, ptr, process_cpu(), value, expected);
	/* The words may have been empty until now. */
	if (cpu_sequence(operation, ptr, value, expected, &result))
		return result;
	return do_staying(operation, ptr, value, expected);
}
