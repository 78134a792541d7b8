/* SPDX-License-Identifier: MIT */
/*
 * malloc_learn_sim.c - a class is learnt while others allocate, and while the process forks
 *
 * The simulator is compiled with LEARN_HELD_BYTES of 256 KiB, one slab of the scene's class: whoever grows it learns.  A
 * block is taken as malloc does it: the class from the table, an object of that class, then what the class has grown
 * by is noted.
 */
#include "malloc/learn.h"

#include "machine/atomic.h"
#include "machine/lock.h"
#include "slab/fast.h"
#include "slab/sheaf.h"
#include "sim/malloc/table_scene.h"

#define HOT_BYTES 18720u /* fourteen fit into a slab; of its class, 19,456, thirteen */
#define HOT_PLACE (HOT_BYTES / MALLOC_ALIGN)

struct learn_scene {
	struct quire *q;
	struct slabs *s;
	struct malloc_learn *learn;
	uint8_t *table;
	unsigned old;		 /* the class of the size before */
	uint32_t in_old, in_new; /* atomic: blocks that tasks took */
	uint32_t turn;
};

static struct learn_scene *learn_scene_make(struct sim *sim)
{
	struct learn_scene *scene = sim_zalloc(sim, sizeof(*scene));

	scene->s = table_scene_slabs();
	scene->q = scene->s->q;
	scene->table = table_scene_table(sim, true);
	scene->learn = sim_zalloc(sim, sizeof(*scene->learn));
	malloc_learn_begin(scene->learn, scene->s, scene->table);
	scene->old = scene->table[HOT_PLACE];
	check_u64_eq((uint64_t)class_make(scene->s, scene->old, malloc_table_bytes(scene->old)), 0);
	sim_name(scene->learn, sizeof(*scene->learn), "learn");
	return scene;
}

static void takes_a_block(void *arg)
{
	struct learn_scene *scene = arg;
	struct slabs *s = scene->s;
	unsigned class = load_acquire(&scene->table[HOT_PLACE]); /* as class.c does */
	uint64_t before = malloc_learn_slabs(scene->learn, class), after;
	int error = 0;
	void *block;

	SIM_CHECK(load_relaxed(&s->ready[class])); /* malloc makes only what it numbers itself */
	SIM_CHECK(s->class[class].size >= HOT_BYTES);
	block = slab_alloc_fast(s, class);
	if (block == NULL)
		block = sheaf_alloc_slow(s, class, 0, &error);
	SIM_CHECK(block != NULL);
	check_u64_eq(slab_byte(s, block), class);
	/* Read at the end. */
	fetch_add_relaxed(class == scene->old ? &scene->in_old : &scene->in_new, 1);
	after = malloc_learn_slabs(scene->learn, class);
	if (after > before)
		malloc_learn_grown(scene->learn, class, HOT_PLACE, after - before);
}

static void takes_two(void *arg)
{
	takes_a_block(arg);
	takes_a_block(arg);
}

/* The new class has the whole stretch up to its size, and no other place. */
static void check_table(const struct learn_scene *scene, unsigned new)
{
	table_scene_check(scene->table, true, scene->old, HOT_PLACE, new);
}

/* One class was learnt, by however many; all that was taken is in the class that the table named. */
static void learn_scene_end(struct learn_scene *scene)
{
	unsigned new = scene->table[HOT_PLACE];

	check_u64_eq(scene->learn->nr, 1);
	SIM_CHECK(new > MALLOC_CLASSES_NR);
	check_u64_eq(scene->s->class[new].size, HOT_BYTES);
	check_u64_eq(scene->s->class[new].caches_nr, 1);
	check_table(scene, new);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	check_u64_eq(table_scene_used(scene->s, scene->old), scene->in_old);
	check_u64_eq(table_scene_used(scene->s, new), scene->in_new);
}

/* Whoever finds the new class in the table finds it complete, also if other stores are late. */
SIM_TEST(malloc_learnt_class_is_ready_for_all, .model = SIM_PSO)
{
	struct learn_scene *scene = learn_scene_make(sim);

	sim_cpu(sim, 0, takes_two, scene);
	sim_cpu(sim, 1, takes_two, scene);
	sim_run(sim);
	learn_scene_end(scene);
}

/* Both make a slab of the old class at once, and both would learn. */
SIM_TEST(malloc_two_learn_one_class, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE)
{
	struct learn_scene *scene = learn_scene_make(sim);

	sim_cpu(sim, 0, takes_a_block, scene);
	sim_cpu(sim, 1, takes_a_block, scene);
	sim_run(sim);
	learn_scene_end(scene);
}

/* ---- fork ---- */

static void forks_child(void *arg)
{
	struct learn_scene *scene = arg;
	unsigned class;

	sim_fork_child();
	class = scene->table[HOT_PLACE];
	SIM_CHECK(class == scene->old || scene->learn->nr == 1);
	check_table(scene, class);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	takes_two(scene);
	store_relaxed(&scene->turn, 1);
}

/* The other has vanished at any step: the child has learnt all of it or nothing. */
SIM_TEST(malloc_fork_child_of_a_learner, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct learn_scene *scene = learn_scene_make(sim);

	sim_cpu(sim, 0, takes_a_block, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- the last one ---- */

#define OTHER_BYTES   9216u /* the lowest of the stretch of another class is as hot */
/* So many that one more class would be worth it, too. */
#define LAST_SLABS_NR 64u

/* Class @class is said to have grown for the lowest size of its stretch by all that it holds. */
static void grows_for_the_lowest(struct learn_scene *scene, unsigned class)
{
	size_t last = malloc_table_bytes(class) / MALLOC_ALIGN;

	malloc_learn_grown(scene->learn, class, malloc_table_first(scene->table, last),
			   LAST_SLABS_NR);
}

static void learns_one(void *arg)
{
	struct learn_scene *scene = arg;

	grows_for_the_lowest(scene, scene->old);
}

static void learns_another(void *arg)
{
	struct learn_scene *scene = arg;

	grows_for_the_lowest(scene, scene->table[OTHER_BYTES / MALLOC_ALIGN]);
}

static unsigned learnt_nr(const struct learn_scene *scene)
{
	unsigned nr = 0;

	for (size_t place = 1; place < TABLE_ENTRIES; place++)
		nr += scene->table[place] > MALLOC_CLASSES_NR &&
		      scene->table[place] != scene->table[place - 1];
	return nr;
}

/* One class may be learnt, and two are about to. */
SIM_TEST(malloc_last_class_is_learnt_by_one, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "learn_locked" })
{
	struct learn_scene *scene = learn_scene_make(sim);
	unsigned other = scene->table[OTHER_BYTES / MALLOC_ALIGN];

	check_u64_eq((uint64_t)class_make(scene->s, other, malloc_table_bytes(other)), 0);
	scene->learn->nr = LEARN_MAX - 1;
	/* As learn.c must find it. */
	store_relaxed(&scene->s->class[scene->old].slabs_nr, LAST_SLABS_NR);
	store_relaxed(&scene->s->class[other].slabs_nr, LAST_SLABS_NR);
	sim_cpu(sim, 0, learns_one, scene);
	sim_cpu(sim, 1, learns_another, scene);
	sim_run(sim);
	check_u64_eq(scene->learn->nr, LEARN_MAX);
	check_u64_eq(learnt_nr(scene), 1);
}

static void grows_for_another(void *arg)
{
	struct learn_scene *scene = arg;

	malloc_learn_grown(scene->learn, scene->old, OTHER_BYTES / MALLOC_ALIGN, 8);
	check_u64_eq(scene->learn->grown[OTHER_BYTES / MALLOC_ALIGN], 0);
}

/* What a class grew by for a block of another one's size, because of its alignment, speaks for no size. */
SIM_TEST(malloc_growth_counts_for_its_own_class, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc_learn_grown" })
{
	struct learn_scene *scene = learn_scene_make(sim);

	store_relaxed(&scene->s->class[scene->old].slabs_nr, 8u);
	sim_cpu(sim, 0, grows_for_another, scene);
	sim_run(sim);
	check_u64_eq(scene->learn->nr, 0);
}
