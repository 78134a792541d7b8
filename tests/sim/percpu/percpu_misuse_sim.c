/* SPDX-License-Identifier: MIT */
/* percpu_misuse_sim.c - frees that stop the process, by which rule, and requests that are refused */
#include "sim/percpu/percpu_scene.h"

static void misuses(struct sim *sim, bool stacks, const char *words, void (*body)(void *))
{
	struct percpu_scene *scene = percpu_scene_make(sim, stacks);

	sim_end_by_words("misuse", words);
	sim_cpu(sim, 0, body, scene);
	sim_run(sim);
	sim_fail("unseen", "the process goes on");
}

/* An address of CPU 0 for which there is no chunk, nor anything that would describe one. */
static void *beyond_chunks(const struct percpu_scene *scene)
{
	return chunk_ptr(scene->pc, scene->pc->chunks_max - 1);
}

static void frees_beyond_the_addresses(void *arg)
{
	struct percpu_scene *scene = arg;

	quire_free_percpu(scene->q, scene->pc->base + scene->pc->span_bytes);
}

SIM_TEST(percpu_free_of_a_foreign_pointer_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "free_misuse" })
{
	misuses(sim, true, "foreign pointer", frees_beyond_the_addresses);
}

static void frees_beyond_chunks(void *arg)
{
	quire_free_percpu(((struct percpu_scene *)arg)->q, beyond_chunks(arg));
}

SIM_TEST(percpu_free_beyond_the_last_chunk_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "free_misuse" })
{
	misuses(sim, true, "foreign pointer", frees_beyond_chunks);
}

static void frees_beyond_chunks_and_others(void *arg)
{
	struct percpu_scene *scene = arg;
	void *ptrs[10] = { scene->object[0], scene->object[1], beyond_chunks(scene) };

	for (unsigned i = 3; i < 10; i++)
		ptrs[i] = scene->object[i];
	quire_free_percpu_bulk(scene->q, ptrs, 10);
}

/* Its page is fetched ahead like others'. */
SIM_TEST(percpu_bulk_free_of_a_foreign_pointer_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "object_prefetch_map_locked", "free_misuse" })
{
	misuses(sim, false, "foreign pointer", frees_beyond_chunks_and_others);
}

static void frees_beyond_chunks_while_holding(void *arg)
{
	struct percpu_scene *scene = arg;
	lock_token token = lock_acquire(&scene->pc->lock);

	frees_beyond_chunks(scene);
	lock_release(&scene->pc->lock, token);
}

/* A handler's free that is deferred has a bit only if there is a chunk for it. */
SIM_TEST(percpu_deferred_free_of_a_foreign_pointer_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "percpu/free.c:defer" })
{
	misuses(sim, false, "foreign pointer", frees_beyond_chunks_while_holding);
}

/* A third chunk stays while the second goes. */
static void frees_in_a_chunk_that_is_gone(void *arg)
{
	struct percpu_scene *scene = arg;
	void *gone = chunk_ptr(scene->pc, 1);
	lock_token token;

	check_u64_eq(chunk_create(scene->pc, 2, 0), 0);
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		if (place_chunk(scene->pc, place_of(scene->pc, scene->object[i])) == 1)
			percpu_give(scene, scene->object[i], PAGE_BYTES);
	token = lock_acquire(&scene->pc->lock);
	list_move_locked(scene->pc, 1, LIST_FREE, true); /* the last of them goes first */
	lock_release(&scene->pc->lock, token);
	percpu_balance(scene, false);
	check_u64_eq(scene->pc->chunk[1].state, CHUNK_NONE);
	check_u64_eq(scene->pc->chunks_end, 3);
	quire_free_percpu(scene->q, gone);
}

SIM_TEST(percpu_free_in_a_chunk_that_is_gone_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "free_misuse" })
{
	misuses(sim, false, "foreign pointer", frees_in_a_chunk_that_is_gone);
}

/* The halves of its page come before it, and are in use. */
static void frees_a_four_twice(void *arg)
{
	struct percpu_scene *scene = arg;
	void *four[3];

	for (unsigned i = 0; i < 3; i++)
		four[i] = percpu_take(scene, 4, 0);
	check_u64_eq((uintptr_t)four[2] % PAGE_BYTES, 8);
	quire_free_percpu(scene->q, four[2]);
	quire_free_percpu(scene->q, four[2]);
}

SIM_TEST(percpu_second_free_of_a_four_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "free_misuse" })
{
	misuses(sim, false, "double free", frees_a_four_twice);
}

static void frees_a_page_twice(void *arg)
{
	struct percpu_scene *scene = arg;

	store_relaxed(&scene->pc->learn[CACHE_SMALL_NR].count, COUNT_WARM);
	cache_after_free(scene->pc, PAGE_BYTES / 8);
	quire_free_percpu(scene->q, scene->object[10]);
	check_u64_eq(cache_count(scene->pc), 1);
	quire_free_percpu(scene->q, scene->object[10]);
}

/* Its record says that it is on a stack. */
SIM_TEST(percpu_second_free_of_a_page_is_seen, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "push_pages" })
{
	misuses(sim, true, "double free", frees_a_page_twice);
}

/* ---- requests ---------------------------------------------------------------------------------- */

static void asks_for_what_no_object_has(void *arg)
{
	struct percpu_scene *scene = arg;

	SIM_CHECK(quire_alloc_percpu(scene->q, 0, 0, 0) == NULL);
	SIM_CHECK(quire_alloc_percpu(scene->q, QUIRE_PERCPU_BYTES_MAX + 1, 0, 0) == NULL);
	check_u64_eq(process_errno(), EINVAL);
	SIM_CHECK(quire_alloc_percpu(scene->q, 8, 2 * (size_t)PAGE_BYTES, 0) == NULL);
	SIM_CHECK(quire_alloc_percpu(scene->q, 8, 0, 1u << 31) == NULL);
	check_u64_eq(process_errno(), EINVAL);
}

SIM_TEST(percpu_request_that_no_object_has_is_refused, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "is_valid" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, false);

	sim_cpu(sim, 0, asks_for_what_no_object_has, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}

static void asks_an_open_stack(void *arg)
{
	struct percpu_scene *scene = arg;
	void *larger;

	SIM_CHECK(quire_alloc_percpu(scene->q, PAGE_BYTES, 2 * (size_t)PAGE_BYTES, 0) == NULL);
	check_u64_eq(cache_count(scene->pc), 1);
	larger = quire_alloc_percpu(scene->q, PAGE_BYTES + 8, 0, 0);
	check_u64_eq(quire_percpu_bytes(scene->q, larger), PAGE_BYTES + 8);
	quire_free_percpu(scene->q, larger);
}

/* A stack of pages has what is asked for rounded down, at the alignment of a page. */
SIM_TEST(percpu_stack_of_pages_serves_pages_alone, .cpus_nr = 1, .events = SIM_MEMORY,
	 .enters = { "alloc_large" })
{
	struct percpu_scene *scene = percpu_scene_make(sim, true);

	for (unsigned i = 0; i < 2 * COUNT_WARM; i++)
		percpu_give(scene, percpu_take(scene, PAGE_BYTES, 0), PAGE_BYTES);
	check_u64_eq(cache_count(scene->pc), 1);
	sim_cpu(sim, 0, asks_an_open_stack, scene);
	sim_run(sim);
	percpu_scene_check(scene);
}
