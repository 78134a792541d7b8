/* SPDX-License-Identifier: MIT */
/*
 * replay_test - a replay sees what an allocator does wrong
 *
 * Made-up recordings run against a small allocator of our own that is right, or wrong in one way on
 * purpose: the replay must end well, or name that wrong.
 */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quire/quire.h>

#include "replay/engine.h"
#include "replay/pattern.h"
#include "trace_writer.h"

enum fault {
	FAULT_NONE,
	FAULT_SCRIBBLE, /* changes a byte of a block in use */
	FAULT_OVERLAP,	/* hands out a block that is in use */
	FAULT_ALIGN,	/* hands out large blocks that are not aligned */
	FAULT_REFUSE,	/* hands out nothing after a while */
	FAULT_LOSE,	/* forgets a free */
	FAULT_BREAK,	/* finds itself broken at the end */
};

#define PAGE_BYTES  4096u
#define ARENA_PAGES (1u << 16)
#define ARENA_BYTES ((size_t)ARENA_PAGES * PAGE_BYTES)
#define FAULT_AFTER 50u /* allocations that go well before */
#define BROKEN_RULE 104

/* Blocks are cut from an arena one after another and never used again: simple, and enough. */
struct arena {
	pthread_mutex_t lock;
	char *base;
	size_t next_page;
	uint64_t allocated_pages;
	unsigned allocs_nr, batches_nr, batch_longest;
	char *previous; /* the last block handed out, while it is in use */
};

static struct arena arena;
static enum fault fault;

static int arena_open(const struct target_request *request, void **heap, char *error,
		      size_t error_bytes)
{
	(void)request;
	(void)error;
	(void)error_bytes;
	arena = (struct arena){ .allocs_nr = 0 };
	/* Only what is handed out is ever backed. */
	arena.base = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_mutex_init(&arena.lock, NULL);
	*heap = &arena;
	return arena.base != MAP_FAILED ? 0 : -1;
}

static void arena_close(void *heap)
{
	(void)heap;
	munmap(arena.base, ARENA_BYTES);
	arena.base = NULL;
	pthread_mutex_destroy(&arena.lock);
}

static bool is_due(enum fault wanted)
{
	return fault == wanted && arena.allocs_nr > FAULT_AFTER;
}

static char *cut_block(unsigned order)
{
	size_t pages = (size_t)1 << order;
	char *addr;

	arena.next_page = (arena.next_page + pages - 1) & ~(pages - 1);
	if (order > 0 && is_due(FAULT_ALIGN))
		arena.next_page++;
	addr = arena.base + arena.next_page * PAGE_BYTES;
	arena.next_page += pages;
	return arena.next_page <= ARENA_PAGES ? addr : NULL;
}

static void *arena_alloc(void *heap, unsigned cpu, unsigned order, unsigned flags)
{
	char *addr = NULL;

	(void)heap;
	(void)cpu;
	(void)flags;
	pthread_mutex_lock(&arena.lock);
	arena.allocs_nr++;
	if (is_due(FAULT_SCRIBBLE) && arena.previous != NULL)
		arena.previous[5]++;
	if (is_due(FAULT_OVERLAP) && order == 0 && arena.previous != NULL)
		addr = arena.previous;
	else if (!is_due(FAULT_REFUSE))
		addr = cut_block(order);
	arena.allocated_pages += (uint64_t)1 << order;
	arena.previous = addr;
	pthread_mutex_unlock(&arena.lock);
	return addr;
}

static void take_back(char *addr, unsigned order)
{
	if (addr == arena.previous)
		arena.previous = NULL;
	if (!is_due(FAULT_LOSE))
		arena.allocated_pages -= (uint64_t)1 << order;
}

static void arena_free(void *heap, unsigned cpu, void *addr, unsigned order)
{
	(void)heap;
	(void)cpu;
	pthread_mutex_lock(&arena.lock);
	take_back(addr, order);
	pthread_mutex_unlock(&arena.lock);
}

static void arena_free_batch(void *heap, unsigned cpu, size_t count, void **pages)
{
	(void)heap;
	(void)cpu;
	pthread_mutex_lock(&arena.lock);
	arena.batches_nr++;
	if (count > arena.batch_longest)
		arena.batch_longest = (unsigned)count;
	for (size_t i = 0; i < count; i++)
		take_back(pages[i], 0);
	pthread_mutex_unlock(&arena.lock);
}

static void arena_split(void *heap, void *addr, unsigned order, unsigned new_order)
{
	(void)heap;
	(void)order;
	(void)new_order;
	pthread_mutex_lock(&arena.lock);
	if (addr == arena.previous)
		arena.previous = NULL;
	pthread_mutex_unlock(&arena.lock);
}

static uint64_t arena_page_number(void *heap, const void *addr)
{
	(void)heap;
	return (uint64_t)((const char *)addr - arena.base) / PAGE_BYTES;
}

static void arena_stat(void *heap, struct quire_page_stat *stat)
{
	(void)heap;
	*stat = (struct quire_page_stat){ .page_shift = 12,
					  .allocated_pages = arena.allocated_pages };
}

static int arena_verify(void *heap)
{
	(void)heap;
	return fault == FAULT_BREAK ? BROKEN_RULE : 0;
}

static const struct target target_arena = {
	.open = arena_open,
	.close = arena_close,
	.alloc = arena_alloc,
	.free = arena_free,
	.free_batch = arena_free_batch,
	.split = arena_split,
	.page_number = arena_page_number,
	.read_stat = arena_stat,
	.verify = arena_verify,
};

/* ---- running --------------------------------------------------------------------------------- */

static struct plan plan;
static char path[64];

static int make_plan(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(11, 3000, &counts);
	struct bytes compressed = trace_compress(&trace);
	int fd = memory_file(path, sizeof(path));
	char line[256];
	int result;

	(void)state;
	file_write(path, &compressed);
	result = plan_read(&plan, path, KATR_PAGE, line, sizeof(line));
	close(fd);
	bytes_free(&trace);
	bytes_free(&compressed);
	return result;
}

static int drop_plan(void **state)
{
	(void)state;
	plan_fini(&plan);
	return 0;
}

/* Runs the made-up recording against the arena: the engine's error, empty if there is none. */
static struct engine_result run(enum fault wanted, bool threads)
{
	struct progress progress = { .name = "test" };
	struct engine engine = {
		.plan = &plan,
		.target = &target_arena,
		.threads = threads,
		.checks = true,
		.progress = &progress,
	};
	struct engine_result result;
	int failed;

	fault = wanted;
	failed = engine_run(&engine, &result);
	assert_int_equal(failed != 0, result.error[0] != '\0');
	return result;
}

static void expect_error_when(bool threads, enum fault wanted, const char *text)
{
	struct engine_result result = run(wanted, threads);

	if (strstr(result.error, text) == NULL)
		fail_msg("expected \"%s\", got \"%s\"", text, result.error);
	engine_result_fini(&result);
}

static void expect_error(enum fault wanted, const char *text)
{
	expect_error_when(false, wanted, text);
	expect_error_when(true, wanted, text);
}

static void a_right_allocator_passes(void **state)
{
	uint64_t pieces_nr = 0;

	(void)state;
	for (size_t i = 0; i < plan.steps_nr; i++)
		if (plan.steps[i].op == PLAN_FREE || plan.steps[i].op == PLAN_FREE_BATCHED)
			pieces_nr++;
	pieces_nr += plan.totals.live_blocks;
	for (int threads = 0; threads < 2; threads++) {
		struct engine_result result = run(FAULT_NONE, threads != 0);

		assert_string_equal(result.error, "");
		assert_u64_eq(result.blocks_checked, pieces_nr);
		assert_u64_eq(result.marks[1].occupancy.live_pages, plan.totals.live_pages);
		assert_u64_eq(result.stat.allocated_pages, plan.totals.live_pages);
		assert_u64_eq(arena.allocs_nr, plan.totals.allocs_nr);
		engine_result_fini(&result);
	}
}

/* By one thread alone: with threads the planted write is a data race, and TSan says so. */
static void a_changed_byte_is_found(void **state)
{
	(void)state;
	expect_error_when(false, FAULT_SCRIBBLE, "was changed: byte 5 is 0x");
}

/* The two patterns differ from the first byte on; or a mark sees the blocks before either is freed.
 */
static void a_block_handed_out_twice_is_found(void **state)
{
	struct engine_result result = run(FAULT_OVERLAP, false);

	(void)state;
	assert_true(strstr(result.error, "was changed: byte ") != NULL ||
		    strstr(result.error, "overlaps another live block") != NULL);
	engine_result_fini(&result);
}

static void a_block_that_is_not_aligned_is_found(void **state)
{
	(void)state;
	expect_error(FAULT_ALIGN, "is not aligned to its size");
}

/* With threads: the others neither wait for the block that never comes nor miss a barrier. */
static void a_refusal_ends_the_replay(void **state)
{
	(void)state;
	expect_error(FAULT_REFUSE, "was refused: order ");
}

static void a_lost_page_is_found(void **state)
{
	(void)state;
	expect_error(FAULT_LOSE, " pages are lost");
}

static void a_broken_rule_is_named(void **state)
{
	(void)state;
	expect_error(FAULT_BREAK,
		     "quire_verify() found rule 104 broken: the counts by order and row,");
}

/* ---- batches --------------------------------------------------------------------------------- */

static void batches_end_where_something_could_see_them(void **state)
{
	unsigned pending[2] = { 0, 0 };

	(void)state;
	for (size_t i = 0; i < plan.steps_nr; i++) {
		const struct plan_step *step = &plan.steps[i];

		if (step->op == PLAN_SAMPLE) /* looks at what is live: a batch's pages are not */
			continue;
		if (step->op == PLAN_MARK) {
			assert_int_equal(pending[0] + pending[1], 0);
			continue;
		}
		if (step->op == PLAN_FREE_BATCHED)
			pending[step->cpu]++;
		else
			assert_int_equal(pending[step->cpu], 0);
		if (step->ends_batch)
			pending[step->cpu] = 0;
	}
	assert_int_equal(pending[0] + pending[1], 0);
}

static void batches_are_freed_together(void **state)
{
	struct engine_result result = run(FAULT_NONE, false);
	unsigned steps_nr = 0;

	(void)state;
	for (size_t i = 0; i < plan.steps_nr; i++)
		steps_nr += plan.steps[i].op == PLAN_FREE_BATCHED;
	assert_true(steps_nr > 0);
	assert_true(arena.batches_nr > 0);
	assert_true(arena.batches_nr < steps_nr);
	assert_true(arena.batch_longest > 1);
	assert_true(arena.batch_longest <= ENGINE_BATCH_MAX);
	engine_result_fini(&result);
}

/* ---- patterns and occupancy ------------------------------------------------------------------ */

static void a_pattern_names_the_first_wrong_byte(void **state)
{
	static _Alignas(8) uint8_t block[4 * PAGE_BYTES];
	static const size_t offsets[] = { 0, 7, 4095, 4096, 9001, sizeof(block) - 1 };
	struct pattern whole = pattern_of(77, 0);

	(void)state;
	pattern_fill(whole, block, sizeof(block));
	assert_u64_eq(pattern_find_mismatch(whole, block, sizeof(block)), sizeof(block));
	for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		assert_int_equal(block[offsets[i]], pattern_byte(whole, offsets[i]));
		block[offsets[i]] ^= 0x80;
		assert_u64_eq(pattern_find_mismatch(whole, block, sizeof(block)), offsets[i]);
		block[offsets[i]] ^= 0x80;
	}
	/* A piece has the content of its part of the whole, and no other block's. */
	assert_u64_eq(pattern_find_mismatch(pattern_of(77, 2 * PAGE_BYTES), block + 2 * PAGE_BYTES,
					    PAGE_BYTES),
		      PAGE_BYTES);
	assert_true(pattern_find_mismatch(pattern_of(78, 0), block, PAGE_BYTES) < PAGE_BYTES);
}

/* Sizes of per-CPU objects: not whole pages, and at any multiple of 4. */
static void a_pattern_has_any_length_and_place(void **state)
{
	static _Alignas(8) uint8_t block[2 * PAGE_BYTES + 64];
	static const size_t sizes[] = { 4, 8, 12, 16, 1216, 4096, 4100, 8192, 8196 };
	struct pattern pattern = pattern_of(5, 1 << 20);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (size_t place = 0; place < 8; place += 4) {
			uint8_t *at = block + place;
			size_t last = sizes[i] - 1;

			memset(block, 0, sizeof(block));
			pattern_fill(pattern, at, sizes[i]);
			assert_u64_eq(pattern_find_mismatch(pattern, at, sizes[i]), sizes[i]);
			assert_int_equal(at[last], pattern_byte(pattern, last));
			assert_int_equal(at[last + 1], 0);
			at[last] ^= 1;
			assert_u64_eq(pattern_find_mismatch(pattern, at, sizes[i]), last);
		}
	}
}

static void blocks_count_under_one_type_or_as_mixed(void **state)
{
	struct occupancy occupancy;
	struct occupancy_run a = { .page = 512, .order = 0, .type = OCCUPANCY_MOVABLE };
	struct occupancy_run b = { .page = 520, .order = 3, .type = OCCUPANCY_UNMOVABLE };
	struct occupancy_run large = { .page = 1024, .order = 10, .type = OCCUPANCY_RECLAIMABLE };

	(void)state;
	assert_int_equal(occupancy_init(&occupancy, 9), 0);
	assert_int_equal(occupancy_add(&occupancy, a), 0);
	assert_u64_eq(occupancy.summary.blocks_of_type[OCCUPANCY_MOVABLE], 1);
	assert_int_equal(occupancy_add(&occupancy, b), 0);
	assert_u64_eq(occupancy.summary.blocks_mixed, 1);
	assert_u64_eq(occupancy.summary.blocks_of_type[OCCUPANCY_MOVABLE], 0);
	assert_int_equal(occupancy_add(&occupancy, large), 0);
	assert_u64_eq(occupancy.summary.blocks_of_type[OCCUPANCY_RECLAIMABLE], 2);
	assert_u64_eq(occupancy.summary.blocks_pinned, 3);
	assert_u64_eq(occupancy.summary.live_pages, 1 + 8 + 1024);
	occupancy_remove(&occupancy, a);
	assert_u64_eq(occupancy.summary.blocks_of_type[OCCUPANCY_UNMOVABLE], 1);
	occupancy_remove(&occupancy, b);
	occupancy_remove(&occupancy, large);
	assert_u64_eq(occupancy.summary.blocks_pinned, 0);
	assert_u64_eq(occupancy.summary.live_pages, 0);
	occupancy_fini(&occupancy);
}

static void occupancy_refuses_what_cannot_be(void **state)
{
	struct occupancy occupancy;
	struct occupancy_run run_of_8 = { .page = 64, .order = 3 };

	(void)state;
	assert_int_equal(occupancy_init(&occupancy, 9), 0);
	assert_int_equal(occupancy_add(&occupancy, run_of_8), 0);
	for (uint64_t page = 64; page < 72; page++) {
		struct occupancy_run one = { .page = page };

		assert_int_equal(occupancy_add(&occupancy, one), -EEXIST);
	}
	run_of_8.page = 68;
	assert_int_equal(occupancy_add(&occupancy, run_of_8), -EINVAL);
	run_of_8.page = OCCUPANCY_PAGES_MAX;
	assert_int_equal(occupancy_add(&occupancy, run_of_8), -ERANGE);
	run_of_8.page = OCCUPANCY_PAGES_MAX - 8;
	assert_int_equal(occupancy_add(&occupancy, run_of_8), 0);
	assert_u64_eq(occupancy.summary.live_pages, 16);
	occupancy_fini(&occupancy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_allocator_passes),
		cmocka_unit_test(a_changed_byte_is_found),
		cmocka_unit_test(a_block_handed_out_twice_is_found),
		cmocka_unit_test(a_block_that_is_not_aligned_is_found),
		cmocka_unit_test(a_refusal_ends_the_replay),
		cmocka_unit_test(a_lost_page_is_found),
		cmocka_unit_test(a_broken_rule_is_named),
		cmocka_unit_test(batches_end_where_something_could_see_them),
		cmocka_unit_test(batches_are_freed_together),
		cmocka_unit_test(a_pattern_names_the_first_wrong_byte),
		cmocka_unit_test(a_pattern_has_any_length_and_place),
		cmocka_unit_test(blocks_count_under_one_type_or_as_mixed),
		cmocka_unit_test(occupancy_refuses_what_cannot_be),
	};

	return cmocka_run_group_tests(tests, make_plan, drop_plan);
}
