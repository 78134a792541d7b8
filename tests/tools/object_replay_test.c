/* SPDX-License-Identifier: MIT */
/*
 * object_replay_test - a replay of areas or per-CPU objects sees what an allocator does wrong
 *
 * As replay_test for pages: made-up recordings run against a small allocator of our own that is
 * right, or wrong in one way on purpose.
 */
#include "quire_test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <quire/quire.h>

#include "replay/engine.h"
#include "machine/clock.h"
#include "replay/replay_clock.h"
#include "trace_writer.h"

enum fault {
	FAULT_NONE,
	FAULT_SCRIBBLE,	 /* changes a byte of a block in use */
	FAULT_OVERLAP,	 /* hands out a block that is in use */
	FAULT_ALIGN,	 /* hands out blocks that are not aligned */
	FAULT_REFUSE,	 /* hands out nothing after a while */
	FAULT_LOSE,	 /* forgets a free */
	FAULT_BREAK,	 /* finds itself broken at the end */
	FAULT_DIRTY,	 /* hands out what does not read zero */
	FAULT_COPY,	 /* changes a byte of a block's last copy */
	FAULT_IMPATIENT, /* refuses who may not wait */
};

#define ARENA_BYTES  ((size_t)1 << 30)
/* Of copies; what is cut for them together stays below it. */
#define STRIDE_BYTES ((size_t)64 << 20)
#define COPIES_NR    3
#define FAULT_AFTER  20u /* allocations that go well before */
#define BROKEN_RULE  204
#define NS_PER_MS    UINT64_C(1000000)

/* Blocks are cut from an arena one after another and never used again: simple, and enough. */
struct arena {
	pthread_mutex_t lock;
	char *base;
	size_t used_bytes;
	uint64_t live_nr, allocs_nr;
	char *previous; /* the last block handed out, while it is in use */
	uint64_t polls_nr, begin_ns, polled_ns, gap_ns_max;
	int poll_answer_ms;
};

static struct arena arena;
static enum fault fault;
static int poll_answer_ms = -1;

static int arena_open(const struct target_request *request, void **heap, char *error,
		      size_t error_bytes)
{
	(void)request;
	(void)error;
	(void)error_bytes;
	arena = (struct arena){ .poll_answer_ms = poll_answer_ms };
	arena.begin_ns = arena.polled_ns = clock_now_ns();
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

static char *cut_block(const struct plan_request *request)
{
	size_t align = request->align_bytes > 8 ? request->align_bytes : 8;
	char *addr;

	arena.used_bytes = (arena.used_bytes + align - 1) & ~(align - 1);
	if (is_due(FAULT_ALIGN))
		arena.used_bytes += 8;
	addr = arena.base + arena.used_bytes;
	arena.used_bytes += request->bytes;
	return arena.used_bytes <= ARENA_BYTES ? addr : NULL;
}

static void *arena_alloc(void *heap, const struct plan_request *request)
{
	char *addr = NULL;

	(void)heap;
	pthread_mutex_lock(&arena.lock);
	arena.allocs_nr++;
	if (is_due(FAULT_SCRIBBLE) && arena.previous != NULL)
		arena.previous[5]++;
	if (is_due(FAULT_COPY) && arena.previous != NULL)
		arena.previous[(COPIES_NR - 1) * STRIDE_BYTES + 3]++;
	if (is_due(FAULT_OVERLAP) && arena.previous != NULL)
		addr = arena.previous;
	else if (!is_due(FAULT_REFUSE) &&
		 !(is_due(FAULT_IMPATIENT) && (request->flags & QUIRE_ATOMIC) != 0))
		addr = cut_block(request);
	if (is_due(FAULT_DIRTY) && addr != NULL)
		addr[1] = 1;
	arena.live_nr += addr != NULL;
	arena.previous = addr;
	pthread_mutex_unlock(&arena.lock);
	errno = ENOSPC;
	return addr;
}

static void arena_free(void *heap, void *addr, const struct plan_request *request)
{
	(void)request;
	(void)heap;
	pthread_mutex_lock(&arena.lock);
	if (addr == arena.previous)
		arena.previous = NULL;
	if (!is_due(FAULT_LOSE))
		arena.live_nr--;
	pthread_mutex_unlock(&arena.lock);
}

static int arena_poll(void *heap)
{
	uint64_t now_ns = clock_now_ns();

	(void)heap;
	if (now_ns - arena.polled_ns > arena.gap_ns_max)
		arena.gap_ns_max = now_ns - arena.polled_ns;
	arena.polled_ns = now_ns;
	arena.polls_nr++;
	return arena.poll_answer_ms;
}

static void arena_stat(void *heap, struct object_stat *stat)
{
	(void)heap;
	*stat = (struct object_stat){ .live_nr = arena.live_nr };
}

static int arena_verify(void *heap)
{
	(void)heap;
	return fault == FAULT_BREAK ? BROKEN_RULE : 0;
}

static const struct object_target target_arena = {
	.open = arena_open,
	.close = arena_close,
	.alloc = arena_alloc,
	.free = arena_free,
	.poll = arena_poll,
	.read_stat = arena_stat,
	.verify = arena_verify,
};

static unsigned arena_copies(void *heap)
{
	(void)heap;
	return COPIES_NR;
}

static const struct object_target target_arena_of_copies = {
	.stride_bytes = STRIDE_BYTES,
	.is_zeroed = true,
	.open = arena_open,
	.close = arena_close,
	.alloc = arena_alloc,
	.free = arena_free,
	.poll = arena_poll,
	.read_stat = arena_stat,
	.verify = arena_verify,
	.copies = arena_copies,
};

/* ---- running --------------------------------------------------------------------------------- */

static struct plan plan; /* of areas */
static struct plan percpu_plan;
static char path[64];

static int make_plan(void **state)
{
	struct trace_counts counts;
	struct bytes trace = trace_make(11, 6000, &counts);
	struct bytes compressed = trace_compress(&trace);
	int fd = memory_file(path, sizeof(path));
	char line[256];
	int result;

	(void)state;
	file_write(path, &compressed);
	result = plan_read(&plan, path, KATR_VMAP, line, sizeof(line));
	if (result == 0)
		result = plan_read(&percpu_plan, path, KATR_PERCPU, line, sizeof(line));
	close(fd);
	bytes_free(&trace);
	bytes_free(&compressed);
	return result;
}

static int drop_plan(void **state)
{
	(void)state;
	plan_fini(&plan);
	plan_fini(&percpu_plan);
	return 0;
}

static struct engine_result run_plan(const struct plan *of, const struct object_target *target,
				     bool threads)
{
	struct progress progress = { .name = "test" };
	struct engine engine = {
		.plan = of,
		.object_target = target,
		.threads = threads,
		.checks = true,
		.progress = &progress,
	};
	struct engine_result result;
	int failed = engine_run(&engine, &result);

	assert_int_equal(failed != 0, result.error[0] != '\0');
	return result;
}

static struct engine_result run_against(const struct object_target *target, bool threads)
{
	return run_plan(&plan, target, threads);
}

static void expect_error_when(bool threads, enum fault wanted, const char *text)
{
	struct engine_result result;

	fault = wanted;
	result = run_against(&target_arena, threads);
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
	(void)state;
	fault = FAULT_NONE;
	for (int threads = 0; threads < 2; threads++) {
		struct engine_result result = run_against(&target_arena, threads != 0);

		assert_string_equal(result.error, "");
		assert_u64_eq(result.blocks_checked, plan.totals.allocs_nr);
		assert_u64_eq(arena.allocs_nr, plan.totals.allocs_nr);
		assert_u64_eq(result.marks[1].objects.live_nr, plan.totals.live_blocks);
		assert_u64_eq(result.objects.live_nr, plan.totals.live_blocks);
		engine_result_fini(&result);
	}
}

/* By one thread alone: with threads the planted write is a data race, and TSan says so. */
static void a_changed_byte_is_found(void **state)
{
	(void)state;
	expect_error_when(false, FAULT_SCRIBBLE, "was changed: byte 5 is 0x");
}

static void a_block_handed_out_twice_is_found(void **state)
{
	(void)state;
	expect_error_when(false, FAULT_OVERLAP, "was changed: byte ");
}

static void a_block_that_is_not_aligned_is_found(void **state)
{
	(void)state;
	expect_error(FAULT_ALIGN, " is not aligned to 16384");
}

/* With threads: the others neither wait for the block that never comes nor miss a barrier. */
static void a_refusal_ends_the_replay(void **state)
{
	(void)state;
	expect_error(FAULT_REFUSE, ": No space left on device");
}

static void a_lost_block_is_found(void **state)
{
	(void)state;
	expect_error(FAULT_LOSE, " blocks are lost");
}

static void a_broken_rule_is_named(void **state)
{
	(void)state;
	expect_error(FAULT_BREAK, "quire_verify() found rule 204 broken: lazy_pages counts");
}

/* The library takes whole pages, guard and all, and gives them back. */
static void the_library_passes(void **state)
{
	(void)state;
	for (int threads = 0; threads < 2; threads++) {
		struct engine_result result = run_against(&object_target_vmap, threads != 0);

		assert_string_equal(result.error, "");
		assert_u64_eq(result.objects.vmap.busy_areas, plan.totals.live_blocks);
		assert_u64_eq(result.objects.vmap.allocs, plan.totals.allocs_nr);
		engine_result_fini(&result);
	}
}

/* Areas' requests as those of kmalloc(): every other one fits a slab. */
static void slab_objects_and_larger_blocks_pass(void **state)
{
	struct plan blocks = plan;
	uint32_t requests_nr = 0;
	uint64_t small_nr = 0, large_nr = 0;

	(void)state;
	/* A block of another kind has a root there. */
	for (uint32_t i = 0; i < plan.steps_nr; i++)
		if (plan.steps[i].op == PLAN_ALLOC && plan.steps[i].request >= requests_nr)
			requests_nr = plan.steps[i].request + 1;
	blocks.kind = KATR_SLAB;
	blocks.requests = calloc(requests_nr, sizeof(blocks.requests[0]));
	assert_non_null(blocks.requests);
	for (uint32_t i = 0; i < requests_nr; i++)
		blocks.requests[i] = (struct plan_request){
			.bytes = i % 2 == 0 ? (plan.requests[i].bytes >> 6) % QUIRE_OBJECT_MAX + 1
					    : plan.requests[i].bytes + QUIRE_OBJECT_MAX,
			.align_bytes = 16,
		};
	for (uint32_t i = 0; i < plan.steps_nr; i++)
		if (plan.steps[i].op == PLAN_ALLOC)
			*(plan.steps[i].request % 2 == 0 ? &small_nr : &large_nr) += 1;
	assert_true(small_nr > 0 && large_nr > 0);
	for (int threads = 0; threads < 2; threads++) {
		struct engine_result result = run_plan(&blocks, &object_target_slab, threads != 0);

		assert_string_equal(result.error, "");
		assert_true(result.objects.live_nr == blocks.totals.live_blocks);
		assert_true(result.objects.slab.slab_bytes >= result.objects.slab.used_bytes);
		engine_result_fini(&result);
	}
	free(blocks.requests);
}

/* ---- copies ---------------------------------------------------------------------------------- */

static void expect_copy_error(enum fault wanted, const char *text)
{
	struct engine_result result;

	fault = wanted;
	result = run_plan(&percpu_plan, &target_arena_of_copies, false);
	if (strstr(result.error, text) == NULL)
		fail_msg("expected \"%s\", got \"%s\"", text, result.error);
	engine_result_fini(&result);
}

static void copies_are_filled_and_checked(void **state)
{
	struct engine_result result;

	(void)state;
	fault = FAULT_NONE;
	result = run_plan(&percpu_plan, &target_arena_of_copies, false);
	assert_string_equal(result.error, "");
	assert_u64_eq(result.blocks_checked, percpu_plan.totals.allocs_nr);
	assert_u64_eq(result.bytes_checked % 2, 0);
	assert_true(result.bytes_checked >= 2 * 16 * percpu_plan.totals.allocs_nr);
	engine_result_fini(&result);
	expect_copy_error(FAULT_SCRIBBLE, " bytes) was changed: byte 5 is 0x");
	expect_copy_error(FAULT_COPY, " bytes, its last copy) was changed: byte 3 is 0x");
}

static void an_object_that_is_not_zero_is_found(void **state)
{
	(void)state;
	expect_copy_error(FAULT_DIRTY, " does not begin as zeroes: byte 1 is 0x01");
}

/* The kernel did not refuse there: the block is had from a call that may wait. */
static void who_may_not_wait_asks_again(void **state)
{
	struct engine_result result;

	(void)state;
	fault = FAULT_IMPATIENT;
	result = run_plan(&percpu_plan, &target_arena_of_copies, false);
	assert_string_equal(result.error, "");
	assert_u64_eq(result.blocks_checked, percpu_plan.totals.allocs_nr);
	assert_true(arena.allocs_nr > percpu_plan.totals.allocs_nr);
	engine_result_fini(&result);
}

/* Objects come and go in the library's own units, too. */
static void the_library_passes_with_copies(void **state)
{
	(void)state;
	for (int threads = 0; threads < 2; threads++) {
		struct engine_result result =
			run_plan(&percpu_plan, &object_target_percpu, threads != 0);

		assert_string_equal(result.error, "");
		assert_u64_eq(result.objects.percpu.objects, percpu_plan.totals.live_blocks);
		engine_result_fini(&result);
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t recorded_ms(void)
{
	return (uint64_t)(plan.marks[plan.marks_nr - 1].seconds * 1000);
}

/* Goal: a minute's decay needs no minute.  Method: the arena notes the times it is polled at. */
static void one_thread_lives_in_recorded_time(void **state)
{
	uint64_t system_ns = progress_now_ns();
	struct engine_result result;

	(void)state;
	fault = FAULT_NONE;
	poll_answer_ms = -1;
	result = run_against(&target_arena, false);
	assert_u64_eq((arena.polled_ns - arena.begin_ns) / NS_PER_MS, recorded_ms());
	engine_result_fini(&result);
	/* Afterwards it is the system's again. */
	assert_true(clock_now_ns() >= system_ns);
	assert_true(clock_now_ns() < system_ns + 3600 * 1000 * NS_PER_MS);
}

/* A step of the clock over a long silence must not leave out what was due within it. */
static void what_falls_due_in_a_silence_is_done_in_it(void **state)
{
	struct plan_step steps[] = { { .op = PLAN_TIME, .id = 10000 } };
	struct plan silence = { .kind = KATR_VMAP, .cpus_nr = 1, .steps = steps, .steps_nr = 1 };
	struct engine_result result;

	(void)state;
	fault = FAULT_NONE;
	poll_answer_ms = 250;
	result = run_plan(&silence, &target_arena, false);
	poll_answer_ms = -1;
	assert_string_equal(result.error, "");
	assert_u64_eq(arena.gap_ns_max, 250 * NS_PER_MS);
	assert_u64_eq(arena.polled_ns - arena.begin_ns, 10000 * NS_PER_MS);
	assert_u64_eq(arena.polls_nr, 41);
	engine_result_fini(&result);
}

/* Something that stays due, as while another thread does it, must not stop the clock. */
static void what_stays_due_does_not_stop_the_clock(void **state)
{
	struct plan_step steps[] = { { .op = PLAN_TIME, .id = 10 } };
	struct plan silence = { .kind = KATR_VMAP, .cpus_nr = 1, .steps = steps, .steps_nr = 1 };
	struct engine_result result;

	(void)state;
	fault = FAULT_NONE;
	poll_answer_ms = 0;
	result = run_plan(&silence, &target_arena, false);
	poll_answer_ms = -1;
	assert_string_equal(result.error, "");
	assert_u64_eq(arena.gap_ns_max, NS_PER_MS);
	assert_u64_eq(arena.polled_ns - arena.begin_ns, 10 * NS_PER_MS);
	engine_result_fini(&result);
}

/* The recording's last mark is "end+1s": with threads a second of the system's goes by. */
static void threads_wait_where_the_workload_waited(void **state)
{
	uint64_t begin_ns = progress_now_ns();
	struct engine_result result;

	(void)state;
	fault = FAULT_NONE;
	result = run_against(&target_arena, true);
	assert_true(progress_now_ns() - begin_ns >= 1000 * NS_PER_MS);
	engine_result_fini(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_allocator_passes),
		cmocka_unit_test(a_changed_byte_is_found),
		cmocka_unit_test(a_block_handed_out_twice_is_found),
		cmocka_unit_test(a_block_that_is_not_aligned_is_found),
		cmocka_unit_test(a_refusal_ends_the_replay),
		cmocka_unit_test(a_lost_block_is_found),
		cmocka_unit_test(a_broken_rule_is_named),
		cmocka_unit_test(the_library_passes),
		cmocka_unit_test(slab_objects_and_larger_blocks_pass),
		cmocka_unit_test(copies_are_filled_and_checked),
		cmocka_unit_test(an_object_that_is_not_zero_is_found),
		cmocka_unit_test(who_may_not_wait_asks_again),
		cmocka_unit_test(the_library_passes_with_copies),
		cmocka_unit_test(one_thread_lives_in_recorded_time),
		cmocka_unit_test(what_falls_due_in_a_silence_is_done_in_it),
		cmocka_unit_test(what_stays_due_does_not_stop_the_clock),
		cmocka_unit_test(threads_wait_where_the_workload_waited),
	};

	return cmocka_run_group_tests(tests, make_plan, drop_plan);
}
