/* SPDX-License-Identifier: MIT */
#include "sim/slab/cache_scene.h"

#define PLACE_FAR   40u
#define SCENE_BYTES (UINT64_C(8) << 20)

uint64_t *object_take(struct cache_scene *scene, unsigned flags)
{
	uint64_t *object = quire_cache_alloc(scene->cache, flags);

	if (object == NULL) {
		SIM_CHECK(flags != 0);
		return NULL;
	}
	store_relaxed(object, (uintptr_t)object); /* two owners are found by object_give() */
	fetch_add_relaxed(&scene->live, 1);	  /* read at the end */
	return object;
}

void object_give(struct cache_scene *scene, uint64_t *object)
{
	if (object == NULL)
		return;
	check_u64_eq(load_relaxed(object), (uintptr_t)object);
	store_relaxed(object, 0u);
	fetch_sub_relaxed(&scene->live, 1); /* read at the end */
	quire_cache_free(scene->cache, object);
}

void object_give_at(struct cache_scene *scene, unsigned i)
{
	object_give(scene, scene->object[i]);
	scene->object[i] = NULL;
}

static struct cache_scene *scene_of(struct sim *sim, const struct quire_options *options,
				    unsigned keeps)
{
	struct cache_scene *scene = sim_zalloc(sim, sizeof(*scene));
	const struct quire_cache_options cache =
		QUIRE_CACHE_OPTIONS_INIT(.name = "scene", .size = 512, .flags = QUIRE_CACHE_OWN);

	check_u64_eq(quire_create(options, &scene->q), 0);
	check_u64_eq(quire_cache_create(scene->q, &cache, &scene->cache), 0);
	scene->s = scene->q->slabs;
	scene->class = scene->cache->class;
	/* As if many classes had been used before: a sheaf's objects are on another page than its header. */
	scene->s->class[scene->class].place = PLACE_FAR;
	scene->s->class[scene->class].sheaf_first = (uint16_t)keeps;
	scene->s->class[scene->class].sheaf_most = (uint16_t)keeps;
	sim_name(scene->q, sizeof(*scene->q), "q");
	sim_name(&scene->s->class[scene->class], sizeof(struct slab_class), "class");
	sim_name(scene->s, sizeof(*scene->s), "slabs");
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		scene->object[i] = object_take(scene, 0);
	sheaves_drain(scene->s, 0);
	return scene;
}

struct cache_scene *cache_scene_make(struct sim *sim, bool sheaves, unsigned keeps)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = SCENE_BYTES,
				   .rseq = sheaves ? QUIRE_ON : QUIRE_OFF,
				   .worker = QUIRE_WORKER_OFF);

	return scene_of(sim, &options, keeps);
}

struct cache_scene *cache_scene_make_inline(struct sim *sim)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = SCENE_BYTES, .worker = QUIRE_WORKER_INLINE);

	return scene_of(sim, &options, 4);
}

struct cache_scene *cache_scene_make_shared(struct sim *sim)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = SCENE_BYTES, .backing = QUIRE_BACKING_MEMFD,
				   .worker = QUIRE_WORKER_OFF);

	return scene_of(sim, &options, 4);
}

void cache_scene_check(struct cache_scene *scene)
{
	struct quire_cache_stat stat = QUIRE_CACHE_STAT_INIT;

	check_u64_eq(scene->s->closed_nr, 0);
	check_u64_eq(scene->s->lean->slots_nr, scene->s->lean->slots_open);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	check_u64_eq((uint64_t)quire_cache_stat_read(scene->cache, &stat), 0);
	check_u64_eq(stat.used, scene->live);
}

void cache_scene_end(struct cache_scene *scene)
{
	cache_scene_check(scene);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		object_give(scene, scene->object[i]);
	check_u64_eq(scene->live, 0);
	check_u64_eq((uint64_t)quire_cache_destroy(scene->cache), 0);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

void cache_scene_run_alone(struct sim *sim, unsigned keeps, void (*body)(void *arg))
{
	struct cache_scene *scene = cache_scene_make(sim, true, keeps);

	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	cache_scene_end(scene);
}
