/* SPDX-License-Identifier: MIT */
/* page/instance.h - struct quire: one instance */
#ifndef PAGE_INSTANCE_H
#define PAGE_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <quire/quire.h>

#include "instance/holders.h"
#include "machine/lock.h"
#include "machine/process.h"
#include "machine/work.h"
#include "page/block.h"
#include "page/huge.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/state.h"
#include "page/zone.h"
#include "stacks/stacks.h"

struct pcp;
struct giveback;
struct percpu;
struct quire_module;
struct vmap;

/* Keys: (c) constant once made; `under` and `atomic` as each says. */
struct quire {
	/* Read by every fast path; constant. */
	char *base;
	uint8_t *state;	     /* by frame */
	uint8_t *tag;	     /* by block */
	size_t span_bytes;   /* of addresses from base */
	uintptr_t page_mask; /* of an offset's bits inside its page */
	uint8_t page_shift;
	uint8_t block_order;
	uint8_t zones_nr;
	uint8_t fast_flags_end; /* atomic: flags below it take zone 0's stacks at once: 3; 0 with more
				 * zones, or while every allocation looks */
	struct stacks stacks;	/* classes by zone, order and type: stacks.c */

	struct page *page;	 /* by frame */
	struct pageblock *block; /* by block */
	struct pcp *pcp;	 /* doors_nr a zone */
	uint32_t blocks_nr;
	uint32_t zone_blocks; /* blocks in each zone */
	uint64_t limit_pages; /* (c) handed out at most, charges included: sum of the zones' */
	char *meta;	      /* reservation of state, page, tag and block */
	size_t meta_bytes;
	bool thp, report;
	bool shared;		 /* (c) backing:memfd: frames that can be mapped again */
	bool annotated;		 /* (c) a tool is told what becomes of memory: annotate.h */
	uint64_t *isolated_cpus; /* bit a CPU; NULL if none */
	uint64_t isolated_words[SLOTS_MAX / 64];

	struct mutex pcp_disable_mutex;
	struct holders pcp_disabled; /* under pcp_disable_mutex */
	uint64_t *cpu_meta;	     /* one mapping: pcps, stacks, depots */
	size_t cpu_meta_bytes;
	struct mutex visit_mutex, giveback_mutex;
	struct mutex grow_mutex;
	struct mutex huge_mutex;
	struct huge_map huge; /* under huge_mutex */
	uint32_t deferred;    /* atomic: head frame of the lock-free list */
	/* For nested calls; atomic: head frames.  nested.c */
	uint32_t spares[SPARE_ORDERS_NR][SPARES_NR];
	bool spares_wanted, spares_used;	   /* atomic, relaxed */
	uint64_t deferred_total, refusals, drains; /* atomic, relaxed */
	struct work work;
	struct mutex worker_mutex;
	struct holders worker_stopped; /* under worker_mutex */
	bool looks;		 /* atomic: allocations look whether something is due: worker.c */
	uint8_t fast_flags_most; /* (c) fast_flags_end while none does */
	struct giveback *giveback_room; /* (c) giveback.c's, under giveback_mutex */
	uint64_t giveback_due_ns; /* atomic: the worker's next visit to the pages, or WORK_IDLE */
	uint64_t decay_ns, decay_base_ns;
	uint32_t epoch; /* atomic, relaxed: ticks of the worker */
	uint64_t active_seen;
	bool forked; /* a child: pages in other threads' hands are lost */
	bool dead;   /* a child, and the frames stayed with the parent: every call is refused */
	struct process_member member;
	struct mutex modules_mutex;
	struct quire_module *modules; /* atomic: head; grows under modules_mutex */
	struct quire_options options; /* (c) as given, for modules that are made later */
	struct vmap *vmap;	      /* atomic: NULL until first used; vmap/ makes it */
	struct percpu *percpu;	      /* atomic: likewise */
	struct stacks_class stack_class[ZONES_MAX * STACK_CLASSES_NR]; /* (c) of stacks */
	struct zone zone[ZONES_MAX];
};

#endif
