/* SPDX-License-Identifier: MIT */
/*
 * stack_calls.h - every public call, brought to where it needs the most stack
 *
 * The tidy test "symbols" requires that each exported function is called in stack_calls.c.
 */
#ifndef STACK_CALLS_H
#define STACK_CALLS_H

#include <stddef.h>

struct stack_call {
	const char *name;
	void (*body)(void *arg);
	const void *arg;
};

/* In this order: the default instance is made by the second, and ends with the process. */
extern const struct stack_call stack_calls[];
extern const size_t stack_calls_nr;

/* What is legal in a signal handler; after the calls above. */
extern const struct stack_call stack_handler_calls[];
extern const size_t stack_handler_calls_nr;

/* Makes what the handlers' calls find: live objects, full stacks, an instance that refuses. */
void stack_calls_prepare_handler(void);
/* Rules that any instance used here has broken: quire_verify()'s number, or 0. */
int stack_calls_verify(void);

#endif
