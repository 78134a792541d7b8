/* SPDX-License-Identifier: MIT */
/* interrupts.h - what interrupts a thread: handlers, which are this machine's signals, and the timer */
#ifndef MACHINE_BARE_INTERRUPTS_H
#define MACHINE_BARE_INTERRUPTS_H

/* Runs on the interrupted thread with interrupts masked, as a signal handler with all signals blocked: it may
 * allocate and free, and waits for nothing. */
typedef void interrupt_handler(int number);

#define INTERRUPT_HANDLERS_NR 32u

/* What thread_interrupt() of this number calls from now on; NULL: nothing. */
void interrupts_handle(unsigned number, interrupt_handler *handler);
/* Called at each tick of each CPU's timer, a thousand times a second; NULL: nothing. */
void interrupts_handle_timer(void (*handler)(void));

/* On each CPU, before its first interrupt. */
void interrupts_begin(void);

#endif
