/* SPDX-License-Identifier: MIT */
/*
 * slab_hardened_sim.c - a hardened instance's objects: frees, allocations, drains, handlers and forks at once
 *
 * Objects are 16 KiB, so four wait in either half of the quarantine, and a scene that freed eight before its tasks
 * begin has an object leave with each free.  An object that is handed out twice finds its note set.
 */
#include <quire/quire.h>
#include <quire/slab.h>

#include "instance/instance.h"
#include "machine/atomic.h"
#include "machine/lock.h"
#include "machine/sim/sim.h"
#include "slab/cache.h"
#include "slab/class.h"
#include "slab/hardened.h"
#include "slab/objects.h"
#include "slab/sheaf.h"

#define SCENE_BYTES (UINT64_C(8) << 20)
#define SIZE	    16384u
#define CLASS	    1u
#define FILLED	    12u

struct hardened_scene {
	struct quire *q;
	struct slabs *s;
	uint8_t *taken; /* by 4 KiB of addresses */
	uint32_t held;	/* objects, by the scenario's tasks */
	uint32_t turn;	/* of the handler */
	void *object[FILLED];
};

static uint8_t *note_of(const struct hardened_scene *scene, const void *object)
{
	return &scene->taken[(size_t)((const char *)object - scene->s->base) >> 12];
}

/* One object, or NULL if only tried. */
static void *take(struct hardened_scene *scene, unsigned flags)
{
	uint64_t *object = hardened_alloc(scene->s, CLASS, 64, flags, "malloc");

	if (object == NULL) {
		SIM_CHECK(flags & QUIRE_NOLOCK);
		return NULL;
	}
	/* No other task can have it: whoever had it has cleared the note before. */
	check_u64_eq(exchange_acq_rel(note_of(scene, object), 1), 0);
	check_u64_eq(object[0], 0);
	object[0] = (uintptr_t)object;
	fetch_add_relaxed(&scene->held, 1); /* read at the end */
	return object;
}

static void give(struct hardened_scene *scene, void *object)
{
	check_u64_eq(*(uint64_t *)object, (uintptr_t)object);
	check_u64_eq(exchange_acq_rel(note_of(scene, object), 0), 1); /* with take() */
	fetch_sub_relaxed(&scene->held, 1);			      /* read at the end */
	hardened_free(scene->s, object, "free");
}

static struct hardened_scene *scene_make(struct sim *sim)
{
	struct hardened_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = SCENE_BYTES, .worker = QUIRE_WORKER_OFF);
	int error = 0;

	check_u64_eq(quire_create(&options, &scene->q), 0);
	scene->q->hardened = true;
	scene->s = slabs_get(scene->q, &error);
	SIM_CHECK(scene->s != NULL);
	class_reserve(scene->s, CLASS);
	check_u64_eq((uint64_t)class_make(scene->s, CLASS, SIZE), 0);
	scene->taken = sim_zalloc(sim, scene->s->span_bytes >> 12);
	for (unsigned i = 0; i < FILLED; i++)
		scene->object[i] = take(scene, 0);
	for (unsigned i = 4; i < FILLED; i++)
		give(scene, scene->object[i]);
	return scene;
}

static void scene_check(struct hardened_scene *scene)
{
	struct objects_count count;

	sheaf_take_deferred(scene->s);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	objects_count(scene->s, CLASS, &count);
	check_u64_eq(count.objects - count.free, scene->held + hardened_waiting(scene->s, CLASS));
}

/* ---- users ---- */

static void gives_and_takes(void *arg)
{
	struct hardened_scene *scene = arg;

	give(scene, scene->object[0]);
	give(scene, take(scene, 0));
}

static void takes_and_gives(void *arg)
{
	struct hardened_scene *scene = arg;
	void *object = take(scene, 0);

	give(scene, scene->object[1]);
	give(scene, object);
}

/* What leaves the quarantine leaves it once, whoever frees beside. */
SIM_TEST(hardened_objects_leave_once, .events = SIM_RACE)
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, takes_and_gives, scene);
	sim_run(sim);
	scene_check(scene);
}

static void drains(void *arg)
{
	struct hardened_scene *scene = arg;

	hardened_drain(scene->s);
}

/* A drain takes what waits beside frees that exchange it. */
SIM_TEST(hardened_drain_beside_frees)
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, drains, scene);
	sim_run(sim);
	scene_check(scene);
}

/* ---- handlers ---- */

static void handler_gives_and_takes(void *arg)
{
	struct hardened_scene *scene = arg;
	uint32_t turn = fetch_add_relaxed(&scene->turn, 1); /* the handler's own */
	void *object;

	if (turn < 2)
		give(scene, scene->object[2 + turn]);
	object = take(scene, QUIRE_NOLOCK);
	if (object != NULL)
		give(scene, object);
}

/* At any step: the handler waits for nothing, and no object is lost. */
SIM_TEST(hardened_handler_interrupts_everything, .events = SIM_TRYFAIL)
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, takes_and_gives, scene);
	sim_irq(sim, 0, handler_gives_and_takes, scene, 3);
	sim_run(sim);
	scene_check(scene);
}

/* ---- one call ---- */

static void takes_three(void *arg)
{
	struct hardened_scene *scene = arg;
	void *object[3];

	for (unsigned i = 0; i < 3; i++)
		object[i] = take(scene, 0);
	check_u64_eq(scene->s->class[CLASS].slabs_nr, 2);
	for (unsigned i = 0; i < 3; i++)
		give(scene, object[i]);
}

/* The second of these finds few objects to draw from, and makes a slab; the third finds enough. */
SIM_TEST(hardened_class_grows_when_few_are_left, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "hardened_take" })
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, takes_three, scene);
	sim_run(sim);
	scene_check(scene);
}

static void asks_for_its_size(void *arg)
{
	struct hardened_scene *scene = arg;

	give(scene, scene->object[0]);
	sim_end_by_words("misuse", "double free");
	(void)hardened_bytes(scene->s, scene->object[0], "malloc_usable_size");
	SIM_CHECK(false);
}

/* An object that waits is in use as far as its slab knows, and is free to whoever asks for its size. */
SIM_TEST(hardened_object_has_no_size_once_it_is_free, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "hardened_bytes" })
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, asks_for_its_size, scene);
	sim_run(sim);
}

static void uses_a_cache(void *arg)
{
	struct hardened_scene *scene = arg;
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = 1024, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *cache;

	check_u64_eq((uint64_t)quire_cache_create(scene->q, &options, &cache), 0);
	quire_cache_free(cache, quire_cache_alloc(cache, 0));
	check_u64_eq(sheaves_count(scene->s, cache->class), 0);
	check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
}

/* A cache's objects, which do not wait, go into their slabs, out of which the next one is drawn. */
SIM_TEST(hardened_cache_has_no_sheaf, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "free_to_stock" })
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, uses_a_cache, scene);
	sim_run(sim);
	scene_check(scene);
}

/* ---- fork ---- */

static void forks_child(void *arg)
{
	struct hardened_scene *scene = arg;

	sim_fork_child();
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	give(scene, take(scene, 0));
	give(scene, scene->object[2]);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* The child's quarantine is whole, and it goes on with it. */
SIM_TEST(hardened_fork_child_of_a_user)
{
	struct hardened_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, gives_and_takes, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
}

static void gives_one(void *arg)
{
	struct hardened_scene *scene = arg;

	give(scene, scene->object[0]);
}

/* What waits in the quarantine leaves it some time later, though nothing else is freed. */
SIM_TEST(hardened_free_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "hardened_free", "slabs_kick" })
{
	struct hardened_scene *scene = scene_make(sim);

	store_relaxed(&scene->s->due_ns, WORK_IDLE);
	scene->q->work.due_ns = WORK_IDLE;
	sim_cpu(sim, 0, gives_one, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
	scene_check(scene);
}
