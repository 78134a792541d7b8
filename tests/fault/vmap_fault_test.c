/* SPDX-License-Identifier: MIT */
/*
 * Every call that gives or takes memory fails in turn, for every operation on areas, until the
 * operation gets through untouched.  A refusal leaves the state as it was (V10): the areas in use
 * with their content, and what can still be had.  The operation then succeeds.
 */
#include "quire_test.h"

#include <errno.h>

#include <quire/page.h>
#include <quire/vmap.h>

#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"

#define NOBODYS	  77 /* in errno, where a call that succeeds leaves it */
#define CALLS_MAX 400u
#define HELD_MAX  256u

static struct {
	struct quire *q;
	unsigned char *held[HELD_MAX]; /* by the set-up */
	unsigned held_nr;
	unsigned char *taken; /* by the operation */
	size_t taken_bytes;
	size_t fds;
} scene;

/* What an observer sees of an instance: nothing of it may differ after a refusal. */
struct snapshot {
	uint64_t busy_areas, busy_bytes, allocated_pages, limit_pages;
	uint64_t sizes; /* of all that is in use */
	size_t fds;
};

struct operation {
	const char *name;
	const struct quire_options *options;
	void (*set_up)(void);
	bool (*run)(void); /* false: refused */
};

static bool add_size(const struct quire_vmap_area *area, void *arg)
{
	uint64_t *sizes = arg;

	*sizes = *sizes * 31 + area->bytes + area->asked_bytes + (uintptr_t)area->addr;
	return true;
}

static struct snapshot snapshot_take(void)
{
	struct quire_vmap_stat vstat = QUIRE_VMAP_STAT_INIT;
	struct quire_page_stat stat = QUIRE_PAGE_STAT_INIT;
	struct snapshot now = { .fds = count_fds() };

	assert_int_equal(quire_vmap_stat_read(scene.q, &vstat), 0);
	assert_int_equal(quire_page_stat_read(scene.q, &stat), 0);
	quire_vmap_walk(scene.q, add_size, &now.sizes);
	now.busy_areas = vstat.busy_areas;
	now.busy_bytes = vstat.busy_bytes;
	now.allocated_pages = stat.allocated_pages;
	now.limit_pages = stat.limit_pages;
	return now;
}

static uint64_t refusals(void)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	assert_int_equal(quire_vmap_stat_read(scene.q, &stat), 0);
	return stat.refusals;
}

static bool holds(const unsigned char *addr, size_t bytes, unsigned char byte)
{
	return addr[0] == byte && memcmp(addr, addr + 1, bytes - 1) == 0;
}

/* ---- set-ups ------------------------------------------------------------------------------------- */

static void hold(size_t bytes)
{
	unsigned char *addr = quire_vmalloc(scene.q, bytes, 0);

	assert_non_null(addr);
	memset(addr, 0x80 + (int)scene.held_nr, KIB(4));
	scene.held[scene.held_nr++] = addr;
}

static void nothing(void)
{
}

static void some_areas(void)
{
	for (unsigned i = 0; i < 8; i++)
		hold(KIB(20));
}

/* Written, freed, and not yet purged. */
static void some_freed(void)
{
	for (unsigned i = 0; i < 16; i++) {
		hold(KIB(20) * (i % 3 + 1));
		memset(scene.held[i], 0xaa, KIB(20) * (i % 3 + 1));
	}
	for (unsigned i = 0; i < 16; i += 2)
		quire_vfree(scene.q, scene.held[i]);
	for (unsigned i = 0; i < 8; i++)
		scene.held[i] = scene.held[2 * i + 1];
	scene.held_nr = 8;
	for (unsigned i = 0; i < 8; i++)
		memset(scene.held[i], 0x80 + (int)i, KIB(4));
}

/* Nearly all addresses are lazy or cached: the next area needs a purge. */
static void lazy_span(void)
{
	void *areas[HELD_MAX];
	unsigned n = 0;

	hold(KIB(8));
	while (n < HELD_MAX && (areas[n] = quire_vmalloc(scene.q, KIB(100), 0)) != NULL)
		n++;
	assert_true(n > 8 && n < HELD_MAX);
	for (unsigned i = 0; i < n; i++)
		quire_vfree(scene.q, areas[i]);
}

/* Records run out: many small areas, so that the pool has to commit more. */
static void many_areas(void)
{
	for (unsigned i = 0; i < HELD_MAX; i++)
		hold(KIB(4));
}

/* ---- operations ---------------------------------------------------------------------------------- */

static bool take(size_t bytes, unsigned flags)
{
	scene.taken = quire_vmalloc(scene.q, bytes, flags);
	scene.taken_bytes = bytes;
	if (scene.taken == NULL)
		assert_true(errno == ENOMEM || errno == ENOSPC);
	return scene.taken != NULL;
}

static bool take_small(void)
{
	return take(KIB(12), QUIRE_ZERO);
}

static bool take_middle(void)
{
	return take(KIB(700), QUIRE_ZERO);
}

static bool take_large(void)
{
	return take(MIB(9), QUIRE_ZERO);
}

static bool take_at_once(void)
{
	return take(KIB(24), QUIRE_NOWAIT | QUIRE_ZERO);
}

static bool take_aligned(void)
{
	const struct quire_vmalloc_options options =
		QUIRE_VMALLOC_OPTIONS_INIT(.align_bytes = MIB(1), .flags = QUIRE_ZERO);

	scene.taken_bytes = KIB(300);
	scene.taken = quire_vmalloc_with(scene.q, KIB(300), &options);
	return scene.taken != NULL;
}

static bool take_across_sizes(void)
{
	return take(KIB(1500), QUIRE_ZERO);
}

static bool take_kv(void)
{
	unsigned char *addr = quire_kvmalloc(scene.q, KIB(48), QUIRE_ZERO);

	if (addr == NULL)
		return false;
	assert_true(holds(addr, KIB(48), 0));
	quire_kvfree(scene.q, addr);
	return true;
}

static bool resize_first(size_t bytes)
{
	unsigned char *addr = quire_vrealloc(scene.q, scene.held[0], bytes, 0);

	if (addr == NULL)
		return false;
	scene.held[0] = addr;
	memset(addr + KIB(4), 0x11, bytes - KIB(4));
	return true;
}

static bool grow(void)
{
	return resize_first(KIB(400));
}

static bool shrink(void)
{
	return resize_first(KIB(8));
}

static bool grow_last(void)
{
	unsigned last = scene.held_nr - 1;
	unsigned char *addr = quire_vrealloc(scene.q, scene.held[last], KIB(640), 0);

	if (addr == NULL)
		return false;
	scene.held[last] = addr;
	return true;
}

static bool purge(void)
{
	quire_vmap_purge(scene.q);
	return true;
}

static bool release(void)
{
	quire_release(scene.q);
	return true;
}

static bool free_one(void)
{
	scene.held_nr--;
	quire_vfree(scene.q, scene.held[scene.held_nr]);
	return true;
}

static const struct quire_options plain =
	QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF);
static const struct quire_options uncached =
	QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF, .cache = QUIRE_OFF);
static const struct quire_options locked =
	QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF, .rseq = QUIRE_OFF);
static const struct quire_options forbidding =
	QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .worker = QUIRE_WORKER_OFF,
			   .guard = QUIRE_GUARD_FREED);
static const struct quire_options tiny =
	QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64), .vmap_span_bytes = MIB(4),
			   .worker = QUIRE_WORKER_OFF);

static const struct operation operations[] = {
	{ "first small area", &plain, nothing, take_small },
	{ "first middle area", &plain, nothing, take_middle },
	{ "first large area", &plain, nothing, take_large },
	{ "first area without caches", &uncached, nothing, take_small },
	{ "first area with locks", &locked, nothing, take_small },
	{ "first aligned area", &plain, nothing, take_aligned },
	{ "another area", &plain, some_areas, take_small },
	{ "another large area", &plain, some_areas, take_large },
	{ "another without waiting", &plain, some_areas, take_at_once },
	{ "an area of another size than was freed", &plain, some_freed, take_middle },
	{ "an area that needs a purge", &tiny, lazy_span, take_across_sizes },
	{ "an area that needs a record", &plain, many_areas, take_small },
	{ "pages or an area", &plain, nothing, take_kv },
	{ "growing with a neighbour", &plain, some_areas, grow },
	{ "growing in place", &plain, some_areas, grow_last },
	{ "growing without caches", &uncached, some_areas, grow },
	{ "shrinking", &plain, some_areas, shrink },
	{ "shrinking without caches", &uncached, some_areas, shrink },
	{ "free", &plain, some_areas, free_one },
	{ "free without caches", &uncached, some_areas, free_one },
	{ "free where that sets guards", &forbidding, some_areas, free_one },
	{ "an area where guards stand", &forbidding, some_freed, take_small },
	{ "growing where guards stand", &forbidding, some_freed, grow },
	{ "purge", &plain, some_freed, purge },
	{ "purge without caches", &uncached, some_freed, purge },
	{ "release", &plain, some_freed, release },
};

/* ---- the loop ------------------------------------------------------------------------------------ */

static void check_as_before(const struct operation *operation, unsigned nth,
			    const struct snapshot *before)
{
	struct snapshot after = snapshot_take();

	if (memcmp(before, &after, sizeof(after)) != 0)
		print_message("%s, call %u: the state has changed\n", operation->name, nth);
	assert_u64_eq(after.busy_areas, before->busy_areas);
	assert_u64_eq(after.busy_bytes, before->busy_bytes);
	assert_u64_eq(after.allocated_pages, before->allocated_pages);
	assert_u64_eq(after.limit_pages, before->limit_pages);
	assert_u64_eq(after.sizes, before->sizes);
	assert_u64_eq(after.fds, before->fds);
}

static void check_held(void)
{
	for (unsigned i = 0; i < scene.held_nr; i++)
		assert_true(holds(scene.held[i], KIB(4), (unsigned char)(0x80 + i)));
}

static void check_taken(void)
{
	if (scene.taken == NULL)
		return;
	assert_true(holds(scene.taken, scene.taken_bytes, 0));
	memset(scene.taken, 0x77, scene.taken_bytes);
	quire_vfree(scene.q, scene.taken);
}

/* Everything that was ever used reads zero and can be written: no guard, no dirt is left in it. */
static void check_all_usable(void)
{
	static const size_t sizes[] = { KIB(60), KIB(700), MIB(3) };
	static const unsigned most[] = { 16, 4, 2 };

	for (unsigned round = 0; round < 3; round++) {
		unsigned n = 0;

		while (n < most[round] &&
		       (scene.held[n] = quire_vzalloc(scene.q, sizes[round], 0)) != NULL)
			n++;
		assert_true(n >= 1);
		for (unsigned i = 0; i < n; i++) {
			assert_true(holds(scene.held[i], sizes[round], 0));
			memset(scene.held[i], 0xff, sizes[round]);
		}
		for (unsigned i = 0; i < n; i++)
			quire_vfree(scene.q, scene.held[i]);
		quire_release(scene.q);
	}
}

/* All that is free can be had. */
static void check_nothing_lost(void)
{
	struct quire_vmap_stat stat = QUIRE_VMAP_STAT_INIT;

	for (unsigned i = 0; i < scene.held_nr; i++)
		quire_vfree(scene.q, scene.held[i]);
	quire_release(scene.q);
	check_all_usable();
	assert_int_equal(quire_vmap_stat_read(scene.q, &stat), 0);
	assert_u64_eq(stat.busy_areas + stat.cached_areas + stat.lazy_areas, 0);
	assert_u64_eq(stat.free_bytes, stat.span_bytes);
	assert_int_equal(quire_verify(scene.q), 0);
}

/* The operation with call @nth failing; then, if it was refused, which is counted, once more.  Returns how many calls
 * were made. */
static uint64_t run_failing(const struct operation *operation, unsigned nth, bool lasting)
{
	struct snapshot before;
	uint64_t calls, refused_nr;
	bool done, has_areas;

	operation->set_up();
	before = snapshot_take();
	has_areas = before.busy_areas != 0;
	refused_nr = refusals();
	calls = backing_calls_nr();
	(lasting ? backing_fail_from : backing_fail_after)(nth, ENOMEM);
	errno = NOBODYS;
	done = operation->run();
	backing_fail_after(0, 0);
	assert_true(!done || errno == NOBODYS);
	calls = backing_calls_nr() - calls;
	assert_int_equal(quire_verify(scene.q), 0);
	check_held();
	if (!done) {
		check_as_before(operation, nth, &before);
		assert_true(!has_areas || refusals() > refused_nr);
		assert_true(operation->run());
		assert_int_equal(quire_verify(scene.q), 0);
	}
	check_held();
	check_taken();
	check_nothing_lost();
	return calls;
}

/* Sanitizers map memory of their own as they go.  What could not be unmapped stays: reservations of which
 * some parts are committed, some readable and others neither. */
static void check_no_more_maps(size_t maps, bool lasting)
{
	if (!MACHINE_TSAN && !MACHINE_ASAN)
		assert_true(count_maps() <= maps + (lasting ? 20 : 1));
}

static void check_operation(const struct operation *operation, bool lasting)
{
	uint64_t calls;
	unsigned nth = 0;

	do {
		size_t maps = count_maps();

		assert_true(++nth < CALLS_MAX);
		memset(&scene, 0, sizeof(scene));
		assert_int_equal(quire_create(operation->options, &scene.q), 0);
		calls = run_failing(operation, nth, lasting);
		quire_destroy(scene.q);
		check_no_more_maps(maps, lasting);
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

/* ---- a gather that stops ------------------------------------------------------------------------- */

#define RANGES_NR 6u

/* Whatever could not be taken away is dirty, and must not pass for zero. */
static void check_stop_after(unsigned given, const struct quire_options *options)
{
	memset(&scene, 0, sizeof(scene));
	assert_int_equal(quire_create(options, &scene.q), 0);
	for (unsigned i = 0; i < 2 * RANGES_NR; i++) {
		hold(KIB(60));
		memset(scene.held[i], 0xaa, KIB(60));
	}
	for (unsigned i = 0; i < 2 * RANGES_NR; i += 2)
		quire_vfree(scene.q, scene.held[i]);
	backing_stop_after(given, EPERM);
	backing_fail_from(2, EPERM);
	quire_vmap_purge(scene.q);
	backing_fail_after(0, 0);
	assert_int_equal(quire_verify(scene.q), 0);
	for (unsigned i = 0; i < 2 * RANGES_NR; i += 2) {
		scene.held[i] = quire_vzalloc(scene.q, KIB(60), 0);
		assert_non_null(scene.held[i]);
		assert_true(holds(scene.held[i], KIB(60), 0));
		assert_true(holds(scene.held[i + 1], KIB(60), 0xaa));
	}
	scene.held_nr = 2 * RANGES_NR;
	check_nothing_lost();
	quire_destroy(scene.q);
}

static void a_purge_stopped_after_k_ranges_passes_nothing_off_as_zero(void **state)
{
	(void)state;
	for (unsigned given = 0; given <= RANGES_NR; given++) {
		check_stop_after(given, &plain);
		check_stop_after(given, &uncached);
	}
}

/* An instance with so many sections in use that some are committed ahead of the next one. */
static struct quire *with_sections(void)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = MIB(1024), .guard = QUIRE_GUARD_OFF,
				   .worker = QUIRE_WORKER_OFF);
	struct quire *q;

	assert_int_equal(quire_create(&options, &q), 0);
	for (unsigned i = 0; i < 28; i++)
		assert_non_null(quire_vmalloc(q, MIB(2), 0));
	return q;
}

/* The system refuses what is committed ahead, but would give what is asked for.  Such a caller has one
 * attempt, which that refusal does not end. */
static void what_is_committed_ahead_is_not_missed(void **state)
{
	struct quire *q = with_sections();
	uint64_t before = backing_calls_nr(), calls = 0;

	(void)state;
	for (unsigned i = 0; i < 8 && calls == 0; i++) {
		backing_fail_after(1, ENOMEM);
		assert_non_null(quire_vmalloc(q, MIB(2), QUIRE_NOWAIT));
		calls = backing_calls_nr() - before;
	}
	backing_fail_after(0, 0);
	assert_true(calls >= 2);
	quire_destroy(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_one_call_that_fails_leaves_the_state_as_it_was),
		cmocka_unit_test(all_calls_that_fail_from_any_on_leave_the_state_as_it_was),
		cmocka_unit_test(what_is_committed_ahead_is_not_missed),
		cmocka_unit_test(a_purge_stopped_after_k_ranges_passes_nothing_off_as_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
