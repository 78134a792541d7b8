/* SPDX-License-Identifier: MIT */
/* slab_objects_sim.c - objects that come and go while slabs come and go */
#include "sim/slab/slab_scene.h"

#define SCENE_BYTES (UINT64_C(4) << 20)

/* ---- takes against gives ---- */

static void takes_two_gives_one(void *arg)
{
	struct slab_scene *scene = arg;
	void *object = slab_take(scene, scene->class, 0);

	slab_take(scene, scene->class, 0);
	slab_give(scene, scene->class, object, 0);
}

static void gives_two_takes_one(void *arg)
{
	struct slab_scene *scene = arg;

	slab_give(scene, scene->class, scene->object[0], 0);
	slab_give(scene, scene->class, scene->object[1], 0);
	slab_take(scene, scene->class, 0);
}

/* An object is handed out once.  If not, its note is set already when it is handed out again. */
SIM_TEST(slab_take_against_give)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, SCENE_PER_SLAB);
	sim_cpu(sim, 0, takes_two_gives_one, scene);
	sim_cpu(sim, 1, gives_two_takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

static void takes_many(void *arg)
{
	struct slab_scene *scene = arg;
	void *objects[6];
	unsigned got = objects_take(scene->s, scene->class, objects, 6, 0);

	for (unsigned i = 0; i < got; i++) {
		/* Cleared by the give, if it was ever taken. */
		uint8_t *note = &scene->taken[(size_t)((char *)objects[i] - scene->s->base) >> 12];

		check_u64_eq(exchange_acq_rel(note, 1), 0);
	}
	fetch_add_relaxed(&scene->held, got); /* read at the end */
}

/* Many in one hold on two CPUs: from two slabs, each object once, and all of them are taken. */
SIM_TEST(slab_many_are_taken_once)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 2 * SCENE_PER_SLAB);
	for (unsigned i = 0; i < 2 * SCENE_PER_SLAB; i += 2)
		slab_give(scene, scene->class, scene->object[i], 0);
	sim_cpu(sim, 0, takes_many, scene);
	sim_cpu(sim, 1, takes_many, scene);
	sim_run(sim);
	check_u64_eq(scene->held, 2 * SCENE_PER_SLAB);
	slab_scene_check(scene);
}

/* ---- slabs that come against slabs that leave ---- */

static void shrinks(void *arg)
{
	struct slab_scene *scene = arg;

	objects_shrink(scene->s, scene->class);
}

static void takes_one(void *arg)
{
	struct slab_scene *scene = arg;

	slab_take(scene, scene->class, 0);
}

static void takes_one_of_the_other(void *arg)
{
	struct slab_scene *scene = arg;

	slab_take(scene, scene->other, 0);
}

/* The slab that was made for an allocation may leave before the allocation looks again: it makes another one. */
SIM_TEST(slab_grow_against_shrink)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	sim_cpu(sim, 0, takes_one, scene);
	sim_cpu(sim, 1, shrinks, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

/* A slab is on a list when its bytes and its record are complete: whoever takes its first object may free it. */
SIM_TEST(slab_is_complete_when_it_is_found)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	sim_cpu(sim, 0, takes_one, scene);
	sim_cpu(sim, 1, takes_one, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

/* The pages of one class's slab are the other's next slab: no byte is cleared after they were freed. */
SIM_TEST(slab_leaves_before_its_pages)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	while (quire_alloc_pages(scene->q, 6, QUIRE_NORETRY) != NULL)
		;
	slab_give(scene, scene->class, scene->object[0], 0);
	sim_cpu(sim, 0, shrinks, scene);
	sim_cpu(sim, 1, takes_one_of_the_other, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

static void gives_once_more(void *arg)
{
	struct slab_scene *scene = arg;

	sim_end_by("misuse");
	(void)objects_give_one(scene->s, scene->class, scene->object[0], 0);
}

/* The slab of the object has left since it was freed, and its pages are another class's, which uses what is there. */
SIM_TEST(slab_second_free_after_its_slab_left, .cpus_nr = 1, .enters = { "put_locked" })
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	while (quire_alloc_pages(scene->q, 6, QUIRE_NORETRY) != NULL)
		;
	slab_give(scene, scene->class, scene->object[0], 0);
	objects_shrink(scene->s, scene->class);
	SIM_CHECK(slab_take(scene, scene->other, 0) == scene->object[0]);
	sim_cpu(sim, 0, gives_once_more, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

/* ---- the arrays that describe them ---- */

/* Both CPUs' slabs are the first ones beyond 16 MiB: neither writes what is not committed yet. */
SIM_TEST(slab_step_is_ready_for_both, .events = SIM_MEMORY)
{
	struct slab_scene *scene = slab_scene_make(sim, UINT64_C(24) << 20);

	for (unsigned i = 0; i < 8; i++)
		SIM_CHECK(quire_alloc_pages(scene->q, 9, 0) != NULL);
	SIM_CHECK(!slabs_meta_is_ready(scene->s, STEP_RECORDS));
	sim_cpu(sim, 0, takes_one, scene);
	sim_cpu(sim, 1, takes_one_of_the_other, scene);
	sim_run(sim);
	SIM_CHECK(slabs_meta_is_ready(scene->s, STEP_RECORDS));
	check_u64_eq(scene->refused, 0);
	slab_scene_check(scene);
}

static void grows_in_a_handler(void *arg)
{
	struct slab_scene *scene = arg;

	check_u64_eq((uint64_t)objects_grow(scene->s, scene->class, QUIRE_NOLOCK), 0);
}

/* Who may not wait needs none of the system's memory where another slab has been. */
SIM_TEST(slab_step_is_ready_for_a_handler, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "make_ready" })
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, 1);
	sim_cpu(sim, 0, grows_in_a_handler, scene);
	sim_run(sim);
	slab_scene_check(scene);
}

static void takes_one_or_none(void *arg)
{
	struct slab_scene *scene = arg;
	void *object = slab_take(scene, scene->class, 0);

	if (object != NULL)
		slab_give(scene, scene->class, object, 0);
}

/* Whatever the system refuses, no page and no byte stays behind. */
SIM_TEST(slab_refused_growth_leaves_nothing, .events = SIM_MEMORY | SIM_REFUSE, .refusals = 2)
{
	struct slab_scene *scene = slab_scene_make(sim, UINT64_C(24) << 20);
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	uint64_t before;

	for (unsigned i = 0; i < 8; i++)
		SIM_CHECK(quire_alloc_pages(scene->q, 9, 0) != NULL);
	quire_page_stat_read(scene->q, &stat);
	before = stat.allocated_pages;
	sim_cpu(sim, 0, takes_one_or_none, scene);
	sim_cpu(sim, 1, takes_one_or_none, scene);
	sim_run(sim);
	objects_shrink(scene->s, scene->class);
	quire_page_stat_read(scene->q, &stat);
	check_u64_eq(stat.allocated_pages, before);
	slab_scene_check(scene);
}

/* ---- classes ---- */

static void makes_class(void *arg)
{
	struct slab_scene *scene = arg;

	check_u64_eq((uint64_t)class_make(scene->s, 1, SCENE_SIZE), 0);
	slab_take(scene, 1, 0);
}

/* Two CPUs make a class of malloc's at once: it is made once, and complete for both. */
SIM_TEST(slab_class_is_made_once)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	sim_cpu(sim, 0, makes_class, scene);
	sim_cpu(sim, 1, makes_class, scene);
	sim_run(sim);
	check_u64_eq(scene->refused, 0);
	check_u64_eq(objects_verify(scene->s, 1), 0);
	check_u64_eq(scene->s->class[1].slabs_nr * SCENE_PER_SLAB - scene->s->class[1].free_nr, 2);
}

/* ---- handlers ---- */

static void handler(void *arg)
{
	struct slab_scene *scene = arg;
	unsigned flags = lock_nested() ? QUIRE_NOLOCK : 0;
	void *object = objects_take_one(scene->s, scene->class, flags);

	if (object == NULL && objects_grow(scene->s, scene->class, flags) == 0)
		object = objects_take_one(scene->s, scene->class, flags);
	if (object != NULL && !objects_give_one(scene->s, scene->class, object, flags))
		fetch_add_relaxed(&scene->held, 1); /* read at the end */
}

/* A handler that interrupted a holder of the class's lock only tries it. */
SIM_TEST(slab_handler_only_tries, .cpus_nr = 1)
{
	struct slab_scene *scene = slab_scene_make(sim, SCENE_BYTES);

	slab_scene_fill(scene, SCENE_PER_SLAB - 1);
	sim_cpu(sim, 0, takes_two_gives_one, scene);
	sim_irq(sim, 0, handler, scene, 2);
	sim_run(sim);
	slab_scene_check(scene);
}
