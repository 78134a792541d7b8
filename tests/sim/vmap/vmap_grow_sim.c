/* SPDX-License-Identifier: MIT */
/* vmap_grow_sim.c - sections and records that are committed while others want areas */
#include "sim/vmap/vmap_scene.h"
#include "vmap/layout.h"
#include "vmap/records.h"

/* ---- sections ---------------------------------------------------------------------------------- */

#define AREA_PAGES 640u /* of a class, and more than a section: two of them meet in one */

static struct vmap_scene *scene_with(struct sim *sim, uint64_t span_bytes, uint64_t limit_bytes)
{
	struct vmap_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = limit_bytes, .vmap_span_bytes = span_bytes,
				   .worker = QUIRE_WORKER_OFF, .guard = QUIRE_GUARD_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	SIM_CHECK(vtake(scene, 1, 0) != NULL);
	scene->v = scene->q->vmap;
	return scene;
}

static struct vmap_scene *scene_of(struct sim *sim, uint64_t span_bytes)
{
	return scene_with(sim, span_bytes, UINT64_C(16) << 20);
}

/* Eight sections, of which one is committed. */
static struct vmap_scene *scene_mostly_unused(struct sim *sim)
{
	return scene_of(sim, UINT64_C(16) << 20);
}

static void writes_both_ends(char *area)
{
	if (area == NULL)
		return;
	store_relaxed((uint32_t *)(void *)area, 7);
	store_relaxed((uint32_t *)(void *)(area + ((size_t)(AREA_PAGES - 1) << 12)), 7);
}

static void takes_area(void *arg)
{
	writes_both_ends(vtake(arg, AREA_PAGES, 0));
}

static void takes_area_atomically(void *arg)
{
	char *area;

	sim_forbid_wait(true);
	area = vtake(arg, AREA_PAGES, QUIRE_ATOMIC);
	sim_forbid_wait(false);
	writes_both_ends(area);
}

static void check_served(struct vmap_scene *scene)
{
	check_u64_eq(scene->refused, 0);
	vmap_scene_check(scene);
}

/* Another is in the middle of committing: a caller that may not wait commits other sections. */
SIM_TEST(vmalloc_beside_a_commit_is_not_refused, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	check_served(scene);
}

SIM_TEST(vmalloc_by_two_that_may_not_wait, .events = SIM_MEMORY | SIM_TRYFAIL)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area_atomically, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}

/* The same, if the addresses are not all in the hands of others. */
static void may_take_area_atomically(void *arg)
{
	struct vmap_scene *scene = arg;
	char *area;

	sim_forbid_wait(true);
	area = vtake(scene, AREA_PAGES, QUIRE_ATOMIC);
	sim_forbid_wait(false);
	if (area == NULL)
		fetch_sub_relaxed(&scene->refused, 1);
	writes_both_ends(area);
}

/* Adjacent areas: a section that holds parts of both is committed once, by either caller. */
SIM_TEST(vmalloc_waits_for_who_commits_beside_it, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_of(sim, UINT64_C(6) << 20);

	sim_cpu(sim, 0, may_take_area_atomically, scene);
	sim_cpu(sim, 1, takes_area, scene);
	sim_run(sim);
	check_served(scene);
}

/* Singly too small to reach the next section, they fill the first one to its end. */
static struct vmap_scene *scene_with_full_section(struct sim *sim)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);
	char *end = NULL;

	for (uint32_t pages = 1; pages < 512; pages *= 2)
		end = vtake(scene, pages, 0) + ((size_t)pages << 12);
	SIM_CHECK(end == scene->v->base + ((size_t)1 << SECTION_SHIFT));
	return scene;
}

/* The first section of an area is unclaimed; the second one is claimed by a caller that has the addresses
 * above it.  A claimed run of sections ends where another caller's begins. */
SIM_TEST(vmalloc_commits_up_to_who_commits_behind_it, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_with_full_section(sim);

	sim_cpu(sim, 0, takes_area, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	check_served(scene);
}

static void next_turn(struct vmap_scene *scene, uint32_t turn)
{
	store_release(&scene->turn, turn); /* pairs with await() */
	sim_wake(&scene->turn);
}

static void await(struct vmap_scene *scene, uint32_t turn)
{
	for (;;) {
		uint32_t now = load_acquire(&scene->turn); /* pairs with next_turn() */

		if (now >= turn)
			return;
		sim_wait(&scene->turn, now);
	}
}

/* In the middle of a commit of the fifth section until others have come and gone. */
static void commits_the_fifth_section(void *arg)
{
	struct vmap_scene *scene = arg;
	struct vmap_request request = { .flags = QUIRE_ATOMIC };
	lock_token token = lock_acquire(&scene->v->lock);

	SIM_CHECK(claim_take_locked(scene->v, &request, 4 * 512, 5 * 512));
	lock_release(&scene->v->lock, token);
	next_turn(scene, 1);
	await(scene, 2);
	claim_put(scene->v, request.claim);
}

static void takes_below_and_above(void *arg)
{
	struct vmap_scene *scene = arg;
	const struct quire_vmalloc_options above =
		QUIRE_VMALLOC_OPTIONS_INIT(.start = scene->v->base + ((size_t)5 << SECTION_SHIFT),
					   .flags = QUIRE_ATOMIC);

	await(scene, 1);
	scene->had[0] = vtake(scene, AREA_PAGES, QUIRE_ATOMIC);
	scene->had[1] = vtake(scene, AREA_PAGES, 0);
	scene->had[2] = quire_vmalloc_with(scene->q, (size_t)1 << 12, &above);
	scene->held_areas++;
	next_turn(scene, 2);
}

/* Sections that another claims matter to nobody who wants sections before or after them. */
SIM_TEST(commits_elsewhere_are_not_waited_for,
	 .enters = { "claim_of_locked", "claim_busy_end_locked" })
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, commits_the_fifth_section, scene);
	sim_cpu(sim, 1, takes_below_and_above, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] < scene->had[1]);
	SIM_CHECK(scene->had[1] < scene->v->base + ((size_t)4 << SECTION_SHIFT));
	SIM_CHECK(scene->had[2] == scene->v->base + ((size_t)5 << SECTION_SHIFT));
	check_served(scene);
}

/* The first section is ready, so there is nothing to claim of it. */
static void claims_nothing(void *arg)
{
	struct vmap_scene *scene = arg;
	struct claim *claim;
	uint32_t first = 0;

	mutex_acquire(&scene->v->commit_mutex);
	claim = claim_next(scene->v, &first, 1, true);
	check_u64_eq(claim->first, claim->end);
	next_turn(scene, 1);
	await(scene, 2);
	claim_put(scene->v, claim);
	mutex_release(&scene->v->commit_mutex);
}

static void takes_beside_no_claim(void *arg)
{
	struct vmap_scene *scene = arg;

	await(scene, 1);
	scene->had[0] = vtake(scene, AREA_PAGES, QUIRE_ATOMIC);
	next_turn(scene, 2);
}

/* A claim of no sections, which a caller has whose sections are all ready, keeps nobody from claiming any. */
SIM_TEST(empty_claim_is_nobodys_obstacle, .enters = { "claim_next", "claim_busy_end_locked" })
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, claims_nothing, scene);
	sim_cpu(sim, 1, takes_beside_no_claim, scene);
	sim_run(sim);
	SIM_CHECK(scene->had[0] < scene->v->base + ((size_t)1 << SECTION_SHIFT));
	check_served(scene);
}

/* More than the limit allows, in sections that are not committed yet. */
static void grows_beyond_the_limit(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_forbid_wait(true);
	SIM_CHECK(quire_vrealloc(scene->q, scene->area[0], UINT64_C(15) << 20, QUIRE_ATOMIC) ==
		  NULL);
	sim_forbid_wait(false);
}

/* A caller that claimed sections is refused its charge: other callers may claim them again. */
SIM_TEST(vrealloc_refused_leaves_its_sections, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_with(sim, UINT64_C(16) << 20, UINT64_C(8) << 20);

	vmap_scene_fill(scene, 1, 256);
	sim_cpu(sim, 0, grows_beyond_the_limit, scene);
	sim_cpu(sim, 1, takes_area, scene);
	sim_run(sim);
	check_served(scene);
}

/* The system refuses one of them, or both: their sections are committed by the next caller. */
SIM_TEST(commits_refused_beside_each_other_lose_nothing, .events = SIM_MEMORY | SIM_REFUSE,
	 .refusals = 2)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	scene->refused = 0;
	takes_area(scene);
	takes_area_atomically(scene);
	check_served(scene);
}

static void forks_and_commits(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(quire_verify(scene->q), 0);
	takes_area(scene);
	takes_area_atomically(scene);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* Fork does not wait for a caller that may not wait, which stays in the parent: what it had claimed is the
 * child's to commit. */
SIM_TEST(fork_child_of_a_claimer_commits)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area_atomically, scene);
	sim_cpu(sim, 1, forks_and_commits, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- advice ------------------------------------------------------------------------------------ */

static void counts_advice(void *arg)
{
	struct vmap_scene *scene = arg;

	vmap_count_advice(scene->v);
}

/* The next call of huge_count() leaves nothing uncounted. */
static void check_advice(struct vmap_scene *scene)
{
	check_u64_eq(quire_verify(scene->q), 0);
	vmap_count_advice(scene->v);
	for (uint32_t i = 0; i < scene->v->advice.blocks_nr; i++)
		SIM_CHECK(huge_kind(&scene->v->advice, i) != HUGE_UNCOUNTED);
}

/* While advice is counted, a caller that may not wait has some more: it stays noted, for the next count. */
SIM_TEST(advice_is_noted_while_some_is_counted)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	store_relaxed(&scene->v->uncounted, true);
	sim_cpu(sim, 0, counts_advice, scene);
	sim_cpu(sim, 1, takes_area_atomically, scene);
	sim_run(sim);
	check_advice(scene);
	check_served(scene);
}

/* The second section, without what comes before a commit: where there are few points, each is tried. */
static void commits_atomically(void *arg)
{
	struct vmap_scene *scene = arg;
	struct vmap_request request = { .flags = QUIRE_ATOMIC };
	const struct range range = { .start = 512, .pages = 512 };
	lock_token token = lock_acquire(&scene->v->lock);

	sim_forbid_wait(true);
	SIM_CHECK(claim_take_locked(scene->v, &request, range.start, range_end(&range)));
	lock_release(&scene->v->lock, token);
	check_u64_eq(vmap_commit(scene->v, &range, &request), 0);
	sim_forbid_wait(false);
}

/* Again and again, until a store of the other may have become visible. */
static void counts_advice_often(void *arg)
{
	for (unsigned i = 0; i < 16; i++)
		counts_advice(arg);
}

/* The note is not seen before what it speaks of, however stores leave the CPU. */
SIM_TEST(advice_is_noted_after_it_is_there, .events = SIM_TRYFAIL, .model = SIM_PSO)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	store_relaxed(&scene->v->uncounted, true);
	sim_cpu(sim, 0, counts_advice_often, scene);
	sim_cpu(sim, 1, commits_atomically, scene);
	sim_run(sim);
	check_advice(scene);
	check_served(scene);
}

static void forks_and_counts_advice(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	check_advice(scene);
	store_relaxed(&scene->turn, 1);
}

/* In the child advice is noted whose owner stayed in the parent and had not come to that. */
SIM_TEST(fork_child_of_a_claimer_counts_its_advice)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	sim_cpu(sim, 0, takes_area_atomically, scene);
	sim_cpu(sim, 1, forks_and_counts_advice, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- records ----------------------------------------------------------------------------------- */

/* All records are in use but those at hand. */
static struct vmap_scene *scene_without_records(struct sim *sim)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);

	while (pool_take(&scene->v->pool, 0) != POOL_NONE)
		;
	return scene;
}

static uint32_t take_record(struct vmap_scene *scene, unsigned flags)
{
	uint32_t record;

	sim_forbid_wait(flags == QUIRE_ATOMIC);
	record = pool_alloc(&scene->v->pool, flags);
	sim_forbid_wait(false);
	if (record == POOL_NONE)
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
	return record;
}

static void takes_record(void *arg)
{
	take_record(arg, QUIRE_NORETRY);
}

static void takes_record_atomically(void *arg)
{
	take_record(arg, QUIRE_ATOMIC);
}

/* One record each was had, and the books are right. */
static void check_records(struct vmap_scene *scene, uint32_t before)
{
	const struct pool *pool = &scene->v->pool;

	check_u64_eq(pool->used_nr, before + 2 - scene->refused);
	check_u64_eq(pool->step_nr, 0);
	check_u64_eq(pool_verify(&scene->v->pool), 0);
}

/* Both commit the same step; the first of them that is done opens it. */
SIM_TEST(record_beside_a_grower_is_not_refused, .events = SIM_MEMORY)
{
	struct vmap_scene *scene = scene_without_records(sim);
	uint32_t before = scene->v->pool.used_nr;

	sim_cpu(sim, 0, takes_record, scene);
	sim_cpu(sim, 1, takes_record_atomically, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_records(scene, before);
}

/* The system refuses one caller, or both: the last one returns the charge. */
SIM_TEST(record_steps_refused_are_uncharged_once, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct vmap_scene *scene = scene_without_records(sim);
	uint32_t before = scene->v->pool.used_nr;

	sim_cpu(sim, 0, takes_record, scene);
	sim_cpu(sim, 1, takes_record_atomically, scene);
	sim_run(sim);
	check_records(scene, before);
}

static void forks_and_takes_record(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	check_u64_eq(scene->v->pool.step_nr, 0);
	check_u64_eq(quire_verify(scene->q), 0);
	takes_record(scene);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(quire_verify(scene->q), 0);
	store_relaxed(&scene->turn, 1);
}

/* A caller that committed without grow_mutex stayed in the parent; its charge is returned. */
SIM_TEST(fork_child_of_a_record_grower_keeps_no_step, .events = SIM_TRYFAIL)
{
	struct vmap_scene *scene = scene_without_records(sim);

	sim_cpu(sim, 0, takes_record_atomically, scene);
	sim_cpu(sim, 1, forks_and_takes_record, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* No spare record is at hand, so each caller takes one of the pool without the lock. */
static struct vmap_scene *scene_without_spares(struct sim *sim)
{
	struct vmap_scene *scene = scene_mostly_unused(sim);
	struct vmap *v = scene->v;

	while (v->spares_nr != 0) {
		lock_token token = lock_acquire(&v->lock);
		uint32_t record = space_record_locked(v);

		lock_release(&v->lock, token);
		pool_free(&v->pool, record);
	}
	return scene;
}

static void locks_with_records(void *arg)
{
	struct vmap_scene *scene = arg;
	lock_token token;

	if (space_lock_for(scene->v, QUIRE_NOLOCK, &token) == 0)
		lock_release(&scene->v->lock, token);
}

/* Who tries the locks and gets neither leaves its record to the next one who has the lock, with what it stored in it. */
SIM_TEST(stray_record_is_had_by_the_next, .events = SIM_TRYFAIL,
	 .enters = { "return_unlocked", "collect_strays_locked" })
{
	struct vmap_scene *scene = scene_without_spares(sim);

	sim_cpu(sim, 0, locks_with_records, scene);
	sim_cpu(sim, 1, locks_with_records, scene);
	sim_run(sim);
	locks_with_records(scene);
	check_u64_eq(scene->v->strays, RANGE_NONE);
	vmap_scene_check(scene);
}

/* Each spare record is one of those that the pool has handed out, and none is there twice. */
static void check_spares(struct vmap *v)
{
	lock_token token = lock_acquire(&v->lock);
	uint32_t records[RECORDS_AT_HAND], n = 0;

	SIM_CHECK(v->spares_nr <= RECORDS_AT_HAND);
	for (uint32_t i = v->spares; i != RANGE_NONE; i = range_at(v, i)->next) {
		SIM_CHECK(n < v->spares_nr);
		records[n++] = i;
	}
	check_u64_eq(n, v->spares_nr);
	v->spares = RANGE_NONE;
	v->spares_nr = 0;
	lock_release(&v->lock, token);
	while (n != 0)
		pool_free(&v->pool, records[--n]);
}

static void forks_and_locks_with_records(void *arg)
{
	struct vmap_scene *scene = arg;

	sim_fork_child();
	locks_with_records(scene);
	check_spares(scene->v);
	check_u64_eq(quire_verify(scene->q), 0);
	check_u64_eq(scene->v->strays, RANGE_NONE);
	store_relaxed(&scene->turn, 1);
}

/* A record that strays while fork copies one page after the other is lost in the child, whose list of strays is whole. */
SIM_TEST(fork_child_has_stray_records_in_order, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "collect_strays_locked", "space_fork_child_locked" })
{
	struct vmap_scene *scene = scene_without_spares(sim);

	sim_fork_downwards(); /* the records before the list's head */
	sim_cpu(sim, 0, locks_with_records, scene);
	sim_cpu(sim, 1, forks_and_locks_with_records, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void locks_during_a_fork(void *arg)
{
	struct vmap_scene *scene = arg;
	struct vmap *v = scene->v;
	uint32_t stray = v->strays;

	store_relaxed(&v->forking, true);
	locks_with_records(scene);
	check_u64_eq(load_relaxed(&v->strays), stray);
	store_relaxed(&v->forking, false);
	locks_with_records(scene);
	check_u64_eq(load_relaxed(&v->strays), RANGE_NONE);
}

/* The child's list is torn until the fork is done, so a call to which the fork lends the lock takes nothing off it. */
SIM_TEST(nobody_collects_strays_during_a_fork, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "collect_strays_locked" })
{
	struct vmap_scene *scene = scene_without_spares(sim);
	struct vmap *v = scene->v;

	v->strays = pool_take(&v->pool, 0);
	range_at(v, v->strays)->next = RANGE_NONE;
	sim_cpu(sim, 0, locks_during_a_fork, scene);
	sim_run(sim);
	vmap_scene_check(scene);
}
