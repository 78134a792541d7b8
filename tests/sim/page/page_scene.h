/* SPDX-License-Identifier: MIT */
/*
 * page_scene.h - an instance and its users, for the scenarios of the page allocator
 *
 * 4 MiB are enough: two blocks of 512 pages.  take() and give() register the owner of a page with
 * the machine, so a page that is allocated twice is detected at once.  page_scene_check() checks
 * at the end that no page was lost and that every rule of quire_verify() holds.
 */
#ifndef TESTS_SIM_PAGE_SCENE_H
#define TESTS_SIM_PAGE_SCENE_H

#include "base/errno.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"
#include "machine/stack.h"
#include "machine/work.h"
#include "page/alloc.h"
#include "page/depot.h"
#include "page/free.h"
#include "page/grow.h"
#include "page/layout.h"
#include "page/nested.h"
#include "page/page.h"
#include "page/pages.h"
#include "page/pcp.h"
#include "page/state.h"
#include "page/zone.h"

#define HELD_MOST 1024

struct page_scene {
	struct quire *q;
	uint32_t held_pages; /* by the scenario's tasks */
	uint32_t refused;
	uint32_t turn;
	uint32_t charged_pages; /* by a task, beside what is held */
	uint64_t buddy_pages;	/* in the buddy when the tasks start */
	void *page[8];		/* given to tasks at the start */
	void *far_page;		/* in another block than page[0] */
	void *block;
};

struct page_scene *page_scene_make(struct sim *sim, bool stacks);
struct page_scene *page_scene_make_zones(struct sim *sim, bool stacks, unsigned zones,
					 uint64_t limit_bytes);
/* With stacks and a worker. */
struct page_scene *page_scene_make_worker(struct sim *sim);
/* With frames that can be mapped again. */
struct page_scene *page_scene_make_shared(struct sim *sim);
/* Nothing taken yet, and no CPU's lists ever used. */
struct page_scene *page_scene_make_unused(struct sim *sim);
/* The same with room for several growers: six blocks. */
struct page_scene *page_scene_make_unused_wide(struct sim *sim);
/* A page for a task; counted, and owned by it. */
void *take(struct page_scene *scene, unsigned order, unsigned flags);
void give(struct page_scene *scene, void *addr, unsigned order);
/* Takes single pages until so many are left. */
void take_all_but(struct page_scene *scene, unsigned left);
void page_scene_check(struct page_scene *scene);
/* Pages of an address's block that are not in the buddy although they are not in use: none if it is isolated. */
uint32_t page_scene_strays(const struct page_scene *scene, const void *addr);

#endif
