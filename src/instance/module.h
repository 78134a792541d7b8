/* SPDX-License-Identifier: MIT */
/* instance/module.h - the modules of an instance, and the functions that each supplies */
#ifndef INSTANCE_MODULE_H
#define INSTANCE_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quire;
struct relief;

/*
 * Pages register when an instance is created, the modules to their right at their first use.  They stay
 * until the instance is destroyed.  A function that is NULL is not called; fini is required.
 *
 * Locks.  look, tick, verify and give_back run under visit_mutex, and so does shrink for quire_release(): none
 * may call what waits for a visit (statistics, texts).  The functions of fork run under worker_mutex,
 * modules_mutex and visit_mutex, and set_looks may run under all locks in a child of fork.
 */
struct quire_module {
	struct quire_module *next;  /* atomic: the next to the left; NULL: pages */
	struct quire_module *above; /* atomic: the next to the right; NULL: none */
	unsigned rank;		    /* of its first waiting lock: modules stand in this order */
	/* Releases everything that the module has.  No thread uses the instance any more. */
	void (*fini)(struct quire_module *module);
	/* Takes its locks in rank order: the waiting locks of all modules first, then their spin locks. */
	void (*fork_prepare_mutexes)(struct quire_module *module);
	void (*fork_prepare_locks)(struct quire_module *module);
	/* Releases all of them, in reverse. */
	void (*fork_done)(struct quire_module *module, bool child);
	/* In a child of fork, after all locks were released. */
	void (*fork_child)(struct quire_module *module);
	/* Returns 0, or the number of a broken rule. */
	int (*verify)(struct quire_module *module);
	/* Gives up everything that it caches or frees lazily, for an allocation that would otherwise be
	 * refused, or for quire_release(); waits for purges in flight.  The caller may hold
	 * RANK_PERCPU_ALLOC, so a module may only try that lock.  Returns the bytes uncharged. */
	size_t (*shrink)(struct quire_module *module);
	/* Pages have taken @bytes more than ever before: gives as much of what it caches back to the system, if that
	 * is plenty.  The caller may wait, and holds no lock.  False if it was busy, so it is to be called again. */
	bool (*cede)(struct quire_module *module, size_t bytes);
	/* Gives memory back to the system, for quire_release(), after all modules have shrunk.  Returns
	 * bytes. */
	size_t (*give_back)(struct quire_module *module);
	/* Looks whether limits have changed, and says what memory there is: relief.h.  Only pages have it. */
	void (*look)(struct quire_module *module, struct relief *relief);
	/* The worker's visit.  Returns when the next is due; WORK_IDLE if none is before a kick; WORK_EXIT
	 * if, in addition, nothing of the module is in use. */
	uint64_t (*tick)(struct quire_module *module, uint64_t now_ns);
	/* For a module whose tick never returns WORK_EXIT, because counting what is in use would make each
	 * visit too expensive.  Called only if no module has anything due and all others returned EXIT. */
	bool (*is_empty)(struct quire_module *module);
	/* What looks at the instance from outside, as the program may: called after each visit, with no lock held.
	 * Returns when it is to be called again, WORK_IDLE if never. */
	uint64_t (*observe)(struct quire_module *module, uint64_t now_ns);
	/* From now on every allocation must check for due work (worker_look()), or none needs to. */
	void (*set_looks)(struct quire_module *module, bool looks);
};

/* Registers the lowest module, while the instance is being created. */
void module_register_lowest(struct quire *q, struct quire_module *module);
/* Registers any other module, under modules_mutex. */
void module_register_locked(struct quire *q, struct quire_module *module);

/*
 * Each of the rest calls the function of its name in every module.  shrink, give_back, fini and
 * fork_prepare go from the rightmost module to pages, so that a module can give to those on its left, and
 * locks are taken by rising rank.  The others go from pages to the right.
 */
size_t modules_shrink(struct quire *q);
size_t modules_give_back(struct quire *q);
bool modules_cede(struct quire *q, size_t bytes);
void modules_look(struct quire *q, struct relief *relief);
/* Returns the earliest time at which a module has work due. */
uint64_t modules_tick(struct quire *q, uint64_t now_ns);
/* These two also take and release modules_mutex and visit_mutex. */
void modules_fork_prepare_mutexes(struct quire *q);
void modules_fork_done(struct quire *q, bool child);
void modules_fork_prepare_locks(struct quire *q);
void modules_fork_child(struct quire *q);
void modules_fini(struct quire *q);
int modules_verify(struct quire *q);
uint64_t modules_observe(struct quire *q, uint64_t now_ns);
void modules_set_looks(struct quire *q, bool looks);

#endif
