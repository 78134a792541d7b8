/* SPDX-License-Identifier: MIT */
/*
 * cpu.c - operations on per-CPU data where no sequence can run
 *
 *   the process       the thread                        an operation is
 *   has sequences     has a CPU number below the bound  a sequence
 *   has sequences     has none, and may register        a sequence, registered for its length
 *   has sequences     any other                         the end of all sequences; then the next row
 *   has none, or      any                               one atomic instruction on the current CPU's
 *   has ended them                                      copy, or, if that has none, on another's
 *
 * Registering.  Even a thread that libc did not create has a thread descriptor: libc's own calls
 * need it, and sequences store into its rseq area before they read the CPU number.  That area is
 * registered with the kernel, the ordinary sequence runs, and the area is unregistered: two
 * system calls.  No affinity, signal mask or stack changes.  A signal handler that interrupts
 * this finds a thread with a CPU number, and its operations are ordinary sequences; before and
 * afterwards it registers by itself.  If the handler leaves by longjmp(), the thread stays
 * registered like libc's threads.
 *
 * Ending sequences.  Registration is refused for threads with another registration, or under a
 * filter; or a thread may run on a CPU at or above the bound.  Then the bound of the whole
 * process becomes 0 and a fence follows: sequences that read the old bound have committed, or
 * will restart and refuse.  From then on all operations are atomic, on whatever CPU a thread
 * runs.  A thread that finds another thread doing this does the same itself, so no thread waits,
 * and a handler may interrupt it anywhere.  This cannot be reversed: enabling sequences again
 * would have to exclude the threads that end them, including their handlers.
 *
 * Units.  Instances may have fewer units than there are CPUs (units:).  Before such an instance
 * has an object, the bound is lowered to its units, since a sequence does not know to which
 * instance an object belongs.  On CPU n above the bound, an atomic instruction works on the copy
 * of CPU n modulo units.
 */
#include "machine/cpu.h"

#include "base/check.h"
#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/linux/fence.h"
#include "machine/linux/probe.h"
#include "machine/process.h"

#define BOUND_UNKNOWN UINT32_MAX

struct quire_this_cpu_words cpu_words = QUIRE_THIS_CPU_WORDS_INIT(cpu_words);

/* Atomic.  What all words of the process point to: unknown, then the possible CPUs, then fewer. */
static uint32_t cpu_bound = BOUND_UNKNOWN;
/* Atomic; set once: no sequence is under way, and none will be. */
static bool is_ended;

/* ---- what sequences read ---- */

/* A concurrent sequence may see only one of the two filled: then it refuses. */
static void fill(struct quire_this_cpu_words *words)
{
	uint32_t unknown = BOUND_UNKNOWN;

	cas_relaxed(&cpu_bound, &unknown, process_cpus_possible());
	store_relaxed(&words->rseq_offset, probe_rseq_offset());
	store_release(&words->bound, (const uint32_t *)&cpu_bound); /* after its value */
}

bool cpu_has_sequences(void)
{
	if (load_acquire(&is_ended) || probe_once() == PROBE_NO_SEQUENCES)
		return false;
	if (load_relaxed(&cpu_words.bound) != &cpu_bound)
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

/* The caller has found sequences, so the bound is known and fill() does not change it. */
static void end_sequences(void)
{
	store_relaxed(&cpu_bound, 0);
	fence_all();
	store_release(&is_ended, true);
}

/* ---- objects with fewer copies ---- */

/* More instances with fewer units than CPUs than any program is known to need. */
#define RANGES_MAX   64u
#define RANGE_FILLED 1u /* no address */

/* Atomic.  begin is 0 in a free one, and tells whether the others may be used. */
static struct {
	uintptr_t begin, end;
	uint32_t units;
} few_units[RANGES_MAX];
/* Atomic: one more than the last that was ever used. */
static uint32_t few_units_nr;

static void lower_bound(uint32_t units)
{
	uint32_t bound = load_relaxed(&cpu_bound);

	/* A thread that is given an object has synchronized with this: no fence is needed. */
	while (bound > units && !cas_relaxed(&cpu_bound, &bound, units))
		;
}

static void raise_to(uint32_t *word, uint32_t least)
{
	uint32_t before = load_relaxed(word);

	while (before < least && !cas_relaxed(word, &before, least))
		;
}

int cpu_units_add(const void *base, size_t bytes, unsigned units)
{
	for (uint32_t i = 0; i < RANGES_MAX; i++) {
		uintptr_t nobody = 0;

		if (!cas_acquire(&few_units[i].begin, &nobody, (uintptr_t)RANGE_FILLED))
			continue;
		store_relaxed(&few_units[i].end, (uintptr_t)base + bytes);
		store_relaxed(&few_units[i].units, units);
		store_release(&few_units[i].begin, (uintptr_t)base); /* pairs with cpu_units_of() */
		raise_to(&few_units_nr, i + 1);
		if (cpu_has_sequences())
			lower_bound(units);
		return 0;
	}
	return -ENOMEM;
}

void cpu_units_remove(const void *base)
{
	for (uint32_t i = 0; i < load_relaxed(&few_units_nr); i++)
		if (load_relaxed(&few_units[i].begin) == (uintptr_t)base)
			store_release(&few_units[i].begin, (uintptr_t)0);
}

/* A range that changes meanwhile is not the object's: its instance exists. */
unsigned cpu_units_of(const volatile void *ptr)
{
	uintptr_t addr = (uintptr_t)ptr;

	for (uint32_t i = 0; i < load_relaxed(&few_units_nr); i++) {
		uintptr_t begin = load_acquire(&few_units[i].begin);
		uint32_t units = load_relaxed(&few_units[i].units);

		if (begin > RANGE_FILLED && begin <= addr &&
		    addr < load_acquire(&few_units[i].end) &&
		    load_relaxed(&few_units[i].begin) == begin)
			return units;
	}
	return process_cpus_possible();
}

unsigned cpu_unit(unsigned units)
{
	unsigned cpu = process_cpu();

	return cpu < units ? cpu : cpu % units;
}

/* ---- sequences ---- */

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

/* ---- atomic instructions ---- */

/* Only the order of operations on the same copy matters. */
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

/* Only a load: a compare-and-swap would write to memory that no thread has written yet. */
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

/* ---- the ways around ---- */

static bool do_registered(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected,
			  uint64_t *result)
{
	bool done;

	if (!probe_register())
		return false;
	done = cpu_sequence(operation, ptr, value, expected, result);
	probe_unregister();
	return done;
}

uint64_t cpu_fallback(unsigned operation, volatile void *ptr, uint64_t value, uint64_t expected)
{
	uint64_t result;

	if (cpu_has_sequences()) {
		/* The words may have been unfilled until now. */
		if (cpu_sequence(operation, ptr, value, expected, &result) ||
		    do_registered(operation, ptr, value, expected, &result))
			return result;
		end_sequences();
	}
	return do_once(operation, ptr, cpu_unit(cpu_units_of(ptr)), value, expected);
}
