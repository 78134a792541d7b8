/* SPDX-License-Identifier: MIT */
/* slab/meta.h - the arrays that describe slabs: reserved at once, committed where there are slabs */
#ifndef SLAB_META_H
#define SLAB_META_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/mem.h"
#include "slab/slab.h"

/* Fills in what an instance's pages determine, reserves the arrays, and makes the mutexes ready.  The caller has
 * zeroed *@s and set q, free_call, barn_room and lean; NULL means no sheaves.  0 or -ENOMEM. */
int slabs_meta_init(struct slabs *s);
void slabs_meta_fini(struct slabs *s);
/* True if all that describes the record's slab can be read. */
bool slabs_meta_is_ready(const struct slabs *s, uint32_t record);
/* True if there may be slabs in the record's step: a hint. */
bool slabs_meta_is_used(const struct slabs *s, uint32_t record);
/* For a slab that is about to be made: what describes it can be written from here on, until slabs_meta_leave().
 * 0, -ENOMEM, or -EAGAIN if @flags forbid what it would take: system calls, or waiting while a step's memory goes. */
int slabs_meta_enter(struct slabs *s, uint32_t record, unsigned flags);
/* The slab is no more, and nothing that describes it is looked at again. */
void slabs_meta_leave(struct slabs *s, uint32_t record);
/* Gives back the memory of what describes no slab, by an empty gather, with storage lent to it.  Under s->unback_mutex.  Returns bytes. */
size_t slabs_meta_unback(struct slabs *s, struct gather *gather);
/* Memory of the bytes and records of slabs, maps apart, that there are or were: a gauge. */
uint64_t slabs_meta_bytes(const struct slabs *s);
/* Records that the arrays have room for. */
uint32_t slabs_records(const struct slabs *s);

#endif
