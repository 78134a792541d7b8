/* SPDX-License-Identifier: MIT */
/*
 * page/drain.h - emptying CPUs' stacks and lists from anywhere, and switching them off
 *
 * Drained pages go to the buddy; each call returns their number.  None of the CPUs has to run.
 */
#ifndef PAGE_DRAIN_H
#define PAGE_DRAIN_H

#include <stddef.h>
#include <stdint.h>

struct page_request;
struct pages;
struct pcp;

/* Drains the stacks and lists of slots [first, end), with one fence. */
size_t drain_slots(struct pages *p, unsigned first, unsigned end);
/* Drains all slots, the depots and the spares. */
size_t drain_everything(struct pages *p);
/* The worker's visit: drains idle slots and depots to the buddy, and lets the lists of the others decay. */
size_t drain_idle(struct pages *p);

/* Drains everything while all stacks, lists and depots are switched off, so nothing is cached again before
 * the drain ends.  The second is called under pcp_disable_mutex. */
void drain_disabled(struct pages *p);
void drain_disabled_locked(struct pages *p);
/* An allocation's last attempt: takes a run while everything is switched off and drained, so other CPUs'
 * refills cannot take what was drained.  Returns a run (state CACHED), or FRAME_NONE. */
uint32_t drain_and_take(struct pages *p, const struct page_request *request);
/* In a child of fork, with no lock held: switches on what other threads of the parent had switched off. */
void drain_fork_child(struct pages *p);

/* Benches and tests: hold one CPU's lock with its stacks closed, so that its users are refused. */
struct pcp *page_pcp_hold(struct pages *p, unsigned slot);
void page_pcp_unhold(struct pages *p, struct pcp *pcp);

#endif
