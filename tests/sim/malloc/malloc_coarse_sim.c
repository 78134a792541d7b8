/* SPDX-License-Identifier: MIT */
/*
 * malloc_coarse_sim.c - a closed class opens while others allocate, while a size is learnt, and while the process forks
 *
 * The host has one slab, of which nothing is left, and has grown for the size as much as the class must earn: whoever
 * asks next opens it.  A block is taken as malloc does it.
 */
#include "malloc/coarse.h"

#include "machine/atomic.h"
#include "machine/lock.h"
#include "malloc/learn.h"
#include "slab/fast.h"
#include "slab/objects.h"
#include "slab/sheaf.h"
#include "sim/malloc/table_scene.h"

#define HOST_BYTES 8192u /* eight fit into its slab of 64 KiB */
#define HOST_NR	   8u
#define SIZE_BYTES 4352u /* its class has slabs of 64 KiB, too */
#define SIZE_PLACE (SIZE_BYTES / MALLOC_ALIGN)

struct coarse_scene {
	struct quire *q;
	struct slabs *s;
	struct malloc_coarse *coarse;
	struct malloc_learn *learn;
	uint8_t *table;
	unsigned host, class;
	uint32_t in_host, in_class; /* atomic: blocks that tasks took */
	uint32_t turn;
};

/* All of the host's first slab is in use. */
static void use_up_the_host(struct coarse_scene *scene)
{
	void *objects[HOST_NR];
	unsigned class = scene->host;

	malloc_coarse_grown(scene->coarse, class, SIZE_PLACE);
	check_u64_eq((uint64_t)class_make(scene->s, class, HOST_BYTES), 0);
	check_u64_eq((uint64_t)objects_grow(scene->s, class, 0), 0);
	check_u64_eq(objects_take(scene->s, class, objects, HOST_NR, 0), HOST_NR);
	SIM_CHECK(malloc_coarse_is_used_up(scene->coarse, class));
}

static struct coarse_scene *coarse_scene_make(struct sim *sim)
{
	struct coarse_scene *scene = sim_zalloc(sim, sizeof(*scene));

	scene->s = table_scene_slabs();
	scene->q = scene->s->q;
	scene->table = table_scene_table(sim, false);
	scene->coarse = sim_zalloc(sim, sizeof(*scene->coarse));
	scene->learn = sim_zalloc(sim, sizeof(*scene->learn));
	malloc_coarse_begin(scene->coarse, scene->s, scene->table);
	malloc_learn_begin(scene->learn, scene->s, scene->table);
	scene->host = scene->table[SIZE_PLACE];
	scene->class = malloc_table_class(SIZE_PLACE);
	use_up_the_host(scene);
	sim_name(scene->coarse, sizeof(*scene->coarse), "coarse");
	return scene;
}

static void takes_a_block(void *arg)
{
	struct coarse_scene *scene = arg;
	struct slabs *s = scene->s;
	unsigned class = load_acquire(&scene->table[SIZE_PLACE]); /* as class.c does */
	void *block = slab_alloc_fast(s, class);
	int error = 0;

	if (block == NULL && malloc_coarse_is_used_up(scene->coarse, class))
		class = malloc_coarse_grows(scene->coarse, class, SIZE_PLACE);
	if (block == NULL && class <= MALLOC_CLASSES_NR)
		check_u64_eq((uint64_t)class_make(s, class, malloc_table_bytes(class)), 0);
	if (block == NULL)
		block = sheaf_alloc_slow(s, class, 0, &error);
	SIM_CHECK(block != NULL);
	check_u64_eq(slab_byte(s, block), class);
	SIM_CHECK(s->class[class].size >= SIZE_BYTES);
	/* Read at the end. */
	fetch_add_relaxed(class == scene->host ? &scene->in_host : &scene->in_class, 1);
}

static void takes_two(void *arg)
{
	takes_a_block(arg);
	takes_a_block(arg);
}

/* The class has the whole stretch up to its size, and no other place; or nothing is open that was not. */
static void check_table(const struct coarse_scene *scene)
{
	table_scene_check(scene->table, false, scene->host, SIZE_PLACE, scene->table[SIZE_PLACE]);
}

/* The class is open; all that was taken is in the class that the table named. */
static void coarse_scene_end(struct coarse_scene *scene)
{
	unsigned open = scene->table[SIZE_PLACE];

	SIM_CHECK(open != scene->host);
	check_u64_eq(scene->s->class[open].size, SIZE_BYTES);
	check_table(scene);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	check_u64_eq(table_scene_used(scene->s, scene->host), HOST_NR + scene->in_host);
	check_u64_eq(table_scene_used(scene->s, open), scene->in_class);
}

SIM_TEST(malloc_class_opens_while_others_allocate, .model = SIM_PSO)
{
	struct coarse_scene *scene = coarse_scene_make(sim);

	sim_cpu(sim, 0, takes_two, scene);
	sim_cpu(sim, 1, takes_two, scene);
	sim_run(sim);
	coarse_scene_end(scene);
}

/* Both find the host used up. */
SIM_TEST(malloc_two_open_one_class, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE)
{
	struct coarse_scene *scene = coarse_scene_make(sim);

	sim_cpu(sim, 0, takes_a_block, scene);
	sim_cpu(sim, 1, takes_a_block, scene);
	sim_run(sim);
	coarse_scene_end(scene);
}

/* ---- beside what is learnt ---- */

/* The host is said to have grown for the size by four slabs: enough here. */
static void learns_the_size(void *arg)
{
	struct coarse_scene *scene = arg;

	for (unsigned i = 0; i < 4; i++)
		malloc_learn_grown(scene->learn, scene->host, SIZE_PLACE, 1);
}

/* Whoever is first, what the table names is what holds blocks: a class that was learnt is not put out of it. */
SIM_TEST(malloc_class_opens_beside_a_learner, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE)
{
	struct coarse_scene *scene = coarse_scene_make(sim);

	store_relaxed(&scene->s->class[scene->host].slabs_nr, 4u); /* as learn.c must find it */
	sim_cpu(sim, 0, takes_a_block, scene);
	sim_cpu(sim, 1, learns_the_size, scene);
	sim_run(sim);
	count_add(scene->s->class[scene->host].slabs_nr, -UINT64_C(3));
	SIM_CHECK(scene->learn->nr == 0 || scene->table[SIZE_PLACE] > MALLOC_CLASSES_NR);
	coarse_scene_end(scene);
}

/* ---- fork ---- */

static void forks_child(void *arg)
{
	struct coarse_scene *scene = arg;

	sim_fork_child();
	check_table(scene);
	check_u64_eq((uint64_t)quire_verify(scene->q), 0);
	takes_two(scene);
	check_table(scene);
	store_relaxed(&scene->turn, 1);
}

/* The other has vanished at any step: the child has all of the class's stretch or nothing. */
SIM_TEST(malloc_fork_child_of_an_opener, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct coarse_scene *scene = coarse_scene_make(sim);

	sim_cpu(sim, 0, takes_a_block, scene);
	sim_cpu(sim, 1, forks_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* ---- what opens nothing ---- */

static void gives_the_host_blocks(void *arg)
{
	struct coarse_scene *scene = arg;
	struct slabs *s = scene->s;
	void *objects[HOST_NR];

	check_u64_eq((uint64_t)objects_grow(s, scene->host, 0), 0);
	SIM_CHECK(!malloc_coarse_is_used_up(scene->coarse, scene->host));
	check_u64_eq(objects_take(s, scene->host, objects, HOST_NR, 0), HOST_NR);
	SIM_CHECK(malloc_coarse_is_used_up(scene->coarse, scene->host));
	check_u64_eq(barn_put(s, scene->host, objects, 1, 0), 1);
	SIM_CHECK(!malloc_coarse_is_used_up(scene->coarse, scene->host));
}

static void run_alone(struct sim *sim, void (*body)(void *arg))
{
	struct coarse_scene *scene = coarse_scene_make(sim);

	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	check_table(scene);
}

/* A host that has a block in a slab, or in its barn, serves it. */
SIM_TEST(malloc_host_with_a_block_is_not_used_up, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc_coarse_is_used_up" })
{
	run_alone(sim, gives_the_host_blocks);
}

static void grows_for_others(void *arg)
{
	struct coarse_scene *scene = arg;
	unsigned above = scene->table[2 * HOST_BYTES / MALLOC_ALIGN];

	scene->coarse->grown[scene->class] = 0;
	malloc_coarse_grown(scene->coarse, above, SIZE_PLACE);
	check_u64_eq(scene->coarse->grown[scene->class], 0);
	check_u64_eq(malloc_coarse_grows(scene->coarse, scene->host, SIZE_PLACE), scene->host);
	check_u64_eq(scene->table[SIZE_PLACE], scene->host);
}

/* What another class grew by, for the block's alignment, earns the size nothing; and what has earned nothing stays closed. */
SIM_TEST(malloc_class_that_has_earned_nothing_stays_closed, .cpus_nr = 1,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "malloc_coarse_grows", "malloc_coarse_grown" })
{
	run_alone(sim, grows_for_others);
}
