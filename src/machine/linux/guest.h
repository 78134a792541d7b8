/* SPDX-License-Identifier: MIT */
/* guest.h - settings of the worker's thread, which is a guest in the program */
#ifndef MACHINE_LINUX_GUEST_H
#define MACHINE_LINUX_GUEST_H

#include <stddef.h>
#include <stdint.h>

/* In the new thread: replaces the settings that it inherited from the thread that started it. */
void guest_settle(const uint64_t *isolated_cpus, size_t words_nr);

/* One more than the last CPU that the process could run on when this library was loaded; @bits: CPUs that
 * the kernel's masks are made for, never fewer than are possible.  Both 0 if it does not say. */
unsigned guest_cpus_end(unsigned *bits);

#endif
