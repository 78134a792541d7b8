/* SPDX-License-Identifier: MIT */
/*
 * instance/module.c - the modules of an instance
 *
 * The pages' part is created with the instance.  vmap, percpu and slab create theirs at first use and register
 * it here.  Modules stand in the order of their locks, so pages come last.  The list only grows, under
 * modules_mutex, and is read in both directions without it: a module is complete before the stores
 * that publish it, and a concurrent walk may miss it.
 */
#include "instance/module.h"

#include "base/check.h"
#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/work.h"

/* These pair with the releases in module_register_locked(). */
static struct quire_module *first_module(struct quire *q)
{
	return load_acquire(&q->modules);
}

static struct quire_module *next_module(struct quire_module *module)
{
	return load_acquire(&module->next);
}

static struct quire_module *module_above(struct quire_module *module)
{
	return load_acquire(&module->above);
}

/* A concurrent walk that sets it may have missed the module: the fence, with that in set_looks(), makes one of them find
 * the other. */
static void module_follow(struct quire *q, struct quire_module *module)
{
	bool looks;

	if (module->set_looks == NULL)
		return;
	do {
		looks = load_relaxed(&q->looks);
		module->set_looks(module, looks);
		fence_seq_cst();
	} while (load_relaxed(&q->looks) != looks);
}

void module_register_lowest(struct quire *q, struct quire_module *module)
{
	CHECK(q->modules == NULL);
	q->modules = q->lowest = module;
}

/* Sorted by rank, so that fork takes locks in order whichever module was registered first. */
void module_register_locked(struct quire *q, struct quire_module *module)
{
	struct quire_module **link = &q->modules, *above = NULL;

	CHECK(mutex_is_held(&q->modules_mutex));
	CHECK(module->rank < q->lowest->rank);
	if (UNLIKELY(lock_kept())) { /* the fork in progress keeps its locks, too */
		uint32_t begun = lock_keep_begin();

		if (module->fork_prepare_mutexes != NULL)
			module->fork_prepare_mutexes(module);
		if (module->fork_prepare_locks != NULL)
			module->fork_prepare_locks(module);
		lock_keep_end(begun);
	}
	while ((*link)->rank < module->rank) {
		above = *link;
		link = &above->next;
	}
	module->next = *link;
	module->above = above;
	/* Concurrent walks read both without the mutex. */
	store_release(link, module);
	store_release(&module->next->above, module);
	module_follow(q, module);
}

size_t modules_shrink(struct quire *q)
{
	size_t bytes = 0;

	for (struct quire_module *m = first_module(q); m != NULL; m = next_module(m))
		bytes += m->shrink != NULL ? m->shrink(m) : 0;
	return bytes;
}

size_t modules_give_back(struct quire *q)
{
	size_t bytes = 0;

	for (struct quire_module *m = first_module(q); m != NULL; m = next_module(m))
		bytes += m->give_back != NULL ? m->give_back(m) : 0;
	return bytes;
}

bool modules_cede(struct quire *q, size_t bytes)
{
	bool all = true;

	for (struct quire_module *m = first_module(q); m != NULL; m = next_module(m))
		if (m->cede != NULL && !m->cede(m, bytes))
			all = false;
	return all;
}

static bool modules_are_empty(struct quire *q)
{
	for (struct quire_module *m = q->lowest; m != NULL; m = module_above(m))
		if (m->is_empty != NULL && !m->is_empty(m))
			return false;
	return true;
}

void modules_look(struct quire *q, struct relief *relief)
{
	for (struct quire_module *m = q->lowest; m != NULL; m = module_above(m))
		if (m->look != NULL)
			m->look(m, relief);
}

uint64_t modules_tick(struct quire *q, uint64_t now_ns)
{
	uint64_t due_ns = WORK_EXIT;
	bool may_exit = true;

	for (struct quire_module *m = q->lowest; m != NULL; m = module_above(m)) {
		uint64_t due = m->tick != NULL ? m->tick(m, now_ns) : WORK_EXIT;

		/* A time precedes IDLE, and IDLE precedes EXIT. */
		if (due < WORK_EXIT ? due < due_ns : due == WORK_IDLE && due_ns == WORK_EXIT)
			due_ns = due;
		may_exit = may_exit && (due == WORK_EXIT || m->is_empty != NULL);
	}
	return due_ns == WORK_IDLE && may_exit && modules_are_empty(q) ? WORK_EXIT : due_ns;
}

void modules_set_looks(struct quire *q, bool looks)
{
	for (struct quire_module *m = q->lowest; m != NULL; m = module_above(m))
		if (m->set_looks != NULL)
			m->set_looks(m, looks);
}

uint64_t modules_observe(struct quire *q, uint64_t now_ns)
{
	uint64_t due_ns = WORK_IDLE;

	for (struct quire_module *m = q->lowest; m != NULL; m = module_above(m)) {
		uint64_t due = m->observe != NULL ? m->observe(m, now_ns) : WORK_IDLE;

		if (due < due_ns)
			due_ns = due;
	}
	return due_ns;
}

void modules_fork_prepare_mutexes(struct quire *q)
{
	mutex_acquire(&q->modules_mutex);
	mutex_acquire(&q->visit_mutex);
	for (struct quire_module *m = q->modules; m != NULL; m = m->next)
		if (m->fork_prepare_mutexes != NULL)
			m->fork_prepare_mutexes(m);
}

void modules_fork_prepare_locks(struct quire *q)
{
	for (struct quire_module *m = q->modules; m != NULL; m = m->next)
		if (m->fork_prepare_locks != NULL)
			m->fork_prepare_locks(m);
}

void modules_fork_done(struct quire *q, bool child)
{
	for (struct quire_module *m = q->lowest; m != NULL; m = m->above)
		if (m->fork_done != NULL)
			m->fork_done(m, child);
	mutex_release(&q->visit_mutex);
	mutex_release(&q->modules_mutex);
}

void modules_fork_child(struct quire *q)
{
	for (struct quire_module *m = q->lowest; m != NULL; m = module_above(m))
		if (m->fork_child != NULL)
			m->fork_child(m);
}

void modules_fini(struct quire *q)
{
	while (q->modules != NULL) {
		struct quire_module *module = q->modules;

		q->modules = module->next;
		if (q->modules != NULL)
			q->modules->above = NULL;
		else
			q->lowest = NULL;
		module->fini(module);
	}
}

int modules_verify(struct quire *q)
{
	int label = 0;

	for (struct quire_module *m = q->lowest; label == 0 && m != NULL; m = module_above(m))
		label = m->verify != NULL ? m->verify(m) : 0;
	return label;
}
