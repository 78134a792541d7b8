/* SPDX-License-Identifier: MIT */
/* page/giveback.h - returning free memory to the system, at once or by the worker */
#ifndef PAGE_GIVEBACK_H
#define PAGE_GIVEBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gather;
struct pages;

/* Adds the memory of pages to a gather. */
void page_unback(const struct pages *p, struct gather *gather, void *addr, size_t bytes);

/* Free pages of a block, as long as nobody takes any. */
unsigned giveback_block_pages(struct pages *p, uint32_t block);
/* Gives back everything that is free in the buddy, now.  Returns bytes. */
size_t giveback_free_runs(struct pages *p);
/* Takes in what handlers freed and what CPUs keep, then gives back everything that is free.  Whole
 * blocks go offline.  Returns bytes. */
size_t giveback_everything(struct pages *p);
/* Waits until no memory is on its way back. */
void giveback_wait(struct pages *p);
/* Size of struct giveback, which is allocated behind struct pages. */
size_t giveback_room_bytes(void);

/* Something was freed or cached: makes the worker visit within a decay, unless a visit is due earlier. */
void giveback_kick(struct pages *p);
/* The same as worker_ensure() and worker_ensure_freed(), unless pages have so little of the
 * system's memory that a thread is not worth it. */
void giveback_ensure_worker(struct pages *p, unsigned flags);
void giveback_ensure_worker_freed(struct pages *p);
/* Starts the worker if something is due. */
void giveback_call_worker(struct pages *p);
void giveback_init(struct pages *p);
/* Pages' part of the worker's visit, if it is due: returns when it wants the next, or WORK_IDLE, or
 * WORK_EXIT. */
uint64_t giveback_tick(struct pages *p, uint64_t now_ns);
/* The same, due or not. */
uint64_t giveback_visit(struct pages *p, uint64_t now_ns);
/* Nothing to give back and nothing in use: the worker may end. */
bool giveback_nothing_left(struct pages *p);

#endif
