/* SPDX-License-Identifier: MIT */
#include "machine/linux/thread.h"

_Thread_local struct machine_thread machine_thread;

_Static_assert(sizeof(struct machine_thread) <= 16, "the promise about thread-local memory");
