/* SPDX-License-Identifier: MIT */
/* vmap/cpu.h - one CPU's freed areas, and the door of its stacks */
#ifndef VMAP_CPU_H
#define VMAP_CPU_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/lock.h"
#include "stacks/stacks.h"
#include "vmap/class.h"

struct vmap;

/* Keys: (l) under lock; (c) constant. */
struct vmap_cpu {
	struct stacks_door door;      /* RANK_VMAP_CPU */
	uint32_t list[CLASSES_NR];    /* (l) without sequences: heads */
	uint16_t list_nr[CLASSES_NR]; /* (l) */
	bool prepared[CLASSES_NR];    /* (l) by cpu_make_ready(); read as a hint */
	uint32_t room;		      /* (l) blocks with room for mappings: index + 1; 0 */
	uint64_t merged_ns; /* atomic, relaxed: when this CPU last gave its areas to be merged */
} __attribute__((aligned(64)));

/* Says which classes of stacks there are. */
void cpus_init_stacks(struct vmap *v);
/* The current CPU's, locked; NULL if somebody holds it.  The CPU is a hint, the lock is what counts. */
struct vmap_cpu *cpu_current_try(struct vmap *v, lock_token *token);
/* Takes the fence and the page fault of a class's first free on this CPU here, where waiting is allowed. */
void cpu_make_ready(struct vmap *v, unsigned class, unsigned flags);
/* Any, locked, and made ready at first use. */
struct vmap_cpu *cpu_lock(struct vmap *v, unsigned slot, lock_token *token);
/* An area of a class in state CACHED, or RANGE_NONE. */
uint32_t cpu_take(struct vmap *v, unsigned class);
/* Puts a freed area (CACHED) where this CPU keeps its class, or hands on half of that.  False: it
 * does not keep it. */
bool cpu_put(struct vmap *v, uint32_t index);
/* What the current CPU has, to the pooled ranges; without closing its stacks. */
void cpu_pool_own(struct vmap *v);
/* Closes, pools what there is, opens; the next free there takes the slow path. */
bool cpu_drain(struct vmap *v, unsigned slot); /* did it hold any? */
/* Closes all and pools what they held.  Until cpus_open() everybody's frees go to the lazy list. */
void cpus_close(struct vmap *v);
void cpus_open(struct vmap *v);
/* What a CPU holds, in pages; adds areas to *@areas.  A hint, unless everybody else is kept away. */
uint64_t cpu_pages(struct vmap *v, unsigned slot, uint64_t *areas);

#endif
