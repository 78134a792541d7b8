/* SPDX-License-Identifier: MIT */
/*
 * profile_sim.c - the profile of the heap (malloc/profile.h), with a hit in 16 KiB on average
 *
 * All calls are one trace, or several of the same calls where two keep it at once.  What a scene knows of the hits is
 * what the traces' sums say at its end: a block that is hit is allocated once and freed once, so when no task has a block
 * nothing is in use, and what was allocated is there.
 */
#include "malloc/profile.h"

#include "malloc/odds.h"
#include "malloc/traces.h"
#include "sim/malloc/malloc_scene.h"

#define CONF		"limit:16m,worker:off,thp:off,"
#define SMALL_BYTES	30000u
#define LARGE_BYTES	200000u	    /* e^-12: hit */
#define TOO_LARGE_BYTES (32u << 20) /* twice the limit */
#define SHARED_BYTES	(1u << 20)

static struct malloc_scene *scene_make(struct sim *sim, unsigned blocks)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "profile:16k");
	struct malloc_block first = block_take(scene, 16); /* makes the heap */

	for (unsigned i = 0; i < blocks; i++)
		scene_keep(scene, i, block_take(scene, LARGE_BYTES));
	block_give(scene, &first);
	SIM_CHECK(profile_is_on());
	return scene;
}

static void add(struct trace *trace, void *arg)
{
	struct profile_figures figures = profile_figures(trace), *sum = arg;

	SIM_CHECK(figures.used_bytes <= figures.alloc_bytes);
	SIM_CHECK(figures.used_blocks <= figures.alloc_blocks);
	sum->alloc_blocks += figures.alloc_blocks;
	sum->alloc_bytes += figures.alloc_bytes;
	sum->used_blocks += figures.used_blocks;
	sum->used_bytes += figures.used_bytes;
}

static struct profile_figures all_figures(void)
{
	struct profile_figures sum = { .alloc_blocks = 0 };

	traces_each(profile_traces(), add, &sum);
	return sum;
}

/* When no task has a block, none is in use.  @large: large blocks that were allocated in all, at least. */
static void scene_end(struct malloc_scene *scene, unsigned large)
{
	struct profile_figures figures;

	malloc_scene_end(scene);
	figures = all_figures();
	check_u64_eq(figures.used_blocks, 0);
	check_u64_eq(figures.used_bytes, 0);
	SIM_CHECK(figures.alloc_blocks >= large);
}

static void takes_and_frees(struct malloc_scene *scene, size_t bytes)
{
	struct malloc_block block = block_take(scene, bytes);

	SIM_CHECK(block.words != NULL);
	block_give(scene, &block);
}

static void frees_first_and_takes(void *arg)
{
	struct malloc_scene *scene = arg;

	block_give(scene, &scene->block[0]);
	takes_and_frees(scene, LARGE_BYTES);
}

static void takes_small_ones(void *arg)
{
	struct malloc_scene *scene = arg;

	for (unsigned i = 0; i < 3; i++)
		takes_and_frees(scene, SMALL_BYTES);
}

static void takes_a_large_one(void *arg)
{
	takes_and_frees(arg, LARGE_BYTES);
}

/* Blocks that are hit come and go on two CPUs, and each is seen when it is freed. */
SIM_TEST(profile_sees_each_free, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "profile_alloc", "profile_free", "add_gone", "malloc/profile.c:note" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, frees_first_and_takes, scene);
	sim_cpu(sim, 1, takes_small_ones, scene);
	sim_run(sim);
	scene_end(scene, 2);
}

/* Two see the same calls for the first time at once: both blocks are in the sums of some trace. */
SIM_TEST(profile_keeps_a_trace_that_two_add, .enters = { "traces_keep", "malloc/traces.c:make" })
{
	struct malloc_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, takes_a_large_one, scene);
	sim_cpu(sim, 1, takes_a_large_one, scene);
	sim_run(sim);
	scene_end(scene, 2);
}

/* All areas of a scene lie in the first section, which is committed: a handler that would need another one takes a mutex. */
static void grows(void *arg)
{
	struct malloc_scene *scene = arg;

	block_resize(scene, &scene->block[0], 4 * LARGE_BYTES);
	block_resize(scene, &scene->block[0], SMALL_BYTES);
}

static void handler_takes(void *arg)
{
	struct malloc_scene *scene = arg;
	int error = process_errno();
	struct malloc_block block = block_take(scene, LARGE_BYTES);

	block_give(scene, &block); /* where it interrupted a lock's holder there may be none */
	process_set_errno(error);
}

/* A block moves to other addresses, and a handler on the same CPU gets those that it leaves. */
SIM_TEST(profile_follows_a_block_that_moves, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "profile_resize", "resize_area" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, grows, scene);
	sim_irq(sim, 0, handler_takes, scene, 2);
	sim_run(sim);
	scene_end(scene, 2);
}

static void grows_in_vain(void *arg)
{
	struct malloc_scene *scene = arg;
	uint64_t *words = scene->block[0].words;

	block_resize(scene, &scene->block[0], TOO_LARGE_BYTES);
	SIM_CHECK(scene->block[0].words == words);
}

/* An area that cannot grow stays what it was: its free is seen. */
SIM_TEST(profile_keeps_a_block_that_cannot_grow, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "profile_resize", "resize_area" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, grows_in_vain, scene);
	sim_cpu(sim, 1, takes_a_large_one, scene);
	sim_run(sim);
	scene_end(scene, 3);
}

/* The same beside another CPU. */
SIM_TEST(profile_follows_a_block_beside_others, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "profile_resize", "resize_area" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, grows, scene);
	sim_cpu(sim, 1, takes_a_large_one, scene);
	sim_run(sim);
	scene_end(scene, 4);
}

/* The trace of all calls.  Reading all chains would take nearly all steps of a run. */
static struct trace *the_trace(void)
{
	struct traces *traces = (struct traces *)(uintptr_t)profile_traces();

	SIM_CHECK(traces != NULL);
	return traces_at(traces, traces_keep(traces, &(uint64_t){ 1 }, 1));
}

static void looks(void *arg)
{
	struct profile_figures sum = { .alloc_blocks = 0 };

	(void)arg;
	add(the_trace(), &sum); /* compares */
}

/* Whoever reads beside allocations and frees finds no more gone than was there. */
SIM_TEST(profile_reader_beside_frees, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "profile_figures", "add_gone" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, frees_first_and_takes, scene);
	sim_cpu(sim, 1, looks, scene);
	sim_run(sim);
	scene_end(scene, 2);
}

/* Only since another one has the turn. */
static void may_be_busy(int error)
{
	SIM_CHECK(error == 0 || error == -EBUSY);
}

static void turns_off_and_on(void *arg)
{
	may_be_busy(profile_stop());
	may_be_busy(profile_start(ODDS_SHIFT_MIN));
	takes_and_frees(arg, LARGE_BYTES);
}

static void turns_off(void *arg)
{
	may_be_busy(profile_stop());
	takes_and_frees(arg, LARGE_BYTES);
}

static void check_fast_paths(void)
{
	SIM_CHECK(profile_is_on() == (malloc_heap.small_end == 0));
}

/* Two turn it on and off while blocks come and go: fast paths are in the end as the profile is. */
SIM_TEST(profile_on_and_off_by_two, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "profile_start", "profile_stop", "malloc_open_fast_paths" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	/* Whoever is the last to turn it leaves it so: on and then off again, or the other way round. */
	sim_cpu(sim, 0, turns_off_and_on, scene);
	sim_cpu(sim, 1, turns_off, scene);
	sim_run(sim);
	check_fast_paths();
	scene_end(scene, 1);
}

static void starts(void *arg)
{
	struct malloc_scene *scene = arg;

	may_be_busy(profile_start(ODDS_SHIFT_MIN));
	takes_and_frees(scene, SMALL_BYTES);
	takes_and_frees(scene, LARGE_BYTES);
}

/* The layer comes while others allocate and free what was there before it. */
SIM_TEST(profile_begins_beside_frees, .events = SIM_RACE | SIM_MEMORY,
	 .enters = { "profile_start", "make_layer", "profile_free" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "profile:0");

	scene_keep(scene, 0, block_take(scene, LARGE_BYTES));
	scene_keep(scene, 1, block_take(scene, SMALL_BYTES));
	sim_cpu(sim, 0, starts, scene);
	sim_cpu(sim, 1, frees_first_and_takes, scene);
	sim_run(sim);
	check_fast_paths();
	scene_end(scene, 1);
}

static void begins(void *arg)
{
	(void)arg;
	SIM_CHECK(profile_start(ODDS_SHIFT_MIN) == 0);
}

/* A heap with a block from before the profile, which begins while @body runs. */
static struct malloc_scene *begins_beside(struct sim *sim, void (*body)(void *arg))
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "profile:0");

	scene_keep(scene, 0, block_take(scene, LARGE_BYTES));
	sim_cpu(sim, 0, begins, scene);
	sim_cpu(sim, 1, body, scene);
	sim_run(sim);
	check_fast_paths();
	return scene;
}

/* A call that finds the layer finds all that it is made of. */
SIM_TEST(profile_begins_beside_a_resize, .enters = { "make_layer", "profile_resize" })
{
	scene_end(begins_beside(sim, grows), 0);
}

SIM_TEST(profile_begins_beside_an_allocation, .enters = { "make_layer", "profile_alloc" })
{
	scene_end(begins_beside(sim, takes_a_large_one), 0);
}

static void takes_a_few_bytes(void *arg)
{
	for (unsigned i = 0; i < 3; i++)
		takes_and_frees(arg, 64);
}

/* A block of 64 bytes that is hit stands for 256 of them, also if it is the first one: no call draws, or notes, by a mean that is
 * not yet there. */
SIM_TEST(profile_begins_with_its_mean, .enters = { "profile_start", "profile_alloc" })
{
	uint64_t blocks;

	scene_end(begins_beside(sim, takes_a_few_bytes), 0);
	blocks = all_figures().alloc_blocks;
	SIM_CHECK(blocks == 0 || blocks > 200);
}

static void reads_if_it_is_there(void *arg)
{
	struct profile_figures sum = { .alloc_blocks = 0 };
	const struct traces *traces = profile_traces();

	(void)arg;
	if (traces != NULL)
		traces_each(traces, add, &sum);
	check_u64_eq(sum.used_blocks, 0);
}

SIM_TEST(profile_begins_beside_a_reader, .enters = { "make_layer", "profile_traces" })
{
	scene_end(begins_beside(sim, reads_if_it_is_there), 0);
}

static void reads_all(void *arg)
{
	(void)arg;
	(void)all_figures(); /* compares */
}

/* The first trace comes into its chain while another thread reads all chains. */
SIM_TEST(profile_reader_beside_the_first_trace, .enters = { "traces_each", "traces_keep" })
{
	struct malloc_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, takes_a_large_one, scene);
	sim_cpu(sim, 1, reads_all, scene);
	sim_run(sim);
	scene_end(scene, 1);
}

/* A handler's blocks are hit, too, wherever it interrupts. */
SIM_TEST(profile_beside_a_handler, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "profile_alloc", "profile_free" })
{
	struct malloc_scene *scene = scene_make(sim, 1);

	sim_cpu(sim, 0, frees_first_and_takes, scene);
	sim_irq(sim, 0, handler_takes, scene, 2);
	sim_run(sim);
	scene_end(scene, 2);
}

static void child_uses_it(void *arg)
{
	struct malloc_scene *scene = arg;

	sim_fork_child();
	block_give(scene, &scene->block[1]);
	takes_and_frees(scene, LARGE_BYTES);
	SIM_CHECK(profile_start(ODDS_SHIFT_MIN) == 0 && profile_stop() == 0);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

static void begins_in_a_child(void *arg)
{
	struct malloc_scene *scene = arg;

	sim_fork_child();
	SIM_CHECK(profile_start(ODDS_SHIFT_MIN) == 0);
	takes_and_frees(scene, LARGE_BYTES);
	SIM_CHECK(the_trace()->blocks != 0);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

/* A child turns it on for the first time, however far another thread of its parent had come with that. */
SIM_TEST(profile_begins_in_a_child, .events = SIM_MEMORY,
	 .enters = { "profile_fork_child", "make_layer" })
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "profile:0");
	struct malloc_block first = block_take(scene, 16);

	block_give(scene, &first);
	sim_cpu(sim, 0, begins, scene); /* the child is another process */
	sim_cpu(sim, 1, begins_in_a_child, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

static void turns_it_off(void *arg)
{
	(void)arg;
	(void)profile_stop(); /* the other one has the turn, or not */
	(void)profile_start(ODDS_SHIFT_MIN);
}

/* A child turns it on and off whatever its parent's other threads were at. */
SIM_TEST(profile_of_a_child, .events = SIM_MEMORY, .enters = { "profile_fork_child" })
{
	struct malloc_scene *scene = scene_make(sim, 2);

	sim_cpu(sim, 0, turns_it_off, scene);
	sim_cpu(sim, 1, child_uses_it, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

/* As for `quire run --profile`: the traces are in memory that another process reads. */
static struct malloc_scene *shared_scene_make(struct sim *sim)
{
	struct malloc_scene *scene = malloc_scene_make(sim, CONF "profile:0");
	struct malloc_block first = block_take(scene, 16);

	block_give(scene, &first);
	profile_share(sim_zalloc(sim, SHARED_BYTES), SHARED_BYTES);
	SIM_CHECK(profile_start(ODDS_SHIFT_MIN) == 0);
	scene_keep(scene, 0, block_take(scene, LARGE_BYTES));
	return scene;
}

/* Its parent's block is freed here, which is nothing to the parent's sums. */
static void child_leaves_the_sums_alone(void *arg)
{
	struct malloc_scene *scene = arg;
	const struct traces *traces = profile_traces();
	struct trace *trace = traces_at(
		traces, traces_keep((struct traces *)(uintptr_t)traces, &(uint64_t){ 1 }, 1));
	uint64_t blocks, gone_blocks;

	sim_fork_child();
	SIM_CHECK(!profile_is_on());
	SIM_CHECK(profile_traces() == NULL);
	check_u64_eq((uint64_t)-profile_start(ODDS_SHIFT_MIN), ENOTSUP);
	blocks = trace->blocks;
	gone_blocks = trace->gone_blocks;
	block_give(scene, &scene->block[0]);
	takes_and_frees(scene, LARGE_BYTES);
	check_u64_eq(trace->blocks, blocks);
	check_u64_eq(trace->gone_blocks, gone_blocks);
	store_relaxed(&scene->turn, 1); /* read at the end */
}

/* Sums that another process reads are the parent's: a child of fork adds nothing to them, and has no profile. */
SIM_TEST(profile_that_is_read_is_not_a_childs, .events = SIM_MEMORY,
	 .enters = { "profile_fork_child", "add_gone" })
{
	struct malloc_scene *scene = shared_scene_make(sim);

	sim_cpu(sim, 0, takes_a_large_one, scene);
	sim_cpu(sim, 1, child_leaves_the_sums_alone, scene);
	sim_run(sim);
	check_u64_eq(scene->turn, 1);
}

#define TRACES_BYTES (80u << 10)

struct traces_scene {
	struct traces traces;
	uint32_t number;
};

static struct traces_scene *traces_scene_make(struct sim *sim)
{
	struct traces_scene *scene = sim_zalloc(sim, sizeof(*scene));

	traces_open(&scene->traces, sim_zalloc(sim, TRACES_BYTES), TRACES_BYTES);
	scene->number = traces_keep(&scene->traces, &(uint64_t){ 1 }, 1);
	SIM_CHECK(traces_at(&scene->traces, scene->number) != NULL);
	return scene;
}

static void keeps_what_another_has(void *arg)
{
	struct traces_scene *scene = arg;
	struct trace *trace = traces_at(&scene->traces, scene->number);
	const uint64_t pc[2] = { 1, 2 };

	check_u64_eq(traces_keep(&scene->traces, pc, 1), scene->number);
	trace->pc[0] = 3; /* as if other calls had come into the same chain */
	SIM_CHECK(traces_keep(&scene->traces, pc, 1) != scene->number);
}

static void keeps_what_is_longer(void *arg)
{
	struct traces_scene *scene = arg;

	traces_at(&scene->traces, scene->number)->calls_nr = 0; /* likewise */
	SIM_CHECK(traces_keep(&scene->traces, &(uint64_t){ 1 }, 1) != scene->number);
}

/* Of the calls in one chain those are the same that are as many, and equal. */
SIM_TEST(traces_of_one_chain_are_compared, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc/traces.c:find" })
{
	struct traces_scene *scene = traces_scene_make(sim);

	sim_cpu(sim, 0, keeps_what_another_has, scene);
	sim_run(sim);
}

SIM_TEST(traces_of_one_chain_may_be_longer, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "malloc/traces.c:find" })
{
	struct traces_scene *scene = traces_scene_make(sim);

	sim_cpu(sim, 0, keeps_what_is_longer, scene);
	sim_run(sim);
}

static void reads_what_was_being_written(void *arg)
{
	struct traces_scene *scene = arg;
	const struct traces *traces = &scene->traces;
	uint32_t last = (uint32_t)((traces->bytes - sizeof(struct trace)) / 16);

	traces_at(traces, scene->number)->calls_nr = TRACE_CALLS_MOST + 1;
	SIM_CHECK(traces_at(traces, scene->number) == NULL);
	SIM_CHECK(traces_at(traces, UINT32_MAX) == NULL);
	traces_at(traces, last)->calls_nr = TRACE_CALLS_MOST;
	SIM_CHECK(traces_at(traces, last) == NULL);
}

/* What a process that was killed had begun to write is believed to be no trace that does not end in the memory. */
SIM_TEST(traces_end_in_their_memory, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES, .preempt_max = 1,
	 .enters = { "traces_at" })
{
	struct traces_scene *scene = traces_scene_make(sim);

	sim_cpu(sim, 0, reads_what_was_being_written, scene);
	sim_run(sim);
}
