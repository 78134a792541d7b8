/* SPDX-License-Identifier: MIT */
/* signal.h - signals are handlers that interrupt a thread */
#ifndef BARE_SIGNAL_H
#define BARE_SIGNAL_H

#include <stdint.h>

#include "machine/bare/interrupts.h"

#define SIGUSR1	   10
#define SIG_BLOCK  0
#define SA_RESTART 0

struct sigaction {
	interrupt_handler *sa_handler;
	int sa_flags;
};

typedef uint32_t sigset_t;

static inline void sigaction(int number, const struct sigaction *action, void *old)
{
	(void)old;
	interrupts_handle((unsigned)number, action->sa_handler);
}

static inline void sigemptyset(sigset_t *set)
{
	*set = 0;
}

static inline void sigaddset(sigset_t *set, int number)
{
	*set |= UINT32_C(1) << number;
}

#endif
