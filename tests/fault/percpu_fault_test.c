/* SPDX-License-Identifier: MIT */
/*
 * Every call that gives or takes memory fails in turn, for every operation on per-CPU memory, until
 * the operation gets through untouched: records of chunks, each array, addresses, the stacks, what
 * is given back.  Then the limit is reached at each page in turn.  After each, P1..P14 hold, objects
 * have what was in them, and what is charged is what is populated and what describes it.  A refused
 * operation then succeeds.
 */
#include "unit/percpu/percpu_case.h"

#include <sys/wait.h>
#include <unistd.h>

#include "machine/linux/backing.h"
#include "machine/linux/sanitizer.h"
#include "page/pages.h"

#define NOBODYS	  77 /* in errno, where a call that succeeds leaves it */
#define CALLS_MAX 400u
#define HELD_MAX  700u
#define BULK_NR	  64u
#define PAGES_MAX 600u /* that an operation may charge */
#define COPIES	  2u

struct object {
	unsigned char *ptr;
	size_t bytes;
};

static struct {
	struct quire *q;
	struct object held[HELD_MAX]; /* by the set-up */
	unsigned held_nr;
	struct object taken[BULK_NR]; /* by the operation */
	unsigned taken_nr;
} scene;

struct operation {
	const char *name;
	const struct quire_options *options;
	void (*set_up)(void);
	bool (*run)(void); /* false: refused */
};

static void fill(const struct object *object, unsigned char byte)
{
	for (unsigned unit = 0; unit < COPIES; unit++)
		memset(quire_per_cpu_ptr(object->ptr, unit), byte, object->bytes);
}

static bool holds(const struct object *object, unsigned char byte)
{
	for (unsigned unit = 0; unit < COPIES; unit++) {
		const unsigned char *copy = quire_per_cpu_ptr(object->ptr, unit);

		if (copy[0] != byte || memcmp(copy, copy + 1, object->bytes - 1) != 0)
			return false;
	}
	return true;
}

static unsigned char name_of(unsigned i)
{
	return (unsigned char)(i % 250 + 1);
}

/* ---- set-ups ------------------------------------------------------------------------------------- */

static void hold(size_t bytes)
{
	struct object object = { quire_alloc_percpu(scene.q, bytes, 0, 0), bytes };

	assert_true(scene.held_nr < HELD_MAX);
	assert_non_null(object.ptr);
	fill(&object, name_of(scene.held_nr));
	scene.held[scene.held_nr++] = object;
}

static void give_held(unsigned i)
{
	quire_free_percpu(scene.q, scene.held[i].ptr);
	scene.held[i] = scene.held[--scene.held_nr];
	if (i < scene.held_nr)
		fill(&scene.held[i], name_of(i));
}

static void nothing(void)
{
}

static void one_object(void)
{
	hold(64);
}

/* Chunks up to @chunks are full; the next object needs another. */
static void full_chunks(uint32_t chunks)
{
	uint64_t free_granules;

	hold(8);
	do {
		hold(scene.q->percpu->chunks_nr < chunks ? QUIRE_PERCPU_BYTES_MAX
							 : page_bytes(scene.q));
		free_granules = scene.q->percpu->chunk[chunks - 1].free_granules;
	} while (scene.q->percpu->chunks_nr < chunks || free_granules > page_bytes(scene.q) / 8);
	assert_int_equal(scene.q->percpu->chunks_nr, chunks);
}

static void a_full_chunk(void)
{
	full_chunks(2);
}

static void a_full_window(void)
{
	hold(8);
	full_chunks((uint32_t)(QUIRE_PERCPU_STRIDE >> scene.q->percpu->unit_shift));
}

/* Two chunks with holes of every length in them. */
static void chunks_with_holes(void)
{
	full_chunks(2);
	for (unsigned i = 0; i < scene.held_nr; i += i % 5 + 1)
		give_held(i);
}

/* A size that comes and goes in turns: there are offsets on a stack. */
static void a_warm_size(void)
{
	hold(64);
	for (unsigned i = 0; i < 8 * COUNT_WARM; i++) {
		hold(64);
		give_held(scene.held_nr - 1);
	}
}

static void chunks_with_holes_and_stacks(void)
{
	chunks_with_holes();
	a_warm_size();
}

static void an_isolated_chunk(void)
{
	chunks_with_holes();
	isolate_now(scene.q, 1);
}

static void an_unused_reserve(void)
{
	hold(8);
	while (scene.q->percpu->empty_pages != 0) {
		struct object object = { quire_alloc_percpu(scene.q, page_bytes(scene.q), 0,
							    QUIRE_ATOMIC),
					 page_bytes(scene.q) };

		assert_non_null(object.ptr);
		fill(&object, name_of(scene.held_nr));
		scene.held[scene.held_nr++] = object;
	}
}

/* ---- operations ---------------------------------------------------------------------------------- */

static bool take(size_t bytes, size_t align, unsigned flags)
{
	struct object object = { quire_alloc_percpu(scene.q, bytes, align, flags), bytes };

	if (object.ptr == NULL) {
		assert_true(errno == ENOMEM || errno == ENOSPC);
		return false;
	}
	scene.taken[scene.taken_nr++] = object;
	return true;
}

static bool take_small(void)
{
	return take(64, 0, 0);
}

static bool take_four(void)
{
	return take(4, 0, 0);
}

static bool take_page(void)
{
	return take(page_bytes(scene.q), page_bytes(scene.q), 0);
}

static bool take_largest(void)
{
	return take(QUIRE_PERCPU_BYTES_MAX, 0, 0);
}

static bool take_at_once(void)
{
	return take(page_bytes(scene.q), 0, QUIRE_ATOMIC);
}

/* All or nothing, as a caller would have it. */
static bool take_bulk(void)
{
	struct quire_percpu_request request = QUIRE_PERCPU_REQUEST_INIT(.bytes = 2000);
	void *ptrs[BULK_NR];
	size_t n = quire_alloc_percpu_bulk(scene.q, &request, ptrs, BULK_NR);

	if (n < BULK_NR) {
		quire_free_percpu_bulk(scene.q, ptrs, n);
		return false;
	}
	for (unsigned i = 0; i < BULK_NR; i++)
		scene.taken[scene.taken_nr++] = (struct object){ ptrs[i], request.bytes };
	return true;
}

static bool free_one(void)
{
	scene.held_nr--;
	quire_free_percpu(scene.q, scene.held[scene.held_nr].ptr);
	return true;
}

static bool free_most(void)
{
	while (scene.held_nr > 3)
		free_one();
	return true;
}

static bool shrink(void)
{
	quire_percpu_shrink(scene.q);
	return true;
}

static bool visit(void)
{
	balance_now(scene.q, false);
	return scene.q->percpu->empty_pages >= EMPTY_HIGH;
}

static const struct quire_options plain = QUIRE_OPTIONS_INIT(.worker = QUIRE_WORKER_OFF);
static const struct quire_options as_linux = QUIRE_OPTIONS_INIT(.placement = QUIRE_PLACEMENT_LINUX);
static const struct quire_options uncached = QUIRE_OPTIONS_INIT(.cache = QUIRE_OFF);
static const struct quire_options locked = QUIRE_OPTIONS_INIT(.rseq = QUIRE_OFF);

static const struct operation operations[] = {
	{ "first object", &plain, nothing, take_small },
	{ "first object without caches", &uncached, nothing, take_small },
	{ "first object with locks", &locked, nothing, take_small },
	{ "first object at once", &plain, nothing, take_at_once },
	{ "first objects in bulk", &plain, nothing, take_bulk },
	{ "another object", &plain, one_object, take_small },
	{ "first object of 4 bytes", &plain, one_object, take_four },
	{ "a page", &plain, one_object, take_page },
	{ "the largest object", &plain, one_object, take_largest },
	{ "an object in a new chunk", &plain, a_full_chunk, take_largest },
	{ "an object in a new chunk, as Linux", &as_linux, a_full_chunk, take_largest },
	{ "an object in a new window", &plain, a_full_window, take_largest },
	{ "objects in bulk", &plain, a_full_chunk, take_bulk },
	{ "an object in a new chunk at once", &plain, a_full_chunk, take_at_once },
	{ "free", &plain, one_object, free_one },
	{ "free of a warm size", &plain, a_warm_size, free_one },
	{ "frees that isolate", &plain, a_full_window, free_most },
	{ "shrink", &plain, chunks_with_holes, shrink },
	{ "shrink, as Linux", &as_linux, chunks_with_holes, shrink },
	{ "shrink with stacks", &plain, chunks_with_holes_and_stacks, shrink },
	{ "a visit that depopulates", &plain, an_isolated_chunk, visit },
	{ "a visit that fills the reserve", &plain, an_unused_reserve, visit },
};
#define OPERATIONS_NR (sizeof(operations) / sizeof(operations[0]))

/* ---- what must hold ------------------------------------------------------------------------------ */

static uint64_t charged_pages(void)
{
	uint64_t pages = 0;

	for (unsigned i = 0; i < pages_of(scene.q)->zones_nr; i++)
		pages += pages_of(scene.q)->zone[i].charged_pages;
	return pages;
}

/* What is charged for per-CPU memory: populated pages in all units, and the arrays. */
static uint64_t accounted_pages(void)
{
	const struct percpu *pc = scene.q->percpu;

	if (pc == NULL)
		return 0;
	return pc->populated_pages * pc->units +
	       ((pc->grown_chunks.ready_bytes + pc->grown_pages.ready_bytes +
		 pc->grown_maps.ready_bytes + pc->grown_owners.ready_bytes +
		 pc->grown_deferred.ready_bytes + pc->grown_index.ready_bytes) >>
		pc->page_shift);
}

static uint64_t objects_nr(void)
{
	return scene.q->percpu != NULL ? percpu_stat(scene.q).objects : 0;
}

static void check_rules(uint64_t others_pages)
{
	assert_int_equal(quire_verify(scene.q), 0);
	assert_u64_eq(charged_pages(), accounted_pages() + others_pages);
	assert_u64_eq(objects_nr(), scene.held_nr + scene.taken_nr);
	for (unsigned i = 0; i < scene.held_nr; i++)
		assert_true(holds(&scene.held[i], name_of(i)));
}

static void free_all(void)
{
	for (unsigned i = 0; i < scene.held_nr; i++)
		quire_free_percpu(scene.q, scene.held[i].ptr);
	for (unsigned i = 0; i < scene.taken_nr; i++)
		quire_free_percpu(scene.q, scene.taken[i].ptr);
	scene.held_nr = scene.taken_nr = 0;
}

static void take_zeroes(unsigned count, size_t bytes)
{
	for (unsigned i = 0; i < count; i++) {
		struct object object = { quire_alloc_percpu(scene.q, bytes, 0, 0), bytes };

		assert_true(scene.held_nr < HELD_MAX);
		assert_non_null(object.ptr);
		assert_true(holds(&object, 0));
		fill(&object, name_of(scene.held_nr));
		scene.held[scene.held_nr++] = object;
	}
}

/* What the operation took reads zero, and so does what is had between the others and after they have
 * gone: nothing that the system kept passes for new.  Then everything goes back. */
static void check_nothing_lost(void)
{
	for (unsigned i = 0; i < scene.taken_nr; i++) {
		assert_true(holds(&scene.taken[i], 0));
		fill(&scene.taken[i], 0xff);
	}
	take_zeroes(60, page_bytes(scene.q));
	check_rules(0);
	free_all();
	take_zeroes(40, 9000);
	free_all();
	quire_percpu_shrink(scene.q);
	check_rules(0);
	assert_u64_eq(percpu_stat(scene.q).populated_pages, percpu_stat(scene.q).first_pages);
}

static void scene_make(const struct quire_options *wanted)
{
	struct quire_options options = *wanted;

	memset(&scene, 0, sizeof(scene));
	options.limit_bytes = UINT64_C(64) << 20;
	options.units = COPIES;
	options.worker = QUIRE_WORKER_OFF;
	assert_int_equal(quire_create(&options, &scene.q), 0);
}

/* ---- calls --------------------------------------------------------------------------------------- */

/* The operation with call @nth failing; then, if it was refused, once more.  Returns how many calls
 * were made. */
static uint64_t run_failing(const struct operation *operation, unsigned nth, bool lasting)
{
	uint64_t calls;
	bool done;

	operation->set_up();
	calls = backing_calls_nr();
	(lasting ? backing_fail_from : backing_fail_after)(nth, ENOMEM);
	errno = NOBODYS;
	done = operation->run();
	backing_fail_after(0, 0);
	assert_true(!done || errno == NOBODYS);
	calls = backing_calls_nr() - calls;
	check_rules(0);
	if (!done) {
		assert_true(operation->run());
		check_rules(0);
	}
	check_nothing_lost();
	return calls;
}

/* Sanitizers map memory of their own as they go.  What could not be unmapped stays: two reservations,
 * which the arrays that were committed in one of them cut into pieces. */
static void check_no_more_maps(size_t maps, bool lasting)
{
	if (!MACHINE_TSAN && !MACHINE_ASAN)
		assert_in_range(count_maps(), 0, maps + (lasting ? 20 : 1));
}

static void check_operation(const struct operation *operation, bool lasting)
{
	uint64_t calls;
	unsigned nth = 0;

	do {
		size_t maps = count_maps();

		assert_true(++nth < CALLS_MAX);
		scene_make(operation->options);
		calls = run_failing(operation, nth, lasting);
		quire_destroy(scene.q);
		check_no_more_maps(maps, lasting);
	} while (calls >= nth);
	print_message("%s: %u calls\n", operation->name, nth - 1);
}

static void any_one_call_that_fails_leaves_the_state_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < OPERATIONS_NR; i++)
		check_operation(&operations[i], false);
}

static void all_calls_that_fail_from_any_on_leave_the_state_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < OPERATIONS_NR; i++)
		check_operation(&operations[i], true);
}

/* ---- the limit ----------------------------------------------------------------------------------- */

/* Leaves @left pages of the limit; returns how many are taken. */
static uint64_t take_all_but(uint64_t left)
{
	uint64_t taken = 0;

	for (uint64_t step = 1u << 20; step != 0; step /= 2)
		while (page_charge(scene.q, step, QUIRE_NORETRY) == 0)
			taken += step;
	assert_true(taken > left);
	page_uncharge(scene.q, left);
	return taken - left;
}

/* The operation when only @left pages can be charged; then with room.  True if that was enough. */
static bool run_within(const struct operation *operation, uint64_t left)
{
	uint64_t others;
	bool done;

	operation->set_up();
	others = take_all_but(left);
	errno = NOBODYS;
	done = operation->run();
	assert_true(!done || errno == NOBODYS);
	check_rules(others);
	page_uncharge(scene.q, others);
	if (!done)
		assert_true(operation->run());
	check_rules(0);
	check_nothing_lost();
	return done;
}

static void a_limit_reached_at_any_page_leaves_the_state_as_it_was(void **state)
{
	(void)state;
	for (size_t i = 0; i < OPERATIONS_NR; i++) {
		uint64_t left = 0;
		bool done;

		do {
			assert_true(left < PAGES_MAX);
			scene_make(operations[i].options);
			done = run_within(&operations[i], left);
			quire_destroy(scene.q);
			/* Farther on not each: a page costs one in each unit. */
			left += left < 24 ? 1 : COPIES + 1;
		} while (!done);
		print_message("%s: done with less than %u pages\n", operations[i].name,
			      (unsigned)left);
	}
}

/* ---- a gather that stops ------------------------------------------------------------------------- */

/* Whatever could not be taken away is dirty: its pages stay populated, and read zero when they are
 * had again. */
static void a_gather_stopped_after_k_ranges_passes_nothing_off_as_zero(void **state)
{
	(void)state;
	for (unsigned given = 0; given <= 12; given++) {
		scene_make(&plain);
		chunks_with_holes();
		backing_stop_after(given, EPERM);
		backing_fail_from(2, EPERM);
		quire_percpu_shrink(scene.q);
		backing_fail_after(0, 0);
		check_rules(0);
		check_nothing_lost();
		quire_destroy(scene.q);
	}
}

/* ---- variables ----------------------------------------------------------------------------------- */

static long *variable_pointer;
static const long variable_content = 4711;
static const struct quire_percpu_variable variable =
	QUIRE_PERCPU_VARIABLE_INIT(.pointer = (void **)&variable_pointer,
				   .content = &variable_content, .bytes = sizeof(long),
				   .align = sizeof(long));

#define CHILD_SAID_SO	  2   /* what process_exit_conf() ends with */
#define CHILD_DID_WITHOUT 103 /* what failed was no more than advice */

/* A process that has no memory for a variable says so and ends. */
static int define_failing(unsigned nth)
{
	pid_t child = child_fork();
	int status;

	if (child == 0) {
		uint64_t calls = backing_calls_nr();

		backing_fail_from(nth, ENOMEM);
		quire_percpu_define(&variable);
		backing_fail_after(0, 0);
		if (quire_verify(quire_default()) != 0)
			_exit(100);
		for (unsigned cpu = 0; cpu < quire_percpu_units(quire_default()); cpu++)
			if (*quire_per_cpu_ptr(variable_pointer, cpu) != variable_content)
				_exit(101);
		quire_percpu_undefine(&variable);
		if (variable_pointer != NULL || quire_verify(quire_default()) != 0)
			_exit(102);
		_exit(backing_calls_nr() - calls >= nth ? CHILD_DID_WITHOUT : 0);
	}
	status = child_wait(child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void a_variable_without_memory_ends_the_process(void **state)
{
	unsigned said_so = 0, nth = 1;
	int status;

	(void)state;
	assert_non_null(quire_default());
	while ((status = define_failing(nth)) != 0) {
		assert_true(status == CHILD_SAID_SO || status == CHILD_DID_WITHOUT);
		said_so += status == CHILD_SAID_SO;
		assert_true(++nth < CALLS_MAX);
	}
	assert_true(said_so > 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_one_call_that_fails_leaves_the_state_as_it_was),
		cmocka_unit_test(all_calls_that_fail_from_any_on_leave_the_state_as_it_was),
		cmocka_unit_test(a_limit_reached_at_any_page_leaves_the_state_as_it_was),
		cmocka_unit_test(a_gather_stopped_after_k_ranges_passes_nothing_off_as_zero),
		cmocka_unit_test(a_variable_without_memory_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
