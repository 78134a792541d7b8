/* SPDX-License-Identifier: MIT */
/* guest.h - the worker's thread is a guest of the program: how it runs, and the object with its code */
#ifndef MACHINE_LINUX_GUEST_H
#define MACHINE_LINUX_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the new thread: leaves nothing of what it inherited from whoever happened to start it. */
void guest_settle(const uint64_t *isolated_cpus, size_t words_nr);
/* Before the first thread: the object that holds this code stays loaded.  False if it may go. */
bool guest_pin_code(void);

#endif
