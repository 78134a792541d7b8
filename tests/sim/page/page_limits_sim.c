/* SPDX-License-Identifier: MIT */
/* page_limits_sim.c - high, batch and count while they change; types while blocks change them */
#include "instance/worker.h"
#include "page/charge.h"
#include "page/limit.h"
#include "page/stat.h"
#include "instance/module.h"
#include "sim/page/page_scene.h"

static void frees_four(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++)
		give(scene, scene->page[i], 0);
}

static void disable_and_enable(void *arg)
{
	struct page_scene *scene = arg;

	quire_pcp_disable(scene->q);
	quire_pcp_enable(scene->q);
}

/* R14: high and batch change together, under the lock; a free that saw one of them new would be a
 * data race, and a count over high. */
SIM_TEST(list_torn_limits_are_never_seen, .events = SIM_RACE)
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, frees_four, scene);
	sim_cpu(sim, 1, disable_and_enable, scene);
	sim_run(sim);
	SIM_CHECK(pages_of(scene->q)->pcp[0].count < pages_of(scene->q)->pcp[0].high);
	page_scene_check(scene);
}

static void set_limits(struct page_scene *scene, uint32_t high, uint32_t batch)
{
	lock_token token;
	struct pcp *pcp = pcp_lock_slot(pages_of(scene->q), 0, 0, &token);

	pcp->high = high;
	pcp->batch = batch;
	lock_release(&pcp->door.lock, token);
}

/* The pairs that a writer without the lock would leave: the old batch with a high of 1, then a batch above
 * high.  A CPU that takes the lock in between sees such a pair. */
static void tears_limits(void *arg)
{
	set_limits(arg, 1, 63);
	set_limits(arg, 3, 63);
	set_limits(arg, 64, 1);
}

/* Even torn values end each spill, and lose no page. */
SIM_TEST(list_spill_with_torn_limits_ends)
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, frees_four, scene);
	sim_cpu(sim, 1, tears_limits, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static void spills_a_batch_more(void *arg)
{
	struct page_scene *scene = arg;
	lock_token token;
	struct pcp *pcp = pcp_lock_slot(pages_of(scene->q), 0, 0, &token);

	pcp->batch = 63;
	pages_of(scene->q)->zone[0].pcp_batch = 63;
	pcp_spill_locked(pages_of(scene->q), pcp, pcp->count + 63);
	lock_release(&pcp->door.lock, token);
}

/* B8: who asks for more than there is gets what there is. */
SIM_TEST(spill_of_more_than_count_ends)
{
	struct page_scene *scene = page_scene_make(sim, false);

	sim_cpu(sim, 0, frees_four, scene);
	sim_cpu(sim, 1, spills_a_batch_more, scene);
	sim_run(sim);
	page_scene_check(scene);
}

/* ---- charges ---- */

static uint64_t charged(const struct page_scene *scene)
{
	const struct pages *p = pages_of(scene->q);

	return p->zone[0].charged_pages + p->zone[1].charged_pages;
}

static void charges(struct page_scene *scene, uint32_t pages)
{
	if (page_charge(scene->q, pages, QUIRE_NORETRY) == 0)
		fetch_add_relaxed(&scene->charged_pages, pages);
}

/* turn: all that there is to charge, in both zones. */
static void charges_most(void *arg)
{
	charges(arg, ((struct page_scene *)arg)->turn / 8 * 7);
}

static void charges_some(void *arg)
{
	charges(arg, ((struct page_scene *)arg)->turn / 8 * 3);
}

/* Both see room.  If one gets only part of its pages because the other took the rest, it returns them. */
SIM_TEST(charge_refused_by_the_last_zone_leaves_nothing, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 2, UINT64_C(8) << 20);
	uint64_t before = charged(scene);

	for (uint32_t step = 1024; step != 0; step /= 2)
		while (page_charge(scene->q, step, QUIRE_NORETRY) == 0)
			scene->turn += step;
	page_uncharge(scene->q, scene->turn);
	sim_cpu(sim, 0, charges_most, scene);
	sim_cpu(sim, 1, charges_some, scene);
	sim_run(sim);
	check_u64_eq(charged(scene), before + scene->charged_pages);
}

static void charges_all_that_is_left(void *arg)
{
	struct page_scene *scene = arg;

	if (page_charge(scene->q, scene->buddy_pages, QUIRE_NOWAIT) == 0)
		fetch_add_relaxed(&scene->turn, 1);
}

/* There is room for one of two charges: it is looked for and taken in one hold of the lock. */
SIM_TEST(one_of_two_charges_is_made, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "charge_zone" })
{
	struct page_scene *scene = page_scene_make(sim, false);
	struct zone *zone = &pages_of(scene->q)->zone[0];

	quire_drain_all(scene->q);
	scene->buddy_pages = zone->free_pages - zone->mark_min;
	sim_cpu(sim, 0, charges_all_that_is_left, scene);
	sim_cpu(sim, 1, charges_all_that_is_left, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	page_uncharge(scene->q, scene->buddy_pages);
	page_scene_check(scene);
}

/* ---- types ---- */

static void frees_order_4(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->block, 4);
}

static void isolates(void *arg)
{
	struct page_scene *scene = arg;

	check_u64_eq(quire_isolate_pageblock(scene->q, scene->page[0]), 0);
}

/* No list keeps order 4: the type is looked up where it is firm, under the zone lock. */
SIM_TEST(direct_free_against_isolate)
{
	struct page_scene *scene = page_scene_make(sim, false);

	scene->block = take(scene, 4, 0);
	check_u64_eq(
		page_block(pages_of(scene->q), page_frame(pages_of(scene->q), scene->block)),
		page_block(pages_of(scene->q), page_frame(pages_of(scene->q), scene->page[0])));
	sim_cpu(sim, 0, frees_order_4, scene);
	sim_cpu(sim, 1, isolates, scene);
	sim_run(sim);
	SIM_CHECK((pages_of(scene->q)->tag[page_block(
			   pages_of(scene->q), page_frame(pages_of(scene->q), scene->page[0]))] &
		   TAG_ISOLATE) != 0);
	page_scene_check(scene);
}

static void frees_far(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->far_page, 0);
	give(scene, scene->page[0], 0);
}

static void takes_unmovable_order_4(void *arg)
{
	take(arg, 4, 0);
}

/* A block mostly free changes its type (a claim) while a page of it is freed: the page goes to
 * the row of the type that the block has then. */
static void claim_against_free(struct sim *sim, bool stacks)
{
	struct page_scene *scene = page_scene_make(sim, stacks);

	scene->far_page = take(scene, 0, QUIRE_MOVABLE);
	for (unsigned i = 0; i < 31; i++)
		take(scene, 4, 0); /* the unmovable block is full but for its edge */
	quire_drain_all(scene->q);
	sim_cpu(sim, 0, frees_far, scene);
	sim_cpu(sim, 1, takes_unmovable_order_4, scene);
	sim_run(sim);
	SIM_CHECK(pages_of(scene->q)->zone[0].claims != 0);
	quire_drain_all(scene->q);
	page_scene_check(scene);
}

SIM_TEST(list_claim_against_free, .events = SIM_TRYFAIL)
{
	claim_against_free(sim, false);
}

SIM_TEST(stack_claim_against_free, .events = SIM_TRYFAIL | SIM_ABORT)
{
	claim_against_free(sim, true);
}

/* ---- blocks to be emptied ---- */

/* Four blocks with a page or two each: two of them are to be emptied at the next choice. */
static struct page_scene *scene_with_sparse_blocks(struct sim *sim)
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 1, UINT64_C(8) << 20);
	void *filler[4];

	for (unsigned i = 0; i < 4; i++) {
		filler[i] = take(scene, i == 0 ? 8 : 9, 0);
		if (i != 0 && filler[i] != NULL) {
			quire_split_pages(scene->q, filler[i], 9);
			for (unsigned p = 1; p < 512; p++)
				give(scene, (char *)filler[i] + p * 4096u, 0);
		}
	}
	scene->far_page = filler[1];
	scene->block = filler[2];
	quire_drain_all(scene->q);
	pages_of(scene->q)->zone[0].choose_due = 1;
	return scene;
}

static void frees_sparse(void *arg)
{
	struct page_scene *scene = arg;

	give(scene, scene->far_page, 0);
	give(scene, scene->block, 0);
}

static void takes_order_4_twice(void *arg)
{
	take(arg, 4, 0);
	take(arg, 4, 0);
}

/* The mark comes while a page of the block is on its way to a stack. */
SIM_TEST(emptying_mark_against_free, .events = SIM_ABORT)
{
	struct page_scene *scene = scene_with_sparse_blocks(sim);

	sim_cpu(sim, 0, frees_sparse, scene);
	sim_cpu(sim, 1, takes_order_4_twice, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void takes_blocks(void *arg)
{
	for (unsigned i = 0; i < 6; i++)
		(void)take(arg, 9, QUIRE_NORETRY);
}

/*
 * Nobody gave a limit.  Two CPUs learn it at once, from files that permit a quarter of the machine: neither
 * takes more than that, though each may have found it unknown.
 */
SIM_TEST(limit_is_learnt_before_it_is_exceeded)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	pages_of(scene->q)->learn_pages = 0;
	sim_cpu(sim, 0, takes_blocks, scene);
	sim_cpu(sim, 1, takes_blocks, scene);
	sim_run(sim);
	SIM_CHECK(pages_of(scene->q)->limit_known);
	check_u64_eq(scene->q->limit_pages, mem_limit_read().bytes >> 12);
	SIM_CHECK(scene->held_pages <= scene->q->limit_pages);
	check_u64_eq(scene->held_pages,
		     3 << 9); /* four blocks but the one that the reserve is in */
	page_scene_check(scene);
}

/* ---- a limit that changes ---- */

/* Everything that the cgroup permits at first is taken: three blocks, and the reserve. */
static struct page_scene *scene_at_the_limit(struct sim *sim)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	pages_of(scene->q)->learn_pages = 0;
	sim_pass_ns(1);
	takes_blocks(scene);
	check_u64_eq(scene->held_pages, 3 << 9);
	scene->refused = 0;
	sim_pass_ns(UINT64_C(2000000000));
	return scene;
}

static void raises_and_takes(void *arg)
{
	struct page_scene *scene = arg;

	sim_set_group_bytes(UINT64_C(12) << 20);
	sim_pass_ns(UINT64_C(20000000));
	SIM_CHECK(take(scene, 9, 0) != NULL);
}

static void takes_a_block(void *arg)
{
	(void)take(arg, 9, 0);
}

/* The limit is raised, and who does it is served then, though another is about to be refused meanwhile and
 * may be reading what it was. */
SIM_TEST(raised_limit_is_not_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = scene_at_the_limit(sim);

	sim_cpu(sim, 0, raises_and_takes, scene);
	sim_cpu(sim, 1, takes_a_block, scene);
	sim_run(sim);
	check_u64_eq(scene->q->limit_pages, 12 << 8);
	page_scene_check(scene);
}

/* Two would be refused, and find that the limit was raised: one reads it, and the other waits for that. */
SIM_TEST(reader_of_the_limit_is_waited_for, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = scene_at_the_limit(sim);

	sim_set_group_bytes(UINT64_C(16) << 20);
	sim_cpu(sim, 0, takes_a_block, scene);
	sim_cpu(sim, 1, takes_a_block, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	page_scene_check(scene);
}

static void frees_all(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		give(scene, scene->page[i], 9);
}

static void visits_twice(void *arg)
{
	struct page_scene *scene = arg;

	(void)worker_run(scene->q, UINT64_C(3000000000));
	(void)worker_run(scene->q, UINT64_C(6000000000));
}

/* The cgroup's limit has been lowered to half of what it was, below the three blocks that are in use. */
static struct page_scene *scene_above_the_limit(struct sim *sim)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	pages_of(scene->q)->learn_pages = 0;
	sim_pass_ns(1);
	for (unsigned i = 0; i < 3; i++)
		scene->page[i] = take(scene, 9, 0);
	sim_set_group_bytes(UINT64_C(4) << 20);
	sim_pass_ns(UINT64_C(2000000000));
	return scene;
}

/* The limit is lowered below what is in use, and what is freed meanwhile is not there to be taken again. */
SIM_TEST(lowered_limit_takes_what_is_freed, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = scene_above_the_limit(sim);

	sim_cpu(sim, 0, frees_all, scene);
	sim_cpu(sim, 1, visits_twice, scene);
	sim_run(sim);
	quire_drain_all(scene->q);
	(void)worker_run(scene->q, UINT64_C(9000000000));
	check_u64_eq(scene->q->limit_pages, 4 << 8);
	page_scene_check(scene);
}

/* Who may wait would learn of the limit first. */
static void takes_some_at_once(void *arg)
{
	(void)take(arg, 7, QUIRE_NOWAIT);
	(void)take(arg, 0, QUIRE_NOWAIT);
}

static void visits(void *arg)
{
	(void)worker_run(((struct page_scene *)arg)->q, UINT64_C(3000000000));
}

/* The limit is never less than what is in use, whatever is taken while it is found out how much that is: who
 * computes from both what is left must not get a number below zero. */
SIM_TEST(lowered_limit_is_what_is_in_use, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct page_scene *scene = scene_above_the_limit(sim);
	struct quire_page_stat stat;

	sim_cpu(sim, 0, visits, scene);
	sim_cpu(sim, 1, takes_some_at_once, scene);
	sim_run(sim);
	page_stat_collect(pages_of(scene->q), &stat);
	SIM_CHECK(stat.allocated_pages >= scene->held_pages);
	SIM_CHECK(stat.limit_pages >= stat.allocated_pages + stat.cached_pages);
	page_scene_check(scene);
}

static void frees_all_and_looks(void *arg)
{
	struct page_scene *scene = arg;

	frees_all(scene);
	sim_pass_ns(UINT64_C(2000000000));
	limit_learn(pages_of(scene->q));
}

/* The worker lowers the limit to what is in use while others free that and lower it further: it is what the zones
 * permit, whoever is last. */
SIM_TEST(lowered_limit_is_that_of_the_zones, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "page/limit.c:follow", "set_zones" })
{
	struct page_scene *scene = scene_above_the_limit(sim);
	const struct pages *p = pages_of(scene->q);
	uint64_t pages = 0;

	sim_cpu(sim, 0, visits, scene);
	sim_cpu(sim, 1, frees_all_and_looks, scene);
	sim_run(sim);
	for (unsigned i = 0; i < p->zones_nr; i++)
		pages += p->zone[i].managed_pages;
	check_u64_eq(scene->q->limit_pages, pages);
	page_scene_check(scene);
}

/* ---- zones that meet inside a run ---- */

#define BLOCK_ORDER 5u /* of 64 KiB pages: a run of order 10 has 32 blocks */
#define ZONE_BLOCKS 4u

static void gives_zone_0(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < ZONE_BLOCKS; i++)
		give(scene, scene->page[i], BLOCK_ORDER);
}

static void gives_zone_1(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = ZONE_BLOCKS; i < 2 * ZONE_BLOCKS; i++)
		give(scene, scene->page[i], BLOCK_ORDER);
}

/* By their place, the runs of both are the halves of a larger one.  Each zone has a lock of its own,
 * so they never merge. */
SIM_TEST(runs_of_two_zones_do_not_merge, .page_shift = 16, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "whole_can_merge" })
{
	struct page_scene *scene =
		page_scene_make_zones(sim, false, 2, (UINT64_C(2) * ZONE_BLOCKS) << BLOCK_SHIFT);
	const struct pages *p = pages_of_const(scene->q);
	void *block;

	check_u64_eq(p->zone[1].block_first, ZONE_BLOCKS);
	for (unsigned i = 0; i < 2 * ZONE_BLOCKS; i++) {
		give(scene, scene->page[i], 0);
		scene->page[i] = NULL;
	}
	(void)quire_drain_all(scene->q);
	while ((block = take(scene, BLOCK_ORDER, 0)) != NULL) /* all but the reserve */
		scene->page[page_block(p, page_frame(p, block))] = block;
	scene->refused = 0;
	sim_cpu(sim, 0, gives_zone_0, scene);
	sim_cpu(sim, 1, gives_zone_1, scene);
	sim_run(sim);
	check_u64_eq(p->zone[0].free_pages, p->zone[1].free_pages);
	page_scene_check(scene);
}

/* ---- growth beyond the peak ---- */

struct ceding_module {
	struct quire_module module;
	uint32_t inside; /* a plain word: two at once are a race */
	uint32_t calls;
	bool busy;
};

static bool cedes_alone(struct quire_module *module, size_t bytes)
{
	struct ceding_module *ceding = (struct ceding_module *)module;

	SIM_CHECK(bytes >= PEAK_STEP_BYTES);
	ceding->calls++;
	ceding->inside++;
	check_u64_eq(ceding->inside, 1);
	ceding->inside--;
	return !ceding->busy;
}

static void takes_half_a_block(void *arg)
{
	(void)take(arg, 8, QUIRE_MOVABLE);
}

static struct ceding_module *two_grow_beyond_the_peak(struct sim *sim, bool busy)
{
	struct page_scene *scene = page_scene_make(sim, false);
	struct ceding_module *ceding = sim_zalloc(sim, sizeof(*ceding));

	ceding->module = (struct quire_module){ .rank = RANK_VMAP_PURGE, .cede = cedes_alone };
	ceding->busy = busy;
	mutex_acquire(&scene->q->modules_mutex);
	module_register_locked(scene->q, &ceding->module);
	mutex_release(&scene->q->modules_mutex);
	sim_cpu(sim, 0, takes_half_a_block, scene);
	sim_cpu(sim, 1, takes_half_a_block, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	SIM_CHECK(ceding->calls != 0);
	check_u64_eq(load_relaxed(&pages_of(scene->q)->ceding), 0);
	page_scene_check(scene);
	return ceding;
}

/* Two grow beyond what was ever used: other modules cede as much once, asked by one of them at a time. */
SIM_TEST(peak_is_made_up_for_by_one, .enters = { "make_up", "modules_cede" })
{
	(void)two_grow_beyond_the_peak(sim, false);
}

/* One that is busy is asked again, and still by one at a time, though no lock is taken between the two. */
SIM_TEST(peak_is_made_up_for_by_one_after_another, .enters = { "make_up", "modules_cede" })
{
	(void)two_grow_beyond_the_peak(sim, true);
}

/* ---- CPUs ------------------------------------------------------------------------------------- */

#define NOBODYS_COUNT 77u

static void check_counts_cpus(struct page_scene *scene, bool again)
{
	struct quire *q = scene->q;
	char text[512];

	store_relaxed(&q->cpus_bound, NOBODYS_COUNT);
	SIM_CHECK(quire_text_limits(q, text, sizeof(text)) != 0);
	check_u64_eq(load_relaxed(&q->cpus_bound) != NOBODYS_COUNT, again);
}

static void asks_for_limits(void *arg)
{
	check_counts_cpus(arg, true);
	check_counts_cpus(arg, false);
	sim_pass_ns(UINT64_C(1000000000));
	check_counts_cpus(arg, true);
}

/* Whoever asks for the limits first has the CPUs counted, and whoever asks a second later. */
SIM_TEST(cpus_are_counted_again_after_a_second, .cpus_nr = 1, .enters = { "limit_count_cpus" })
{
	struct page_scene *scene = page_scene_make(sim, true);

	pages_of(scene->q)->cpus_read_ns = 0;
	sim_cpu(sim, 0, asks_for_limits, scene);
	sim_run(sim);
	page_scene_check(scene);
}
