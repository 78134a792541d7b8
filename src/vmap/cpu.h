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
	uint32_t list[CLASSES_NR];    /* (l) heads of lists, used without sequences */
	uint16_t list_nr[CLASSES_NR]; /* (l) */
	bool prepared[CLASSES_NR];    /* (l) by cpu_make_ready(); read as a hint */
	uint32_t room;		      /* (l) first block with room (ram.h): index + 1; 0: none */
	uint64_t merged_ns;	      /* atomic, relaxed: when this CPU's areas were last merged */
} __attribute__((aligned(64)));

/* Defines the classes of the stacks. */
void cpus_init_stacks(struct vmap *v);
/* Returns the current CPU's entry with its lock taken, or NULL if the lock is held.  The caller may
 * migrate, so the CPU is a hint; only the lock protects. */
struct vmap_cpu *cpu_current_try(struct vmap *v, lock_token *token);
/* Takes the fence and the page fault of a class's first free on this CPU here, where waiting is
 * allowed. */
void cpu_make_ready(struct vmap *v, unsigned class, unsigned flags);
/* Returns slot @slot's entry with its lock taken, made ready at its first use. */
struct vmap_cpu *cpu_lock(struct vmap *v, unsigned slot, lock_token *token);
/* Takes an area of a class from the current CPU: the newest of the last 8 that begins at a multiple of
 * @align pages, a power of two.  Returns it in state CACHED, or RANGE_NONE. */
uint32_t cpu_take(struct vmap *v, unsigned class, uint32_t align);
/* Puts a freed area (CACHED) on the current CPU's stack or list of its class; if that is full,
 * hands on half of it.  False if the CPU keeps no areas of that class. */
bool cpu_put(struct vmap *v, uint32_t index);
/* Moves areas of the current CPU to the pooled ranges without closing its stacks: the newest of each
 * class, at most 64; without sequences all. */
void cpu_pool_own(struct vmap *v);
/* Moves to the pooled ranges the smallest area that the current CPU keeps in classes [@class, @end).
 * False if there is none. */
bool cpu_pool_larger(struct vmap *v, unsigned class, unsigned end);
/* Closes a CPU's stacks, pools its areas, and reopens them cold: the next free there takes the slow
 * path.  Returns true if it held any area. */
bool cpu_drain(struct vmap *v, unsigned slot);
/* Closes all CPUs' stacks and pools their areas.  Until cpus_open() all frees go to the lazy
 * list. */
void cpus_close(struct vmap *v);
void cpus_open(struct vmap *v);
/* Returns the pages that a CPU holds, and adds the number of its areas to *@areas.  A hint, unless
 * no other thread uses the instance. */
uint64_t cpu_pages(struct vmap *v, unsigned slot, uint64_t *areas);

#endif
