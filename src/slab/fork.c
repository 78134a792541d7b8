/* SPDX-License-Identifier: MIT */
/*
 * slab/fork.c - the locks of classes, over a fork
 *
 * The forking thread holds s->mutex, so that no class comes or goes, and s->unback_mutex, so that no slab is held.
 * In the child, slabs that other threads were making or giving back are lost with their pages: they belong
 * to no class.
 */
#include "slab/objects.h"

#include "base/check.h"
#include "machine/lock.h"
#include "slab/record.h"

void objects_fork_prepare(struct slabs *s)
{
	CHECK(mutex_is_held(&s->mutex) && mutex_is_held(&s->unback_mutex));
	for (unsigned i = 1; i < CLASSES_MAX; i++) {
		struct slab_class *c = &s->class[i];

		if (!s->ready[i])
			continue;
		c->kept = lock_acquire_ordered(&c->lock);
		c->held = true; /* handlers of others may make classes on this thread meanwhile */
	}
}

void objects_fork_done(struct slabs *s)
{
	for (unsigned i = CLASSES_MAX; --i != 0;) {
		struct slab_class *c = &s->class[i];

		if (!c->held)
			continue;
		c->held = false;
		lock_release(&c->lock, c->kept);
	}
}
