/* SPDX-License-Identifier: MIT */
/* The life of freed areas: reuse, the purge, time, quire_release(); and what reads zero after it. */
#include "unit/vmap/vmap_case.h"

#define AREAS_NR 64u

static void an_area_of_a_size_freed_before_is_reused_without_a_system_call(void **state)
{
	struct quire *q = *state;
	void *addr = vtake(q, KIB(64), 0);
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;

	quire_vfree(q, addr);
	before = vstat_of(q);
	for (unsigned i = 0; i < 100; i++) {
		addr = vtake(q, KIB(64), 0);
		quire_vfree(q, addr);
	}
	after = vstat_of(q);
	if (caches()) {
		assert_u64_eq(after.reused - before.reused, 100);
		assert_u64_eq(after.tree_allocs, before.tree_allocs);
	} else {
		assert_u64_eq(after.reused, 0);
		assert_u64_eq(after.cached_areas, 0);
	}
	assert_u64_eq(after.allocs - before.allocs, 100);
}

/* Had all freed areas been merged instead, the rest would be one area with the neighbour. */
static void a_larger_area_freed_before_is_cut_and_its_neighbour_stays(void **state)
{
	struct quire *q = *state;
	char *larger = vtake(q, KIB(128), 0), *neighbour = vtake(q, KIB(192), 0), *held, *cut;
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;

	held = vtake(q, KIB(64), 0);
	quire_vfree(q, neighbour);
	quire_vfree(q, larger);
	before = vstat_of(q);
	cut = vtake(q, KIB(64), 0);
	after = vstat_of(q);
	if (caches()) {
		assert_ptr_equal(cut, larger);
		assert_u64_eq(after.tree_allocs, before.tree_allocs);
		assert_u64_eq(before.cached_areas, 2);
		assert_u64_eq(after.cached_areas, 2);
		assert_ptr_equal(vtake(q, KIB(192), 0), neighbour);
		quire_vfree(q, neighbour);
	}
	quire_vfree(q, cut);
	quire_vfree(q, held);
}

/* What is cached or lazy is not unbacked: the content of a cached area is still there. */
static void a_purge_takes_the_memory_of_what_was_freed(void **state)
{
	struct quire *q = *state;
	void *held[AREAS_NR];
	size_t resident;

	assert_u64_eq(take_areas(q, MIB(1), 0, held, AREAS_NR), AREAS_NR);
	for (unsigned i = 0; i < AREAS_NR; i++)
		memset(held[i], 1, MIB(1));
	resident = resident_bytes();
	free_areas(q, held, AREAS_NR);
	assert_true(resident_bytes() + MIB(1) > resident || !caches());
	assert_true(quire_vmap_purge(q) >= AREAS_NR * MIB(1) || !caches());
	assert_true(resident_bytes() + AREAS_NR * MIB(1) < resident + MIB(8));
	assert_u64_eq(vstat_of(q).lazy_areas, 0);
	assert_u64_eq(vstat_of(q).lazy_bytes, 0);
	assert_u64_eq(vstat_of(q).cached_bytes, 0);
	assert_u64_eq(quire_vmap_purge(q), 0);
}

/* Every second one of many: far fewer flushes than areas, or ranges where neighbours merged. */
static void a_purge_takes_many_areas_with_few_flushes(void **state)
{
	struct quire *q = *state;
	struct quire_vmap_stat before = QUIRE_VMAP_STAT_INIT, after = before;
	static void *held[1000];

	assert_u64_eq(take_areas(q, KIB(32), 0, held, 1000), 1000);
	for (unsigned i = 0; i < 1000; i++)
		memset(held[i], 1, KIB(32));
	before = vstat_of(q);
	for (unsigned i = 0; i < 1000; i += 2)
		quire_vfree(q, held[i]);
	quire_vmap_purge(q);
	after = vstat_of(q);
	assert_true(after.purges > before.purges);
	assert_true(after.purged_bytes - before.purged_bytes >= 500 * KIB(32));
	assert_true(after.purged_areas - before.purged_areas <= 500);
	assert_true(after.purged_ranges - before.purged_ranges <=
		    after.purged_areas - before.purged_areas);
	assert_true(after.flushes - before.flushes <= 2);
	for (unsigned i = 1; i < 1000; i += 2)
		quire_vfree(q, held[i]);
	quire_vmap_purge(q);
	assert_u64_eq(vstat_of(q).free_ranges, 1);
}

/* A little over lazy_max is left, whatever is freed. */
static void what_is_lazy_stays_near_its_bound(void **state)
{
	struct quire *q = vmap_make(
		(struct quire_options){ .lazy_max_bytes = MIB(8), .worker = QUIRE_WORKER_INLINE });
	struct quire_vmap_stat s = QUIRE_VMAP_STAT_INIT;

	(void)state;
	for (unsigned i = 0; i < 400; i++) {
		void *addr = vtake(q, MIB(1) + i * KIB(64) % MIB(3), 0);

		*(char *)addr = 1;
		quire_vfree(q, addr);
	}
	s = vstat_of(q);
	assert_u64_eq(s.lazy_max_bytes, MIB(8));
	assert_true(s.lazy_bytes <= MIB(24));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

static void release_gives_back_what_is_cached_and_lazy(void **state)
{
	struct quire *q = *state;
	void *held[AREAS_NR];
	struct quire_vmap_stat s = QUIRE_VMAP_STAT_INIT;
	size_t resident;

	assert_u64_eq(take_areas(q, MIB(1), 0, held, AREAS_NR), AREAS_NR);
	for (unsigned i = 0; i < AREAS_NR; i++)
		memset(held[i], 1, MIB(1));
	resident = resident_bytes();
	free_areas(q, held, AREAS_NR);
	assert_true(quire_release(q) >= AREAS_NR * MIB(1) || !caches());
	s = vstat_of(q);
	assert_u64_eq(s.cached_bytes + s.lazy_bytes, 0);
	assert_u64_eq(s.free_bytes, s.span_bytes);
	assert_true(resident_bytes() + AREAS_NR * MIB(1) < resident + MIB(8));
}

static void unmap_aliases_leaves_nothing_within_reach(void **state)
{
	struct quire *q = *state;
	void *held[10];
	struct quire_vmap_stat s = QUIRE_VMAP_STAT_INIT;

	quire_vm_unmap_aliases(q); /* of an instance without areas */
	assert_u64_eq(take_areas(q, KIB(40), 0, held, 10), 10);
	free_areas(q, held, 10);
	quire_vm_unmap_aliases(q);
	s = vstat_of(q);
	assert_u64_eq(s.lazy_bytes + s.cached_bytes, 0);
}

/* ---- time ------------------------------------------------------------------------------------- */

/* Polls until nothing is due, for at most @seconds; returns whether that came to pass. */
static bool poll_until_idle(struct quire *q, unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 100; i++) {
		int due_ms = quire_poll(q);

		assert_true(due_ms >= -1);
		if (due_ms == -1)
			return true;
		usleep(due_ms > 10 ? 10000 : (unsigned)due_ms * 1000);
	}
	return false;
}

static void with_time_everything_that_was_freed_goes_back(void **state)
{
	struct quire *q = vmap_make((struct quire_options){ .decay_ms = 20 });
	void *held[AREAS_NR];
	size_t resident;

	(void)state;
	assert_u64_eq(take_areas(q, MIB(1), 0, held, AREAS_NR), AREAS_NR);
	for (unsigned i = 0; i < AREAS_NR; i++)
		memset(held[i], 1, MIB(1));
	resident = resident_bytes();
	free_areas(q, held, AREAS_NR);
	assert_true(poll_until_idle(q, 10));
	assert_u64_eq(vstat_of(q).cached_bytes + vstat_of(q).lazy_bytes, 0);
	assert_true(resident_bytes() + AREAS_NR * MIB(1) < resident + MIB(8));
	assert_int_equal(quire_verify(q), 0);
	quire_destroy(q);
}

/* No call is made while it happens. */
static void a_worker_gives_back_what_an_idle_program_freed(void **state)
{
	struct quire *q =
		vmap_make((struct quire_options){ .decay_ms = 20, .worker = QUIRE_WORKER_THREAD });
	void *held[AREAS_NR];
	size_t resident;

	(void)state;
	assert_u64_eq(take_areas(q, MIB(1), 0, held, AREAS_NR), AREAS_NR);
	for (unsigned i = 0; i < AREAS_NR; i++)
		memset(held[i], 1, MIB(1));
	resident = resident_bytes();
	free_areas(q, held, AREAS_NR);
	for (unsigned i = 0; i < 1000 && resident_bytes() + AREAS_NR * MIB(1) >= resident + MIB(8);
	     i++)
		usleep(10000);
	assert_true(resident_bytes() + AREAS_NR * MIB(1) < resident + MIB(8));
	quire_destroy(q);
}

/* ---- zero ------------------------------------------------------------------------------------- */

static void zeroed_areas_read_zero_wherever_they_come_from(void **state)
{
	static const size_t sizes[] = { 1, 5000, KIB(16), KIB(100), KIB(640), MIB(2), MIB(5) + 3 };
	struct quire *q = *state;

	for (unsigned round = 0; round < 6; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			size_t bytes = sizes[(i + round) % 7];
			char *addr = round % 2 ? quire_vzalloc(q, bytes, 0)
					       : quire_vmalloc(q, bytes, QUIRE_ZERO);

			assert_non_null(addr);
			assert_true(reads_as(addr, bytes, 0));
			memset(addr, 0xff, area_at(q, addr).bytes);
			quire_vfree(q, addr);
		}
		if (round == 3)
			quire_vmap_purge(q);
	}
}

/* Clearing it would make it resident. */
static void what_is_known_to_be_zero_is_not_cleared(void **state)
{
	struct quire *q = *state;
	size_t resident;
	char *addr;

	quire_vfree(q, vtake(q, MIB(64), 0)); /* metadata is there */
	quire_vmap_purge(q);
	resident = resident_bytes();
	addr = quire_vzalloc(q, MIB(64), 0);
	assert_non_null(addr);
	assert_true(resident_bytes() < resident + MIB(8));
	memset(addr, 0xff, MIB(64));
	quire_vfree(q, addr);
	quire_vmap_purge(q);
	resident = resident_bytes();
	addr = quire_vzalloc(q, MIB(64), 0);
	assert_non_null(addr);
	assert_true(resident_bytes() < resident + MIB(8));
	assert_true(reads_as(addr, MIB(64), 0));
	quire_vfree(q, addr);
}

/* A handler may not wait for addresses to be committed; what it was refused goes the way of freed areas,
 * and whoever gets it after the purge can use all of it. */
static void what_a_handler_was_refused_is_usable_after_a_purge(void **state)
{
	struct quire *q = *state;

	quire_vfree(q, vtake(q, 1, 0));
	for (unsigned i = 0; i < 20; i++) {
		char *refused = quire_vmalloc(q, KIB(300), QUIRE_NOLOCK);

		quire_vfree(q, refused);
		quire_vmap_purge(q);
		for (unsigned j = 0; j < 8; j++)
			memset(vtake(q, KIB(300), 0), 0xa5, KIB(300));
	}
	assert_int_equal(quire_verify(q), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VMAP_TEST(what_a_handler_was_refused_is_usable_after_a_purge),
		VMAP_TEST(an_area_of_a_size_freed_before_is_reused_without_a_system_call),
		VMAP_TEST(a_larger_area_freed_before_is_cut_and_its_neighbour_stays),
		VMAP_TEST(a_purge_takes_the_memory_of_what_was_freed),
		VMAP_TEST(a_purge_takes_many_areas_with_few_flushes),
		VMAP_TEST(what_is_lazy_stays_near_its_bound),
		VMAP_TEST(release_gives_back_what_is_cached_and_lazy),
		VMAP_TEST(unmap_aliases_leaves_nothing_within_reach),
		VMAP_TEST(with_time_everything_that_was_freed_goes_back),
		VMAP_TEST(a_worker_gives_back_what_an_idle_program_freed),
		VMAP_TEST(zeroed_areas_read_zero_wherever_they_come_from),
		VMAP_TEST(what_is_known_to_be_zero_is_not_cleared),
	};

	return VMAP_TESTS_RUN("vmap_life", tests);
}
