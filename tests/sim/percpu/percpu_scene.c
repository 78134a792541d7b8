/* SPDX-License-Identifier: MIT */
#include "sim/percpu/percpu_scene.h"

#include "percpu/cache.h"
#include "percpu/map.h"

/* Copies are looked at in their first and last words: each access is a step of the schedule. */
static void fill(struct percpu_scene *scene, void *ptr, size_t bytes, uint32_t value)
{
	for (unsigned unit = 0; unit < scene->pc->units; unit++) {
		uint32_t *copy = quire_per_cpu_ptr(ptr, unit);

		copy[0] = value + unit;
		copy[bytes / 4 - 1] = value + unit;
	}
}

static void look(struct percpu_scene *scene, void *ptr, size_t bytes, uint32_t value, uint32_t step)
{
	for (unsigned unit = 0; unit < scene->pc->units; unit++) {
		const uint32_t *copy = quire_per_cpu_ptr(ptr, unit);

		check_u64_eq(copy[0], value + unit * step);
		check_u64_eq(copy[bytes / 4 - 1], value + unit * step);
	}
}

static uint32_t number_of(const void *ptr)
{
	return (uint32_t)((uintptr_t)ptr >> 2) | 1u << 31;
}

void *percpu_take(struct percpu_scene *scene, size_t bytes, unsigned flags)
{
	void *ptr = quire_alloc_percpu(scene->q, bytes, 0, flags);

	if (ptr == NULL) {
		fetch_add_relaxed(&scene->refused, 1); /* read at the end */
		return NULL;
	}
	look(scene, ptr, bytes, 0, 0);
	fill(scene, ptr, bytes, number_of(ptr));
	fetch_add_relaxed(&scene->live, 1); /* read at the end */
	return ptr;
}

void percpu_give(struct percpu_scene *scene, void *ptr, size_t bytes)
{
	if (ptr == NULL)
		return;
	look(scene, ptr, bytes, number_of(ptr), 1);
	fetch_sub_relaxed(&scene->live, 1); /* read at the end */
	quire_free_percpu(scene->q, ptr);
}

static struct percpu_scene *make(struct sim *sim, bool stacks, unsigned units,
				 enum quire_placement placement)
{
	struct percpu_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .units = units,
				   .rseq = stacks ? QUIRE_ON : QUIRE_OFF, .placement = placement,
				   .worker = QUIRE_WORKER_OFF);

	check_u64_eq(quire_create(&options, &scene->q), 0);
	quire_free_percpu(scene->q, quire_alloc_percpu(scene->q, PAGE_BYTES, 0, 0));
	scene->pc = scene->q->percpu;
	sim_name(scene->q, sizeof(*scene->q), "q");
	sim_name(scene->pc, sizeof(*scene->pc), "percpu");
	sim_name(scene->pc->chunk, 4 * sizeof(struct percpu_chunk), "chunk");
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		scene->object[i] = percpu_take(scene, PAGE_BYTES, 0);
	SIM_CHECK(scene->pc->chunks_nr == 2);
	return scene;
}

struct percpu_scene *percpu_scene_make_empty(struct sim *sim, struct quire_options options)
{
	struct percpu_scene *scene = sim_zalloc(sim, sizeof(*scene));

	options.limit_bytes = UINT64_C(8) << 20;
	options.units = 2;
	check_u64_eq(quire_create(&options, &scene->q), 0);
	quire_free_percpu(scene->q, quire_alloc_percpu(scene->q, 8, 0, 0));
	scene->pc = scene->q->percpu;
	return scene;
}

struct percpu_scene *percpu_scene_make(struct sim *sim, bool stacks)
{
	return make(sim, stacks, 2, QUIRE_PLACEMENT_PACKED);
}

struct percpu_scene *percpu_scene_make_sparse(struct sim *sim)
{
	return make(sim, false, DENSE_UNITS + 1, QUIRE_PLACEMENT_PACKED);
}

struct percpu_scene *percpu_scene_make_sparse_stacks(struct sim *sim)
{
	return make(sim, true, DENSE_UNITS + 1, QUIRE_PLACEMENT_PACKED);
}

struct percpu_scene *percpu_scene_make_linux(struct sim *sim)
{
	return make(sim, false, 2, QUIRE_PLACEMENT_LINUX);
}

struct percpu_scene *percpu_scene_make_warm(struct sim *sim)
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 8; i++)
		scene->small[i] = percpu_take(scene, i < 6 ? 8 : 16, 0);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 8, 0), 8);
	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, 16, 0), 16);
	return scene;
}

void percpu_open_stack(struct percpu *pc, uint32_t granules)
{
	store_relaxed(&pc->warm, pc->warm | UINT64_C(1) << (granules - 1));
	store_relaxed(&pc->learn[granules - 1].count, COUNT_WARM);
	cache_after_free(pc, granules);
}

void percpu_isolate(struct percpu_scene *scene, unsigned from, unsigned end)
{
	lock_token token;

	for (unsigned i = from; i < end; i++) {
		percpu_give(scene, scene->object[i], PAGE_BYTES);
		scene->object[i] = NULL;
	}
	token = lock_acquire(&scene->pc->lock);
	if (scene->pc->chunk[1].state == CHUNK_ACTIVE)
		chunk_isolate_locked(scene->pc, 1);
	lock_release(&scene->pc->lock, token);
}

void percpu_balance(struct percpu_scene *scene, bool all)
{
	mutex_acquire(&scene->pc->alloc_mutex);
	balance(scene->pc, all);
	mutex_release(&scene->pc->alloc_mutex);
}

uint64_t percpu_use_up_limit(struct percpu_scene *scene, unsigned flags)
{
	uint64_t pages = 0;

	for (uint64_t step = 1024; step != 0; step /= 2)
		while (page_charge(scene->q, step, flags | QUIRE_NORETRY) == 0)
			pages += step;
	return pages;
}

uint64_t percpu_charged(const struct percpu_scene *scene)
{
	const struct percpu *pc = scene->pc;

	return (uint64_t)pc->populated_pages * pc->units + space_charged_pages(pc);
}

/* The counts of free granules by kind are what the pages of that kind have. */
static void check_holes(const struct percpu *pc)
{
	uint64_t holes[STREAMS_NR] = { 0 };

	for (uint32_t page = 0; page < pc->pages_end; page++)
		if (pc->page[page].kind < STREAMS_NR)
			holes[pc->page[page].kind] += pc->page[page].free_nr;
	for (unsigned kind = 0; kind < STREAMS_NR; kind++)
		check_u64_eq(pc->holes[kind], holes[kind]);
}

void percpu_scene_check(struct percpu_scene *scene)
{
	struct quire_percpu_stat stat = QUIRE_PERCPU_STAT_INIT;

	check_holes(scene->pc);

	check_u64_eq(quire_verify(scene->q), 0);
	quire_percpu_stat_read(scene->q, &stat);
	check_u64_eq(stat.objects, scene->live);
}

void percpu_drains(void *arg)
{
	struct percpu_scene *scene = arg;

	mutex_acquire(&scene->pc->alloc_mutex);
	cache_drain(scene->pc, false);
	mutex_release(&scene->pc->alloc_mutex);
}

void percpu_empties_a_page_and_fills_another(void *arg)
{
	struct percpu_scene *scene = arg;

	percpu_give(scene, scene->object[2], PAGE_BYTES);
	percpu_take(scene, 64, QUIRE_NOWAIT);
}

bool percpu_has_last_map(const struct percpu_scene *scene, const void *ptr)
{
	const struct percpu *pc = scene->pc;

	return pc->map_page[pc->maps_nr - 1] == place_page(pc, place_of(pc, ptr));
}

void percpu_moves_the_last_map(void *arg)
{
	const struct percpu_scene *scene = arg;
	struct percpu *pc = scene->pc;
	uint32_t granule = place_granule(place_of(pc, scene->object[2]));
	lock_token token = lock_acquire(&pc->lock);

	map_give_locked(pc, granule_page(pc, granule));
	map_take_locked(pc, granule_page(pc, granule));
	map_set(pc, granule, granule + page_granules(pc), true);
	lock_release(&pc->lock, token);
}
