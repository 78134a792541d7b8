/* SPDX-License-Identifier: MIT */
/* slab_giveback_sim.c - slabs that are to become empty, and pages that go, against users */
#include "sim/slab/slab_scene.h"

#define SCENE_BYTES (UINT64_C(4) << 20)

static void takes_and_writes(void *arg)
{
	struct slab_scene *scene = arg;
	void *object = slab_take(scene, scene->class, 0);

	if (object != NULL)
		store_relaxed((uint32_t *)object + 2048, 7); /* in its third page */
}

/* ---- emptying ---- */

static void ticks(void *arg)
{
	struct slab_scene *scene = arg;

	objects_tick(scene->s, scene->class);
}

/* Leaves one object of each of @slabs slabs. */
static void make_sparse(struct slab_scene *scene, unsigned slabs)
{
	slab_scene_fill(scene, slabs * SCENE_PER_SLAB);
	for (unsigned i = 0; i < slabs * SCENE_PER_SLAB; i++)
		if (i % SCENE_PER_SLAB != 0)
			slab_give(scene, scene->class, scene->object[i], 0);
}

static void gives_the_last(void *arg)
{
	struct slab_scene *scene = arg;

	for (unsigned i = 3; i < 6; i++) /* which are marked first */
		slab_give(scene, scene->class, scene->object[i * SCENE_PER_SLAB], 0);
}

/* Slabs are marked while their last objects come back: what is empty is on no list of marked slabs, and
 * leaves or stays. */
SIM_TEST(slab_emptying_against_the_last_free)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	make_sparse(scene, 6);
	sim_cpu(sim, 0, ticks, scene);
	sim_cpu(sim, 1, gives_the_last, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

static void takes_until_it_grows(void *arg)
{
	struct slab_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++)
		slab_take(scene, scene->class, 0);
}

/* A refill finds no free object outside marked slabs: it unmarks one, and no slab is made while one is marked. */
SIM_TEST(slab_emptying_against_refill)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);
	struct slab_class *c = &scene->s->class[scene->class];
	lock_token token;

	make_sparse(scene, 2);
	token = lock_acquire(&c->lock);
	for (unsigned i = 0; i < 2; i++)
		slab_mark_locked(
			scene->s, c,
			(uint32_t)(((char *)scene->object[i * SCENE_PER_SLAB] - scene->s->base) >>
				   SLAB_SHIFT),
			true);
	lock_release(&c->lock, token);
	sim_cpu(sim, 0, takes_until_it_grows, scene);
	sim_cpu(sim, 1, takes_until_it_grows, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(c->slabs_nr, 2);
	slab_scene_check(scene);
}

/* A class keeps some objects free, and the slab that they are in. */
SIM_TEST(slab_emptying_leaves_what_is_kept, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "slab_emptying_choose_locked" })
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	make_sparse(scene, 1);
	sim_cpu(sim, 0, ticks, scene);
	sim_run(sim);
	check_u64_eq(scene->s->class[scene->class].emptying_nr, 0);
	slab_scene_check(scene);
}

/* ---- pages that go ---- */

static void unbacks(void *arg)
{
	struct slab_scene *scene = arg;

	objects_unback(scene->s, NULL);
}

/* Two CPUs give slabs back at once: they take turns. */
SIM_TEST(slab_unback_by_two, .events = SIM_MEMORY, .enters = { "objects_unback", "let_go" })
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 4);
	slab_give(scene, scene->class, scene->object[1], 0);
	sim_cpu(sim, 0, unbacks, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

/* No object is handed out whose pages are on their way: the machine sees a use of such a page. */
SIM_TEST(slab_unback_against_take, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 4);
	slab_give(scene, scene->class, scene->object[1], 0);
	slab_give(scene, scene->class, scene->object[2], 0);
	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

static void gives_two(void *arg)
{
	struct slab_scene *scene = arg;

	slab_give(scene, scene->class, scene->object[0], 0);
	slab_give(scene, scene->class, scene->object[3], 0);
}

static void gives_two_and_shrinks(void *arg)
{
	struct slab_scene *scene = arg;

	gives_two(arg);
	objects_shrink(scene->s, scene->class);
}

/* All objects of a slab come back while pages of it are on their way: the slab leaves only afterwards. */
SIM_TEST(slab_unback_against_free, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 4);
	slab_give(scene, scene->class, scene->object[1], 0);
	slab_give(scene, scene->class, scene->object[2], 0);
	sim_cpu(sim, 0, gives_two_and_shrinks, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

static void shrinks_and_takes_of_the_other(void *arg)
{
	struct slab_scene *scene = arg;

	objects_shrink(scene->s, scene->class);
	slab_take(scene, scene->other, 0);
}

static void takes_one_of_other(void *arg)
{
	struct slab_scene *scene = arg;

	slab_take(scene, scene->other, 0);
}

/* A record that the walk has seen may be another class's when it has the lock. */
SIM_TEST(slab_unback_looks_again, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	while (quire_alloc_pages(scene->q, 6, QUIRE_NORETRY) != NULL)
		;
	slab_give(scene, scene->class, scene->object[0], 0);
	sim_cpu(sim, 0, shrinks_and_takes_of_the_other, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

/* What described slabs that have left is on its way, and new slabs are to be described: their maker waits. */
SIM_TEST(slab_records_go_and_come, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	slab_give(scene, scene->class, scene->object[0], 0);
	objects_shrink(scene->s, scene->class);
	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

static void shrinks_and_unbacks(void *arg)
{
	struct slab_scene *scene = arg;

	objects_shrink(scene->s, scene->class);
	objects_unback(scene->s, NULL);
}

/* What describes slabs counts as memory as long as there are some, and what never described any is left alone. */
SIM_TEST(slab_records_count_until_they_go, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY, .enters = { "slab/meta.c:collect_step" })
{
	struct slab_scene *scene = slab_scene_make(sim, UINT64_C(24) << 20);

	slab_scene_fill(scene, 1);
	slab_give(scene, scene->class, scene->object[0], 0);
	SIM_CHECK(slabs_meta_bytes(scene->s) != 0);
	sim_cpu(sim, 0, shrinks_and_unbacks, scene);
	sim_run(sim);
	check_u64_eq(slabs_meta_bytes(scene->s), 0);
	SIM_CHECK(!slabs_meta_is_ready(scene->s, STEP_RECORDS));
	slab_scene_check(scene);
}

/* The last slab of a step leaves while another one is made there. */
SIM_TEST(slab_records_of_the_last_slab, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	slab_give(scene, scene->class, scene->object[0], 0);
	sim_cpu(sim, 0, takes_one_of_other, scene);
	sim_cpu(sim, 1, shrinks_and_unbacks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

static void takes_without_waiting(void *arg)
{
	struct slab_scene *scene = arg;

	slab_take(scene, scene->class, QUIRE_NOWAIT);
}

/* Who may not wait for records is refused, and leaves no slab counted. */
SIM_TEST(slab_records_are_not_waited_for, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	slab_give(scene, scene->class, scene->object[0], 0);
	objects_shrink(scene->s, scene->class);
	sim_cpu(sim, 0, takes_without_waiting, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

static void shrinks(void *arg)
{
	struct slab_scene *scene = arg;

	objects_shrink(scene->s, scene->class);
}

/* The record of a slab that leaves is read for the last time before it may go. */
SIM_TEST(slab_record_is_read_before_it_goes, .events = SIM_MEMORY | SIM_PLAIN)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	slab_give(scene, scene->class, scene->object[0], 0);
	sim_cpu(sim, 0, shrinks, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

/* At the limit, an allocation waits for a slab whose pages are on their way, and gets its object. */
SIM_TEST(slab_held_ones_are_waited_for, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 4);
	while (quire_alloc_pages(scene->q, 6, QUIRE_NORETRY) != NULL)
		;
	slab_give(scene, scene->class, scene->object[1], 0);
	sim_cpu(sim, 0, takes_and_writes, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

/* ---- waiting for somebody who has no CPU ---- */

/* One object of the only slab is in use, and what a task unbacks a thread that comes before it wants. */
static void takes_before_who_unbacks(struct sim *sim, struct slab_scene *scene)
{
	sim_cpu(sim, 0, unbacks, scene);
	sim_irq(sim, 0, takes_and_writes, scene, 1);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

/* Whoever waits for a held slab leaves the CPU to the one who holds it: looking again and again would last for ever. */
SIM_TEST(slab_held_ones_are_slept_for, .cpus_nr = 1, .config = SIM_UP_RT,
	 .enters = { "after_refusal" })
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 4);
	while (quire_alloc_pages(scene->q, 6, QUIRE_NORETRY) != NULL)
		;
	slab_give(scene, scene->class, scene->object[1], 0);
	takes_before_who_unbacks(sim, scene);
}

/* The same for what describes slabs. */
SIM_TEST(slab_records_are_slept_for, .cpus_nr = 1, .config = SIM_UP_RT,
	 .enters = { "slabs_meta_enter" })
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	slab_give(scene, scene->class, scene->object[0], 0);
	objects_shrink(scene->s, scene->class);
	takes_before_who_unbacks(sim, scene);
}

/* ---- what is refused ---- */

static uint32_t record_of(const struct slab_scene *scene, const void *object)
{
	uint32_t record = (uint32_t)(((const char *)object - scene->s->base) >> SLAB_SHIFT);

	return record & ~(slab_records(scene->s, &scene->s->class[scene->class]) - 1);
}

/* Pages of an object's slab that count as gone have no memory. */
static void check_unbacked(struct slab_scene *scene, const void *object)
{
	uint32_t record = record_of(scene, object);
	struct mem_stretches stretches = { .stride_bytes = 4096, .page_bytes = 4096, .nr = 1 };
	const struct slab *slab = slab_at(scene->s, record);
	uint64_t written;

	stretches.addr = slab_addr(scene->s, record);
	stretches.pages = 64;
	check_u64_eq((uint64_t)mem_find_written(&stretches, &written), 0);
	check_u64_eq(written & slab->unbacked, 0);
}

/* What is refused keeps its memory, and counts so. */
SIM_TEST(slab_unback_refused, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 4);
	slab_give(scene, scene->class, scene->object[1], 0);
	sim_cpu(sim, 0, gives_two, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
	check_unbacked(scene, scene->object[2]);
}

/* ---- full gathers ---- */

/* Slabs in two blocks of 2 MiB, of which two objects each are free. */
static struct slab_scene *two_blocks_scene(struct sim *sim)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, SCENE_PER_SLAB);
	for (unsigned i = 1; i < 8; i++) /* the rest of the first block */
		SIM_CHECK(quire_alloc_pages(scene->q, 6, 0) != NULL);
	for (unsigned i = SCENE_PER_SLAB; i < 2 * SCENE_PER_SLAB; i++)
		scene->object[i] = slab_take(scene, scene->class, 0);
	for (unsigned i = 0; i < 2 * SCENE_PER_SLAB; i++)
		if (i % SCENE_PER_SLAB >= SCENE_PER_SLAB - 2)
			slab_give(scene, scene->class, scene->object[i], 0);
	return scene;
}

static void takes_and_gives(void *arg)
{
	struct slab_scene *scene = arg;

	slab_give(scene, scene->class, slab_take(scene, scene->class, 0), 0);
}

/* Each block has a gather of its own, and its slabs are let go before the next is looked at: what goes counts as gone, and
 * nothing else goes. */
SIM_TEST(slab_unback_in_full_gathers, .batch_max = 24, .events = SIM_MEMORY,
	 .enters = { "slab/unback.c:finish" })
{
	struct slab_scene *scene = two_blocks_scene(sim);

	SIM_CHECK((record_of(scene, scene->object[0]) ^ record_of(scene, scene->object[8])) >= 32);
	sim_cpu(sim, 0, takes_and_gives, scene);
	sim_cpu(sim, 1, unbacks, scene);
	sim_run(sim);
	slab_scene_check(scene);
	check_unbacked(scene, scene->object[0]);
	check_unbacked(scene, scene->object[8]);
}
