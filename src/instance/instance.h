/* SPDX-License-Identifier: MIT */
/*
 * instance/instance.h - struct quire: what all modules of an instance share
 *
 * The page allocator's struct pages begins with it (page/pages.h), so a pointer to one is a pointer to the
 * other: pages_of().  The parts of vmap, percpu and slab are created at first use; it points to them.
 */
#ifndef INSTANCE_INSTANCE_H
#define INSTANCE_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/quire.h>

#include "instance/holders.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/stack.h"
#include "machine/work.h"

/* CPUs that can have lists of their own; Linux can be built for 8,192. */
#define SLOTS_MAX 4096u

struct percpu;
struct quire_module;
struct shrinkers;
struct slabs;
struct vmap;

/* Keys: (c) constant after creation; other fields name their lock, or are atomic. */
struct quire {
	struct vmap *vmap;     /* atomic: NULL until first used; vmap/ makes it */
	struct percpu *percpu; /* atomic: likewise */
	struct slabs *slabs;   /* atomic: likewise */
	bool dead;   /* a child whose frames stayed with the parent: every call is refused */
	bool forked; /* a child: memory that other threads were moving is lost */
	bool looks;  /* atomic: allocations check for due work: worker.c */
	bool thp, thp_always;	     /* (c) not thp:off; thp:on */
	bool report;		     /* (c) */
	bool shared;		     /* (c) backing:memfd: frames that can be mapped again */
	bool debug, hardened;	     /* (c) malloc's, which sets them: it looks at each block */
	uint32_t sample;	     /* (c) malloc's likewise: one block in so many is guarded */
	uint64_t profile_bytes;	     /* (c) malloc's likewise: it samples the heap */
	bool page_poison;	     /* (c) free pages are filled, and looked at: page/watch.h */
	bool watched;		     /* (c) one of these two */
	bool annotated;		     /* (c) tools are told of allocations and frees: annotate.h */
	uint8_t page_shift;	     /* (c) */
	uint8_t nodes_nr;	     /* (c) nodes that flags may name: pages have a zone for each */
	struct shrinkers *shrinkers; /* (c) the program's caches; pages have room for them */
	uint64_t
		limit_pages; /* atomic: the most that may be in use, charges included; pages set it */
	uint64_t most_pages;	 /* (c) that the limit can ever be: what was reserved */
	uint32_t cpus_bound;	 /* atomic: CPUs that the process can keep busy; pages follow it */
	uint32_t cpus_source;	 /* atomic: enum process_cpus_source */
	uint64_t decay_base_ns;	 /* (c) */
	struct cpu_stacks cpus;	 /* (c) numbering of CPUs, slots and doors; no base */
	uint64_t *isolated_cpus; /* (c) one bit per CPU; NULL if none */
	struct quire_options options; /* (c) for modules that are created later; no CPU list */

	struct work work;
	struct mutex worker_mutex;
	struct holders worker_stopped; /* under worker_mutex */
	struct mutex visit_mutex;      /* held by a visit of the worker, or to exclude it */
	uint64_t relief_due_ns;	       /* under visit_mutex: relief.c looks no sooner */
	struct mutex huge_mutex;       /* guards all modules' huge-page advice: huge/huge.h */
	struct mutex modules_mutex;
	struct quire_module *modules; /* atomic: the rightmost; grows under modules_mutex */
	struct quire_module *lowest;  /* (c) pages */
	struct process_member member;
	uint64_t isolated_words[SLOTS_MAX / 64];
};

/* Decides how CPUs are numbered, and how many have stacks and doors: q->cpus.  Called when nodes_nr is
 * set. */
void instance_number_cpus(struct quire *q);

#endif
