/* SPDX-License-Identifier: MIT */
/*
 * lock.c - spin locks and mutexes as states, not as code that spins
 *
 * A lock's word is 0, or 1 + the task that holds it.  A task that cannot take the lock is blocked
 * until the release; the duration of real spinning does not matter.  Each task records the locks
 * it holds and where it took them, for ranks and for deadlock reports.
 *
 * Configurations.  SMP: handlers interrupt holders and can only try.  UP: a held spin lock
 * excludes handlers and the CPU's other tasks; the token carries that state, and a trylock always
 * succeeds.  RT: spin locks block like mutexes, and their holders can be preempted.
 *
 * Under TSO and PSO a release is a store like any other: others find the lock taken until it has
 * left the buffer.
 */
#include <stdio.h>
#include <string.h>

#include "machine/lock.h"
#include "machine/lock_names.h"
#include "machine/sim/internal.h"

static const char *rank_name(unsigned rank)
{
	return rank < RANKS_NR ? lock_rank_names[rank] : "?";
}

/* Spin locks exclude handlers and the CPU's other tasks: no real parallelism, no preemption. */
static bool up(void)
{
	return sim_opt.config == SIM_UP;
}

static bool rt(void)
{
	return sim_opt.config == SIM_UP_RT || sim_opt.config == SIM_SMP_RT;
}

static void set_word(uint32_t *word, uint32_t value)
{
	if (sim_mode & MODE_LOG)
		undo_note_small(word, sizeof(*word));
	*word = value;
}

static void push_held(struct task *task, const void *lock, unsigned rank, bool waits, uintptr_t pc)
{
	if (task->held_nr == HELD_MAX)
		sim_fail("scenario", "too many locks held");
	task->held[task->held_nr++] = (struct held){
		.lock = lock,
		.pc = pc,
		.rank = (uint16_t)rank,
		.waits = waits,
	};
	if (!waits)
		task->spin_nr++;
}

static void drop_held(struct task *task, const void *lock)
{
	for (unsigned i = task->held_nr; i-- != 0;) {
		if (task->held[i].lock != lock)
			continue;
		if (!task->held[i].waits)
			task->spin_nr--;
		task->held_nr--;
		for (; i < task->held_nr; i++)
			task->held[i] = task->held[i + 1];
		return;
	}
	sim_fail("unlock not held", "CPU %u releases a lock that it does not hold", task->cpu);
}

/* Memory that nobody made a lock in reads as a free one, until whoever makes it forgets its holder.  The one lock of rank 0
 * is a mutex, the process's turn. */
static void check_is_made(const struct task *task, unsigned rank, bool waits)
{
	if (!waits && rank == 0)
		sim_fail("lock not made", "CPU %u wants a lock that nobody has made", task->cpu);
}

static void check_order(const struct task *task, const void *lock, unsigned rank, bool ordered)
{
	for (unsigned i = 0; i < task->held_nr; i++) {
		const struct held *held = &task->held[i];

		if (held->rank < rank)
			continue;
		if (held->rank == rank && ordered && held->lock < lock)
			continue;
		sim_fail("lock rank", "%s wanted while %s is held%s", rank_name(rank),
			 rank_name(held->rank),
			 task->irq_depth != 0 ? " (by what the handler interrupted)" : "");
	}
}

static void check_may_wait(const struct task *task)
{
	if (task->no_wait)
		sim_fail("waiting is forbidden", "a call that may not wait takes a mutex");
	if (task->irq_depth != 0)
		sim_fail("sleeping in a handler", "a handler takes a mutex");
	if (task->spin_nr != 0)
		sim_fail("sleeping under a spin lock", "a mutex is taken with %u spin lock(s) held",
			 task->spin_nr);
}

/* Which stores become visible before a lock is taken.  On aarch64 the instruction that takes it is an acquire: all
 * others may still wait. */
static void drain_before_lock(struct task *task, const uint32_t *word)
{
	if (sim_mode & MODE_LATE)
		buffer_drain_before(task, word, sizeof(*word), true);
	else if (sim_mode & MODE_BUFFER)
		buffer_drain_all(task);
}

static void got(struct task *task, const void *lock, uint32_t *word, unsigned rank, bool waits,
		uintptr_t pc)
{
	set_word(word, 1u + sim_run_.current);
	push_held(task, lock, rank, waits, pc);
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_acquire(lock);
	if (sim_mode & MODE_LATE && sim_mode & MODE_RUN)
		late_pin(sim_run_.current);
}

/* RT: a waiter for a spin lock sleeps and leaves the CPU to the holder, which may have been
 * preempted there.  So interrupts must not have been switched off by hand. */
static void check_irqs_on(const struct task *task)
{
	if (rt() && task->irq_off)
		sim_fail("lock with interrupts off", "on RT CPU %u takes a lock that may sleep",
			 task->cpu);
}

static void wait_for(const void *lock, const uint32_t *word, uintptr_t pc)
{
	struct task *task = current_task();

	while (*word != 0) {
		if (*word == 1u + sim_run_.current)
			sim_fail("deadlock", "CPU %u waits for a lock that %s holds", task->cpu,
				 task->irq_depth != 0 ? "the frame it interrupted" : "it");
		sched_block(lock, pc);
	}
}

static void acquire(const void *lock, uint32_t *word, unsigned rank, bool waits, bool ordered,
		    uintptr_t pc)
{
	struct task *task = current_task();

	check_is_made(task, rank, waits);
	check_order(task, lock, rank, ordered);
	check_irqs_on(task);
	if (waits)
		check_may_wait(task);
	task->locks_nr++; /* before it is tried: a handler from here on is nested */
	sched_point(POINT_LOCK, lock, 4, pc);
	drain_before_lock(task, word);
	wait_for(lock, word, pc);
	got(task, lock, word, rank, waits, pc);
}

static void release(const void *lock, uint32_t *word, uintptr_t pc)
{
	struct task *task = current_task();

	sched_point(POINT_UNLOCK, lock, 4, pc);
	if (*word != 1u + sim_run_.current)
		sim_fail("unlock not held", "CPU %u releases a lock that %s", task->cpu,
			 *word == 0 ? "is free" : "another task holds");
	drop_held(task, lock);
	task->locks_nr--;
	if (sim_mode & MODE_RACE && sim_mode & MODE_RUN)
		race_release(lock);
	if (sim_mode & MODE_BUFFER && sim_mode & MODE_RUN) {
		undo_note_small(word, sizeof(*word));
		buffer_add_unlock(task, word, sizeof(*word), lock);
		*word = 0;
		buffer_settle();
		return;
	}
	set_word(word, 0);
	sched_wake(lock);
}

/* The release is visible now, so the waiters may look again. */
void lock_left_buffer(const void *lock)
{
	sched_wake(lock);
}

/* ---- spin locks ---- */

void lock_init(struct lock *lock, enum lock_rank rank)
{
	if (lock->word != 0)
		sim_fail("lock made again", "%s is made while it is held", rank_name(rank));
	UNDO(*lock);
	*lock = (struct lock){ .rank = (uint16_t)rank };
}

static lock_token exclude_handlers(void)
{
	struct task *task = current_task();
	lock_token token = task->irq_off;

	if (up())
		task->irq_off = true;
	return token;
}

static void allow_handlers(lock_token token)
{
	if (up())
		current_task()->irq_off = token != 0;
}

lock_token lock_acquire(struct lock *lock)
{
	lock_token token = exclude_handlers();

	acquire(lock, &lock->word, lock->rank, false, false, CALLER_PC);
	return token;
}

lock_token lock_acquire_ordered(struct lock *lock)
{
	lock_token token = exclude_handlers();

	acquire(lock, &lock->word, lock->rank, false, true, CALLER_PC);
	return token;
}

static bool try_once(void *lock, uint32_t *word, unsigned rank, bool waits, uintptr_t pc)
{
	struct task *task = current_task();

	check_is_made(task, rank, waits);
	sched_point(POINT_TRY, lock, 4, pc);
	drain_before_lock(task, word);
	if (*word != 0)
		return false;
	if (sim_opt.events & SIM_TRYFAIL && sched_decide(ACT_TRYFAIL)) {
		trace_note("the trylock fails for no reason", 0);
		return false;
	}
	got(task, lock, word, rank, waits, pc);
	return true;
}

static bool try(void *lock, uint32_t *word, unsigned rank, bool waits, uintptr_t pc)
{
	struct task *task = current_task();

	task->locks_nr++;
	if (try_once(lock, word, rank, waits, pc))
		return true;
	task->locks_nr--;
	return false;
}

bool lock_try(struct lock *lock, lock_token *token)
{
	bool taken;

	*token = exclude_handlers();
	taken = try(lock, &lock->word, lock->rank, false, CALLER_PC);
	if (!taken)
		allow_handlers(*token);
	return taken;
}

void lock_release(struct lock *lock, lock_token token)
{
	if (token >> 31)
		return;
	release(lock, &lock->word, CALLER_PC);
	allow_handlers(token);
}

bool lock_is_held(const struct lock *lock)
{
	return lock->word != 0;
}

bool lock_nested(void)
{
	return current_task()->locks_nr != 0;
}

/* ---- mutexes ---- */

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
	UNDO(*mutex);
	*mutex = (struct mutex){ .rank = (uint16_t)rank };
}

void mutex_acquire(struct mutex *mutex)
{
	acquire(mutex, &mutex->word, mutex->rank, true, false, CALLER_PC);
}

bool mutex_try(struct mutex *mutex)
{
	return try(mutex, &mutex->word, mutex->rank, true, CALLER_PC);
}

void mutex_release(struct mutex *mutex)
{
	release(mutex, &mutex->word, CALLER_PC);
}

void mutex_lay_aside(struct mutex *mutex)
{
	drop_held(current_task(), mutex);
	current_task()->locks_nr--;
}

void mutex_take_up(struct mutex *mutex)
{
	current_task()->locks_nr++;
	push_held(current_task(), mutex, mutex->rank, true, CALLER_PC);
}

bool mutex_is_held(const struct mutex *mutex)
{
	return mutex->word != 0;
}

/* ---- reports ---- */

void lock_check_task_end(const struct task *task)
{
	if (task->held_nr != 0)
		sim_fail("lock held at the end", "%s on CPU %u ends with %s held", task->name,
			 task->cpu, rank_name(task->held[task->held_nr - 1].rank));
}

static const struct task *holder_of(const void *lock, unsigned *rank)
{
	for (unsigned i = 0; i < sim_run_.tasks_nr; i++)
		for (unsigned j = 0; j < sim_run_.tasks[i].held_nr; j++)
			if (sim_run_.tasks[i].held[j].lock == lock) {
				*rank = sim_run_.tasks[i].held[j].rank;
				return &sim_run_.tasks[i];
			}
	return NULL;
}

/* "CPU 0 (owner) waits for ZONE, held by CPU 1 (peer); ..." */
void lock_describe_waits(char *text, size_t bytes)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned i = 1; i < sim_run_.tasks_nr && used < bytes; i++) {
		const struct task *task = &sim_run_.tasks[i];
		const struct task *holder;
		unsigned rank = RANKS_NR;
		int put;

		if (task->state != TASK_BLOCKED)
			continue;
		holder = holder_of(task->wait_on, &rank);
		if (holder != NULL)
			put = snprintf(text + used, bytes - used,
				       "%sCPU %u (%s) waits for %s, held by CPU %u (%s)",
				       used ? "; " : "", task->cpu, task->name, rank_name(rank),
				       holder->cpu, holder->name);
		else
			put = snprintf(text + used, bytes - used,
				       "%sCPU %u (%s) waits and nobody is left to wake it",
				       used ? "; " : "", task->cpu, task->name);
		used += (size_t)put;
	}
}
