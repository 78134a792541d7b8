/* SPDX-License-Identifier: MIT */
/* sched.h - the scheduler's call */
#ifndef BARE_SCHED_H
#define BARE_SCHED_H

#include "machine/bare/threads.h"

#define sched_yield thread_yield

#endif
