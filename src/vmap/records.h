/* SPDX-License-Identifier: MIT */
/* vmap/records.h - records of ranges at hand, so that nothing fails under the lock for want of one */
#ifndef VMAP_RECORDS_H
#define VMAP_RECORDS_H

#include <stdint.h>

#include "machine/lock.h"

struct vmap;

#define RECORDS_AT_HAND 16u
#define RECORDS_NEEDED	3u

/* Takes the lock with enough records at hand, so that nothing under it can fail for want of one.
 * 0; -ENOMEM, or -EAGAIN if @flags forbid to wait for it. */
int space_lock_for(struct vmap *v, unsigned flags, lock_token *token);
/* One of those at hand. */
uint32_t space_record_locked(struct vmap *v);
/* Gives a record back; what it counted is kept. */
void space_retire_locked(struct vmap *v, uint32_t index);

#endif
