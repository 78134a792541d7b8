/* SPDX-License-Identifier: MIT */
/*
 * interrupts.c - entry of interrupts and faults
 *
 * Sequences.  Whatever interrupts a thread first sends a sequence that was under way back to its beginning: the
 * address at which the thread continues is replaced by the abort label of the descriptor that the sequence left in
 * its struct rseq, as the kernel does it for rseq(2).  A page fault does so too, although it returns to the same thread:
 * while it waits for a lock it answers other CPUs' fences by hand, which promises that no sequence is under way.
 *
 * Handlers.  They run with interrupts masked on the stack of the interrupted thread.  The count that lock_nested() reads
 * is raised meanwhile, so a handler only tries locks: the holder of a mutex may be the interrupted thread itself, or one
 * that this CPU does not run until the handler returns.
 */
#include "machine/bare/interrupts.h"

#include "base/check.h"
#include "machine/atomic.h"
#include "machine/bare/console.h"
#include "machine/bare/cpus.h"
#include "machine/bare/ipi.h"
#include "machine/bare/tables.h"
#include "machine/bare/threads.h"
#include "machine/bare/x86.h"
#include "machine/linux/thread.h"

#define PAGE_FAULT    14u
#define EXCEPTIONS_NR 32u
#define GDT_CODE      8u
#define GATE	      0x8e00u /* present, an interrupt gate: it masks interrupts */

/* As boot.S pushes it. */
struct frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, flags, rsp, ss;
};

void interrupt(struct frame *frame);

extern const char interrupt_entries[];
#define ENTRY_BYTES 16u

struct gate {
	uint16_t low, segment, kind, middle;
	uint32_t high, zero;
};

static struct gate gates[VECTORS_NR] __attribute__((aligned(16)));
static interrupt_handler *handlers[INTERRUPT_HANDLERS_NR]; /* atomic */
static void (*timer_handler)(void);			   /* atomic */

void interrupts_begin(void)
{
	const struct __attribute__((packed)) {
		uint16_t limit;
		uint64_t base;
	} table = { sizeof(gates) - 1, (uintptr_t)gates };

	for (unsigned i = 0; i < VECTORS_NR; i++) {
		uintptr_t entry = (uintptr_t)interrupt_entries + (uintptr_t)i * ENTRY_BYTES;

		gates[i] = (struct gate){ .low = (uint16_t)entry,
					  .segment = GDT_CODE,
					  .kind = GATE,
					  .middle = (uint16_t)(entry >> 16),
					  .high = (uint32_t)(entry >> 32) };
	}
	__asm__ volatile("lidt %0" : : "m"(table));
}

void interrupts_handle(unsigned number, interrupt_handler *handler)
{
	CHECK_VALUES(number < INTERRUPT_HANDLERS_NR, number, INTERRUPT_HANDLERS_NR);
	store_release(&handlers[number], handler); /* pairs with run_handlers() */
}

void interrupts_handle_timer(void (*handler)(void))
{
	store_release(&timer_handler, handler); /* pairs with timer() */
}

static void run_handlers(void)
{
	for (uint32_t due = thread_take_interrupts(); due != 0; due &= due - 1) {
		unsigned number = (unsigned)__builtin_ctz(due);
		interrupt_handler *handler = load_acquire(&handlers[number]);

		if (handler != NULL)
			handler((int)number);
	}
}

static void timer(void)
{
	void (*handler)(void) = load_acquire(&timer_handler);

	cpus_here()->resched = true;
	if (handler != NULL)
		handler();
}

static void fault(const struct frame *frame)
{
	if (frame->vector == PAGE_FAULT && tables_fault(fault_address(), frame->error))
		return;
	console_print("quire: fault %u, error %#llx at %#llx, address %#llx, CPU %u\n",
		      (unsigned)frame->vector, (unsigned long long)frame->error,
		      (unsigned long long)frame->rip, (unsigned long long)fault_address(),
		      cpus_here()->number);
	console_end(CONSOLE_FAILED);
}

static void interrupt_of_apic(uint64_t vector)
{
	/* A spurious one is not waited for. */
	if (vector != VECTOR_SPURIOUS)
		cpus_end_of_interrupt();
	if (vector == VECTOR_ASK)
		ipi_answer();
	if (vector == VECTOR_TIMER)
		timer();
}

void interrupt(struct frame *frame)
{
	frame->rip = thread_restart_sequence(frame->rip);
	machine_thread.locks_held_nr++;
	if (frame->vector < EXCEPTIONS_NR) {
		fault(frame);
		machine_thread.locks_held_nr--;
		return;
	}
	interrupt_of_apic(frame->vector);
	run_handlers();
	machine_thread.locks_held_nr--;
	if (frame->vector == VECTOR_TIMER || frame->vector == VECTOR_LOOK)
		thread_preempt();
}
