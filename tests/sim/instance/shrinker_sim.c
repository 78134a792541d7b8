/* SPDX-License-Identifier: MIT */
/*
 * shrinker_sim.c - the program's caches against allocations, unregistering and forks
 *
 * The instance is full but for what a cache holds, so an allocation is served by the cache or not at all.
 */
#include "sim/page/page_scene.h"

#include <quire/vmap.h>

#include "instance/module.h"

#define CACHED_NR   2u
#define CACHED_MOST 32u /* more than a step of records and two areas */

struct shrinker_scene {
	struct page_scene *pages;
	struct cache *cache;
	uint64_t id;
	bool allocates; /* in the call */
	uint32_t served;
};

/* The program's own object, which it frees once its shrinker is unregistered. */
struct cache {
	struct shrinker_scene *scene;
	void *page[CACHED_MOST];
	uint32_t pages_nr, calls_nr;
	uint32_t inside; /* atomic: calls under way */
};

/* Takes everything out of the cache before it frees the first page. */
static size_t scan(size_t bytes, void *arg)
{
	struct cache *cache = arg;
	struct shrinker_scene *scene = cache->scene;
	uint32_t pages_nr = cache->pages_nr;

	(void)bytes;
	cache->calls_nr++;
	cache->pages_nr = 0;
	check_u64_eq(fetch_add_relaxed(&cache->inside, 1), 0);
	if (scene->allocates)
		SIM_CHECK(quire_alloc_pages(scene->pages->q, 0, 0) == NULL);
	for (uint32_t i = 0; i < pages_nr; i++)
		give(scene->pages, cache->page[i], 0);
	fetch_sub_relaxed(&cache->inside, 1); /* read by the next call, under the turn */
	return (size_t)pages_nr << 12;
}

static struct shrinker_scene *scene_make_cached(struct sim *sim, uint32_t cached_nr)
{
	struct shrinker_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct cache *cache = sim_zalloc(sim, sizeof(*cache));
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "cache", .scan = scan, .arg = cache);

	scene->pages = page_scene_make(sim, false);
	scene->cache = cache;
	cache->scene = scene;
	for (; cache->pages_nr < cached_nr; cache->pages_nr++)
		cache->page[cache->pages_nr] = cache->pages_nr < CACHED_NR
						       ? scene->pages->page[cache->pages_nr]
						       : take(scene->pages, 0, 0);
	take_all_but(scene->pages, 0);
	check_u64_eq(quire_shrinker_register(scene->pages->q, &shrinker, &scene->id), 0);
	return scene;
}

static struct shrinker_scene *scene_make(struct sim *sim)
{
	return scene_make_cached(sim, CACHED_NR);
}

static void takes(void *arg)
{
	struct shrinker_scene *scene = arg;

	if (take(scene->pages, 0, 0) != NULL)
		fetch_add_relaxed(&scene->served, 1); /* read at the end */
}

static void unregisters(void *arg)
{
	struct shrinker_scene *scene = arg;

	quire_shrinker_unregister(scene->pages->q, scene->id);
	sim_free(scene->cache);
}

/* Whenever a shrinker is unregistered, afterwards nothing touches what it used.  Without that, a call under
 * way or a late one would use the cache after its end. */
SIM_TEST(unregistered_shrinker_is_called_no_more, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .events = SIM_MEMORY)
{
	struct shrinker_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, takes, scene);
	sim_cpu(sim, 1, unregisters, scene);
	sim_run(sim);
	check_u64_eq(scene->served + scene->pages->refused, 1);
}

/* Two allocations, and two pages in the cache: both are served, whoever makes the call and wherever the
 * other is meanwhile.  If the second did not wait, or did not try again, it would be refused. */
SIM_TEST(shrunk_memory_on_its_way_is_waited_for, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct shrinker_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, takes, scene);
	sim_cpu(sim, 1, takes, scene);
	sim_run(sim);
	check_u64_eq(scene->served, 2);
	check_u64_eq(scene->cache->calls_nr, 1);
}

/* A shrinker that allocates calls no shrinker, and does not wait for its own call. */
SIM_TEST(shrinker_that_allocates_is_refused, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct shrinker_scene *scene = scene_make(sim);

	scene->allocates = true;
	sim_cpu(sim, 0, takes, scene);
	sim_cpu(sim, 1, unregisters, scene);
	sim_run(sim);
	check_u64_eq(scene->served + (scene->pages->refused != 0), 1);
}

/* Two walks whose shrinker allocates, and gives up nothing: in either's call the turn is the caller's own,
 * however late the thread before it says that it has none. */
SIM_TEST(shrinker_of_two_walks_knows_its_turn)
{
	struct shrinker_scene *scene = scene_make(sim);

	scene->allocates = true;
	scene->cache->pages_nr = 0;
	sim_cpu(sim, 0, takes, scene);
	sim_cpu(sim, 1, takes, scene);
	sim_run(sim);
	check_u64_eq(scene->served, 0);
	check_u64_eq(scene->cache->calls_nr, 2);
}

static void takes_an_area(void *arg)
{
	struct shrinker_scene *scene = arg;

	if (quire_vmalloc(scene->pages->q, 4096, 0) != NULL)
		fetch_add_relaxed(&scene->served, 1); /* read at the end */
}

/* Two first areas, and no memory for their records but in the cache: both threads try to make the areas ready
 * and fail, one calls the shrinker, with no lock held, and either makes them ready, once. */
SIM_TEST(first_areas_at_the_limit_are_served, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "page_attempt" })
{
	struct shrinker_scene *scene = scene_make_cached(sim, CACHED_MOST);
	unsigned modules_nr = 0;

	sim_cpu(sim, 0, takes_an_area, scene);
	sim_cpu(sim, 1, takes_an_area, scene);
	sim_run(sim);
	check_u64_eq(scene->served, 2);
	check_u64_eq(scene->cache->calls_nr, 1);
	for (const struct quire_module *m = scene->pages->q->modules; m != NULL; m = m->next)
		modules_nr++;
	check_u64_eq(modules_nr, 2);
	check_u64_eq((uint64_t)quire_verify(scene->pages->q), 0);
}

static void registers_and_unregisters(void *arg)
{
	struct shrinker_scene *scene = arg;
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "second", .scan = scan, .arg = scene->cache);
	uint64_t id;

	check_u64_eq(quire_shrinker_register(scene->pages->q, &shrinker, &id), 0);
	quire_shrinker_unregister(scene->pages->q, id);
}

static void forks_and_takes(void *arg)
{
	struct shrinker_scene *scene = arg;

	sim_fork_child();
	registers_and_unregisters(scene);
	/* The parent's thread may have emptied the cache; its call has ended with it. */
	scene->cache->inside = 0;
	takes(scene);
	quire_shrinker_unregister(scene->pages->q, scene->id);
}

/* The child finds the table whole and the turn free, wherever another thread was in a call. */
SIM_TEST(fork_child_calls_its_parents_shrinkers, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct shrinker_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, forks_and_takes, scene);
	sim_cpu(sim, 1, takes, scene);
	sim_run(sim);
	SIM_CHECK(scene->served != 0 || scene->cache->pages_nr == 0);
}

/* The same where another thread changes the table. */
SIM_TEST(fork_child_finds_the_shrinkers_whole, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct shrinker_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, forks_and_takes, scene);
	sim_cpu(sim, 1, registers_and_unregisters, scene);
	sim_run(sim);
	check_u64_eq(scene->served, 1);
}

/* ---- the worker's calls ---- */

/* Its worker has run once, so it watches for memory pressure. */
static struct shrinker_scene *scene_make_watched(struct sim *sim)
{
	struct shrinker_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct cache *cache = sim_zalloc(sim, sizeof(*cache));
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "cache", .scan = scan, .arg = cache);

	scene->pages = page_scene_make_worker(sim);
	scene->cache = cache;
	cache->scene = scene;
	for (; cache->pages_nr < CACHED_NR; cache->pages_nr++)
		cache->page[cache->pages_nr] = scene->pages->page[cache->pages_nr];
	take_all_but(scene->pages, 0);
	check_u64_eq(quire_shrinker_register(scene->pages->q, &shrinker, &scene->id), 0);
	/* The worker looks once in a decay; pressure is what makes it look now. */
	scene->pages->q->relief_due_ns = UINT64_MAX / 2;
	work_watch_pressure(&scene->pages->q->work);
	return scene;
}

/* The worker may be in a call when the tasks have ended. */
static void run_and_stop(struct sim *sim, struct shrinker_scene *scene)
{
	sim_run(sim);
	check_u64_eq(quire_worker_stop(scene->pages->q), 0);
	page_scene_check(scene->pages);
}

static void presses(void *arg)
{
	struct shrinker_scene *scene = arg;

	work_start(&scene->pages->q->work, WORK_CALLER_WAITS);
	sim_press_memory(&scene->pages->q->work);
	sim_pass_ns(1);
}

/* Two pages in the cache, and two threads that need them, one of which makes the worker call for pressure:
 * both are served, whoever calls.  What the worker's call gave up counts for who waits for it. */
SIM_TEST(pressure_against_allocation)
{
	struct shrinker_scene *scene = scene_make_watched(sim);

	sim_cpu(sim, 0, presses, scene);
	sim_cpu(sim, 1, takes, scene);
	run_and_stop(sim, scene);
	check_u64_eq(scene->served, 1);
}

/* The same where the program drops the cache at once. */
SIM_TEST(unregistered_shrinker_is_not_called_for_pressure, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .events = SIM_MEMORY)
{
	struct shrinker_scene *scene = scene_make_watched(sim);

	sim_cpu(sim, 0, presses, scene);
	sim_cpu(sim, 1, unregisters, scene);
	run_and_stop(sim, scene);
}

/* The program stops the worker wherever that is: in a shrinker, or finding that another thread is in one.  The
 * stop ends, and the allocation is served. */
static void presses_and_stops(void *arg)
{
	struct shrinker_scene *scene = arg;

	presses(scene);
	check_u64_eq(quire_worker_stop(scene->pages->q), 0);
	quire_worker_start(scene->pages->q);
}

SIM_TEST(stop_waits_for_a_shrinker)
{
	struct shrinker_scene *scene = scene_make_watched(sim);

	sim_cpu(sim, 0, presses_and_stops, scene);
	sim_cpu(sim, 1, takes, scene);
	run_and_stop(sim, scene);
}

static void prints(void *arg)
{
	const struct shrinker_scene *scene = arg;
	char text[256];

	SIM_CHECK(quire_text_shrinkers(scene->pages->q, text, sizeof(text)) < sizeof(text));
}

/* The list is printed under the mutex, while a shrinker leaves it or is called. */
SIM_TEST(shrinkers_are_printed_beside_their_end, .enters = { "quire_text_shrinkers" })
{
	struct shrinker_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, prints, scene);
	sim_cpu(sim, 1, unregisters, scene);
	sim_run(sim);
	page_scene_check(scene->pages);
}

static size_t scans_nothing(size_t bytes, void *arg)
{
	(void)bytes;
	(void)arg;
	return 0;
}

static void registers(void *arg)
{
	struct page_scene *scene = arg;
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "nothing", .scan = scans_nothing);
	uint64_t id;

	check_u64_eq(quire_shrinker_register(scene->q, &shrinker, &id), 0);
}

/* An instance may be too small to be visited; with a shrinker the worker comes, and then watches for pressure. */
SIM_TEST(shrinker_that_is_registered_calls_the_worker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "quire_shrinker_register" })
{
	struct page_scene *scene = page_scene_make(sim, false);

	scene->q->work.due_ns = WORK_IDLE;
	sim_cpu(sim, 0, registers, scene);
	sim_run(sim);
	SIM_CHECK(scene->q->work.due_ns != WORK_IDLE);
}

/* ---- several of them ---- */

#define SEVERAL_NR 8u

struct several {
	struct page_scene *pages;
	struct one_of_several {
		struct several *all;
		uint64_t id;
		size_t gives; /* bytes that its call says */
		uint32_t calls_nr;
		size_t most_asked; /* bytes */
	} one[SEVERAL_NR];
	uint8_t called[SEVERAL_NR]; /* which, by their first calls */
	uint32_t called_nr;
};

static size_t scans_one(size_t bytes, void *arg)
{
	struct one_of_several *one = arg;
	struct several *all = one->all;

	if (one->calls_nr++ == 0)
		all->called[all->called_nr++] = (uint8_t)(one - all->one);
	if (bytes > one->most_asked)
		one->most_asked = bytes;
	return one->gives;
}

static struct several *several_make(struct sim *sim)
{
	struct several *all = sim_zalloc(sim, sizeof(*all));

	all->pages = page_scene_make(sim, false);
	return all;
}

static void register_one(struct several *all, unsigned i, uint32_t cost)
{
	struct one_of_several *one = &all->one[i];
	const struct quire_shrinker shrinker =
		QUIRE_SHRINKER_INIT(.name = "one", .scan = scans_one, .arg = one, .cost = cost);

	one->all = all;
	check_u64_eq(quire_shrinker_register(all->pages->q, &shrinker, &one->id), 0);
}

static void unregister_one(struct several *all, unsigned i)
{
	quire_shrinker_unregister(all->pages->q, all->one[i].id);
}

static void asks_for_more_than_there_is(void *arg)
{
	struct several *all = arg;

	take_all_but(all->pages, 0); /* the last of its calls is refused */
}

/* The cheapest shrinker is called first, of equal ones the oldest, and each once if none gives anything.  In which places they
 * are, and who had these before, does not matter. */
SIM_TEST(shrinkers_are_called_by_cost_and_then_by_age, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	static const uint8_t expected[] = { 3, 5, 2, 4 };
	struct several *all = several_make(sim);

	register_one(all, 0, 3);
	register_one(all, 1, 3);
	register_one(all, 2, 3);
	unregister_one(all, 0);
	unregister_one(all, 1);
	register_one(all, 3, 1); /* these two have the places of the first two */
	register_one(all, 4, 3);
	register_one(all, 5, 1);
	register_one(all, 6, 9);
	unregister_one(all, 6);
	sim_cpu(sim, 0, asks_for_more_than_there_is, all);
	sim_run(sim);
	check_u64_eq(all->called_nr, sizeof(expected));
	for (unsigned i = 0; i < sizeof(expected); i++) {
		check_u64_eq(all->called[i], expected[i]);
		check_u64_eq(all->one[expected[i]].calls_nr, 1);
	}
}

/* A shrinker that says that it gave while nothing came back is asked for twice as much each time, up to the limit.  Then the
 * next one is called. */
SIM_TEST(shrinker_that_gives_in_vain_is_asked_up_to_the_limit, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1)
{
	struct several *all = several_make(sim);

	register_one(all, 0, 0);
	register_one(all, 1, 1);
	all->one[0].gives = 4096;
	sim_cpu(sim, 0, asks_for_more_than_there_is, all);
	sim_run(sim);
	check_u64_eq(all->called_nr, 2);
	check_u64_eq(all->one[0].most_asked, (uint64_t)load_relaxed(&all->pages->q->limit_pages)
						     << 12);
}

static void asks_for_more_than_the_limit(void *arg)
{
	struct several *all = arg;
	uint64_t limit_pages = load_relaxed(&all->pages->q->limit_pages);

	SIM_CHECK(quire_vmalloc(all->pages->q, (limit_pages + 1) << 12, 0) == NULL);
}

/* What no shrinker could serve, none is asked for. */
SIM_TEST(request_beyond_the_limit_calls_no_shrinker, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1)
{
	struct several *all = several_make(sim);

	register_one(all, 0, 0);
	sim_cpu(sim, 0, asks_for_more_than_the_limit, all);
	sim_run(sim);
	check_u64_eq(all->called_nr, 0);
}
