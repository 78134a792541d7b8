/* SPDX-License-Identifier: MIT */
/* page_all_sim.c - what is asked of all zones, CPUs, orders and types: neither the first nor the last is left out */
#include "huge/huge.h"
#include "instance/relief.h"
#include "machine/clock.h"
#include "page/advice.h"
#include "page/charge.h"
#include "page/emptying.h"
#include "page/giveback.h"
#include "page/limit.h"
#include "page/request.h"
#include "page/stacks.h"
#include "sim/page/page_scene.h"

#define ZONES	 2u
#define VISIT_NS UINT64_C(3000000000)

/* The first type and the last. */
static const unsigned end_type[2] = { TYPE_UNMOVABLE, TYPE_RECLAIMABLE };

static struct page_scene *scene_of_zones(struct sim *sim, bool stacks)
{
	return page_scene_make_zones(sim, stacks, ZONES, UINT64_C(16) << 20);
}

static void run_alone(struct sim *sim, struct page_scene *scene, void (*body)(void *arg))
{
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	page_scene_check(scene);
}

static uint64_t room_of(struct pages *p, struct zone *zone, unsigned flags)
{
	lock_token token = lock_acquire(&zone->lock);
	uint64_t pages = zone_available_locked(p, zone) - zone_mark(zone, flags);

	lock_release(&zone->lock, token);
	return pages;
}

/* ---- how an instance is made ------------------------------------------------------------------ */

static void checks_figures(void *arg)
{
	const struct pages *p = pages_of(((struct page_scene *)arg)->q);

	check_u64_eq((uint64_t)p->fast_frames << FAST_PAGE_SHIFT, p->span_bytes);
	for (unsigned i = 0; i < ZONES; i++) {
		const struct zone *zone = &p->zone[i];

		SIM_CHECK(zone->mark_min < zone->mark_low);
		check_u64_eq(zone->mark_high - zone->mark_low, zone->mark_low - zone->mark_min);
	}
}

/* Frees take the fast path for pages of every block, and the marks of each zone are equally far apart. */
SIM_TEST(instance_is_made_with_marks_and_fast_frames, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	run_alone(sim, scene_of_zones(sim, true), checks_figures);
}

/* ---- charges ---------------------------------------------------------------------------------- */

/* All that is left, of both zones together. */
static void charges_all(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	uint64_t pages = room_of(p, &p->zone[0], 0) + room_of(p, &p->zone[1], 0);

	check_u64_eq((uint64_t)page_charge(scene->q, pages, QUIRE_NORETRY), 0);
	SIM_CHECK(page_charge(scene->q, 1, QUIRE_NORETRY) == -ENOMEM);
	page_uncharge(scene->q, pages);
}

SIM_TEST(charge_takes_all_that_zones_have, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "zones_have_room" })
{
	run_alone(sim, scene_of_zones(sim, true), charges_all);
}

/* As a caller does that may only try locks: what it charges is of one zone. */
static void charges_each_zone(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);

	for (unsigned i = 0; i < ZONES; i++) {
		struct zone *zone = &p->zone[i];
		uint64_t before = zone->charged_pages, pages = room_of(p, zone, QUIRE_NOLOCK);

		check_u64_eq((uint64_t)page_charge(scene->q, pages, QUIRE_NOLOCK), 0);
		check_u64_eq(zone->charged_pages - before, pages);
	}
	SIM_CHECK(page_charge(scene->q, 1, QUIRE_NOLOCK) == -ENOMEM);
}

SIM_TEST(charge_without_waiting_takes_any_zone, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "charge_one_zone" })
{
	run_alone(sim, scene_of_zones(sim, true), charges_each_zone);
}

/* ---- what pages owe --------------------------------------------------------------------------- */

static bool cedes(struct quire_module *module, size_t bytes)
{
	(void)module;
	SIM_CHECK(bytes >= PEAK_STEP_BYTES);
	return true;
}

static void grows_each_zone(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < ZONES; i++)
		SIM_CHECK(take(scene, 9, QUIRE_NODE(i) | QUIRE_NORETRY) != NULL);
	SIM_CHECK(take(scene, 5, 0) != NULL);
}

static uint64_t owed_by(struct pages *p, struct zone *zone)
{
	lock_token token = lock_acquire(&zone->lock);
	uint64_t pages = zone_above_high_locked(zone, zone_available_locked(p, zone));

	lock_release(&zone->lock, token);
	return pages;
}

/* Both zones grow beyond their peaks.  Once other modules have ceded as much, neither zone owes anything. */
SIM_TEST(peak_of_each_zone_is_made_up_for, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "make_up", "modules_cede" })
{
	struct page_scene *scene = scene_of_zones(sim, false);
	struct pages *p = pages_of(scene->q);
	struct quire_module *module = sim_zalloc(sim, sizeof(*module));

	*module = (struct quire_module){ .rank = RANK_VMAP_PURGE, .cede = cedes };
	mutex_acquire(&scene->q->modules_mutex);
	module_register_locked(scene->q, module);
	mutex_release(&scene->q->modules_mutex);
	sim_cpu(sim, 0, grows_each_zone, scene);
	sim_run(sim);
	for (unsigned i = 0; i < ZONES; i++)
		check_u64_eq(owed_by(p, &p->zone[i]), 0);
	page_scene_check(scene);
}

/* ---- depots ----------------------------------------------------------------------------------- */

/* A run in no list, as one is that a stack has given up. */
static uint32_t cached_run(struct page_scene *scene, unsigned zone, unsigned order, unsigned type)
{
	struct pages *p = pages_of(scene->q);
	void *addr = take(scene, order, QUIRE_NODE(zone) | type);
	uint32_t frame = page_frame(p, addr);

	sim_disown(addr, quire_page_bytes(scene->q) << order);
	scene->held_pages -= 1u << order;
	page_set_state(p, frame, STATE_CACHED | order);
	return frame;
}

static void drains_depots(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);

	for (unsigned i = 0; i < ZONES; i++) {
		struct zone *zone = &p->zone[i];

		check_u64_eq(depot_pages(&zone->depot), TYPES_NR * ((1u << DEPOT_ORDERS_NR) - 1));
		check_u64_eq(depot_drain(p, zone), TYPES_NR * ((1u << DEPOT_ORDERS_NR) - 1));
		check_u64_eq(depot_pages(&zone->depot), 0);
	}
}

/* Each depot has a run of each order and type: all are counted, and a drain takes all of them. */
SIM_TEST(depot_drain_takes_every_order_and_type, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "depot_drain" })
{
	struct page_scene *scene = scene_of_zones(sim, true);
	struct pages *p = pages_of(scene->q);

	for (unsigned zone = 0; zone < ZONES; zone++)
		for (unsigned order = 0; order < DEPOT_ORDERS_NR; order++)
			for (unsigned type = 0; type < TYPES_NR; type++) {
				uint32_t frame = cached_run(scene, zone, order, type);

				check_u64_eq(depot_put(&p->zone[zone], order, type, &frame, 1), 1);
			}
	run_alone(sim, scene, drains_depots);
}

/* ---- nested calls, spares --------------------------------------------------------------------- */

/* Where a nested call finds its run, and the lock of another module's that it holds. */
struct nested {
	struct page_scene *scene;
	struct lock lock;
	uint32_t depot[2], list[3];
};

/* On the CPU's own list of movable pages, which a call for others passes by; on the first list of the next CPU, and on the
 * last list of the last CPU. */
static const struct {
	unsigned slot, order, type;
} on_list[3] = { { 0, 0, TYPE_MOVABLE },
		 { 1, 0, TYPE_UNMOVABLE },
		 { 2, PAGEBLOCK_ORDER_MAX, TYPE_RECLAIMABLE } };

static void takes_nested(struct nested *nested, uint32_t from)
{
	lock_token token = lock_acquire(&nested->lock);
	void *addr = take(nested->scene, 0, QUIRE_NOLOCK);

	lock_release(&nested->lock, token);
	SIM_CHECK(addr != NULL && page_frame(pages_of(nested->scene->q), addr) == from);
}

static void put_on_list(struct pages *p, unsigned slot, uint32_t frame, unsigned order,
			unsigned type)
{
	lock_token token;
	struct pcp *pcp = pcp_lock_slot(p, 0, slot, &token);

	pcp_list_put_locked(p, pcp, frame, order, type);
	lock_release(&pcp->door.lock, token);
}

static void finds_all(void *arg)
{
	struct nested *nested = arg;
	struct pages *p = pages_of(nested->scene->q);

	for (unsigned i = 0; i < 2; i++) {
		check_u64_eq(depot_put(&p->zone[0], 0, end_type[i], &nested->depot[i], 1), 1);
		takes_nested(nested, nested->depot[i]);
	}
	for (unsigned i = 0; i < 3; i++) {
		put_on_list(p, on_list[i].slot, nested->list[i], on_list[i].order, on_list[i].type);
		takes_nested(nested, nested->list[i]);
	}
}

/* The only free run is in the depot, or on some CPU's list: a call that may only try locks finds it. */
SIM_TEST(nested_call_finds_the_only_run, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "from_depot", "from_neighbours", "pcp_take_any_locked" })
{
	struct nested nested = { .scene =
					 page_scene_make_zones(sim, false, 1, UINT64_C(16) << 20) };
	struct pages *p = pages_of(nested.scene->q);

	lock_init(&nested.lock, RANK_PERCPU_CPU);
	for (unsigned i = 0; i < 2; i++)
		nested.depot[i] = cached_run(nested.scene, 0, 0, end_type[i]);
	for (unsigned i = 0; i < 3; i++)
		nested.list[i] = cached_run(nested.scene, 0, on_list[i].order, on_list[i].type);
	quire_drain_all(nested.scene->q);
	p->zone[0].mark_min = UINT64_C(1) << 40; /* the buddy gives nothing */
	sim_cpu(sim, 0, finds_all, &nested);
	sim_run(sim);
	page_take_deferred(p);
	page_scene_check(nested.scene);
}

static void fills_forks_and_drains(void *arg)
{
	const uint64_t all = SPARES_NR * ((1u << SPARE_ORDERS_NR) - 1);
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	nested_fill(p);
	check_u64_eq(nested_pages(p), all);
	sim_fork_parent();
	check_u64_eq(nested_pages(p), all);
	check_u64_eq(nested_drain(p), all);
	check_u64_eq(nested_pages(p), 0);
}

/* Spares of every order are filled, are there again after a fork, and a drain takes all of them. */
SIM_TEST(spares_of_every_order_are_filled, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "fill_locked", "nested_drain" })
{
	run_alone(sim, page_scene_make(sim, true), fills_forks_and_drains);
}

/* ---- CPUs' stacks and lists ------------------------------------------------------------------- */

static void tunes_every_stack(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	for (unsigned zone = 0; zone < ZONES; zone++)
		for (unsigned i = 0; i < STACK_ORDERS_NR; i++)
			for (unsigned type = 0; type < TYPES_NR; type++) {
				unsigned order = pcp_kept_order(p, i, STACK_ORDERS_NR);
				lock_token token;
				struct pcp *pcp = pcp_lock_slot(p, zone, 0, &token);

				pcp_stack_tune_locked(p, pcp, order, type);
				SIM_CHECK(pcp_stack_keeps_locked(p, pcp, order, type) != 0);
				lock_release(&pcp->door.lock, token);
			}
}

/* Each zone, order and type has a stack, which keeps runs after a slow path. */
SIM_TEST(stack_of_every_order_and_type_has_room, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "pcp_stack_tune_locked" })
{
	struct page_scene *scene = scene_of_zones(sim, true);

	for (unsigned i = 0; i < ZONES; i++) /* else zones this small keep no whole blocks */
		pages_of(scene->q)->zone[i].pcp_high_max = 1u << 14;
	run_alone(sim, scene, tunes_every_stack);
}

static void drains_every_list(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	const unsigned all = TYPES_NR * ((1u << (LIST_ORDERS_NR - 1)) - 1 + block_pages(p));
	uint32_t frames[LIST_ORDERS_NR][TYPES_NR];

	for (unsigned i = 0; i < LIST_ORDERS_NR; i++)
		for (unsigned type = 0; type < TYPES_NR; type++)
			frames[i][type] =
				cached_run(scene, 0, pcp_kept_order(p, i, LIST_ORDERS_NR), type);
	quire_drain_all(scene->q);
	for (unsigned i = 0; i < LIST_ORDERS_NR; i++)
		for (unsigned type = 0; type < TYPES_NR; type++)
			put_on_list(p, 0, frames[i][type], pcp_kept_order(p, i, LIST_ORDERS_NR),
				    type);
	check_u64_eq(p->pcp[0].count, all);
	check_u64_eq(quire_drain_slot(scene->q, 0), all);
	check_u64_eq(p->pcp[0].count, 0);
}

/* A run is on each of the CPU's lists: none is left when they are drained. */
SIM_TEST(drain_takes_every_list, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "pcp_spill_locked" })
{
	run_alone(sim, page_scene_make_zones(sim, false, 1, UINT64_C(16) << 20), drains_every_list);
}

/* A page of each zone goes to the CPU's stacks, past its slow path. */
static void frees_to_each_zone(void *arg)
{
	struct page_scene *scene = arg;

	for (unsigned i = 0; i < ZONES; i++)
		give(scene, take(scene, 0, QUIRE_NODE(i)), 0);
}

static void drains_all(void *arg)
{
	quire_drain_all(((struct page_scene *)arg)->q);
}

/* Whatever comes between, what the drains have closed is open when they have ended. */
SIM_TEST(drains_open_the_doors_of_every_zone_and_cpu, .cpus_nr = 3,
	 .enters = { "drain_doors", "open_doors" })
{
	struct page_scene *scene = scene_of_zones(sim, true);
	struct pages *p = pages_of(scene->q);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	for (unsigned cpu = 0; cpu < 3; cpu++) {
		sim_cpu(sim, cpu, frees_to_each_zone, scene);
		sim_cpu(sim, cpu, drains_all, scene);
	}
	sim_run(sim);
	for (unsigned i = 0; i < ZONES * 3; i++) {
		check_u64_eq(p->pcp[i].door.closed_nr, 0);
		check_u64_eq(p->pcp[i].draining_nr, 0);
	}
	quire_drain_all(scene->q);
	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.cached_pages, 0);
	page_scene_check(scene);
}

/* ---- the worker's visits ---------------------------------------------------------------------- */

static uint64_t visit(struct pages *p)
{
	sim_pass_ns(VISIT_NS);
	return giveback_visit(p, clock_now_ns());
}

/* There was nothing to do; then something was used, which the next visit notes, and the one after it rests. */
static void check_noted(struct pages *p)
{
	SIM_CHECK(visit(p) != WORK_IDLE);
	check_u64_eq(visit(p), WORK_IDLE);
}

static void visits_after_each_use(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	for (unsigned i = 0; i < 4 && visit(p) != WORK_IDLE; i++)
		;
	check_u64_eq(visit(p), WORK_IDLE);
	for (unsigned i = 0; i < ZONES * p->stacks.cpu.all_slots_nr; i++) {
		p->pcp[i].activity++; /* as a slow path does */
		check_noted(p);
	}
	for (unsigned i = 0; i < ZONES; i++) {
		p->zone[i].buddy_allocs++;
		check_noted(p);
		p->zone[i].buddy_frees++;
		check_noted(p);
	}
}

/* The worker rests only after a visit that found no CPU and no zone used. */
SIM_TEST(visit_notes_the_use_of_every_cpu_and_zone, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "giveback_visit" })
{
	struct page_scene *scene = scene_of_zones(sim, true);

	quire_release(scene->q);
	run_alone(sim, scene, visits_after_each_use);
}

static void visits_after_reuse(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);

	for (unsigned i = 0; i < ZONES; i++) {
		(void)visit(p);
		check_u64_eq(p->decay_ns, p->q.decay_base_ns);
		p->zone[i].reused++; /* as an allocation of what was given back a moment ago */
		(void)visit(p);
		check_u64_eq(p->decay_ns, 2 * p->q.decay_base_ns);
		(void)visit(p);
	}
}

/* Memory of any zone that is used again at once makes the worker wait for longer, until it is not. */
SIM_TEST(reuse_in_any_zone_lengthens_the_wait, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "giveback_visit" })
{
	struct page_scene *scene = scene_of_zones(sim, true);

	quire_release(scene->q);
	run_alone(sim, scene, visits_after_reuse);
}

/* ---- what zones have together ----------------------------------------------------------------- */

static void asks_what_zones_have(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);
	struct relief relief = { .held_bytes = 0 };
	uint64_t pages = 0, zero_pages = 0;

	for (unsigned i = 0; i < ZONES; i++) {
		SIM_CHECK(p->zone[i].online_pages != 0);
		pages += p->zone[i].online_pages + p->zone[i].charged_pages;
		zero_pages += p->zone[i].zero_pages;
	}
	p->learn_pages = pages;
	limit_look_for_relief(p, &relief);
	check_u64_eq(relief.held_bytes >> p->page_shift, pages - zero_pages);
	limit_learn_before(p, 0, 0);
	SIM_CHECK(!p->limit_known);
	p->learn_pages = pages - 1;
	limit_learn_before(p, 0, 0);
	SIM_CHECK(p->limit_known);
}

/* The worker is told of both zones' memory, and the limit is learnt when both together matter. */
SIM_TEST(limit_is_learnt_for_what_zones_have_together, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "matters", "look_at_zone" })
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.zones = ZONES, .worker = QUIRE_WORKER_OFF);
	struct page_scene *scene = sim_zalloc(sim, sizeof(*scene));

	check_u64_eq(quire_create(&options, &scene->q), 0);
	for (unsigned i = 0; i < ZONES; i++)
		SIM_CHECK(take(scene, 5, QUIRE_NODE(i)) != NULL);
	run_alone(sim, scene, asks_what_zones_have);
}

static void asks_from_when_blocks_are_huge(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	uint32_t block = page_block(p, page_frame(p, scene->block));

	store_relaxed(&p->witness.was_dense, true);
	page_advise_fresh(p, block, block + 1, true, true);
	check_u64_eq(huge_kind(&p->huge, block), HUGE_ADVISED);
}

/* A witness is looked at three times, and is dense each time: in the end the next is of the step after seven others. */
static void looks_at_dense_witnesses(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);
	uint32_t block = page_block(p, page_frame(p, scene->block));

	for (uint32_t interval = 1; interval <= 7; interval = 2 * interval + 1) {
		p->witness.first = block;
		p->witness.end = block + 1;
		page_advise_fresh(p, block, block + 1, false, true);
		SIM_CHECK(p->witness.was_dense);
		check_u64_eq(p->witness.interval, interval);
	}
}

/* More than eight in all, and no more than eight in any zone. */
static struct page_scene *scene_of_many_blocks(struct sim *sim)
{
	struct page_scene *scene = page_scene_make_zones(sim, true, ZONES, UINT64_C(64) << 20);
	const struct pages *p = pages_of(scene->q);

	for (unsigned i = 0; i < ZONES; i++)
		while (p->zone[i].blocks_touched < 5)
			scene->block = take(scene, 9, QUIRE_NODE(i) | QUIRE_NORETRY);
	for (unsigned i = 0; i < ZONES; i++)
		SIM_CHECK(p->zone[i].blocks_touched <= 8);
	return scene;
}

/* An instance is large if it has more than eight blocks: no zone has as many, both together have. */
SIM_TEST(blocks_of_all_zones_make_an_instance_large, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "is_large" })
{
	run_alone(sim, scene_of_many_blocks(sim), asks_from_when_blocks_are_huge);
}

/* Each time that a witness is found dense, more steps pass before the next one: 1, 3, then 7. */
SIM_TEST(dense_witnesses_become_rare, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "look_at_witness_locked" })
{
	struct page_scene *scene = scene_of_many_blocks(sim);

	for (unsigned i = 0; i < 512; i++)
		store_relaxed((uint32_t *)scene->block + 1024 * (size_t)i, 5);
	run_alone(sim, scene, looks_at_dense_witnesses);
}

/* ---- types ------------------------------------------------------------------------------------ */

/* All blocks are in use; then two are free, of one type. */
static void frees_blocks_of_each_type(void *arg)
{
	struct page_scene *scene = arg;
	struct pages *p = pages_of(scene->q);

	for (unsigned i = 0; i < 2; i++) {
		struct page_request request;

		check_u64_eq((uint64_t)page_request_make(p, &request, 9, end_type[i]), 0);
		for (unsigned nr = 0; nr < 2; nr++)
			give(scene, scene->page[2 * i + nr], 9);
		check_u64_eq((uint64_t)zone_grow(p, &p->zone[0], &request), 0);
		for (unsigned nr = 0; nr < 2; nr++)
			take(scene, 9, end_type[i]);
	}
}

/* A zone that has a free block is not grown, whatever the block's type. */
SIM_TEST(free_block_of_any_type_is_found_before_growth, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "has_whole_locked" })
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 1, UINT64_C(16) << 20);

	quire_pcp_disable(scene->q); /* CPUs keep no blocks */
	for (unsigned i = 0; i < 4; i++) {
		scene->page[i] = take(scene, 9, end_type[i / 2]);
		SIM_CHECK(scene->page[i] != NULL);
	}
	pages_of(scene->q)->zone[0].mark_min = 0; /* there is no reserve */
	while (take(scene, 9, QUIRE_NORETRY) != NULL)
		;
	scene->refused = 0;
	run_alone(sim, scene, frees_blocks_of_each_type);
}

static void chooses(void *arg)
{
	struct pages *p = pages_of(((struct page_scene *)arg)->q);
	struct zone *zone = &p->zone[0];
	lock_token token = lock_acquire(&zone->lock);

	zone->choose_due = 0;
	emptying_choose_locked(p, zone);
	for (unsigned i = 0; i < 2; i++)
		SIM_CHECK(zone->row_blocks[ROW_EMPTYING + end_type[i]] != 0);
	lock_release(&zone->lock, token);
}

/* Six blocks of a type are half in use, so that four would do. */
SIM_TEST(blocks_of_any_type_are_chosen_to_empty, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "choose_type" })
{
	struct page_scene *scene = page_scene_make_zones(sim, true, 1, UINT64_C(32) << 20);

	for (unsigned i = 0; i < 2; i++) {
		void *run[12];

		for (unsigned nr = 0; nr < 12; nr++)
			run[nr] = take(scene, 8, end_type[i]);
		for (unsigned nr = 0; nr < 12; nr += 2)
			give(scene, run[nr], 8);
	}
	run_alone(sim, scene, chooses);
}
