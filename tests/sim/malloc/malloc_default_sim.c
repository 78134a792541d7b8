/* SPDX-License-Identifier: MIT */
/* malloc_default_sim.c - malloc beside object caches of the same instance, and its first class */
#include <quire/slab.h>

#include "machine/work.h"
#include "sim/malloc/malloc_scene.h"
#include "slab/cache.h"
#include "slab/sheaf.h"

#define CONF  "limit:8m,worker:off,thp:off"
#define SMALL 64u

static void first_call(void *arg)
{
	struct malloc_scene *scene = arg;

	scene_keep(scene, 0, block_take(scene, SMALL));
	SIM_CHECK(scene->block[0].words != NULL);
}

static struct quire_cache *default_cache(void)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = 1024, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *cache;

	check_u64_eq((uint64_t)quire_cache_create(quire_default(), &options, &cache), 0);
	return cache;
}

static void makes_a_cache(void *arg)
{
	(void)arg;
	check_u64_eq((uint64_t)quire_cache_destroy(default_cache()), 0);
}

/* A process whose default instance is there before malloc's first call. */
static struct malloc_scene *scene_with_default(struct sim *sim, const char *conf)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF);

	sim_set_variable("QUIRE_CONF", conf);
	SIM_CHECK(quire_default() != NULL);
	return scene;
}

/* The program's first cache and malloc's heap are made in one instance: each has classes of its own. */
SIM_TEST(malloc_heap_is_made_beside_a_cache, .enters = { "class_reserve", "find_locked" })
{
	struct malloc_scene *scene = scene_with_default(sim, CONF);

	sim_cpu(sim, 0, first_call, scene);
	sim_cpu(sim, 1, makes_a_cache, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void has_a_cache_first(void *arg)
{
	struct quire_cache *cache = default_cache();
	void *object = quire_cache_alloc(cache, 0);

	first_call(arg);
	quire_cache_free(cache, object);
	check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
}

SIM_TEST(malloc_heap_is_made_after_a_cache, .cpus_nr = 1, .enters = { "publish" })
{
	struct malloc_scene *scene = scene_with_default(sim, CONF);

	sim_cpu(sim, 0, has_a_cache_first, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* Its slabs are as they are, so malloc goes on without, and says so. */
SIM_TEST(malloc_is_not_hardened_after_a_cache, .cpus_nr = 1, .enters = { "set_hardened" })
{
	struct malloc_scene *scene = scene_with_default(sim, CONF ",hardened:on");

	sim_end_by("warning");
	sim_cpu(sim, 0, has_a_cache_first, scene);
	sim_run(sim);
	SIM_CHECK(false);
}

/* Whoever comes first, malloc takes the slabs for what they are. */
SIM_TEST(malloc_is_hardened_beside_a_cache, .enters = { "set_hardened", "slabs_get" })
{
	struct malloc_scene *scene = scene_with_default(sim, CONF ",hardened:on");

	sim_end_by("warning");
	sim_cpu(sim, 0, first_call, scene);
	sim_cpu(sim, 1, makes_a_cache, scene);
	sim_run(sim);
	SIM_CHECK(malloc_heap.slabs->hardened != NULL);
	malloc_scene_end(scene);
}

/* ---- the class of the smallest blocks, which is the first ---- */

#define LEAST_BYTES 8u

static struct malloc_scene *scene_of_least(struct sim *sim, const char *conf)
{
	struct malloc_scene *scene = scene_with_default(sim, conf);

	for (unsigned i = 0; i < 8; i++)
		scene_keep(scene, i, block_take(scene, LEAST_BYTES));
	check_u64_eq(malloc_class_at(scene->block[0].words), 1);
	for (unsigned i = 0; i < 4; i++)
		block_give(scene, &scene->block[i]);
	return scene;
}

static void frees_all_and_visits(void *arg)
{
	struct malloc_scene *scene = arg;
	struct slabs *s = malloc_heap.slabs;
	uint64_t now_ns = 0, due_ns = 0;

	for (unsigned i = 4; i < 8; i++)
		block_give(scene, &scene->block[i]);
	for (unsigned i = 0; i < 12 && due_ns < WORK_IDLE; i++) {
		now_ns += s->decay_ns;
		due_ns = slabs_tick(&s->module, now_ns);
	}
	check_u64_eq(sheaves_count(s, 1), 0);
	check_u64_eq(s->class[1].slabs_nr, 0);
}

/* Visits leave nothing of it cached, and none of its slabs. */
SIM_TEST(malloc_visits_reach_the_first_class, .cpus_nr = 1, .enters = { "choose_idle_locked" })
{
	struct malloc_scene *scene = scene_of_least(sim, CONF);

	sim_cpu(sim, 0, frees_all_and_visits, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void frees_all_and_trims(void *arg)
{
	struct malloc_scene *scene = arg;

	for (unsigned i = 4; i < 8; i++)
		block_give(scene, &scene->block[i]);
	(void)malloc_give_back();
	check_u64_eq(malloc_heap.slabs->class[1].slabs_nr, 0);
}

static void trim_reaches_the_first_class(struct sim *sim, const char *conf)
{
	struct malloc_scene *scene = scene_of_least(sim, conf);

	sim_cpu(sim, 0, frees_all_and_trims, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

/* A trim leaves none of its slabs, nor what waits in its quarantine. */
SIM_TEST(malloc_trim_reaches_the_first_class, .cpus_nr = 1, .enters = { "slabs_shrink" })
{
	trim_reaches_the_first_class(sim, CONF);
}

SIM_TEST(malloc_hardened_trim_reaches_the_first_class, .cpus_nr = 1, .enters = { "hardened_drain" })
{
	trim_reaches_the_first_class(sim, CONF ",hardened:on");
}

static void destroys_after_a_handler(void *arg)
{
	struct quire_cache *cache = default_cache();

	(void)arg;
	check_u64_eq(cache->class, CLASSES_MAX - 1);
	sheaf_defer(malloc_heap.slabs, cache->class, quire_cache_alloc(cache, 0));
	check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
}

/* And what a handler has freed of the last class, a cache's, is in its quarantine, and not in use. */
SIM_TEST(malloc_hardened_cache_ends_after_a_handler, .cpus_nr = 1, .enters = { "hardened_drain" })
{
	struct malloc_scene *scene = scene_of_least(sim, CONF ",hardened:on");

	sim_cpu(sim, 0, destroys_after_a_handler, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void shares_it(void *arg)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "least", .size = LEAST_BYTES);
	struct quire_cache *cache;

	(void)arg;
	check_u64_eq((uint64_t)quire_cache_create(malloc_heap.q, &options, &cache), 0);
	check_u64_eq(cache->class, 1);
	check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
}

/* A plain cache of objects as large shares it. */
SIM_TEST(malloc_first_class_is_shared, .cpus_nr = 1, .enters = { "is_shared" })
{
	struct malloc_scene *scene = scene_of_least(sim, CONF);

	sim_cpu(sim, 0, shares_it, scene);
	sim_run(sim);
	malloc_scene_end(scene);
}

static void frees_four(void *arg)
{
	struct malloc_scene *scene = arg;

	for (unsigned i = 4; i < 8; i++)
		block_give(scene, &scene->block[i]);
}

static void child_frees_and_takes(void *arg)
{
	struct malloc_scene *scene = arg;
	struct slabs *s = malloc_heap.slabs;

	sim_fork_child();
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++)
		SIM_CHECK(!s->cpu[slot].warm);
	scene_keep(scene, 8, block_take(scene, LEAST_BYTES));
	check_u64_eq((uint64_t)quire_verify(malloc_heap.q), 0);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

static void child_beside_frees(struct sim *sim, const char *conf)
{
	struct malloc_scene *scene = scene_of_least(sim, conf);

	sim_cpu(sim, 0, frees_four, scene);
	sim_cpu(sim, 1, child_frees_and_takes, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* A child of fork finds its sheaves cold, and its barn's lock free, whoever had it in the parent. */
SIM_TEST(malloc_fork_child_has_the_first_class, .enters = { "sheaf_cool_locked" })
{
	child_beside_frees(sim, CONF);
}

SIM_TEST(malloc_fork_child_has_the_first_barn, .enters = { "sheaves_fork_prepare", "barn_put" })
{
	child_beside_frees(sim, CONF ",rseq:off");
}
