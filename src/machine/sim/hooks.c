/* SPDX-License-Identifier: MIT */
/*
 * hooks.c - the functions that -fsanitize=thread calls, in place of libtsan's
 *
 * Plain accesses are announced before they happen; atomic ones are replaced by a call; volatile
 * ones, which have hooks of their own, count as relaxed atomics (READ_ONCE, WRITE_ONCE).  Range
 * hooks and memcpy, memmove, memset (redirected by objcopy) are plain accesses of many bytes.
 *
 * There is no 16-byte atomic on purpose: the core must not use any, and an undefined symbol in
 * its objects says so.
 */
#include <string.h>

#include "machine/sim/internal.h"
#include "machine/sim/memory.h"

unsigned sim_mode;
uint64_t sim_hooks_seen[POINT_KINDS_NR];
uint64_t sim_reads_limit;

uint64_t sim_hooks_of(enum point_kind kind)
{
	return sim_hooks_seen[kind];
}

#define MODE_READS                                                                                 \
	(MODE_PLAIN | MODE_RACE | MODE_MEMORY | MODE_BUFFER | MODE_TRACE | MODE_COUNT | MODE_ENTER)

#define MODE_SLOW_POINTS (MODE_TRACE | MODE_COUNT | MODE_ENTER)

static inline void point(enum point_kind kind, const volatile void *addr, unsigned bytes,
			 uintptr_t pc)
{
	struct task *task = current_task();

	task->steps++;
	task->pc = pc;
	if (UNLIKELY(++sim_run_.steps >= sim_run_.next_step || task->steps >= task->next_deviation))
		sim_point_slow(task);
	if (UNLIKELY(sim_mode & MODE_TRACE))
		trace_add(kind, addr, bytes, pc);
	hash_point(kind, addr);
}

static inline void settle(void)
{
	if (sim_mode & MODE_BUFFER)
		buffer_settle();
	if (sim_mode & MODE_TRACE)
		trace_settle();
}

static NOINLINE void watched_point(enum point_kind kind, const volatile void *addr, unsigned bytes,
				   uintptr_t pc)
{
	settle();
	if (sim_mode & MODE_COUNT)
		count_access(kind, addr, bytes);
	if (sim_mode & MODE_ENTER && sim_mode & MODE_RUN)
		enter_note(pc);
	if (sim_mode & MODE_RUN)
		point(kind, addr, bytes, pc);
}

/* Rare cases are tail calls, so that the frequent case saves no registers. */
void sched_point(enum point_kind kind, const volatile void *addr, unsigned bytes, uintptr_t pc)
{
	struct task *task = current_task();

	sim_hooks_seen[kind]++;
	if (UNLIKELY(sim_mode & MODE_SLOW_POINTS || buffer_unsettled != NULL)) {
		watched_point(kind, addr, bytes, pc);
		return;
	}
	if (!(sim_mode & MODE_RUN))
		return;
	task->steps++;
	task->pc = pc;
	if (UNLIKELY(++sim_run_.steps >= sim_run_.next_step || task->steps >= task->next_deviation))
		sched_deciding_point(kind, addr);
	else
		hash_point(kind, addr);
}

/* All effects of a plain access except those on the undo log and the store buffer. */
static NOINLINE void watched_access(enum point_kind kind, const volatile void *addr, size_t bytes,
				    uintptr_t pc)
{
	settle();
	if (sim_mode & MODE_COUNT)
		count_access(kind, addr, bytes);
	if (sim_mode & MODE_ENTER && sim_mode & MODE_RUN)
		enter_note(pc);
	if (!(sim_mode & MODE_RUN) || !in_arena(addr))
		return;
	if (sim_mode & MODE_PLAIN && !in_stacks(addr))
		point(kind, addr, bytes > 255 ? 255 : (unsigned)bytes, pc);
	else if (sim_mode & MODE_TRACE)
		trace_add(kind, addr, bytes > 255 ? 255 : (unsigned)bytes, pc);
	if (sim_mode & MODE_MEMORY)
		memory_access(addr, bytes, kind == POINT_WRITE, pc);
	if (sim_mode & MODE_RACE)
		race_plain(addr, bytes, kind == POINT_WRITE, pc);
}

static inline void race_access(const volatile void *addr, size_t bytes, bool write, uintptr_t pc)
{
	if ((sim_mode & (MODE_RACE | MODE_RUN)) == (MODE_RACE | MODE_RUN) &&
	    !race_is_private(addr, bytes, write))
		race_plain(addr, bytes, write, pc);
}

#define MODE_WATCHED_ACCESS (MODE_PLAIN | MODE_MEMORY | MODE_TRACE | MODE_COUNT | MODE_ENTER)

static NOINLINE void seldom_access(enum point_kind kind, const volatile void *addr, size_t bytes,
				   uintptr_t pc)
{
	if (UNLIKELY(kind == POINT_READ && sim_hooks_seen[POINT_READ] == sim_reads_limit))
		sim_fail("livelock", "a loop without a scheduling point");
	if (sim_mode & MODE_WATCHED_ACCESS) {
		watched_access(kind, addr, bytes, pc);
		return;
	}
	buffer_settle();
	race_access(addr, bytes, kind == POINT_WRITE, pc);
}

/* All calls are tail calls, so that no register is saved. */
static NOINLINE void noticed_read(const volatile void *addr, size_t bytes, uintptr_t pc)
{
	if (UNLIKELY(++sim_hooks_seen[POINT_READ] == sim_reads_limit || buffer_unsettled != NULL ||
		     sim_mode & MODE_WATCHED_ACCESS))
		seldom_access(POINT_READ, addr, bytes, pc);
	else
		race_access(addr, bytes, false, pc);
}

/* By far the most frequent access: where nothing is to be done, not even a count is. */
static inline void plain_read(const volatile void *addr, size_t bytes, uintptr_t pc)
{
	if (UNLIKELY(sim_mode & MODE_READS))
		noticed_read(addr, bytes, pc);
}

void sim_plain_read(const volatile void *addr, size_t bytes, uintptr_t pc)
{
	plain_read(addr, bytes, pc);
}

/* The store fits into the store buffer and is not to a stack, whose bytes may soon be reused. */
static inline bool can_wait(const volatile void *addr, size_t bytes)
{
	return (sim_mode & (MODE_BUFFER | MODE_RUN)) == (MODE_BUFFER | MODE_RUN) && bytes <= 8 &&
	       in_arena(addr) && !in_stacks(addr);
}

static inline void log_write(void *addr, size_t bytes)
{
	if (in_pages(addr) && !memory_is_touched(addr, bytes))
		memory_note_write(addr, bytes);
	if (!(sim_mode & MODE_LOG) || in_stacks(addr))
		return;
	if (bytes <= 8)
		undo_note_small(addr, (unsigned)bytes);
	else
		undo_note_range(addr, bytes);
}

void sim_log_write(void *addr, size_t bytes)
{
	log_write(addr, bytes);
}

/* A store that does not wait in a buffer. */
static NOINLINE void leaves_at_once(const volatile void *addr, size_t bytes)
{
	if (!(sim_mode & MODE_LATE) || !(sim_mode & MODE_RUN) || in_stacks(addr))
		return;
	buffer_make_way(current_task(), addr, bytes);
	late_store_left(sim_run_.current, addr, bytes, (const void *)(uintptr_t)addr);
}

static NOINLINE void write_at_once(const volatile void *addr, size_t bytes)
{
	if (in_arena(addr) && !in_stacks(addr))
		buffer_drain_all(current_task());
	leaves_at_once(addr, bytes);
}

void sim_plain_write(volatile void *addr, size_t bytes, uintptr_t pc)
{
	sim_hooks_seen[POINT_WRITE]++;
	if (UNLIKELY(sim_mode & MODE_READS))
		seldom_access(POINT_WRITE, addr, bytes, pc);
	log_write((void *)(uintptr_t)addr, bytes);
	if (can_wait(addr, bytes))
		buffer_add(current_task(), (void *)(uintptr_t)addr, (unsigned)bytes, false);
	else if (sim_mode & MODE_BUFFER)
		write_at_once(addr, bytes);
}

/* ---- atomic accesses ---- */

static NOINLINE void watched_load(const volatile void *addr, unsigned bytes, int order,
				  uintptr_t pc)
{
	if (!(sim_mode & MODE_RUN))
		return;
	if (sim_mode & MODE_MEMORY && in_arena(addr))
		memory_access(addr, bytes, false, pc);
	/* A static orders what is around it, too. */
	if (sim_mode & MODE_RACE)
		race_atomic(addr, bytes, false, true, order, pc);
}

uint64_t sim_load(const volatile void *addr, unsigned bytes, int order, uintptr_t pc)
{
	uint64_t value;

	sched_point(POINT_LOAD, addr, bytes, pc);
	if (UNLIKELY(sim_mode & (MODE_RACE | MODE_MEMORY)))
		watched_load(addr, bytes, order, pc);
	value = undo_load((const void *)(uintptr_t)addr, bytes);
	value = late_load(addr, bytes, order, value);
	if (sim_mode & MODE_TRACE)
		trace_value(value);
	return value;
}

static NOINLINE void watched_write(const volatile void *addr, unsigned bytes, bool read, int order,
				   uintptr_t pc)
{
	if (!(sim_mode & MODE_RUN))
		return;
	if (sim_mode & MODE_MEMORY && in_arena(addr))
		memory_access(addr, bytes, true, pc);
	if (sim_mode & MODE_RACE)
		race_atomic(addr, bytes, true, read, order, pc);
}

static inline void before_atomic_write(volatile void *addr, unsigned bytes, bool read, int order,
				       uintptr_t pc)
{
	if (UNLIKELY(sim_mode & (MODE_RACE | MODE_MEMORY)))
		watched_write(addr, bytes, read, order, pc);
	log_write((void *)(uintptr_t)addr, bytes);
}

/* A store to a static does not wait, so for a release the others leave first. */
static NOINLINE void static_at_once(const volatile void *addr, unsigned bytes, bool release)
{
	if (release)
		buffer_drain_all(current_task());
	leaves_at_once(addr, bytes);
}

void sim_store(volatile void *addr, unsigned bytes, uint64_t value, int order, uintptr_t pc)
{
	bool release = order == __ATOMIC_RELEASE || order == __ATOMIC_SEQ_CST;

	sched_point(POINT_STORE, addr, bytes, pc);
	before_atomic_write(addr, bytes, false, order, pc);
	if (UNLIKELY(sim_mode & MODE_LATE))
		late_watch(addr, bytes);
	if (can_wait(addr, bytes))
		buffer_add(current_task(), (void *)(uintptr_t)addr, bytes, release);
	else if (UNLIKELY(sim_mode & MODE_BUFFER))
		static_at_once(addr, bytes, release);
	undo_store((void *)(uintptr_t)addr, bytes, value);
	if (sim_mode & MODE_BUFFER) {
		buffer_settle();
		if (order == __ATOMIC_SEQ_CST)
			buffer_drain_all(current_task());
	}
	if (sim_mode & MODE_TRACE)
		trace_value(value);
}

/*
 * A locked operation on aarch64: only those stores become visible before it that its order names, and its own may wait
 * while what follows it goes on.  Until that is visible, no other task's store to the word is (buffer_make_way()).
 */
static NOINLINE void late_before_rmw(volatile void *addr, unsigned bytes, int order)
{
	struct task *task = current_task();
	bool release = order != __ATOMIC_RELAXED && order != __ATOMIC_ACQUIRE;

	if (release)
		buffer_drain_all(task);
	else
		buffer_drain_before(task, addr, bytes, order == __ATOMIC_ACQUIRE);
	buffer_make_way(task, addr, bytes);
	late_rmw(addr, bytes, order);
	if (order != __ATOMIC_SEQ_CST && can_wait(addr, bytes) && late_rmw_waits())
		buffer_add_rmw(task, (void *)(uintptr_t)addr, bytes, release);
	else
		leaves_at_once(addr, bytes);
}

static void before_exchange(volatile void *addr, unsigned bytes, int order, uintptr_t pc)
{
	before_atomic_write(addr, bytes, true, order, pc);
	if (UNLIKELY(sim_mode & MODE_LATE))
		late_before_rmw(addr, bytes, order);
	else if (sim_mode & MODE_BUFFER)
		buffer_drain_all(current_task());
}

static void before_rmw(volatile void *addr, unsigned bytes, int order, uintptr_t pc)
{
	sched_point(POINT_RMW, addr, bytes, pc);
	before_exchange(addr, bytes, order, pc);
}

/* A compare-and-exchange that fails is a load, with an order of its own.  Only on x86-64 do all stores leave before it. */
static NOINLINE void before_failed_cas(const volatile void *addr, unsigned bytes, int order,
				       uintptr_t pc)
{
	if (sim_mode & MODE_BUFFER && !(sim_mode & MODE_LATE))
		buffer_drain_all(current_task());
	if (UNLIKELY(sim_mode & (MODE_RACE | MODE_MEMORY)))
		watched_load(addr, bytes, order, pc);
	if (sim_mode & MODE_LATE)
		late_load_now(addr, bytes, order);
}

/* True if the exchange is to follow. */
static inline bool before_cas(volatile void *addr, unsigned bytes, uint64_t expected, int order,
			      int failed, uintptr_t pc)
{
	sched_point(POINT_RMW, addr, bytes, pc);
	if (UNLIKELY(sim_mode & MODE_LATE))
		buffer_make_way(current_task(), addr, bytes);
	if (undo_load((const void *)(uintptr_t)addr, bytes) != expected) {
		before_failed_cas(addr, bytes, failed, pc);
		return false;
	}
	before_exchange(addr, bytes, order, pc);
	return true;
}

static void sim_fence(int order, uintptr_t pc)
{
	sched_point(POINT_FENCE, NULL, 0, pc);
	if (sim_mode & MODE_BUFFER &&
	    (order == __ATOMIC_SEQ_CST || (sim_mode & MODE_LATE && order != __ATOMIC_ACQUIRE)))
		buffer_drain_all(current_task());
	if (sim_mode & MODE_LATE)
		late_fence(sim_run_.current, order);
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_fence(order);
}

/* ---- the names the compilers call ---- */

#define HOOK(name, ...)                                                                            \
	void name(__VA_ARGS__);                                                                    \
	void name(__VA_ARGS__)

HOOK(__tsan_init, void)
{
}

HOOK(__tsan_func_entry, void *pc)
{
	(void)pc;
}

HOOK(__tsan_func_exit, void)
{
}

#define PLAIN_HOOKS(bytes)                                                                         \
	HOOK(__tsan_read##bytes, void *addr)                                                       \
	{                                                                                          \
		plain_read(addr, bytes, CALLER_PC);                                                \
	}                                                                                          \
	HOOK(__tsan_write##bytes, void *addr)                                                      \
	{                                                                                          \
		sim_plain_write(addr, bytes, CALLER_PC);                                           \
	}                                                                                          \
	HOOK(__tsan_unaligned_read##bytes, void *addr)                                             \
	{                                                                                          \
		plain_read(addr, bytes, CALLER_PC);                                                \
	}                                                                                          \
	HOOK(__tsan_unaligned_write##bytes, void *addr)                                            \
	{                                                                                          \
		sim_plain_write(addr, bytes, CALLER_PC);                                           \
	}                                                                                          \
	HOOK(__tsan_read_write##bytes, void *addr)                                                 \
	{                                                                                          \
		plain_read(addr, bytes, CALLER_PC);                                                \
		sim_plain_write(addr, bytes, CALLER_PC);                                           \
	}

PLAIN_HOOKS(1)
PLAIN_HOOKS(2)
PLAIN_HOOKS(4)
PLAIN_HOOKS(8)
PLAIN_HOOKS(16)

HOOK(__tsan_read_range, void *addr, size_t bytes)
{
	sim_plain_read(addr, bytes, CALLER_PC);
}

HOOK(__tsan_write_range, void *addr, size_t bytes)
{
	sim_plain_write(addr, bytes, CALLER_PC);
}

/* The access itself follows in the caller, so a volatile store is settled at the next hook. */
static void volatile_read(void *addr, unsigned bytes, uintptr_t pc)
{
	sched_point(POINT_LOAD, addr, bytes, pc);
	if (UNLIKELY(sim_mode & (MODE_RACE | MODE_MEMORY)))
		watched_load(addr, bytes, __ATOMIC_RELAXED, pc);
}

static void volatile_write(void *addr, unsigned bytes, uintptr_t pc)
{
	sched_point(POINT_STORE, addr, bytes, pc);
	before_atomic_write(addr, bytes, false, __ATOMIC_RELAXED, pc);
	if (UNLIKELY(sim_mode & MODE_LATE))
		late_watch(addr, bytes);
	if (can_wait(addr, bytes))
		buffer_add(current_task(), addr, bytes, false);
	else
		leaves_at_once(addr, bytes);
}

#define VOLATILE_HOOKS(bytes)                                                                      \
	HOOK(__tsan_volatile_read##bytes, void *addr)                                              \
	{                                                                                          \
		volatile_read(addr, bytes, CALLER_PC);                                             \
	}                                                                                          \
	HOOK(__tsan_volatile_write##bytes, void *addr)                                             \
	{                                                                                          \
		volatile_write(addr, bytes, CALLER_PC);                                            \
	}                                                                                          \
	HOOK(__tsan_unaligned_volatile_read##bytes, void *addr)                                    \
	{                                                                                          \
		volatile_read(addr, bytes, CALLER_PC);                                             \
	}                                                                                          \
	HOOK(__tsan_unaligned_volatile_write##bytes, void *addr)                                   \
	{                                                                                          \
		volatile_write(addr, bytes, CALLER_PC);                                            \
	}

VOLATILE_HOOKS(1)
VOLATILE_HOOKS(2)
VOLATILE_HOOKS(4)
VOLATILE_HOOKS(8)

#define RMW_HOOK(bits, type, name, result)                                                         \
	type __tsan_atomic##bits##_##name(volatile type *addr, type operand, int order);           \
	type __tsan_atomic##bits##_##name(volatile type *addr, type operand, int order)            \
	{                                                                                          \
		type old;                                                                          \
                                                                                                   \
		before_rmw(addr, sizeof(type), order, CALLER_PC);                                  \
		old = *addr;                                                                       \
		*addr = (type)(result);                                                            \
		if (sim_mode & MODE_TRACE)                                                         \
			trace_value((type)(result));                                               \
		return old;                                                                        \
	}

#define CAS_HOOK(bits, type, strength)                                                             \
	int __tsan_atomic##bits##_compare_exchange_##strength(                                     \
		volatile type *addr, type *expected, type desired, int order, int failed);         \
	int __tsan_atomic##bits##_compare_exchange_##strength(volatile type *addr, type *expected, \
							      type desired, int order, int failed) \
	{                                                                                          \
		if (!before_cas(addr, sizeof(type), *expected, order, failed, CALLER_PC)) {        \
			*expected = *addr;                                                         \
			return 0;                                                                  \
		}                                                                                  \
		*addr = desired;                                                                   \
		if (sim_mode & MODE_TRACE)                                                         \
			trace_value(desired);                                                      \
		return 1;                                                                          \
	}

#define ATOMIC_HOOKS(bits, type)                                                                   \
	type __tsan_atomic##bits##_load(const volatile type *addr, int order);                     \
	type __tsan_atomic##bits##_load(const volatile type *addr, int order)                      \
	{                                                                                          \
		return (type)sim_load(addr, sizeof(type), order, CALLER_PC);                       \
	}                                                                                          \
	HOOK(__tsan_atomic##bits##_store, volatile type *addr, type value, int order)              \
	{                                                                                          \
		sim_store(addr, sizeof(type), value, order, CALLER_PC);                            \
	}                                                                                          \
	RMW_HOOK(bits, type, exchange, operand)                                                    \
	RMW_HOOK(bits, type, fetch_add, old + operand)                                             \
	RMW_HOOK(bits, type, fetch_sub, old - operand)                                             \
	RMW_HOOK(bits, type, fetch_and, old &operand)                                              \
	RMW_HOOK(bits, type, fetch_or, old | operand)                                              \
	RMW_HOOK(bits, type, fetch_xor, old ^ operand)                                             \
	CAS_HOOK(bits, type, strong)                                                               \
	CAS_HOOK(bits, type, weak)                                                                 \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *addr, type expected,        \
							type desired, int order, int failed);      \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *addr, type expected,        \
							type desired, int order, int failed)       \
	{                                                                                          \
		__tsan_atomic##bits##_compare_exchange_strong(addr, &expected, desired, order,     \
							      failed);                             \
		return expected;                                                                   \
	}

ATOMIC_HOOKS(8, uint8_t)
ATOMIC_HOOKS(16, uint16_t)
ATOMIC_HOOKS(32, uint32_t)
ATOMIC_HOOKS(64, uint64_t)

HOOK(__tsan_atomic_thread_fence, int order)
{
	sim_fence(order, CALLER_PC);
}

HOOK(__tsan_atomic_signal_fence, int order)
{
	(void)order;
}

/* ---- memcpy and its like, under the names objcopy gives them ---- */

void *sim_memcpy(void *to, const void *from, size_t bytes);
void *sim_memcpy(void *to, const void *from, size_t bytes)
{
	sim_plain_read(from, bytes, CALLER_PC);
	sim_plain_write(to, bytes, CALLER_PC);
	return memmove(to, from, bytes);
}

void *sim_memmove(void *to, const void *from, size_t bytes);
void *sim_memmove(void *to, const void *from, size_t bytes)
{
	sim_plain_read(from, bytes, CALLER_PC);
	sim_plain_write(to, bytes, CALLER_PC);
	return memmove(to, from, bytes);
}

void *sim_memset(void *to, int byte, size_t bytes);
void *sim_memset(void *to, int byte, size_t bytes)
{
	sim_plain_write(to, bytes, CALLER_PC);
	return memset(to, byte, bytes);
}

int sim_memcmp(const void *left, const void *right, size_t bytes);
int sim_memcmp(const void *left, const void *right, size_t bytes)
{
	sim_plain_read(left, bytes, CALLER_PC);
	sim_plain_read(right, bytes, CALLER_PC);
	return memcmp(left, right, bytes);
}
