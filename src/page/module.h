/* SPDX-License-Identifier: MIT */
/* page/module.h - what modules to the right of pages share with them: one limit, one worker, fork */
#ifndef PAGE_MODULE_H
#define PAGE_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct quire;

/*
 * Modules to the right that live in an instance hang themselves in here when first used, and stay
 * until it is destroyed.  module.c walks them, by rank; none of its locks is held then, but
 * for what the member says.  Members that are NULL are passed over.
 */
struct quire_module {
	struct quire_module *next;
	unsigned rank; /* of its first waiting lock: modules stand in this order */
	void (*fini)(struct quire_module *module);
	/* Takes what it has in rank order: waiting locks of all modules first, then spin locks. */
	void (*fork_prepare_mutexes)(struct quire_module *module);
	void (*fork_prepare_locks)(struct quire_module *module);
	/* Releases all of them, in reverse. */
	void (*fork_done)(struct quire_module *module, bool child);
	int (*verify)(struct quire_module *module);
	/* Gives up everything that it caches or frees lazily, for an allocation that would else be
	 * refused, or for quire_release(); waits for what is in flight.  The caller may hold
	 * RANK_PERCPU_ALLOC: a module may only try that one.  Returns bytes uncharged. */
	size_t (*shrink)(struct quire_module *module);
	/* The worker's visit: returns when it wants the next; WORK_IDLE if nothing is due until
	 * it is kicked; WORK_EXIT if nothing of it is in use either. */
	uint64_t (*tick)(struct quire_module *module, uint64_t now_ns);
	/* Every allocation looks whether something is due (module_look()), or none need to. */
	void (*set_looks)(struct quire_module *module, bool looks);
};

/* ---- charge.c: memory of the instance's limit that is not behind its pages ---- */
/* Counts pages that are about to have memory outside the page allocator: 0 or -errno (charge.c). */
int page_charge(struct quire *q, uint64_t pages, unsigned flags);
/* Anywhere but a signal handler: it waits for a zone lock, never longer. */
void page_uncharge(struct quire *q, uint64_t pages);
/* All that is cached anywhere goes back where everybody can have it. */
void page_make_room(struct quire *q);

/* ---- free.c ---- */
/* A page begins at @addr that somebody has allocated, alone or as part of a block. */
bool page_is_allocated(const struct quire *q, const void *addr);

/* ---- module.c: what stands to the right of pages in an instance ---- */
void module_register_locked(struct quire *q, struct quire_module *module);
/* The rest calls the member of that name of every module, in the order of their ranks. */
size_t modules_shrink(struct quire *q);
/* Returns the earliest of the times that the modules want. */
uint64_t modules_tick(struct quire *q, uint64_t now_ns);
/* The worker shall come to the modules at @due_ns or before.  Legal anywhere; starts no thread. */
void module_kick(struct quire *q, uint64_t due_ns);
void modules_fork_prepare_mutexes(struct quire *q);
void modules_fork_prepare_locks(struct quire *q);
void modules_fork_done(struct quire *q, bool child);
void modules_fini(struct quire *q);
int modules_verify(struct quire *q);
void modules_set_looks(struct quire *q, bool looks);

/* ---- worker.c: who does what is due ---- */
/* For slow paths, with no lock held: makes sure that there is somebody, or does it. */
void module_start_worker(struct quire *q, unsigned flags);
/* The same for a free, which may be a signal handler's. */
void module_start_worker_freed(struct quire *q);
/* While q->looks: an allocation that was served looks whether something is due. */
void module_look(struct quire *q, unsigned flags);

/*
 * Between the two the worker visits no part of the instance.  It is no thread of the program's, so
 * whoever looks at all of an instance keeps it out: what it moves from one place to another would be
 * seen in both or in neither.  May wait for a visit; ordinary context, with no lock held.
 */
void worker_still_begin(struct quire *q);
void worker_still_end(struct quire *q);

#endif
