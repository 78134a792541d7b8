/* SPDX-License-Identifier: MIT */
/* slab/meta.h - the arrays that describe slabs: reserved at once, committed where there are slabs */
#ifndef SLAB_META_H
#define SLAB_META_H

#include <stdbool.h>
#include <stdint.h>

#include "slab/slab.h"

/* What is committed together: 16 MiB of addresses. */
#define STEP_RECORDS 256u

/* Fills in what an instance's pages determine, reserves the arrays, and makes the mutexes ready.  The caller has
 * zeroed *@s and set q, free_call and barn_room.  0 or -ENOMEM. */
int slabs_meta_init(struct slabs *s);
void slabs_meta_fini(struct slabs *s);
/* True if all that describes the record's slab can be written. */
bool slabs_meta_is_ready(const struct slabs *s, uint32_t record);
/* Makes it so; other threads may do the same at the same time.  A run that page_alloc_run() returns lies in one
 * step, so its first record stands for all.  0, -ENOMEM, or -EAGAIN if @flags forbid system calls. */
int slabs_meta_ready(struct slabs *s, uint32_t record, unsigned flags);
/* Records that the arrays have room for. */
uint32_t slabs_records(const struct slabs *s);

#endif
