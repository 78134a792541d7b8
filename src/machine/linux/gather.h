/* SPDX-License-Identifier: MIT */
/* gather.h - functions that gathers share with guards and frames */
#ifndef MACHINE_LINUX_GATHER_H
#define MACHINE_LINUX_GATHER_H

#include "machine/mem.h"

/* Gives all ranges one advice, vectored where possible; sets their errors. */
void gather_advise(struct gather *gather, int advice);
/* Replaces aliases by fresh committed memory.  0 or -errno. */
int mem_unmap_frames(void *addr, size_t bytes);
/* Turns a new inaccessible mapping into a reservation: excludes it from core files and unlocks
 * it. */
void mem_set_apart(void *addr, size_t bytes);

#endif
