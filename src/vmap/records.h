/* SPDX-License-Identifier: MIT */
/* vmap/records.h - spare records of ranges, so that nothing fails under the lock for lack of one */
#ifndef VMAP_RECORDS_H
#define VMAP_RECORDS_H

#include <stdint.h>

#include "machine/lock.h"

struct vmap;

#define RECORDS_AT_HAND 16u
#define RECORDS_NEEDED	3u

/* Takes the lock when RECORDS_NEEDED records are spare.  Returns 0, -ENOMEM, or -EAGAIN if @flags
 * forbid waiting for records. */
int space_lock_for(struct vmap *v, unsigned flags, lock_token *token);
/* Takes a spare record. */
uint32_t space_record_locked(struct vmap *v);
/* When a fork has taken the lock, and before its child releases it: records that handlers could not return. */
void space_fork_prepare_locked(struct vmap *v);
void space_fork_child_locked(struct vmap *v);
/* Returns a record; its count of uses is added to retired_uses. */
void space_retire_locked(struct vmap *v, uint32_t index);

#endif
