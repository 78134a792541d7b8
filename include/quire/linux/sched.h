/* SPDX-License-Identifier: MIT */
/* linux/sched.h - threads of linux/kthread.h */
#ifndef QUIRE_LINUX_SCHED_H
#define QUIRE_LINUX_SCHED_H

#include <linux/kernel.h>
#include_next <linux/sched.h> /* the system's, for clone() */
#include <linux/preempt.h>

#define THREAD_SIZE  (16UL << 10)
#define THREAD_ALIGN THREAD_SIZE

#define schedule() ((void)sched_yield())

#endif
