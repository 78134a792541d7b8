/* SPDX-License-Identifier: MIT */
/*
 * Every call that gives or takes memory fails in turn, for every operation, until the operation
 * gets through untouched.  A refusal leaves the state as it was; the operation then succeeds, and
 * leaves what it leaves when nothing ever failed.  An operation that goes on in spite of a failure
 * must leave a consistent instance.
 */
#include <errno.h>
#include <unistd.h>

#include "base/errno.h"
#include "base/mem.h"
#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"
#include "machine/mem.h"
#include "page/giveback.h"
#include "page/layout.h"
#include "page/pages.h"
#include "page/state.h"
#include "quire_test.h"
#include "stress.h"

#define NOBODYS	  77 /* in errno, where a call that succeeds leaves it */
#define CALLS_MAX 200u
#define HELD_MAX  4096u

/* What an observer sees of an instance. */
struct snapshot {
	uint64_t limit_pages, online_pages, unused_pages, allocated_pages;
	size_t fds;
};

static struct {
	struct quire *q;
	void *held[HELD_MAX]; /* by the set-up */
	size_t held_nr;
	void *taken[HELD_MAX]; /* by the operation */
	size_t taken_nr;
} scene;

struct operation {
	const char *name;
	void (*set_up)(void);
	bool (*run)(void);   /* false: refused */
	void (*undo)(void);  /* of a run that was not refused */
	bool may_have_grown; /* it is many allocations: those before the refused one had effect */
};

static struct snapshot snapshot_take(void)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;

	assert_int_equal(quire_page_stat_read(scene.q, &stat), 0);
	return (struct snapshot){ .limit_pages = stat.limit_pages,
				  .online_pages = stat.online_pages,
				  .unused_pages = stat.free_pages + stat.cached_pages,
				  .allocated_pages = stat.allocated_pages,
				  .fds = count_fds() };
}

static void create(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF);

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(&options, &scene.q), 0);
}

static void destroy(void)
{
	quire_destroy(scene.q);
	scene.q = NULL;
}

static bool take(unsigned order, unsigned flags)
{
	void *addr = quire_alloc_pages(scene.q, order, flags);

	if (addr == NULL) {
		assert_int_equal(errno, ENOMEM);
		return false;
	}
	scene.taken[scene.taken_nr++] = addr;
	return true;
}

static void give_back(unsigned order)
{
	while (scene.taken_nr != 0)
		quire_free_pages(scene.q, scene.taken[--scene.taken_nr], order);
}

/* ---- operations ----------------------------------------------------------------------------------- */

static void nothing(void)
{
}

static bool alloc_page(void)
{
	return take(0, QUIRE_ZERO);
}

static void free_page(void)
{
	give_back(0);
}

static bool alloc_largest(void)
{
	return take(QUIRE_ORDER_MAX, QUIRE_ZERO);
}

static void free_largest(void)
{
	give_back(QUIRE_ORDER_MAX);
}

/* All that is online is in use: the next allocation must grow. */
static void fill(void)
{
	struct snapshot now;

	do {
		scene.held[scene.held_nr] = quire_alloc_pages(scene.q, 9, 0);
		assert_non_null(scene.held[scene.held_nr++]);
		now = snapshot_take();
	} while (now.unused_pages != 0);
}

static bool bulk_fill(void)
{
	size_t present = quire_alloc_pages_bulk(scene.q, scene.taken, 2000, 0);

	if (present == 2000)
		return true;
	assert_int_equal(errno, ENOMEM);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(scene.taken[i] != NULL, i < present);
	quire_free_pages_bulk(scene.q, scene.taken, 2000);
	return false;
}

static void bulk_free(void)
{
	quire_free_pages_bulk(scene.q, scene.taken, 2000);
}

static bool alloc_exact(void)
{
	scene.taken[0] = quire_alloc_pages_exact(scene.q, 5 << 12, QUIRE_ZERO);
	return scene.taken[0] != NULL;
}

static void free_exact(void)
{
	quire_free_pages_exact(scene.q, scene.taken[0], 5 << 12);
}

/* A block that was used and is whole again, and one that keeps another online. */
static void one_dirty_block(void)
{
	scene.held[0] = quire_alloc_pages(scene.q, 9, 0);
	scene.held[1] = quire_alloc_pages(scene.q, 0, 0);
	assert_non_null(scene.held[0]);
	assert_non_null(scene.held[1]);
	memset(scene.held[0], 0xaa, MIB(2));
	quire_free_pages(scene.q, scene.held[0], 9);
	quire_drain_all(scene.q);
}

static bool offline(void)
{
	int error = quire_offline_pageblock(scene.q, scene.held[0]);

	assert_true(error == 0 || error == -EBUSY || error == -ENOMEM);
	return error == 0;
}

/* Grows until everything is online again; each byte must read zero. */
static void take_all_zeroed(void)
{
	unsigned char *block;

	while ((block = quire_alloc_pages(scene.q, 9, QUIRE_ZERO)) != NULL) {
		for (size_t i = 0; i < MIB(2); i += 512)
			assert_int_equal(block[i], 0);
		scene.taken[scene.taken_nr++] = block;
	}
	assert_true(scene.taken_nr > 20);
	give_back(9);
}

static bool release(void)
{
	quire_release(scene.q);
	return true;
}

static bool isolate(void)
{
	return quire_isolate_pageblock(scene.q, scene.held[0]) == 0;
}

static void unisolate(void)
{
	assert_int_equal(quire_unisolate_pageblock(scene.q, scene.held[0]), 0);
}

static bool alloc_contig(void)
{
	int error =
		quire_alloc_contig_range(scene.q, scene.held[0], MIB(2) - (3 << 12), QUIRE_ZERO);

	assert_true(error == 0 || error == -ENOMEM);
	return error == 0;
}

static void free_contig(void)
{
	quire_free_contig_range(scene.q, scene.held[0], MIB(2) - (3 << 12));
}

static bool switch_lists(void)
{
	quire_pcp_disable(scene.q);
	quire_drain_slot(scene.q, 0);
	quire_pcp_enable(scene.q);
	return true;
}

static const struct operation operations[] = {
	{ "first page", nothing, alloc_page, free_page, false },
	{ "first block of the largest order", nothing, alloc_largest, free_largest, false },
	{ "growth for a page", fill, alloc_page, free_page, false },
	{ "growth for the largest order", fill, alloc_largest, free_largest, false },
	{ "bulk", nothing, bulk_fill, bulk_free, true },
	{ "growing bulk", fill, bulk_fill, bulk_free, true },
	{ "exact size", fill, alloc_exact, free_exact, false },
	{ "offline", one_dirty_block, offline, take_all_zeroed, false },
	{ "release", one_dirty_block, release, take_all_zeroed, false },
	{ "isolate", one_dirty_block, isolate, unisolate, false },
	{ "contiguous range", one_dirty_block, alloc_contig, free_contig, false },
	{ "drain and switch lists", one_dirty_block, switch_lists, nothing, false },
};

/* ---- the loop -------------------------------------------------------------------------------------- */

static void check_as_before(const struct operation *operation, unsigned nth,
			    const struct snapshot *before)
{
	struct snapshot after = snapshot_take();

	if (operation->may_have_grown) {
		assert_true(after.online_pages >= before->online_pages);
		after.unused_pages -= after.online_pages - before->online_pages;
		after.online_pages = before->online_pages;
	}
	if (memcmp(before, &after, sizeof(after)) != 0)
		print_message("%s, call %u: the state has changed\n", operation->name, nth);
	assert_u64_eq(after.limit_pages, before->limit_pages);
	assert_u64_eq(after.online_pages, before->online_pages);
	assert_u64_eq(after.unused_pages, before->unused_pages);
	assert_u64_eq(after.allocated_pages, before->allocated_pages);
	assert_u64_eq(after.fds, before->fds);
}

/* The operation with call @nth failing; then, if it was refused, once more.  Returns how many
 * calls were made. */
static uint64_t run_failing(const struct operation *operation, unsigned nth, bool lasting)
{
	struct snapshot before;
	uint64_t calls;
	bool done;

	operation->set_up();
	before = snapshot_take();
	calls = backing_calls_nr();
	(lasting ? backing_fail_from : backing_fail_after)(nth, ENOMEM);
	errno = NOBODYS;
	done = operation->run();
	backing_fail_after(0, 0);
	assert_true(!done || errno == NOBODYS);
	calls = backing_calls_nr() - calls;
	assert_int_equal(quire_verify(scene.q), 0);
	if (!done) {
		check_as_before(operation, nth, &before);
		assert_true(operation->run());
		assert_int_equal(quire_verify(scene.q), 0);
	}
	operation->undo();
	assert_int_equal(quire_verify(scene.q), 0);
	return calls;
}

/* Sanitizers map memory of their own as they go. */
static void check_no_more_maps(size_t maps)
{
	if (!MACHINE_TSAN && !MACHINE_ASAN)
		assert_true(count_maps() <= maps);
}

static void check_operation(const struct operation *operation, bool lasting)
{
	uint64_t calls;
	unsigned nth = 0;

	do {
		size_t maps = count_maps();

		assert_true(++nth < CALLS_MAX);
		create();
		calls = run_failing(operation, nth, lasting);
		destroy();
		check_no_more_maps(maps);
	} while (calls >= nth);
	print_message("%s: %u calls\n", operation->name, nth - 1);
}

static void check_operations(bool lasting)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		check_operation(&operations[i], lasting);
}

static void any_one_call_that_fails_leaves_the_state_as_it_was(void **state)
{
	(void)state;
	check_operations(false);
}

static void all_calls_that_fail_from_any_on_leave_the_state_as_it_was(void **state)
{
	(void)state;
	check_operations(true);
}

/* ---- create ---------------------------------------------------------------------------------------- */

/* Returns whether call @nth was made.  A smaller limit is no refusal. */
static bool create_failing(unsigned nth, enum quire_backing backing)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .backing = backing,
				   .worker = QUIRE_WORKER_OFF);
	uint64_t calls = backing_calls_nr();
	struct quire *q = NULL;
	int error;

	backing_fail_after(nth, ENOMEM);
	error = quire_create(&options, &q);
	backing_fail_after(0, 0);
	calls = backing_calls_nr() - calls;
	if (error != 0) {
		assert_int_equal(error, -ENOMEM);
		assert_null(q);
	} else {
		void *page = quire_alloc_pages(q, 9, 0);

		assert_non_null(page);
		quire_free_pages(q, page, 9);
		stress_assert_conserved(q);
	}
	quire_destroy(q);
	return calls >= nth;
}

/* Addresses that could not be unmapped stay mapped, and counted in the process's budget: the failing call may
 * have been that one.  No others are counted.  A share is half of what is left. */
static void check_creates(enum quire_backing backing)
{
	size_t fds = count_fds(), share = mem_reserve_share();
	uint64_t mapped = status_bytes("VmSize");
	unsigned nth = 1;

	for (size_t maps = count_maps(); create_failing(nth, backing); nth++) {
		uint64_t lost = (uint64_t)(share - mem_reserve_share()) * 2;
		uint64_t left = status_bytes("VmSize") - mapped;

		check_no_more_maps(maps + 2);
		maps = count_maps();
		if (lost > left)
			fail_msg("call %u: %llu bytes are counted and %llu mapped", nth,
				 (unsigned long long)lost, (unsigned long long)left);
	}
	assert_true(nth > 3);
	assert_u64_eq(count_fds(), fds);
}

static void create_succeeds_or_leaves_nothing_whichever_call_fails(void **state)
{
	(void)state;
	check_creates(QUIRE_BACKING_ANON);
	check_creates(QUIRE_BACKING_MEMFD);
}

static void create_refuses_when_every_call_fails(void **state)
{
	struct quire *q = NULL;
	size_t maps = count_maps();

	(void)state;
	backing_fail_from(1, ENOMEM);
	assert_int_equal(quire_create(NULL, &q), -ENOMEM);
	backing_fail_after(0, 0);
	assert_null(q);
	check_no_more_maps(maps);
}

/* ---- a gather that stops ----------------------------------------------------------------------------- */

#define RANGES_NR 6u

/* Free dirty blocks with used ones between them, so that no two are one range. */
static void dirty_ranges(void)
{
	for (unsigned i = 0; i < 2 * RANGES_NR; i++) {
		scene.held[i] = quire_alloc_pages(scene.q, 9, 0);
		assert_non_null(scene.held[i]);
		memset(scene.held[i], 0xaa, MIB(2));
	}
	for (unsigned i = 0; i < 2 * RANGES_NR; i += 2)
		quire_free_pages(scene.q, scene.held[i], 9);
	quire_drain_all(scene.q);
}

static bool is_marked_zero(const void *addr)
{
	return (pages_of(scene.q)->state[page_frame(pages_of(scene.q), addr)] & STATE_ZERO) != 0;
}

/* Marked blocks read zero, the others still hold what was in them.  Returns how many are marked. */
static unsigned check_marks(void)
{
	unsigned marked = 0;

	for (unsigned i = 0; i < 2 * RANGES_NR; i++) {
		const unsigned char *block = scene.held[i];
		bool is_zero = i % 2 == 0 && is_marked_zero(block);

		for (size_t at = 0; at < MIB(2); at += 4096)
			assert_int_equal(block[at], is_zero ? 0 : 0xaa);
		marked += is_zero;
	}
	return marked;
}

static void check_stop_after(unsigned given)
{
	struct quire_page_stat before = QUIRE_PAGE_STAT_INIT, after = before;

	create();
	dirty_ranges();
	quire_page_stat_read(scene.q, &before);
	backing_stop_after(given, EPERM);
	backing_fail_from(2, EPERM);
	assert_u64_eq(giveback_free_runs(pages_of(scene.q)), given * MIB(2));
	backing_fail_after(0, 0);
	assert_int_equal(quire_verify(scene.q), 0);
	assert_u64_eq(check_marks(), given);
	quire_page_stat_read(scene.q, &after);
	assert_u64_eq(after.reported_pages - before.reported_pages, given * 512);
	assert_u64_eq(after.free_pages, before.free_pages);
	assert_u64_eq(giveback_free_runs(pages_of(scene.q)), (RANGES_NR - given) * MIB(2));
	assert_u64_eq(check_marks(), RANGES_NR);
	take_all_zeroed();
	assert_int_equal(quire_verify(scene.q), 0);
	destroy();
}

static void a_gather_stopped_after_k_ranges_marks_only_those(void **state)
{
	(void)state;
	if (mem_page_bytes() != 4096)
		skip_because("made for pages of 4 KiB");
	if (!gathers_are_vectored())
		skip_because("the kernel takes memory away one range a call");
	for (unsigned given = 0; given < RANGES_NR; given++)
		check_stop_after(given);
}

static void a_range_refused_once_is_given_back_by_a_call_of_its_own(void **state)
{
	(void)state;
	if (!gathers_are_vectored())
		skip_because("the kernel takes memory away one range a call");
	for (unsigned given = 0; given < RANGES_NR; given++) {
		create();
		dirty_ranges();
		backing_stop_after(given, EINVAL);
		assert_u64_eq(giveback_free_runs(pages_of(scene.q)), RANGES_NR * MIB(2));
		backing_fail_after(0, 0);
		assert_u64_eq(check_marks(), RANGES_NR);
		assert_int_equal(quire_verify(scene.q), 0);
		destroy();
	}
}

/* Blocks that were not given back stay online when the rest is released. */
static void release_offlines_only_what_was_given_back(void **state)
{
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	unsigned emptied = 0;

	(void)state;
	if (!gathers_are_vectored())
		skip_because("the kernel takes memory away one range a call");
	create();
	dirty_ranges();
	backing_stop_after(2, EPERM);
	backing_fail_from(2, EPERM);
	assert_u64_eq(quire_release(scene.q), 2 * MIB(2));
	backing_fail_after(0, 0);
	for (unsigned i = 0; i < 2 * RANGES_NR; i += 2)
		emptied += *(const unsigned char *)scene.held[i] == 0;
	assert_u64_eq(emptied, 2);
	quire_page_stat_read(scene.q, &stat);
	assert_u64_eq(stat.allocated_pages, RANGES_NR * 512);
	assert_int_equal(quire_verify(scene.q), 0);
	take_all_zeroed();
	destroy();
}

/* ---- the worker and a child -------------------------------------------------------------------------- */

static unsigned alloc_with_worker_failing(unsigned nth)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .decay_ms = 1);
	uint64_t calls, end_ns;

	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(&options, &scene.q), 0);
	pages_of(scene.q)->worth_pages = 0; /* a page is worth a worker */
	calls = backing_calls_nr();
	backing_fail_after(nth, ENOMEM);
	if (!take(0, 0))
		assert_true(take(0, 0));
	backing_fail_after(0, 0);
	calls = backing_calls_nr() - calls;
	give_back(0);
	/* Whatever failed, a later call starts the worker; the system is asked again after a decay.  Its
	 * stack is kept if it has done its work and ended meanwhile. */
	end_ns = await_begin();
	while (scene.q->work.stack == NULL && await_more(end_ns)) {
		assert_true(take(4, 0));
		give_back(4);
	}
	assert_non_null(scene.q->work.stack);
	stress_assert_conserved(scene.q);
	destroy();
	return (unsigned)calls;
}

static void a_worker_that_cannot_start_is_started_later(void **state)
{
	size_t maps = count_maps(), threads = count_threads();
	unsigned nth = 1;

	(void)state;
	while (alloc_with_worker_failing(nth) >= nth)
		assert_true(nth++ < CALLS_MAX);
	check_no_more_maps(maps + 1);				/* libc keeps one for its threads */
	assert_u64_eq(count_threads(), threads + MACHINE_TSAN); /* which has one of its own */
}

static void child_first_use(void *arg)
{
	const unsigned *nth = arg;
	bool done;

	backing_fail_after(*nth, ENOMEM);
	done = take(9, QUIRE_ZERO);
	backing_fail_after(0, 0);
	if (quire_verify(scene.q) != 0 || (!done && !take(9, QUIRE_ZERO)))
		_exit(1);
	give_back(9);
	quire_release(scene.q);
	_exit(quire_verify(scene.q) == 0 ? 0 : 2);
}

static void the_first_use_in_a_child_survives_any_failing_call(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth < 12; nth++) {
		const struct quire_options options =
			QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64),
					   .worker = MACHINE_TSAN ? QUIRE_WORKER_OFF
								  : QUIRE_WORKER_THREAD,
					   .decay_ms = 1);

		memset(&scene, 0, sizeof(scene));
		assert_int_equal(quire_create(&options, &scene.q), 0);
		fill();
		expect_life(child_first_use, &nth);
		assert_int_equal(quire_verify(scene.q), 0);
		destroy();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_one_call_that_fails_leaves_the_state_as_it_was),
		cmocka_unit_test(all_calls_that_fail_from_any_on_leave_the_state_as_it_was),
		cmocka_unit_test(create_succeeds_or_leaves_nothing_whichever_call_fails),
		cmocka_unit_test(create_refuses_when_every_call_fails),
		cmocka_unit_test(a_gather_stopped_after_k_ranges_marks_only_those),
		cmocka_unit_test(a_range_refused_once_is_given_back_by_a_call_of_its_own),
		cmocka_unit_test(release_offlines_only_what_was_given_back),
		cmocka_unit_test(a_worker_that_cannot_start_is_started_later),
		cmocka_unit_test(the_first_use_in_a_child_survives_any_failing_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
