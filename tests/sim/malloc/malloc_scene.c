/* SPDX-License-Identifier: MIT */
#include "sim/malloc/malloc_scene.h"

#include "malloc/countdown.h"
#include "malloc/counted.h"
#include "malloc/debug.h"
#include "malloc/profile_file.h"
#include "malloc/recording.h"
#include "malloc/sampled.h"
#include "malloc/traces.h"
#include "slab/fast.h"
#include "stat/figures.h"

/* What malloc/linux knows of the process, and what its cold paths have counted. */
static struct {
	bool relocated, bound;
	bool counts;
	int64_t blocks, bytes; /* atomic */
} process;

/* ---- malloc/linux/start.c ---- */

bool malloc_is_relocated(void)
{
	return process.relocated;
}

bool malloc_is_bound(void)
{
	return process.bound;
}

void malloc_warn(const char *line)
{
	sim_fail("warning", "%s", line);
}

void malloc_yield(void)
{
	sim_sleep_ns(1000);
}

/* ---- malloc/linux/fault.c: nobody looks at callers, and an access that faults ends the run ---- */

void sampled_note_callers(struct sampled_callers *callers, const struct malloc_call *call)
{
	callers->pc[0] = (uintptr_t)call->pc;
}

void sampled_watch_faults(void)
{
}

/* ---- malloc/linux/trace.c: all calls are one ---- */

unsigned trace_walk(const struct malloc_call *call, uint64_t *pc, unsigned most)
{
	(void)call;
	(void)most;
	pc[0] = 1;
	return 1;
}

/* ---- malloc/linux/profile.c: no scene asks for a file ---- */

void profile_file_begin(unsigned number)
{
	(void)number;
}

void profile_file_fork_child(void)
{
}

void profile_file_end(void)
{
	SIM_CHECK(malloc_heap.q != NULL);
}

/* ---- malloc/recording.c ---- */

bool recording_begin(void)
{
	return false;
}

bool recording_begin_child(void)
{
	return false;
}

uint64_t recording_now(void)
{
	return 0;
}

void recording_put(enum ring_op op, uint64_t time, const void *address, uint64_t bytes)
{
	(void)op;
	(void)time;
	(void)address;
	(void)bytes;
}

/* ---- malloc/counted.c ---- */

bool malloc_counted_wanted(void)
{
	return false;
}

void malloc_counted_begin(void)
{
}

void malloc_counted_profile(unsigned *shift)
{
	(void)shift;
}

bool malloc_is_counted(void)
{
	return process.counts;
}

void malloc_counted_alloc(unsigned class, size_t bytes, bool slow)
{
	(void)class;
	(void)slow;
	fetch_add_relaxed(&process.blocks, 1);
	fetch_add_relaxed(&process.bytes, (int64_t)bytes);
}

void malloc_counted_free(unsigned class, size_t bytes, bool slow)
{
	(void)class;
	(void)slow;
	fetch_sub_relaxed(&process.blocks, 1);
	fetch_sub_relaxed(&process.bytes, (int64_t)bytes);
}

/* ---- malloc/debug.c: no scene asks for it ---- */

const struct malloc_layer *malloc_debug_begin(const struct malloc_layer *below)
{
	return below;
}

void malloc_debug_fork_child(void)
{
}

void malloc_debug_end(void)
{
}

/* ---- malloc/linux/family.c ---- */

static void *take(size_t bytes)
{
	void *block = NULL;

	if (bytes < load_relaxed(&malloc_heap.small_end))
		block = lean_pop(&malloc_heap.lean, malloc_heap.class_of[table_place(bytes)]);
	return block != NULL ? block : malloc_cold(bytes);
}

static void give(void *block)
{
	size_t entry = whole_index((uintptr_t)block - (uintptr_t)malloc_heap.base, ENTRY_SHIFT);

	if (entry >= load_relaxed(&malloc_heap.entries) ||
	    !lean_push(&malloc_heap.lean,
		       load_relaxed(&malloc_heap.byte[entry >> (HEAP_PAGE_SHIFT - ENTRY_SHIFT)]),
		       block))
		malloc_free_cold(block, "free");
}

/* ---- blocks ---- */

/* The first and the last word of what was asked for; bytes that are no word stay as they are. */
static void fill(const struct malloc_block *block)
{
	size_t words = block->bytes / sizeof(uint64_t);

	if (words == 0)
		return;
	store_relaxed(&block->words[0], (uintptr_t)block->words); /* a note to ourselves */
	store_relaxed(&block->words[words - 1], (uintptr_t)block->words);
}

void block_check(const struct malloc_block *block)
{
	size_t words = block->bytes / sizeof(uint64_t);

	if (block->words == NULL || words == 0)
		return;
	check_u64_eq(load_relaxed(&block->words[0]), (uintptr_t)block->words);
	check_u64_eq(load_relaxed(&block->words[words - 1]), (uintptr_t)block->words);
}

/* What its next owner does not rely on. */
static void spoil(const struct malloc_block *block)
{
	size_t words = block->bytes / sizeof(uint64_t);

	if (words == 0)
		return;
	store_relaxed(&block->words[0], UINT64_MAX);
	store_relaxed(&block->words[words - 1], UINT64_MAX);
}

/* Is the block one of the sample (sample:N)? */
bool block_is_sampled(const struct malloc_block *block)
{
	struct sampled_place place;

	/* The heap is ready, and this layer was there from then on. */
	return load_relaxed(&malloc_heap.layer) == &malloc_sampled &&
	       sampled_find(block->words, &place);
}

/* Blocks of the boot arena are in no figure. */
static uint32_t *number_of(struct malloc_scene *scene, const void *words)
{
	static uint32_t early;

	if (boot_has(words))
		return &early;
	if (block_is_sampled(&(struct malloc_block){ .words = (void *)(uintptr_t)words }))
		return &scene->small;
	return malloc_class_at(words) != 0 ? &scene->small : &scene->large;
}

#define ERRNO_BEFORE 77

static struct malloc_block taken(struct malloc_scene *scene, void *words, size_t align,
				 size_t bytes)
{
	struct malloc_block block = { .words = words, .bytes = bytes };

	check_u64_eq((uint64_t)process_errno(), words != NULL ? ERRNO_BEFORE : ENOMEM);
	if (words == NULL)
		return block;
	check_u64_eq((uintptr_t)words % align, 0);
	SIM_CHECK(malloc_usable(words, "malloc_usable_size") >= bytes);
	fetch_add_relaxed(number_of(scene, words), 1); /* read at the end */
	return block;
}

struct malloc_block block_take(struct malloc_scene *scene, size_t bytes)
{
	struct malloc_block block;

	process_set_errno(ERRNO_BEFORE);
	block = taken(scene, take(bytes), MALLOC_ALIGN, bytes);
	if (block.words != NULL)
		fill(&block);
	return block;
}

struct malloc_block block_take_aligned(struct malloc_scene *scene, size_t align, size_t bytes)
{
	struct malloc_block block;

	process_set_errno(ERRNO_BEFORE);
	block = taken(scene, malloc_aligned(align, bytes), align, bytes);
	if (block.words != NULL)
		fill(&block);
	return block;
}

struct malloc_block block_take_zeroed(struct malloc_scene *scene, size_t bytes)
{
	struct malloc_block block;

	process_set_errno(ERRNO_BEFORE);
	block = taken(scene, malloc_zeroed(bytes), MALLOC_ALIGN, bytes);
	if (block.words == NULL)
		return block;
	for (size_t i = 0; i < bytes / sizeof(uint64_t) && i < 64; i++)
		check_u64_eq(load_relaxed(&block.words[i]), 0);
	fill(&block);
	return block;
}

void scene_keep(struct malloc_scene *scene, unsigned place, struct malloc_block block)
{
	scene->block[place] = block;
}

void block_resize(struct malloc_scene *scene, struct malloc_block *block, size_t bytes)
{
	uint32_t *before = number_of(scene, block->words);
	struct malloc_block resized;
	void *words;

	block_check(block);
	fetch_sub_relaxed(before, 1); /* as in taken() */
	process_set_errno(ERRNO_BEFORE);
	words = malloc_resize(block->words, bytes);
	resized = taken(scene, words, MALLOC_ALIGN, bytes);
	if (words == NULL) {
		SIM_CHECK(bytes > block->bytes);
		fetch_add_relaxed(before, 1); /* likewise */
		return;
	}
	if (bytes >= sizeof(uint64_t) && block->bytes >= sizeof(uint64_t))
		check_u64_eq(load_relaxed(&resized.words[0]), (uintptr_t)block->words);
	*block = resized;
	fill(block);
}

void block_give(struct malloc_scene *scene, struct malloc_block *block)
{
	if (block->words == NULL)
		return;
	block_check(block);
	spoil(block);
	fetch_sub_relaxed(number_of(scene, block->words), 1); /* read at the end */
	process_set_errno(ERRNO_BEFORE);
	give(block->words);
	check_u64_eq((uint64_t)process_errno(), ERRNO_BEFORE);
	block->words = NULL;
}

/* ---- the scene ---- */

void malloc_scene_set_stage(bool relocated, bool bound)
{
	process.relocated = relocated;
	process.bound = bound;
}

void malloc_scene_count(void)
{
	process.counts = true;
}

struct malloc_scene *malloc_scene_make(struct sim *sim, const char *conf)
{
	struct malloc_scene *scene = sim_zalloc(sim, sizeof(*scene));

	/* Of the scenario before, whose instance is no more. */
	malloc_heap = (struct malloc_heap){ .state = 0 };
	malloc_countdown = (struct malloc_countdown){ .end = 0 };
	process.relocated = process.bound = true;
	process.counts = false;
	process.blocks = process.bytes = 0;
	sim_set_variable("QUIRE_MALLOC_CONF", conf);
	malloc_register();
	sim_name(&malloc_heap, sizeof(malloc_heap), "malloc_heap");
	return scene;
}

void malloc_scene_check(struct malloc_scene *scene)
{
	struct figure_values values = { .vmap = QUIRE_VMAP_STAT_INIT,
					.slab = QUIRE_SLAB_STAT_INIT };
	struct malloc_count small, large;

	if (malloc_heap.q == NULL)
		return;
	check_u64_eq((uint64_t)quire_verify(malloc_heap.q), 0);
	if (malloc_heap.layer->flush != NULL)
		(void)malloc_give_back(); /* large blocks that wait count as in use */
	check_u64_eq((uint64_t)quire_vmap_stat_read(malloc_heap.q, &values.vmap), 0);
	check_u64_eq((uint64_t)quire_slab_stat_read(malloc_heap.q, &values.slab), 0);
	malloc_count_small(&values, &small);
	malloc_count_large(&values, &large);
	check_u64_eq(small.blocks, scene->small);
	check_u64_eq(large.blocks, scene->large);
	if (process.counts) {
		check_u64_eq(process.blocks, small.blocks + large.blocks);
		check_u64_eq(process.bytes, small.bytes + large.bytes);
	}
}

void malloc_scene_end(struct malloc_scene *scene)
{
	malloc_scene_check(scene);
	for (unsigned i = 0; i < BLOCKS_NR; i++)
		block_give(scene, &scene->block[i]);
	check_u64_eq(scene->small, 0);
	check_u64_eq(scene->large, 0);
	malloc_scene_check(scene);
}
