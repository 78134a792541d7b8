/* SPDX-License-Identifier: MIT */
/* gather.h - what gathers share with guards and frames */
#ifndef MACHINE_LINUX_GATHER_H
#define MACHINE_LINUX_GATHER_H

#include "machine/mem.h"

/* Advises all ranges, vectored where that can be; sets their errors. */
void gather_advise(struct gather *gather, int advice);
/* Puts fresh committed memory in the place of aliases; 0 or -errno. */
int mem_unmap_frames(void *addr, size_t bytes);
/* What a new mapping without access needs to be a reservation: no part of core files, not locked. */
void mem_set_apart(void *addr, size_t bytes);

#endif
