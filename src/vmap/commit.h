/* SPDX-License-Identifier: MIT */
/* vmap/commit.h - memory for a range, its guards, and advice about huge pages */
#ifndef VMAP_COMMIT_H
#define VMAP_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/atomic.h"
#include "page/huge.h"
#include "vmap/vmap.h"

struct range;
struct vmap_request;

/* Committed at a time: sections of 2 MiB, as many as are wanted, or an eighth of what was before, up to
 * 64 MiB: one system call. */
#define SECTION_SHIFT	 21
#define SECTIONS_AT_ONCE 32u

static inline unsigned section_page_shift(const struct vmap *v)
{
	return SECTION_SHIFT - v->page_shift;
}
static inline bool section_is_ready(const struct vmap *v, uint32_t section)
{
	return load_acquire(&v->section[section]) != HUGE_UNUSED; /* pairs with publish() */
}
/* Makes a range usable, and gives up the request's claim.  0; -ENOMEM if the system refused; -EAGAIN if
 * the flags forbid system calls. */
int vmap_commit(struct vmap *v, const struct range *range, struct vmap_request *request);
/* Counts the advice that could not be when its sections were published. */
void vmap_count_advice(struct vmap *v);
/* No huge page in the block around @page, of which a part goes.  True if there may be one now. */
bool vmap_huge_deny(struct vmap *v, uint32_t page);
/* Makes a range have @usable pages, with its guard behind them.  0, or -errno with all as it was. */
int vmap_reshape(struct vmap *v, struct range *range, uint32_t usable);
/* guard:freed: a freed range keeps no memory, and every access to it faults, as far as the system
 * lets it. */
void vmap_forbid(struct vmap *v, struct range *range);
/* Sets guards as the request says; none that would be a mapping beyond the budget.  0 or -errno. */
int vmap_prepare(struct vmap *v, struct range *range, const struct vmap_request *request);

#endif
