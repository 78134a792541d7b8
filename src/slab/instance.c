/* SPDX-License-Identifier: MIT */
/*
 * slab/instance.c - an instance's slabs: creation at first use, destruction, verification, and fork
 *
 * Programs that use only pages or areas pay nothing for object caches: all is reserved when the first cache is
 * created, or malloc's first block is.
 *
 * Fork takes the waiting locks, then all doors with the sheaves closed, for which pages fence, then the barns'
 * and the classes' locks.  What is on sheaves and in barns is valid in the child; its sheaves are cold.  Objects
 * that other threads had just popped, and slabs that they were making, are lost there.
 */
#include "slab/slab.h"

#include <quire/quire.h>

#include "base/check.h"
#include "base/errno.h"
#include "base/round.h"
#include "instance/instance.h"
#include "instance/module.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/work.h"
#include "slab/hardened.h"
#include "slab/meta.h"
#include "slab/objects.h"
#include "slab/sheaf.h"

/* Where in its page the structure begins: programs write to the beginnings of pages, and headers of sheaves are
 * there, and a load of an address whose low 12 bits are those of an earlier store waits for it. */
#define SELF_OFFSET 2944u

_Static_assert(SELF_OFFSET % _Alignof(struct slabs) == 0, "the structure is aligned");

static struct slabs *module_slabs(struct quire_module *module)
{
	return (struct slabs *)(void *)((char *)module - offsetof(struct slabs, module));
}

static void set_looks(struct quire_module *module, bool looks)
{
	struct slabs *s = module_slabs(module);

	store_relaxed(&s->fast_flags_end, looks || s->q->dead ? 0u : 1u); /* quire_cache_alloc() */
}

/* ---- fork ---- */

static void fork_prepare_mutexes(struct quire_module *module)
{
	struct slabs *s = module_slabs(module);

	mutex_acquire(&s->mutex);
	mutex_acquire(&s->unback_mutex);
}

static void fork_prepare_locks(struct quire_module *module)
{
	struct slabs *s = module_slabs(module);

	sheaves_fork_prepare(s);
	objects_fork_prepare(s);
}

/* No address is ours in a child whose pages stayed with the parent, and every sequence refuses. */
static void forget_pages(struct slabs *s)
{
	s->fast_flags_end = 0;
	s->entries = 0;
	s->span_bytes = 0;
	s->lean->slots_nr = s->lean->slots_open = 0;
}

static void fork_done(struct quire_module *module, bool child)
{
	struct slabs *s = module_slabs(module);

	if (child && s->hardened != NULL)
		hardened_fork_child(s);
	objects_fork_done(s);
	sheaves_fork_done(s, child);
	if (child && s->q->shared)
		forget_pages(s);
	else if (child)
		sheaf_fork_child_deferred(s);
	mutex_release(&s->unback_mutex);
	mutex_release(&s->mutex);
}

/* ---- parts ---- */

static int verify(struct quire_module *module)
{
	struct slabs *s = module_slabs(module);
	int label = 0;

	if (s->q->dead)
		return 0;
	mutex_acquire(&s->mutex);
	sheaf_take_deferred(s);
	for (unsigned class = 1; label == 0 && class < CLASSES_MAX; class ++)
		if (s->ready[class])
			label = objects_verify(s, class);
	if (label == 0)
		label = sheaves_verify(s);
	mutex_release(&s->mutex);
	return label;
}

static void fini(struct quire_module *module)
{
	struct slabs *s = module_slabs(module);

	store_relaxed(&s->q->slabs, (struct slabs *)NULL); /* no other thread has the instance */
	if (s->caches_ready)
		pool_fini(&s->caches);
	slabs_meta_fini(s);
	hardened_fini(s);
	mem_release(s->self, s->self_bytes);
}

/* ---- creation ---- */

static struct slabs *self_make(struct quire *q)
{
	size_t bytes = round_up(SELF_OFFSET + sizeof(struct slabs), mem_page_bytes());
	char *self = mem_map(bytes, "quire-caches");
	struct slabs *s = (struct slabs *)(void *)(self + SELF_OFFSET);

	if (self == NULL)
		return NULL;
	s->q = q;
	s->self = self;
	s->self_bytes = bytes;
	s->free_call = "quire_cache_free";
	s->barn_room = sheaves_barn_room(q);
	s->decay_ns = q->decay_base_ns;
	s->due_ns = WORK_IDLE;
	s->caches_head = POOL_NONE;
	s->module = (struct quire_module){
		.rank = RANK_SLAB_CACHES,
		.fini = fini,
		.fork_prepare_mutexes = fork_prepare_mutexes,
		.fork_prepare_locks = fork_prepare_locks,
		.fork_done = fork_done,
		.verify = verify,
		.shrink = slabs_shrink,
		.give_back = slabs_give_back,
		.tick = slabs_tick,
		.set_looks = set_looks,
	};
	return s;
}

static int begin(struct slabs *s)
{
	int error = s->q->hardened ? hardened_init(s) : 0;

	if (error)
		return error;
	sheaves_setup(s);
	return slabs_meta_init(s);
}

static struct slabs *make(struct quire *q)
{
	struct slabs *s = self_make(q);

	if (s == NULL)
		return NULL;
	if (begin(s) != 0) {
		hardened_fini(s);
		mem_release(s->self, s->self_bytes);
		return NULL;
	}
	sheaves_init(s);
	s->entries = s->span_bytes >> ENTRY_SHIFT;
	s->entry_shift = (uint8_t)(s->page_shift - ENTRY_SHIFT);
	s->fast_flags_end = q->looks ? 0 : 1;
	return s;
}

struct slabs *slabs_get(struct quire *q, int *error)
{
	struct slabs *s = load_acquire(&q->slabs); /* pairs with the release below */

	if (UNLIKELY(q->dead)) {
		*error = EOWNERDEAD;
		return NULL;
	}
	if (LIKELY(s != NULL))
		return s;
	*error = ENOMEM;
	/* Creation waits, so it is refused in a handler that interrupted a holder of locks. */
	if (lock_nested())
		return NULL;
	mutex_acquire(&q->modules_mutex);
	s = q->slabs;
	if (s == NULL)
		s = make(q);
	if (s != NULL && q->slabs == NULL) {
		module_register_locked(q, &s->module);
		store_release(&q->slabs, s);
	}
	mutex_release(&q->modules_mutex);
	return s;
}
