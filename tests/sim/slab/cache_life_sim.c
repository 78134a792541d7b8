/* SPDX-License-Identifier: MIT */
/* cache_life_sim.c - frees that come back late, visits, and a cache at its limit and at its end */
#include <quire/page.h>

#include "base/errno.h"
#include "sim/slab/cache_scene.h"
#include "slab/class.h"
#include "slab/record.h"

#define MORE_THAN_A_SLAB 130u /* objects */

static void give_from(struct cache_scene *scene, unsigned from, unsigned end)
{
	for (unsigned i = from; i < end; i++) {
		object_give_at(scene, i);
	}
}

/* ---- deferred frees ---- */

static void defers_one(void *arg)
{
	struct cache_scene *scene = arg;

	fetch_sub_relaxed(&scene->live, 1); /* read at the end */
	sheaf_defer(scene->s, scene->class, scene->object[0]);
	scene->object[0] = NULL;
}

static void takes_deferred_once(void *arg)
{
	sheaf_take_deferred(((struct cache_scene *)arg)->s);
}

/* No other free follows that would announce it once more. */
SIM_TEST(slab_last_deferred_free_is_found, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, false, 2);

	sim_cpu(sim, 0, defers_one, scene);
	sim_cpu(sim, 1, takes_deferred_once, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* Who takes the flag finds both bits, though the stores that set them come late. */
SIM_TEST(slab_deferred_bits_are_there_with_the_flag, .model = SIM_ARM, .enters = { "take_slab" })
{
	struct cache_scene *scene = cache_scene_make(sim, false, 2);

	sim_cpu(sim, 0, defers_one, scene);
	sim_cpu(sim, 1, takes_deferred_once, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void writes_and_defers(void *arg)
{
	struct cache_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++) {
		scene->object[i][1] = i;
		fetch_sub_relaxed(&scene->live, 1); /* read at the end */
		sheaf_defer(scene->s, scene->class, scene->object[i]);
		scene->object[i] = NULL;
	}
}

static void takes_deferred_and_writes(void *arg)
{
	struct cache_scene *scene = arg;
	void *objects[2];
	unsigned n;

	sheaf_take_deferred(scene->s);
	n = objects_take(scene->s, scene->class, objects, 2, 0); /* the lowest */
	for (unsigned i = 0; i < n; i++)
		((uint64_t *)objects[i])[1] = 2;
	objects_give(scene->s, scene->class, objects, n, 0);
}

/* Whoever gets it next comes after whoever freed it, and whatever flag it was found by. */
SIM_TEST(slab_deferred_object_is_handed_over, .enters = { "take_slab" })
{
	struct cache_scene *scene = cache_scene_make(sim, false, 2);

	sim_cpu(sim, 0, writes_and_defers, scene);
	sim_cpu(sim, 1, takes_deferred_and_writes, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* Makes scene->object[1] one whose bit is not in the map's first word. */
static void take_far_object(struct cache_scene *scene)
{
	void *objects[MORE_THAN_A_SLAB];
	uint64_t **own = &scene->object[1];

	object_give(scene, *own);
	*own = NULL;
	check_u64_eq(quire_cache_alloc_bulk(scene->cache, 0, MORE_THAN_A_SLAB, objects),
		     MORE_THAN_A_SLAB);
	for (unsigned i = 0; i < MORE_THAN_A_SLAB; i++) {
		uint64_t *object = objects[i];

		if (*own == NULL && ((uintptr_t)object >> 15 & 1) != 0) {
			*own = object;
			store_relaxed(object, (uintptr_t)object); /* as object_take() does */
			scene->live++;
		} else {
			quire_cache_free(scene->cache, object);
		}
	}
	sheaves_drain(scene->s, 0);
}

static void takes_deferred_twice(void *arg)
{
	takes_deferred_once(arg);
	takes_deferred_once(arg);
}

/* The slab has another deferred free already, in a later word of its map: no word is looked at before the slab's bit was
 * taken. */
SIM_TEST(slab_deferred_words_are_read_late, .model = SIM_ARM, .enters = { "take_slab" })
{
	struct cache_scene *scene = cache_scene_make(sim, false, 2);

	take_far_object(scene);
	sheaf_defer(scene->s, scene->class, scene->object[1]);
	scene->object[1] = NULL;
	scene->live--;
	sim_cpu(sim, 0, defers_one, scene);
	sim_cpu(sim, 1, takes_deferred_twice, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* The slab of an object that the scene still has. */
static uint32_t record_of(const struct cache_scene *scene, unsigned i)
{
	const struct slab_class *c = &scene->s->class[scene->class];

	return object_place(scene->s, c, scene->object[i]).record;
}

static void forks_child_and_takes_flagged(void *arg)
{
	struct cache_scene *scene = arg;

	sim_fork_child();
	sheaf_take_flagged(scene->s);
	SIM_CHECK(*deferred_map(scene->s, record_of(scene, 1)) == 0);
	store_relaxed(&scene->turn, 1);
}

/* A thread that takes in deferred frees does not exist in the child, which takes them in itself: none is lost. */
SIM_TEST(slab_fork_beside_who_takes_deferred_frees, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "objects_give_deferred", "sheaf_fork_child_deferred" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	defers_one(scene);
	sim_cpu(sim, 0, takes_deferred_once, scene);
	sim_cpu(sim, 1, forks_child_and_takes_flagged, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	cache_scene_check(scene);
}

/* The child has the free's bit, and not yet its flags. */
SIM_TEST(slab_fork_beside_a_deferred_free, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "sheaf_fork_child_deferred" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sheaf_defer(scene->s, scene->class, scene->object[2]);
	sheaf_take_deferred(scene->s);
	sim_cpu(sim, 0, defers_one, scene);
	sim_cpu(sim, 1, forks_child_and_takes_flagged, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void destroys_it(void *arg)
{
	struct cache_scene *scene = arg;

	check_u64_eq((uint64_t)quire_cache_destroy(scene->cache), 0);
}

/* What a handler freed is not in use. */
SIM_TEST(slab_destroy_takes_deferred_frees, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	give_from(scene, 1, OBJECTS_NR);
	defers_one(scene);
	sim_cpu(sim, 0, destroys_it, scene);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

/* ---- visits ---- */

static void visits_once(void *arg)
{
	struct cache_scene *scene = arg;

	slabs_tick(&scene->s->module, 16 * scene->s->decay_ns);
}

static void gives_one(void *arg)
{
	give_from(arg, 0, 1);
}

/* What is cached while the worker visits is seen by this visit, or another one is due. */
SIM_TEST(slab_kick_during_a_visit_counts, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	for (unsigned i = 1; i < 8; i++)
		slabs_tick(&scene->s->module, i * scene->s->decay_ns);
	check_u64_eq(scene->s->due_ns, WORK_IDLE);
	sim_cpu(sim, 0, gives_one, scene);
	sim_cpu(sim, 1, visits_once, scene);
	sim_run(sim);
	SIM_CHECK(sheaves_count(scene->s, scene->class) == 0 ||
		  load_relaxed(&scene->s->due_ns) != WORK_IDLE);
	cache_scene_end(scene);
}

static struct quire_cache *another_cache(struct cache_scene *scene, size_t bytes, unsigned flags)
{
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "other", .size = bytes, .flags = flags);
	struct quire_cache *cache;

	check_u64_eq((uint64_t)quire_cache_create(scene->q, &options, &cache), 0);
	return cache;
}

/* A visit is due, and CPU @cpu frees while the worker makes it. */
static void frees_beside_a_visit(struct sim *sim, bool sheaves, unsigned cpu)
{
	struct cache_scene *scene = cache_scene_make(sim, sheaves, 4);

	for (unsigned i = 1; i < 8; i++)
		slabs_tick(&scene->s->module, i * scene->s->decay_ns);
	store_relaxed(&scene->s->due_ns, 16 * scene->s->decay_ns);
	sim_cpu(sim, cpu, gives_one, scene);
	sim_cpu(sim, 1 - cpu, visits_once, scene);
	sim_run(sim);
	SIM_CHECK(sheaves_count(scene->s, scene->class) == 0 ||
		  load_relaxed(&scene->s->due_ns) != WORK_IDLE);
	cache_scene_end(scene);
}

/* A free looks whether a visit is due when what it has put into the barn may not be seen yet. */
SIM_TEST(slab_kick_for_a_barn_is_not_lost, .model = SIM_TSO, .enters = { "barn_tick" })
{
	frees_beside_a_visit(sim, false, 0);
}

/* Nor that its CPU has sheaves now. */
SIM_TEST(slab_kick_for_a_first_sheaf_is_not_lost, .model = SIM_TSO,
	 .enters = { "slab/cpu.c:begin_locked" })
{
	frees_beside_a_visit(sim, true, 1);
}

static void visits_beside_a_busy_class(void *arg)
{
	struct cache_scene *scene = arg;
	struct quire_cache *busy = another_cache(scene, 1024, QUIRE_CACHE_OWN);
	struct objects_count count;

	for (unsigned i = 1; i <= 8; i++) {
		quire_cache_free(busy, quire_cache_alloc(busy, 0));
		quire_cache_shrink(busy);
		quire_cache_free(busy, quire_cache_alloc(busy, 0));
		slabs_tick(&scene->s->module, i * scene->s->decay_ns);
	}
	objects_count(scene->s, scene->class, &count);
	check_u64_eq(count.slabs, 0);
	check_u64_eq((uint64_t)quire_cache_destroy(busy), 0);
}

/* A class that is always in use does not keep the others from giving back. */
SIM_TEST(slab_busy_class_does_not_starve_others, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_from(scene, 0, OBJECTS_NR);
	sim_cpu(sim, 0, visits_beside_a_busy_class, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void shrinks_all(void *arg)
{
	struct cache_scene *scene = arg;
	struct objects_count count;

	SIM_CHECK(slabs_shrink(&scene->s->module) != 0);
	objects_count(scene->s, scene->class, &count);
	check_u64_eq(count.slabs, 0);
}

/* quire_release() reaches every class: the first cache has the last one. */
SIM_TEST(slab_release_empties_every_class, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	check_u64_eq(scene->class, CLASSES_MAX - 1);
	give_from(scene, 0, OBJECTS_NR);
	sim_cpu(sim, 0, shrinks_all, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- at the limit ---- */

/* No page is left, and no object but @n, which are on CPU 0's sheaf. */
static struct cache_scene *full_scene(struct sim *sim, unsigned keeps, unsigned n)
{
	struct cache_scene *scene = cache_scene_make(sim, true, keeps);

	while (quire_alloc_pages(scene->q, 6, QUIRE_NORETRY) != NULL)
		;
	while (quire_alloc_pages(scene->q, 4, QUIRE_NORETRY) != NULL)
		;
	while (object_take(scene, QUIRE_NORETRY) != NULL)
		;
	give_from(scene, 0, n);
	check_u64_eq(sheaves_count(scene->s, scene->class), n);
	return scene;
}

static void takes_at_the_limit(void *arg)
{
	struct cache_scene *scene = arg;

	scene->object[8] = object_take(scene, 0); /* which is not refused */
}

SIM_TEST(slab_allocation_at_the_limit_drains_others, .events = SIM_ABORT)
{
	struct cache_scene *scene = full_scene(sim, 4, 2);

	sim_cpu(sim, 1, takes_at_the_limit, scene);
	sim_run(sim);
	cache_scene_check(scene);
}

static void spills(void *arg)
{
	give_from(arg, 1, 2);
}

/* The one free object is on its way from a sheaf to the barn, and the drain waits for it at the door. */
SIM_TEST(slab_drain_waits_for_a_spill, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct cache_scene *scene = full_scene(sim, 1, 1);

	sim_cpu(sim, 0, spills, scene);
	sim_cpu(sim, 1, takes_at_the_limit, scene);
	sim_run(sim);
	cache_scene_check(scene);
}

/* ---- constructors ---- */

static void construct(void *object, void *arg)
{
	(void)arg;
	*(uint64_t *)object = (uintptr_t)object;
}

static void uses_constructed_objects(void *arg)
{
	struct cache_scene *scene = arg;
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "made", .size = 4096, .construct = construct);
	struct quire_cache *cache;
	uint64_t *first, *object;

	check_u64_eq((uint64_t)quire_cache_create(scene->q, &options, &cache), 0);
	first = quire_cache_alloc(cache, 0);
	for (unsigned i = 0; i < 4; i++) {
		sheaves_drain(scene->s, 0);
		objects_unback(scene->s, NULL);
		object = quire_cache_alloc(cache, 0);
		check_u64_eq(*object, (uintptr_t)object);
		quire_cache_free(cache, object);
	}
	quire_cache_free(cache, first);
	check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
}

/* Objects are found as they were constructed, whatever memory goes back meanwhile. */
SIM_TEST(slab_constructed_objects_keep_their_pages, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "slab/unback.c:hold" })
{
	cache_scene_run_alone(sim, 4, uses_constructed_objects);
}

/* ---- what is in use ---- */

static void looks_what_is_used(void *arg)
{
	struct cache_scene *scene = arg;
	void *used[OBJECTS_NR];

	check_u64_eq(quire_cache_used(scene->cache, used, OBJECTS_NR), OBJECTS_NR);
	for (unsigned i = 0; i < OBJECTS_NR; i++) /* each has its number in it */
		check_u64_eq(load_relaxed((uint64_t *)used[i]), (uintptr_t)used[i]);
}

static void shrinks_them(void *arg)
{
	slabs_shrink(&((struct cache_scene *)arg)->s->module);
}

/* A slab that is given back beside the walk has no object in use. */
SIM_TEST(slab_used_objects_beside_a_shrink,
	 .enters = { "quire_cache_used", "objects_used", "add_used_locked", "free_leavers" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);
	void *object[MORE_THAN_A_SLAB];

	check_u64_eq(quire_cache_alloc_bulk(scene->cache, 0, MORE_THAN_A_SLAB, object),
		     MORE_THAN_A_SLAB);
	quire_cache_free_bulk(scene->cache, MORE_THAN_A_SLAB, object);
	sim_cpu(sim, 0, looks_what_is_used, scene);
	sim_cpu(sim, 1, shrinks_them, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

/* ---- caches that end ---- */

static unsigned caches_nr(struct slabs *s)
{
	unsigned n = 0;

	for (uint32_t i = s->caches_head; i != POOL_NONE && n < 8; n++)
		i = ((struct quire_cache *)pool_record(&s->caches, i))->next;
	return n;
}

static void destroys_and_makes_another(void *arg)
{
	struct cache_scene *scene = arg;
	struct quire_cache *other = another_cache(scene, 1024, 0);

	check_u64_eq((uint64_t)quire_cache_destroy(other), 0);
	check_u64_eq(caches_nr(scene->s), 1);
	other = another_cache(scene, 1024, 0); /* in the record of the first one */
	check_u64_eq(caches_nr(scene->s), 2);
	check_u64_eq((uint64_t)quire_cache_destroy(other), 0);
	check_u64_eq(caches_nr(scene->s), 1);
}

/* A destroyed cache is on the instance's list no more. */
SIM_TEST(slab_destroyed_cache_is_unlinked, .cpus_nr = 1)
{
	cache_scene_run_alone(sim, 4, destroys_and_makes_another);
}

static void makes_a_plain_one_beside(void *arg)
{
	struct cache_scene *scene = arg;
	struct quire_cache *plain = another_cache(scene, 512, 0), *shared;

	SIM_CHECK(plain->class != scene->class);
	shared = another_cache(scene, 512, 0);
	check_u64_eq(shared->class, plain->class);
	check_u64_eq((uint64_t)quire_cache_destroy(shared), 0);
	check_u64_eq((uint64_t)quire_cache_destroy(plain), 0);
}

/* A class that a cache has asked for is its own, whatever sizes others have. */
SIM_TEST(slab_own_class_is_not_shared, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "slab/class.c:is_shared" })
{
	cache_scene_run_alone(sim, 4, makes_a_plain_one_beside);
}

static void asks_for_classes(void *arg)
{
	struct cache_scene *scene = arg;
	struct slabs *s = scene->s;
	int class;

	mutex_acquire(&s->mutex);
	class = class_get_locked(s, 64, 4096, CLASS_PLAIN, 0);
	SIM_CHECK(class > 0);
	check_u64_eq(s->class[class].size, 4096);
	check_u64_eq((uint64_t)-class_get_locked(s, 64, 8192, CLASS_PLAIN, 0), EINVAL);
	class_put_locked(s, (unsigned)class);
	mutex_release(&s->mutex);
}

/* Objects of a class are at multiples of a page at most. */
SIM_TEST(slab_class_is_aligned_to_a_page_at_most, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "class_get_locked" })
{
	cache_scene_run_alone(sim, 4, asks_for_classes);
}

struct made_anew {
	struct cache_scene *scene;
	struct quire_cache *cache; /* that has the slab now */
};

/* The slab leaves its class, and another one has it, whose object is deferred at once. */
static void defers_of_a_slab_made_anew(void *arg)
{
	struct made_anew *anew = arg;
	struct cache_scene *scene = anew->scene;
	void *first = scene->object[0];

	give_from(scene, 0, OBJECTS_NR);
	sheaves_drain(scene->s, scene->class);
	objects_shrink(scene->s, scene->class);
	anew->cache = another_cache(scene, 1024, QUIRE_CACHE_OWN);
	SIM_CHECK(quire_cache_alloc(anew->cache, 0) == first);
	sheaf_defer(scene->s, anew->cache->class, first);
}

/* Whoever took the slab's flag, and read its class, gives no object of the next class to the one before. */
SIM_TEST(slab_deferred_flag_of_another_class, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "objects_give_deferred" })
{
	struct made_anew anew = { .scene = cache_scene_make(sim, true, 2) };
	struct slabs *s = anew.scene->s;
	uint32_t record = record_of(anew.scene, 0);

	/* As it is when another call has taken the free between its bit and its flag. */
	s->deferred_slabs[record / 64] |= (uint64_t)1 << record % 64;
	s->deferred_any = 1;
	sim_cpu(sim, 0, takes_deferred_once, anew.scene);
	sim_cpu(sim, 1, defers_of_a_slab_made_anew, &anew);
	sim_run(sim);
	check_u64_eq((uint64_t)quire_cache_destroy(anew.cache), 0);
	cache_scene_end(anew.scene);
}

static void makes_more_than_there_are(void *arg)
{
	struct cache_scene *scene = arg;
	const struct quire_cache_options options =
		QUIRE_CACHE_OPTIONS_INIT(.name = "more", .size = 1024, .flags = QUIRE_CACHE_OWN);
	struct quire_cache *last = another_cache(scene, 1024, QUIRE_CACHE_OWN), *more;

	check_u64_eq((uint64_t)-quire_cache_create(scene->q, &options, &more), ENOSPC);
	check_u64_eq((uint64_t)quire_cache_destroy(last), 0);
}

/* Numbers that are malloc's no cache gets, though they are not used yet. */
SIM_TEST(slab_reserved_classes_are_no_caches, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "find_locked" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	class_reserve(scene->s, CLASSES_MAX - 3); /* two remain, and the scene has one */
	sim_cpu(sim, 0, makes_more_than_there_are, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void makes_two_in_turn(void *arg)
{
	struct cache_scene *scene = arg;
	const size_t bytes[] = { 1024, 16384 }; /* with slabs of 64 and of 256 KiB */

	for (unsigned i = 0; i < 2; i++) {
		struct quire_cache *cache = another_cache(scene, bytes[i], QUIRE_CACHE_OWN);

		check_u64_eq(cache->class, CLASSES_MAX - 2);
		quire_cache_free(cache, quire_cache_alloc(cache, 0));
		check_u64_eq((uint64_t)quire_cache_destroy(cache), 0);
	}
}

static void class_is_made_anew_beside(struct sim *sim, void (*other)(void *))
{
	struct cache_scene *scene = cache_scene_make(sim, true, 2);

	sim_cpu(sim, 0, makes_two_in_turn, scene);
	sim_cpu(sim, 1, other, scene);
	sim_run(sim);
	cache_scene_end(scene);
}

static void drains_all(void *arg)
{
	sheaves_drain(((struct cache_scene *)arg)->s, 0);
}

/* Whoever looks at all classes may come to one that has ended, and is being made for larger objects: its locks are the
 * same, and slabs that leave are as large as they were. */
SIM_TEST(slab_class_is_made_anew_beside_a_drain, .enters = { "begin_locked", "barn_drain" })
{
	class_is_made_anew_beside(sim, drains_all);
}

SIM_TEST(slab_class_is_made_anew_beside_a_shrink, .enters = { "begin_locked", "free_leavers" })
{
	class_is_made_anew_beside(sim, shrinks_them);
}

SIM_TEST(slab_class_is_made_anew_beside_a_visit, .enters = { "objects_tick" })
{
	class_is_made_anew_beside(sim, visits_once);
}

static void reads_figures(void *arg)
{
	struct quire_slab_stat stat = QUIRE_SLAB_STAT_INIT;

	check_u64_eq((uint64_t)quire_slab_stat_read(((struct cache_scene *)arg)->q, &stat), 0);
}

SIM_TEST(slab_class_is_made_anew_beside_figures, .enters = { "slab/stat.c:collect" })
{
	class_is_made_anew_beside(sim, reads_figures);
}

static void destroys_and_makes_a_larger_one(void *arg)
{
	struct cache_scene *scene = arg;

	if (quire_cache_destroy(scene->cache) != 0)
		return; /* the last object is in use still */
	scene->turn = 1;
	another_cache(scene, 1024, QUIRE_CACHE_OWN);
}

/* What the sheaves keep is counted in units of the size that their class has now. */
static void check_kept_units(const struct slabs *s)
{
	for (unsigned slot = 0; slot < s->lean->slots_open; slot++) {
		const struct slab_cpu *cpu = &s->cpu[slot];
		uint32_t units = 0;

		for (unsigned class = 1; class < CLASSES_MAX; class ++)
			units += cpu->sheaf[class].keeps * (s->class[class].size >> ENTRY_SHIFT);
		check_u64_eq(cpu->keeps_units, units);
	}
}

/* The last free finds its sheaf drained already, lets it keep something, and puts the object elsewhere. */
SIM_TEST(slab_ended_class_keeps_nothing, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "sheaves_class_end" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	give_from(scene, 1, OBJECTS_NR);
	sim_cpu(sim, 0, gives_one, scene);
	sim_cpu(sim, 1, destroys_and_makes_a_larger_one, scene);
	sim_run(sim);
	check_kept_units(scene->s);
	if (scene->turn == 0)
		cache_scene_end(scene);
}

static void frees_all_then_destroys(void *arg)
{
	give_from(arg, 0, OBJECTS_NR);
	destroys_it(arg);
	((struct cache_scene *)arg)->turn = 1;
}

static void cache_ends_beside(struct sim *sim, void (*other)(void *))
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, frees_all_then_destroys, scene);
	sim_cpu(sim, 1, other, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
}

static void unbacks(void *arg)
{
	objects_unback(((struct cache_scene *)arg)->s, NULL);
}

/* The cache's slab is empty and held, since its memory is on its way back: it leaves when it is let go. */
SIM_TEST(slab_destroy_waits_for_a_held_slab, .events = SIM_MEMORY,
	 .enters = { "class_put_locked", "slab/unback.c:finish" })
{
	cache_ends_beside(sim, unbacks);
}

/* A slab that is given back meanwhile is not taken for one with objects in use. */
SIM_TEST(slab_destroy_beside_a_shrink, .enters = { "objects_count", "give_empty" })
{
	cache_ends_beside(sim, shrinks_them);
}

static void writes_the_last_byte_after_the_free(void *arg)
{
	struct cache_scene *scene = arg;
	struct quire_cache *poisoned = another_cache(scene, 500, QUIRE_CACHE_POISON);
	uint8_t *object = quire_cache_alloc(poisoned, 0);

	SIM_CHECK(object != NULL);
	quire_cache_free(poisoned, object);
	object[499] = 0;
	sim_end_by("misuse");
	(void)quire_cache_alloc(poisoned, 0);
	SIM_CHECK(false);
}

static void frees_twice_over_a_drain(void *arg)
{
	struct cache_scene *scene = arg;
	struct quire_cache *cleared = another_cache(scene, 500, QUIRE_CACHE_ZERO | QUIRE_CACHE_OWN);
	void *object = quire_cache_alloc(cleared, 0);

	quire_cache_free(cleared, object);
	sheaves_drain(scene->s, 0);
	sim_end_by("misuse");
	quire_cache_free(cleared, object);
	SIM_CHECK(false);
}

/* A cache whose objects leave the fast path looks at once whether the object is free in its slab. */
SIM_TEST(slab_second_free_over_a_drain_is_seen, .cpus_nr = 1, .enters = { "objects_check" })
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, frees_twice_over_a_drain, scene);
	sim_run(sim);
}

SIM_TEST(slab_poison_covers_the_last_byte, .cpus_nr = 1)
{
	struct cache_scene *scene = cache_scene_make(sim, true, 4);

	sim_cpu(sim, 0, writes_the_last_byte_after_the_free, scene);
	sim_run(sim);
}
