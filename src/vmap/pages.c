/* SPDX-License-Identifier: MIT */
/*
 * vmap/pages.c - quire_vmap(): mapping allocated pages again, contiguously
 *
 * The pages may be in any order, and any may repeat: a buffer that is mapped twice, side by side, is a
 * ring buffer without a seam.  The pages still belong to their owner, which unmaps them before freeing
 * them.
 */
#include <quire/quire.h>
#include <quire/vmap.h>

#include "base/check.h"
#include "base/errno.h"
#include "instance/instance.h"
#include "machine/annotate.h"
#include "machine/atomic.h"
#include "machine/process.h"
#include "vmap/frames.h"
#include "vmap/free.h"
#include "vmap/layout.h"

void *quire_vmap(struct quire *q, void *const *pages, size_t count, unsigned flags)
{
	int error = -EINVAL;
	struct vmap *v = frames_get(q, pages, count, flags, &error);
	void *addr = NULL;

	if (v != NULL)
		addr = frames_map_area(v, pages, count, QUIRE_VMAP_PAGES, flags, &error);
	if (addr == NULL)
		process_set_errno(-error);
	else if (q->annotated)
		annotate_alloc(addr, count << q->page_shift, true);
	return addr;
}

void quire_vunmap(struct quire *q, void *addr)
{
	struct vmap *v = load_acquire(&q->vmap); /* pairs with its making in vmap_get() */
	uint32_t index;

	if (addr == NULL || q->dead)
		return;
	if (v == NULL)
		misuse("foreign pointer", "quire_vunmap", addr);
	index = vmap_check_free(v, addr, QUIRE_VMAP_PAGES, "quire_vunmap");
	if (q->annotated)
		annotate_free(addr, (size_t)range_at(v, index)->usable << q->page_shift);
	frames_give(v, index);
}
