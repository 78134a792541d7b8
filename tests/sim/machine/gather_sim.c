/* SPDX-License-Identifier: MIT */
/* gather_sim.c - unbacking memory in batches: nothing may be reused before the gather ends */
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/mem.h"
#include "machine/sim/sim.h"

#define PAGE 4096

struct gather_scene {
	char *pages; /* four of them */
	uint32_t turn;
	uint32_t seen;
};

static struct gather_scene *scene_make(struct sim *sim)
{
	struct gather_scene *scene = sim_zalloc(sim, sizeof(*scene));

	scene->pages = mem_reserve(4 * PAGE, PAGE, "pages");
	mem_commit(scene->pages, 4 * PAGE);
	return scene;
}

static void touch(const struct gather_scene *scene)
{
	store_relaxed((uint32_t *)(void *)scene->pages, 7);
}

/* Caches the translation, says so, and looks again when it is told that the page is back. */
static void reader(void *arg)
{
	struct gather_scene *scene = arg;

	touch(scene);
	store_release(&scene->turn, 1); /* pairs with the taker's first load */
	sim_wake(&scene->turn);
	sim_wait(&scene->turn, 1);
	scene->seen = load_relaxed((uint32_t *)(void *)scene->pages);
}

static void taker(void *arg)
{
	struct gather_scene *scene = arg;
	struct mem_range ranges[2];
	struct gather gather;

	sim_wait(&scene->turn, 0);
	gather_begin(&gather, ranges, 2);
	gather_unback(&gather, scene->pages, PAGE);
	gather_unback(&gather, scene->pages + 2 * PAGE, PAGE);
	check_u64_eq(gather_finish(&gather), 2 * PAGE);
	store_release(&scene->turn, 2);
	sim_wake(&scene->turn);
}

/* R1: after the gather every CPU sees the new page, which is zero; no CPU writes through an old
 * translation. */
SIM_TEST(gather_finish_precedes_reuse, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY)
{
	struct gather_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, reader, scene);
	sim_cpu(sim, 1, taker, scene);
	sim_run(sim);
	check_u64_eq(scene->seen, 0);
}

static void taker_unmaps(void *arg)
{
	struct gather_scene *scene = arg;
	struct mem_range range;
	struct gather gather;

	gather_begin(&gather, &range, 1);
	gather_unmap(&gather, scene->pages, PAGE);
	gather_finish(&gather);
}

static void late_touch(void *arg)
{
	touch(arg);
}

SIM_TEST(checker_sees_access_to_unmapped_page, .events = SIM_MEMORY,
	 .expect = "access to unmapped page")
{
	struct gather_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, taker_unmaps, scene);
	sim_cpu(sim, 1, late_touch, scene);
	sim_run(sim);
}

static void begin_without_finish(void *arg)
{
	struct gather_scene *scene = arg;
	struct mem_range range;
	struct gather gather;

	gather_begin(&gather, &range, 1);
	gather_unback(&gather, scene->pages, PAGE);
}

/* The mips CPU keeps the entry: the stale one is used, and seen. */
SIM_TEST(checker_sees_stale_translation, .events = SIM_MEMORY, .expect = "stale translation")
{
	struct gather_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, reader, scene);
	sim_cpu(sim, 1, begin_without_finish, scene);
	store_relaxed(&scene->turn, 0);
	sim_cpu(sim, 0, late_touch, scene);
	sim_run(sim);
}

/* The x86 CPU has lost the entry: the page table is asked, and has none. */
SIM_TEST(checker_sees_access_after_unback, .events = SIM_MEMORY, .tlb = SIM_TLB_X86,
	 .expect = "access after unback")
{
	struct gather_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, begin_without_finish, scene);
	sim_cpu(sim, 1, late_touch, scene);
	sim_run(sim);
}

static void take_twice(void *arg)
{
	struct gather_scene *scene = arg;

	sim_own(scene->pages, PAGE);
}

SIM_TEST(checker_sees_two_owners, .expect = "two owners")
{
	struct gather_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, take_twice, scene);
	sim_cpu(sim, 1, take_twice, scene);
	sim_run(sim);
}

static void taker_may_be_refused(void *arg)
{
	struct gather_scene *scene = arg;
	struct mem_range ranges[2];
	struct gather gather;
	size_t bytes;

	gather_begin(&gather, ranges, 2);
	gather_unback(&gather, scene->pages, PAGE);
	gather_unback(&gather, scene->pages + PAGE, PAGE);
	bytes = gather_finish(&gather);
	for (unsigned i = 0; i < 2; i++)
		bytes += ranges[i].error != 0 ? PAGE : 0;
	check_u64_eq(bytes, 2 * PAGE);
	SIM_CHECK(gather_gave_back(&gather, scene->pages) == (ranges[0].error == 0));
}

/* A refused range is as before; the others are given back. */
SIM_TEST(gather_refused_range_is_left_alone, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_MEMORY | SIM_REFUSE, .refusals = 1)
{
	struct gather_scene *scene = scene_make(sim);
	uint32_t *first = (uint32_t *)(void *)scene->pages;

	*first = 5;
	sim_cpu(sim, 0, taker_may_be_refused, scene);
	sim_run(sim);
	SIM_CHECK(*first == 0 || *first == 5);
}

/* ---- guards and aliases ---- */

static void guards_one(void *arg)
{
	struct gather_scene *scene = arg;
	bool mapped;

	check_u64_eq(mem_guard(scene->pages + PAGE, PAGE, &mapped), 0);
	SIM_CHECK(sim_frame_of(0, scene->pages + PAGE) == NULL);
	check_u64_eq(mem_unguard(scene->pages, 4 * PAGE), 0);
	SIM_CHECK(sim_frame_of(0, scene->pages + PAGE) == scene->pages + PAGE);
	touch(scene);
	check_u64_eq(mem_guard(scene->pages, PAGE, &mapped), 0);
	touch(scene);
}

SIM_TEST(guard_page_is_not_reached, .expect = "guard page", .events = SIM_MEMORY)
{
	struct gather_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, guards_one, scene);
	sim_run(sim);
}

struct alias_scene {
	struct gather_scene scene; /* where aliases are */
	char *frames;		   /* four of them */
};

static struct alias_scene *alias_scene_make(struct sim *sim)
{
	struct alias_scene *aliases = sim_zalloc(sim, sizeof(*aliases));

	aliases->scene.pages = mem_reserve(4 * PAGE, PAGE, "aliases");
	mem_commit(aliases->scene.pages, 4 * PAGE);
	aliases->frames = mem_reserve_shared(4 * PAGE, PAGE, "frames");
	mem_commit(aliases->frames, 4 * PAGE);
	return aliases;
}

/* A ring: the same two frames twice. */
static int map_ring(const struct alias_scene *aliases)
{
	void *frames[4];

	for (unsigned i = 0; i < 4; i++)
		frames[i] = aliases->frames + i % 2 * PAGE;
	return mem_map_frames(aliases->scene.pages, frames, 4, PAGE);
}

static void unmap_ring(const struct alias_scene *aliases)
{
	struct mem_range range;
	struct gather gather;

	gather_begin(&gather, &range, 1);
	gather_unmap_frames(&gather, aliases->scene.pages, 4 * PAGE);
	check_u64_eq(gather_finish(&gather), 4 * PAGE);
}

static void maps_and_unmaps(void *arg)
{
	const struct alias_scene *aliases = arg;

	check_u64_eq(map_ring(aliases), 0);
	touch(&aliases->scene);
	SIM_CHECK(sim_frame_of(0, aliases->scene.pages + 3 * PAGE + 7) ==
		  aliases->frames + PAGE + 7);
	SIM_CHECK(sim_frame_of(0, aliases->scene.pages) == aliases->frames);
	unmap_ring(aliases);
	SIM_CHECK(sim_frame_of(0, aliases->scene.pages) == aliases->scene.pages);
	check_u64_eq(load_relaxed((uint32_t *)(void *)aliases->scene.pages), 0);
}

SIM_TEST(alias_leads_to_its_frame_until_it_is_unmapped, .events = SIM_MEMORY)
{
	struct alias_scene *aliases = alias_scene_make(sim);

	sim_cpu(sim, 0, maps_and_unmaps, aliases);
	sim_run(sim);
}

/* The frame is taken away under the alias. */
static void unbacks_the_frame(void *arg)
{
	const struct alias_scene *aliases = arg;
	struct mem_range range;
	struct gather gather;

	check_u64_eq(map_ring(aliases), 0);
	gather_begin(&gather, &range, 1);
	gather_unback_shared(&gather, aliases->frames, PAGE);
	touch(&aliases->scene);
	gather_finish(&gather);
}

SIM_TEST(alias_of_a_frame_that_is_leaving_is_not_reached, .expect = "alias of a page that is gone",
	 .events = SIM_MEMORY)
{
	struct alias_scene *aliases = alias_scene_make(sim);

	sim_cpu(sim, 0, unbacks_the_frame, aliases);
	sim_run(sim);
}

static void maps_twice(void *arg)
{
	check_u64_eq(map_ring(arg), 0);
	map_ring(arg);
}

SIM_TEST(alias_over_an_alias_is_seen, .expect = "two mappings", .events = SIM_MEMORY)
{
	struct alias_scene *aliases = alias_scene_make(sim);

	sim_cpu(sim, 0, maps_twice, aliases);
	sim_run(sim);
}

/* ---- the simulated memory itself ---- */

struct reserve_scene {
	char *pages[2];
};

static void reserves_for(struct reserve_scene *scene, unsigned task)
{
	scene->pages[task] = mem_reserve(PAGE, PAGE, "pages");
}

static void reserves_as_0(void *arg)
{
	reserves_for(arg, 0);
}

static void reserves_as_1(void *arg)
{
	reserves_for(arg, 1);
}

/* Two that reserve at once have addresses of their own. */
SIM_TEST(reservations_do_not_overlap, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct reserve_scene *scene = sim_zalloc(sim, sizeof(*scene));

	sim_cpu(sim, 0, reserves_as_0, scene);
	sim_cpu(sim, 1, reserves_as_1, scene);
	sim_run(sim);
	SIM_CHECK(scene->pages[0] != NULL && scene->pages[1] != NULL);
	SIM_CHECK(scene->pages[0] != scene->pages[1]);
}

/* ---- pages that a child of fork gets ---- */

static uint32_t *word_of(const struct gather_scene *scene, unsigned page)
{
	return (uint32_t *)(void *)(scene->pages + (size_t)page * PAGE);
}

static void writes_three_pages(void *arg)
{
	for (unsigned i = 0; i < 3; i++)
		store_release(word_of(arg, i), 2u);
}

static void forks_and_looks(void *arg)
{
	struct gather_scene *scene = arg;

	sim_fork_child();
	for (unsigned i = 0; i < 3; i++)
		scene->seen = scene->seen * 10 + load_acquire(word_of(scene, i));
}

static void child_must_not_see(struct sim *sim, uint32_t forbidden)
{
	struct gather_scene *scene = scene_make(sim);

	for (unsigned i = 0; i < 3; i++)
		store_release(word_of(scene, i), 1u);
	sim_cpu(sim, 0, forks_and_looks, scene);
	sim_cpu(sim, 1, writes_three_pages, scene);
	sim_run(sim);
	if (scene->seen == forbidden)
		sim_fail("pages of two times", "the child got %u", forbidden);
}

/* A child may see a later store and not an earlier one, in any page: 1 is old and 2 is new. */
SIM_TEST(checker_sees_fork_miss_the_first_store, .expect = "pages of two times")
{
	child_must_not_see(sim, 122);
}

SIM_TEST(checker_sees_fork_miss_all_but_one_between, .expect = "pages of two times")
{
	child_must_not_see(sim, 121);
}

SIM_TEST(checker_sees_fork_miss_the_second_store, .expect = "pages of two times")
{
	child_must_not_see(sim, 212);
}

static void writes_one_page(void *arg)
{
	store_relaxed(word_of(arg, 0), 2u);
	(void)load_relaxed(word_of(arg, 1)); /* may vanish here: its store has not left */
}

static void forks_and_looks_at_one(void *arg)
{
	struct gather_scene *scene = arg;

	sim_fork_child();
	scene->seen = load_relaxed(word_of(scene, 0));
}

static void child_is_alone(struct sim *sim)
{
	struct gather_scene *scene = scene_make(sim);

	for (unsigned i = 0; i < 2; i++)
		store_release(word_of(scene, i), 1u); /* so that the page is copied */
	sim_cpu(sim, 0, forks_and_looks_at_one, scene);
	sim_cpu(sim, 1, writes_one_page, scene);
	sim_run(sim);
	check_u64_eq(load_relaxed(word_of(scene, 0)), scene->seen);
}

/* What waits in another CPU's store buffer when the child begins becomes visible in the parent alone. */
SIM_TEST(fork_child_gets_no_waiting_store_under_tso, .model = SIM_TSO, .keep_model = true,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	child_is_alone(sim);
}

SIM_TEST(fork_child_gets_no_waiting_store_under_arm, .model = SIM_ARM, .keep_model = true,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	child_is_alone(sim);
}
