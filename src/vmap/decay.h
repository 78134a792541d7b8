/* SPDX-License-Identifier: MIT */
/* vmap/decay.h - purging by time, and on demand */
#ifndef VMAP_DECAY_H
#define VMAP_DECAY_H

#include <stddef.h>
#include <stdint.h>

struct purged;
struct quire_module;
struct vmap;

/* The worker's visit: when it wants the next. */
uint64_t decay_tick(struct quire_module *module, uint64_t now_ns);
/* Everything that is lazy, pooled or on a CPU, now.  It waits for a purge in flight. */
struct purged decay_purge(struct vmap *v);
/* The same, with aliases and records: for module.h. */
size_t decay_shrink(struct quire_module *module);
/* The worker shall come to what was freed; at once if there is more than may be. */
void decay_kick(struct vmap *v);
void decay_kick_if_over(struct vmap *v);
void decay_check_over(struct vmap *v);
uint32_t decay_now_ms(void);
/* Pages that may stay cached now. */
uint64_t decay_budget_pages(struct vmap *v);
/* What is in use lately, for the budget. */
void decay_note_live(struct vmap *v);

#endif
