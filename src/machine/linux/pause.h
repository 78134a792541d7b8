/* SPDX-License-Identifier: MIT */
/* pause.h - tell the processor that this is a spinning loop */
#ifndef MACHINE_LINUX_PAUSE_H
#define MACHINE_LINUX_PAUSE_H

#if defined(__x86_64__) || defined(__i386__)
#define PAUSE_INSTRUCTION "pause"
#elif defined(__aarch64__)
#define PAUSE_INSTRUCTION "isb"
#else
#define PAUSE_INSTRUCTION ""
#endif

static inline void pause_briefly(void)
{
	__asm__ volatile(PAUSE_INSTRUCTION ::: "memory");
}

#endif
