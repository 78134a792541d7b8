/* SPDX-License-Identifier: MIT */
/* vmap/decay.h - purging by time, and on demand */
#ifndef VMAP_DECAY_H
#define VMAP_DECAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct purged;
struct quire_module;
struct vmap;

/* The worker's visit.  Returns the time of the next. */
uint64_t decay_tick(struct quire_module *module, uint64_t now_ns);
/* Purges everything that is lazy, pooled or on a CPU.  Waits for a purge in flight. */
struct purged decay_purge(struct vmap *v);
/* For module.h: gives back up to @bytes of what is cached.  False if another purge is in flight. */
bool decay_cede(struct quire_module *module, size_t bytes);
/* For module.h: as decay_purge(), and also gives back aliases and records.  Returns bytes. */
size_t decay_shrink(struct quire_module *module);
/* Makes a visit of the worker due after a free; at once if more is cached than may stay. */
void decay_kick(struct vmap *v);
void decay_kick_if_over(struct vmap *v);
/* The same after an allocation.  Nothing was freed, so a visit that is due already is soon enough. */
void decay_note_alloc(struct vmap *v);
void decay_check_over(struct vmap *v);
/* For slow paths, with no lock held: worker_ensure() and worker_ensure_freed(), once a worker is worth its
 * thread, or too much is cached. */
void decay_ensure_worker(struct vmap *v, unsigned flags);
void decay_ensure_worker_freed(struct vmap *v);
uint32_t decay_now_ms(void);
/* Number of pages that may stay cached now. */
uint64_t decay_budget_pages(struct vmap *v);
/* Notes how many pages are in use, for the budget. */
void decay_note_live(struct vmap *v);

#endif
