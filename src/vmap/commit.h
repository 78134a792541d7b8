/* SPDX-License-Identifier: MIT */
/* vmap/commit.h - memory for a range, its guards, and advice about huge pages */
#ifndef VMAP_COMMIT_H
#define VMAP_COMMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "huge/huge.h"
#include "machine/atomic.h"
#include "vmap/vmap.h"

struct range;
struct vmap_request;

/* Sections of 2 MiB.  One system call commits as many as are wanted, or an eighth of those
 * committed before if that is more, up to 64 MiB. */
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
/* Commits a range's sections, and ends the request's claim.  Returns 0, -ENOMEM if the system
 * refused, or -EAGAIN if the flags forbid system calls. */
int vmap_commit(struct vmap *v, const struct range *range, struct vmap_request *request);
/* Counts advice that could not be counted when its sections were published. */
void vmap_count_advice(struct vmap *v);
/* Gives a range @usable usable pages, and moves its guard after them.  Returns 0, or -errno with
 * nothing changed. */
int vmap_reshape(struct vmap *v, struct range *range, uint32_t usable);
/* For guard:freed: takes a freed range's memory and makes every access to it fault, as far as the
 * system allows. */
void vmap_forbid(struct vmap *v, struct range *range);
/* Sets and removes guards as the request says, but sets none that would be a mapping beyond the
 * budget.  Returns 0 or -errno. */
int vmap_prepare(struct vmap *v, struct range *range, const struct vmap_request *request);

#endif
