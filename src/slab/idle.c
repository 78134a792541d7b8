/* SPDX-License-Identifier: MIT */
/*
 * slab/idle.c - the worker's visit to an instance's slabs, and giving up what they cache
 *
 * A visit is due a decay after the first slow path since the last one.  It takes what idle sheaves hold (drain.c),
 * empties barns that nobody used, chooses slabs for emptying, and gives back empty slabs (objects_tick()).  A
 * class of which no slow path was taken since the last visit, and whose sheaves and barn are empty, gives the memory
 * of its free pages back as well: once, until it is used again.  When nothing of this is left, no visit is
 * due, and an idle process sleeps.
 *
 *   visit   an idle class's sheaves   its barn   its slabs
 *   1       noted                     noted      empty ones that stayed so leave
 *   2       keep half                 emptied    likewise
 *   3       keep nothing                         likewise, and free pages of others lose their memory
 *   4                                            likewise, until none is left
 */
#include "slab/sheaf.h"

#include "base/check.h"
#include "instance/instance.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/clock.h"
#include "machine/work.h"
#include "page/charge.h"
#include "slab/hardened.h"
#include "slab/objects.h"

#define QUIET_UNBACKED                                                                             \
	2u /* visits without a slow path, after which free pages have lost their memory */

static struct slabs *module_slabs(struct quire_module *module)
{
	return (struct slabs *)(void *)((char *)module - offsetof(struct slabs, module));
}

/* ---- asking for a visit ---- */

void slabs_kick(struct slabs *s)
{
	uint64_t due_ns;

	/* A hint, which saves the clock: pairs with slabs_tick(). */
	if (load_relaxed(&s->due_ns) != WORK_IDLE)
		return;
	due_ns = clock_now_ns() + s->decay_ns;
	store_relaxed(&s->due_ns, due_ns);
	worker_kick(s->q, due_ns);
}

void slabs_ensure_worker(struct slabs *s, unsigned flags)
{
	if (page_is_worth_a_worker(s->q, 0))
		worker_ensure(s->q, flags);
}

void slabs_ensure_worker_freed(struct slabs *s)
{
	if (page_is_worth_a_worker(s->q, 0))
		worker_ensure_freed(s->q);
}

/* ---- the visit ---- */

/* Whether no slow path of the class was taken since the last visit, and how often that was so. */
static void note_moves(struct slab_class *c)
{
	uint32_t moves = load_relaxed(&c->moves); /* a hint */

	if (moves != c->moves_seen)
		c->quiet = 0;
	else if (c->quiet < QUIET_UNBACKED)
		c->quiet++;
	c->moves_seen = moves;
}

/* What a visit finds out about all classes. */
struct visit {
	bool in_use;		     /* some class has slabs */
	bool left;		     /* another visit is due */
	bool any_settled;	     /* a class is quiet since this visit */
	uint64_t quiet[CLASS_WORDS]; /* a bit for each class that is */
};

/* True if another visit to the class is due. */
static bool visit_class(struct slabs *s, unsigned class, struct visit *visit)
{
	struct slab_class *c = &s->class[class];
	bool was_unbacked = c->quiet == QUIET_UNBACKED, left;

	note_moves(c);
	left = barn_tick(s, class);
	left = objects_tick(s, class) || left;
	if (left || c->quiet < QUIET_UNBACKED || sheaves_count(s, class) != 0) {
		if (c->quiet == QUIET_UNBACKED && !was_unbacked)
			c->quiet--; /* not yet */
		return true;
	}
	visit->quiet[class / 64] |= (uint64_t)1 << class % 64;
	visit->any_settled = visit->any_settled || !was_unbacked;
	return false;
}

/* The pages of all quiet classes go together: a huge page is only split if enough of it goes. */
static void visit_classes(struct slabs *s, struct visit *visit)
{
	for (unsigned class = 1; class < CLASSES_MAX; class ++) {
		struct slab_class *c = &s->class[class];

		/* Hints: the first slow path of a class kicks the worker after it has made a slab. */
		if (!load_acquire(&s->ready[class]) || load_relaxed(&c->slabs_nr) == 0)
			continue;
		visit->in_use = true;
		visit->left = visit_class(s, class, visit) || visit->left;
	}
	if (visit->any_settled && s->q->report)
		objects_unback(s, visit->quiet);
}

uint64_t slabs_tick(struct quire_module *module, uint64_t now_ns)
{
	struct slabs *s = module_slabs(module);
	struct visit visit = { .in_use = false };
	uint64_t due_ns = load_relaxed(&s->due_ns);

	if (now_ns < s->ticked_ns + s->decay_ns && due_ns > now_ns && due_ns != WORK_IDLE)
		return due_ns; /* the visit is another module's */
	s->ticked_ns = now_ns;
	/* Before this visit looks at anything, so that a later kick counts. */
	store_relaxed(&s->due_ns, WORK_IDLE);
	fence_seq_cst(); /* pairs with the locks of barns and classes, and with begin_locked()'s */
	sheaf_take_deferred(s);
	visit.left = sheaves_decay(s);
	visit_classes(s, &visit);
	due_ns = visit.left ? now_ns + s->decay_ns : WORK_IDLE;
	if (load_relaxed(&s->due_ns) > due_ns)
		store_relaxed(&s->due_ns, due_ns);
	due_ns = load_relaxed(&s->due_ns);
	return due_ns == WORK_IDLE && !visit.in_use ? WORK_EXIT : due_ns;
}

/* ---- on demand ---- */

size_t slabs_shrink(struct quire_module *module)
{
	struct slabs *s = module_slabs(module);
	size_t bytes = 0;

	if (s->q->dead)
		return 0;
	sheaves_drain(s, 0);
	if (s->hardened != NULL)
		hardened_drain(s);
	for (unsigned class = 1; class < CLASSES_MAX; class ++)
		if (load_acquire(&s->ready[class])) /* pairs with class.c's release */
			bytes += objects_shrink(s, class);
	return bytes;
}

size_t slabs_give_back(struct quire_module *module)
{
	struct slabs *s = module_slabs(module);

	return s->q->dead ? 0 : objects_unback(s, NULL);
}
