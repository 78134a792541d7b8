/* SPDX-License-Identifier: MIT */
/* Slabs of a hardened instance: random objects, quarantine, canaries, zeroes, guards. */
#include "unit/slab/slab_case.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/keyed.h"
#include "instance/instance.h"
#include "machine/process.h"
#include "slab/hardened.h"
#include "slab/sheaf.h"

#define SIZE  64u
#define BYTES 50u /* of a block of the class */
#define SOME  200u

/* A hardened instance, and a class of it.  Its slabs are its own, as malloc's are. */
struct hardened_case {
	struct quire *q;
	struct slabs *s;
	unsigned class;
};

static struct hardened_case hardened_begin(uint32_t size)
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = (uint64_t)64 << 20, .worker = QUIRE_WORKER_OFF);
	struct hardened_case it;
	int error = 0;

	assert_int_equal(quire_create(&options, &it.q), 0);
	it.q->hardened = true;
	it.s = slabs_get(it.q, &error);
	assert_non_null(it.s);
	it.class = 1;
	class_reserve(it.s, 1);
	assert_int_equal(class_make(it.s, it.class, size), 0);
	return it;
}

static void hardened_end(struct hardened_case *it)
{
	assert_int_equal(quire_verify(it->q), 0);
	quire_destroy(it->q);
}

static char *take(struct hardened_case *it)
{
	char *object = hardened_alloc(it->s, it->class, BYTES, 0, "malloc");

	assert_non_null(object);
	return object;
}

/* ---- random numbers ---- */

/* SipHash-1-3 with the bytes 0, 1, 2, ... as the key: of the bytes 0..7, and of 8 zeroes. */
static void keyed_hashes_are_the_algorithms(void **state)
{
	const struct key key = { { UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908) } };

	(void)state;
	assert_true(keyed_hash(&key, UINT64_C(0x0706050403020100)) == UINT64_C(0x369095118d299a8e));
	assert_true(keyed_hash(&key, 0) == UINT64_C(0x5cb96f6ba2a4fcfc));
}

static void random_bytes_differ_from_call_to_call(void **state)
{
	struct key first, second;

	(void)state;
	process_random(&first, sizeof(first));
	process_random(&second, sizeof(second));
	assert_memory_not_equal(&first, &second, sizeof(first));
}

/* ---- order ---- */

/* Distances between objects that follow each other are of many kinds, and none is frequent. */
static void objects_come_in_no_order(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	unsigned ascending = 0, neighbours = 0;
	char *before = take(&it);

	(void)state;
	for (unsigned i = 0; i < SOME; i++) {
		char *object = take(&it);

		ascending += object > before;
		neighbours += object == before + SIZE || before == object + SIZE;
		before = object;
	}
	assert_in_range(ascending, SOME / 4, SOME - SOME / 4);
	assert_in_range(neighbours, 0, SOME / 10);
	hardened_end(&it);
}

/* The first objects of an instance, as offsets from its pages. */
static void order_read(size_t offsets[SOME])
{
	struct hardened_case it = hardened_begin(SIZE);

	for (unsigned i = 0; i < SOME; i++)
		offsets[i] = (size_t)(take(&it) - it.s->base);
	hardened_end(&it);
}

static void two_instances_have_different_orders(void **state)
{
	size_t first[SOME], second[SOME];
	unsigned same = 0;

	(void)state;
	order_read(first);
	order_read(second);
	for (unsigned i = 0; i < SOME; i++)
		same += first[i] == second[i];
	assert_in_range(same, 0, SOME / 10);
}

/* What parent and child draw after a fork differs. */
static void a_child_of_fork_has_another_order(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	size_t ours[SOME], theirs[SOME];
	int ends[2], status = 0;
	unsigned same = 0;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	assert_true(child >= 0);
	for (unsigned i = 0; i < SOME; i++)
		ours[i] = (size_t)(take(&it) - it.s->base);
	if (child == 0)
		_exit(write(ends[1], ours, sizeof(ours)) == (ssize_t)sizeof(ours) ? 0 : 1);
	close(ends[1]);
	assert_int_equal(read(ends[0], theirs, sizeof(theirs)), sizeof(theirs));
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	for (unsigned i = 0; i < SOME; i++)
		same += ours[i] == theirs[i];
	assert_in_range(same, 0, SOME / 10);
	hardened_end(&it);
}

/* Several instances' first slabs lie at different places. */
static void slabs_lie_at_random_places(void **state)
{
	size_t first = SIZE_MAX;
	bool differ = false;

	(void)state;
	for (unsigned i = 0; i < 32; i++) {
		struct hardened_case it = hardened_begin(SIZE);
		size_t slab = (size_t)(take(&it) - it.s->base) >> SLAB_SHIFT;

		differ = differ || (first != SIZE_MAX && slab != first);
		first = slab;
		hardened_end(&it);
	}
	assert_true(differ);
}

/* ---- quarantine ---- */

/* A freed object does not come back before as many more were freed as the queue has room for. */
static void a_freed_object_waits(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	char *freed = take(&it);

	(void)state;
	hardened_free(it.s, freed, "free");
	for (unsigned i = 0; i < 256; i++) {
		char *other = take(&it);

		assert_ptr_not_equal(other, freed);
		hardened_free(it.s, other, "free");
	}
	hardened_end(&it);
}

/* But it does come back: the quarantine is bounded. */
static void a_freed_object_comes_back(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	char *freed = take(&it);
	unsigned tries = 0;
	char *other;

	(void)state;
	hardened_free(it.s, freed, "free");
	do {
		other = take(&it);
		hardened_free(it.s, other, "free");
		tries++;
	} while (other != freed && tries < 1000000);
	assert_ptr_equal(other, freed);
	assert_true(hardened_waiting(it.s, it.class) <= 512);
	hardened_end(&it);
}

/* Large objects wait in a short quarantine, so that all classes together keep little. */
static void what_waits_is_bounded_in_bytes(void **state)
{
	struct hardened_case it = hardened_begin(32768);
	void *objects[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++)
		objects[i] = take(&it);
	for (unsigned i = 0; i < 64; i++)
		hardened_free(it.s, objects[i], "free");
	assert_in_range(hardened_waiting(it.s, it.class), 4, 8);
	hardened_end(&it);
}

/* Memory is short: what waits is given up, and its slabs go. */
static void a_release_empties_the_quarantine(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);

	(void)state;
	for (unsigned i = 0; i < SOME; i++)
		hardened_free(it.s, take(&it), "free");
	assert_int_equal(hardened_waiting(it.s, it.class), SOME);
	quire_release(it.q);
	assert_int_equal(hardened_waiting(it.s, it.class), 0);
	hardened_end(&it);
}

/* ---- content ---- */

static void objects_read_zero_after_any_use(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	const char zeroes[BYTES] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		char *object = take(&it);

		assert_memory_equal(object, zeroes, BYTES);
		memset(object, 0xa5, BYTES);
		hardened_free(it.s, object, "free");
		if (i % 5000 == 0)
			quire_release(it.q);
	}
	hardened_end(&it);
}

/* Pages that others wrote to come to a slab clean. */
static void new_slabs_read_zero(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	void *runs[64];

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		runs[i] = quire_alloc_pages(it.q, 4, 0);
		assert_non_null(runs[i]);
		memset(runs[i], 0xa5, (size_t)1 << SLAB_SHIFT);
	}
	for (unsigned i = 0; i < 64; i++)
		quire_free_pages(it.q, runs[i], 4);
	for (unsigned i = 0; i < 20000; i++)
		assert_int_equal(take(&it)[BYTES - 1], 0);
	hardened_end(&it);
}

static void the_size_that_was_asked_for_is_known(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);

	(void)state;
	for (uint32_t bytes = 0; bytes <= SIZE - HARDENED_CANARY_BYTES; bytes++) {
		char *object = hardened_alloc(it.s, it.class, bytes, 0, "malloc");

		memset(object, 0xff, bytes);
		assert_int_equal(hardened_bytes(it.s, object, "realloc"), bytes);
		hardened_set_bytes(it.s, object, bytes / 2);
		assert_int_equal(hardened_bytes(it.s, object, "realloc"), bytes / 2);
		hardened_free(it.s, object, "free");
	}
	hardened_end(&it);
}

/* Objects are taken anywhere, so no page of a first slab is known to be untouched. */
static void a_first_slab_counts_in_full(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	char *object = take(&it);

	(void)state;
	assert_int_equal(it.s->class[it.class].fresh_pages, 0);
	hardened_free(it.s, object, "free");
	hardened_end(&it);
}

/* ---- guards ---- */

static bool read_faults(const char *at)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0) {
		signal(SIGSEGV, SIG_DFL);
		_exit(*(const volatile char *)at != 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void a_slab_ends_at_a_guard(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	const char *slab =
		(const char *)((uintptr_t)take(&it) & ~(((uintptr_t)1 << SLAB_SHIFT) - 1));
	const char *end = slab + ((size_t)1 << SLAB_SHIFT);

	(void)state;
	if (!mem_guard_works())
		skip_because("guards take mappings here");
	assert_true(read_faults(end - 1));
	assert_true(read_faults(end - mem_page_bytes()));
	assert_false(read_faults(end - mem_page_bytes() - 1));
	hardened_end(&it);
}

/* Its pages can be used for anything afterwards. */
static void the_guard_leaves_with_its_slab(void **state)
{
	struct hardened_case it = hardened_begin(SIZE);
	void *objects[5000];

	(void)state;
	for (unsigned i = 0; i < 5000; i++)
		objects[i] = take(&it);
	for (unsigned i = 0; i < 5000; i++)
		hardened_free(it.s, objects[i], "free");
	quire_release(it.q);
	for (unsigned i = 0; i < 512; i++) {
		void *run = quire_alloc_pages(it.q, 4, 0);

		assert_non_null(run);
		memset(run, 1, (size_t)1 << SLAB_SHIFT);
	}
	hardened_end(&it);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keyed_hashes_are_the_algorithms),
		cmocka_unit_test(random_bytes_differ_from_call_to_call),
		cmocka_unit_test(objects_come_in_no_order),
		cmocka_unit_test(two_instances_have_different_orders),
		cmocka_unit_test(a_child_of_fork_has_another_order),
		cmocka_unit_test(slabs_lie_at_random_places),
		cmocka_unit_test(a_freed_object_waits),
		cmocka_unit_test(a_freed_object_comes_back),
		cmocka_unit_test(what_waits_is_bounded_in_bytes),
		cmocka_unit_test(a_release_empties_the_quarantine),
		cmocka_unit_test(objects_read_zero_after_any_use),
		cmocka_unit_test(new_slabs_read_zero),
		cmocka_unit_test(the_size_that_was_asked_for_is_known),
		cmocka_unit_test(a_first_slab_counts_in_full),
		cmocka_unit_test(a_slab_ends_at_a_guard),
		cmocka_unit_test(the_guard_leaves_with_its_slab),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
