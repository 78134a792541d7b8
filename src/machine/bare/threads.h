/* SPDX-License-Identifier: MIT */
/*
 * threads.h - threads of this machine, which the timer preempts and which move between CPUs
 *
 * A thread has a stack, thread-local data, and in front of those the words that sequences read: struct rseq, which
 * this machine fills as Linux does (interrupts.c).
 */
#ifndef MACHINE_BARE_THREADS_H
#define MACHINE_BARE_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cpu;
struct thread;

typedef void thread_function(void *arg);

#define THREAD_WAIT_FOREVER UINT64_MAX

/* Makes the words of the CPU's idle thread, which is the code that runs now. */
void threads_begin_cpu(struct cpu *cpu);
/* Becomes the idle thread. */
_Noreturn void threads_idle(void);
/* Becomes the first ordinary thread, and the boot code's stack is this CPU's idle thread's. */
_Noreturn void threads_begin(thread_function *function);

/* NULL if there are too many.  Pair: thread_join(), unless @detached: then the thread frees itself. */
struct thread *thread_create(thread_function *function, void *arg, bool detached);
void thread_join(struct thread *thread);
struct thread *thread_self(void);
/* Lets others run. */
void thread_yield(void);
/* Moves the calling thread to a CPU, on which it stays; false if there is no such CPU. */
bool thread_pin(unsigned cpu);

/* Waits while *@word is @value, until a wake, or until @end_ns.  Ordinary context only.  May return early. */
void thread_wait(const uint32_t *word, uint32_t value, uint64_t end_ns);
/* Wakes up to @nr threads that wait for the word, which has changed.  Any context. */
void thread_wake(const uint32_t *word, unsigned nr);

/* Has the handler of that number run on the thread, soon, if it is not blocked there. */
void thread_interrupt(struct thread *thread, unsigned number);
/* For the calling thread: blocks or unblocks handlers, by bit. */
void thread_block_interrupts(uint32_t numbers, bool block);
/* For interrupts.c: takes those that are due on the calling thread. */
uint32_t thread_take_interrupts(void);
/* For interrupts.c, interrupts masked: another thread may run; wakes those whose time has come. */
void thread_preempt(void);

/* Of struct rseq from the thread pointer. */
intptr_t thread_rseq_offset(void);
/* If a sequence of the calling thread is armed and @at lies in it, where it begins again; else @at. */
uint64_t thread_restart_sequence(uint64_t at);

#endif
