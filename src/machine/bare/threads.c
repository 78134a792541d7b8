/* SPDX-License-Identifier: MIT */
/*
 * threads.c - a table of threads that the CPUs take in turns
 *
 * One lock guards the table.  A CPU that leaves a thread keeps the lock until it runs on the next one's stack, where
 * it is released by whoever continues there: so no other CPU takes a thread whose registers are not yet on its stack.
 *
 * State of a thread; all under the lock:
 *
 *   from      when                                       to
 *   FREE      thread_create                              READY
 *   READY     a CPU on which it may run takes it         RUNNING
 *   RUNNING   preempted, or it yields                    READY
 *   RUNNING   thread_wait, and the word has the value    WAITING
 *   WAITING   thread_wake, or its time has come          READY
 *   RUNNING   its function returned                      DONE, or FREE if nobody joins it
 *   DONE      joined                                     FREE
 *
 * Idle threads are not in the table: each CPU has one, which runs when no other thread may.
 *
 * The thread pointer points at the words of struct tcb; thread-local data lies below it, as the ABI wants it.
 */
#include "machine/bare/threads.h"

#include "base/check.h"
#include "base/mem.h"
#include "machine/bare/cpus.h"
#include "machine/bare/spin.h"
#include "machine/linux/thread.h"

#define THREADS_MAX 64u
#define STACK_BYTES ((size_t)64 << 10)
#define STACK_MARK  UINT64_C(0x717569726573746b)
#define TLS_MAX	    2048u

enum {
	THREAD_FREE,
	THREAD_READY,
	THREAD_RUNNING,
	THREAD_WAITING,
	THREAD_DONE,
};

/* As rseq(2) has it. */
struct rseq {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs;
	uint32_t flags;
} __attribute__((aligned(32)));

struct rseq_section {
	uint32_t version, flags;
	uint64_t start, bytes, abort;
};

struct tcb {
	struct tcb *self;
	struct rseq rseq;
};

struct thread {
	char tls[TLS_MAX] __attribute__((aligned(64)));
	struct tcb tcb __attribute__((aligned(64)));
	void *stack_top; /* while it does not run */
	uint64_t *stack; /* its lowest word is the mark */
	thread_function *function;
	void *arg;
	unsigned state;
	bool detached;
	unsigned cpu;  /* on which it runs, or ran last */
	uint64_t cpus; /* on which it may run, by bit */
	const uint32_t *word;
	uint64_t end_ns;
	uint32_t done;				     /* atomic */
	uint32_t interrupts_due, interrupts_blocked; /* atomic; the second is the thread's own */
};

extern const char tls_start[], tls_data_end[], tls_bytes[];
void switch_stacks(void **old, void *new);

static struct spin sched;
static struct thread threads[THREADS_MAX], idle[CPUS_MAX];
static unsigned next_thread; /* from which the search for a ready one goes on */
static uint64_t stacks[THREADS_MAX][STACK_BYTES / sizeof(uint64_t)] __attribute__((aligned(16)));

/* ---- words of a thread ---- */

static void tcb_init(struct thread *thread)
{
	size_t bytes = (size_t)tls_bytes;
	char *start = (char *)&thread->tcb - bytes;

	CHECK_VALUES(bytes <= TLS_MAX, bytes, TLS_MAX);
	memcpy(start, tls_start, (size_t)(tls_data_end - tls_start));
	memset(start + (tls_data_end - tls_start), 0, bytes - (size_t)(tls_data_end - tls_start));
	thread->tcb = (struct tcb){ .self = &thread->tcb };
}

static void enter(struct cpu *cpu, struct thread *thread)
{
	thread->state = THREAD_RUNNING;
	thread->cpu = cpu->number;
	thread->tcb.rseq.cpu_id_start = thread->tcb.rseq.cpu_id = cpu->number;
	cpu->current = thread;
	msr_write(MSR_FS_BASE, (uintptr_t)&thread->tcb);
}

void threads_begin_cpu(struct cpu *cpu)
{
	struct thread *thread = &idle[cpu->number];

	tcb_init(thread);
	cpu->idle = thread;
	enter(cpu, thread);
}

intptr_t thread_rseq_offset(void)
{
	return offsetof(struct tcb, rseq);
}

uint64_t thread_restart_sequence(uint64_t at)
{
	struct rseq *rseq = &cpus_here()->current->tcb.rseq;
	const struct rseq_section *section = (const struct rseq_section *)rseq->rseq_cs;

	rseq->rseq_cs = 0;
	return section != NULL && at - section->start < section->bytes ? section->abort : at;
}

/* ---- the table ---- */

static bool may_run(const struct thread *thread, const struct cpu *cpu)
{
	return thread->state == THREAD_READY && (thread->cpus >> cpu->number & 1) != 0;
}

static struct thread *choose(const struct cpu *cpu)
{
	for (unsigned i = 0; i < THREADS_MAX; i++) {
		unsigned at = (next_thread + i) % THREADS_MAX;

		if (may_run(&threads[at], cpu)) {
			next_thread = at + 1;
			return &threads[at];
		}
	}
	return cpu->idle;
}

/* Leaves the current thread, whose state has been set; returns when it continues, perhaps on another CPU. */
static void switch_locked(void)
{
	struct cpu *cpu = cpus_here();
	struct thread *old = cpu->current, *new;

	CHECK(spin_is_held(&sched));
	new = choose(cpu);
	CHECK(old->stack == NULL || *old->stack == STACK_MARK);
	cpu->resched = false;
	if (new == old) {
		old->state = THREAD_RUNNING;
		return;
	}
	enter(cpu, new);
	switch_stacks(&old->stack_top, new->stack_top);
}

/* Wakes an idle CPU on which the thread may run. */
static void ready_locked(struct thread *thread)
{
	CHECK(spin_is_held(&sched));
	thread->state = THREAD_READY;
	for (unsigned i = 0; i < cpus_nr(); i++) {
		if (cpus[i].current == cpus[i].idle && may_run(thread, &cpus[i])) {
			cpus_interrupt(&cpus[i], VECTOR_LOOK);
			return;
		}
	}
}

static void wake_late_locked(void)
{
	uint64_t now_ns = cpus_now_ns();

	CHECK(spin_is_held(&sched));
	for (unsigned i = 0; i < THREADS_MAX; i++)
		if (threads[i].state == THREAD_WAITING && threads[i].end_ns <= now_ns)
			ready_locked(&threads[i]);
}

void thread_preempt(void)
{
	uint64_t flags = spin_acquire(&sched);

	wake_late_locked();
	cpus_here()->current->state = THREAD_READY;
	switch_locked();
	spin_release(&sched, flags);
}

void thread_yield(void)
{
	thread_preempt();
}

void threads_idle(void)
{
	for (;;)
		__asm__ volatile("sti\n\thlt" : : : "memory");
}

/* ---- a thread's life ---- */

static _Noreturn void thread_end(struct thread *thread)
{
	(void)spin_acquire(&sched);
	thread->state = thread->detached ? THREAD_FREE : THREAD_DONE;
	store_release(&thread->done, 1u); /* pairs with thread_join() */
	for (unsigned i = 0; i < THREADS_MAX; i++)
		if (threads[i].state == THREAD_WAITING && threads[i].word == &thread->done)
			ready_locked(&threads[i]);
	switch_locked();
	__builtin_trap();
}

static void thread_main(void)
{
	struct thread *thread = cpus_here()->current;

	spin_release(&sched, FLAG_INTERRUPTS);
	thread->function(thread->arg);
	thread_end(thread);
}

static struct thread *find_free_locked(void)
{
	CHECK(spin_is_held(&sched));
	for (unsigned i = 0; i < THREADS_MAX; i++)
		if (threads[i].state == THREAD_FREE)
			return &threads[i];
	return NULL;
}

/* What switch_stacks() takes from a stack: six registers, and where it returns to; aligned as after a call. */
static void stack_init(struct thread *thread)
{
	uint64_t *top;

	thread->stack = stacks[thread - threads];
	thread->stack[0] = STACK_MARK;
	top = thread->stack + STACK_BYTES / sizeof(uint64_t) - 2;
	*top = (uintptr_t)thread_main;
	thread->stack_top = top - 6;
}

struct thread *thread_create(thread_function *function, void *arg, bool detached)
{
	uint64_t flags = spin_acquire(&sched);
	struct thread *thread = find_free_locked();

	if (thread != NULL) {
		tcb_init(thread);
		stack_init(thread);
		thread->function = function;
		thread->arg = arg;
		thread->detached = detached;
		thread->cpus = UINT64_MAX;
		thread->done = thread->interrupts_due = thread->interrupts_blocked = 0;
		ready_locked(thread);
	}
	spin_release(&sched, flags);
	return thread;
}

/* Interrupts are masked until the first thread runs, which the idle thread finds by its first tick. */
void threads_begin(thread_function *function)
{
	CHECK(thread_create(function, NULL, true) != NULL);
	threads_idle();
}

void thread_join(struct thread *thread)
{
	uint64_t flags;

	while (load_acquire(&thread->done) == 0)
		thread_wait(&thread->done, 0, THREAD_WAIT_FOREVER);
	flags = spin_acquire(&sched);
	CHECK_VALUES(thread->state == THREAD_DONE, thread->state, THREAD_DONE);
	thread->state = THREAD_FREE;
	spin_release(&sched, flags);
}

struct thread *thread_self(void)
{
	uint64_t flags = interrupts_mask();
	struct thread *thread = cpus_here()->current;

	interrupts_restore(flags);
	return thread;
}

bool thread_pin(unsigned number)
{
	uint64_t flags;

	if (number >= cpus_nr())
		return false;
	flags = spin_acquire(&sched);
	cpus_here()->current->cpus = UINT64_C(1) << number;
	if (cpus_here()->number != number) {
		ready_locked(cpus_here()->current);
		switch_locked();
	}
	spin_release(&sched, flags);
	return true;
}

/* ---- waiting ---- */

void thread_wait(const uint32_t *word, uint32_t value, uint64_t end_ns)
{
	uint64_t flags;
	struct thread *thread;

	CHECK(machine_thread.locks_held_nr == 0);
	flags = spin_acquire(&sched);
	CHECK((flags & FLAG_INTERRUPTS) != 0);
	if (load_acquire(word) == value) { /* pairs with whoever changes it before a wake */
		thread = cpus_here()->current;
		thread->word = word;
		thread->end_ns = end_ns;
		thread->state = THREAD_WAITING;
		switch_locked();
		thread->word = NULL;
	}
	spin_release(&sched, flags);
}

void thread_wake(const uint32_t *word, unsigned nr)
{
	uint64_t flags = spin_acquire(&sched);

	for (unsigned i = 0; i < THREADS_MAX && nr != 0; i++) {
		if (threads[i].state == THREAD_WAITING && threads[i].word == word) {
			ready_locked(&threads[i]);
			nr--;
		}
	}
	spin_release(&sched, flags);
}

/* ---- handlers ---- */

void thread_interrupt(struct thread *thread, unsigned number)
{
	uint64_t flags;

	fetch_or_acq_rel(&thread->interrupts_due, UINT32_C(1) << number);
	/* A thread that does not run looks when it is interrupted next. */
	flags = spin_acquire(&sched);
	if (thread->state == THREAD_RUNNING)
		cpus_interrupt(&cpus[thread->cpu], VECTOR_LOOK);
	spin_release(&sched, flags);
}

void thread_block_interrupts(uint32_t numbers, bool block)
{
	struct thread *thread = thread_self();

	if (block)
		fetch_or_acq_rel(&thread->interrupts_blocked, numbers);
	else
		fetch_and_acq_rel(&thread->interrupts_blocked, ~numbers);
}

uint32_t thread_take_interrupts(void)
{
	struct thread *thread = cpus_here()->current;
	uint32_t open = ~load_relaxed(&thread->interrupts_blocked);

	return fetch_and_acq_rel(&thread->interrupts_due, ~open) & open;
}
