/* SPDX-License-Identifier: MIT */
/* page/pcp.h - what one CPU has in a zone, its stacks and lists, and the depot behind them */
#ifndef PAGE_PCP_H
#define PAGE_PCP_H

#include "page/page.h"

/* ---- stacks.c: which stacks there are ---- */
void pcp_stacks_init(struct quire *q);
void pcp_stacks_init_door(struct pcp *pcp, unsigned zone, unsigned slot);
unsigned pcp_stack_order(const struct quire *q, unsigned class);
unsigned pcp_kept_order(const struct quire *q, unsigned index, unsigned kept_nr);
bool pcps_are_cold(const struct quire *q);
unsigned pcp_stacks_take_locked(struct quire *q, struct pcp *pcp, uint32_t *frames, unsigned n);
uint32_t pcp_stacks_pages(const struct quire *q, const struct pcp *pcp);
unsigned pcp_stack_keeps_locked(const struct quire *q, const struct pcp *pcp, unsigned order,
				unsigned type);
void pcp_stack_tune_locked(struct quire *q, struct pcp *pcp, unsigned order, unsigned type);

/* ---- depot.c ---- */
void depot_init(struct depot *depot, uint32_t *entries);
unsigned depot_put(struct quire *q, struct zone *zone, unsigned order, unsigned type,
		   const uint32_t *frames, unsigned n);
unsigned depot_take(struct quire *q, struct zone *zone, unsigned order, unsigned type,
		    uint32_t *frames, unsigned n);
size_t depot_drain(struct quire *q, struct zone *zone);
uint64_t depot_pages(const struct depot *depot);

/* ---- pcp.c ---- */
unsigned pcp_refill_least(unsigned batch, unsigned order);
struct pcp *pcp_current_try(struct quire *q, unsigned zone, lock_token *token);
struct pcp *pcp_lock_unopened(struct quire *q, unsigned zone, unsigned slot, lock_token *token);
struct pcp *pcp_lock_slot(struct quire *q, unsigned zone, unsigned slot, lock_token *token);
uint32_t pcp_alloc_locked(struct quire *q, struct pcp *pcp, unsigned order, unsigned type,
			  unsigned flags);
uint32_t pcp_take_any_locked(struct quire *q, struct pcp *pcp, unsigned order);
void pcp_free_locked(struct quire *q, struct pcp *pcp, uint32_t frame, unsigned order,
		     unsigned type);
void pcp_list_put_locked(struct quire *q, struct pcp *pcp, const uint32_t *frames, unsigned n,
			 unsigned order, unsigned type);
unsigned pcp_spill_locked(struct quire *q, struct pcp *pcp, unsigned pages);
uint32_t pcp_refill_stack_locked(struct quire *q, struct pcp *pcp, unsigned order, unsigned type,
				 unsigned flags);
void pcp_spill_stack_locked(struct quire *q, struct pcp *pcp, uint32_t frame, unsigned order,
			    unsigned type);
unsigned pcp_decay_locked(struct quire *q, struct pcp *pcp);
size_t pcp_frames_to_buddy(struct quire *q, struct zone *zone, const uint32_t *frames, unsigned n);

#endif
