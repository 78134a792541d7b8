/* SPDX-License-Identifier: MIT */
/* Sheaves and barns: where objects come from and go, and how many move. */
#include "unit/slab/cache_case.h"

#include "slab/fast.h"

#define MANY	  5000u
#define CAP_UNITS ((8u << 20) / 16)

static void *objects[MANY];

static void an_object_is_handed_out_again_at_once(void **state)
{
	struct cache_case it = case_begin_still(64);
	void *first = quire_cache_alloc(it.cache, 0);

	(void)state;
	assert_non_null(first);
	for (unsigned i = 0; i < 100; i++) {
		quire_cache_free(it.cache, first);
		assert_ptr_equal(quire_cache_alloc(it.cache, 0), first);
	}
	quire_cache_free(it.cache, first);
	case_end(&it);
}

/* 4, 8, 16, ... 128 objects, so a dozen refills bring a thousand. */
static void refills_double(void **state)
{
	struct cache_case it = case_begin_still(64);

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, 1000);
	assert_in_range(case_refills(&it), 9, 15);
	assert_u64_eq(case_stat(&it).used, 1000);
	assert_in_range(case_stat(&it).cached, 0, 256);
	case_free(&it, objects, 1000);
	case_end(&it);
}

static void objects_of_a_refill_have_rising_addresses(void **state)
{
	struct cache_case it = case_begin_still(64);

	(void)state;
	case_alloc(&it, objects, 500);
	for (unsigned i = 1; i < 500; i++)
		assert_true(objects[i] > objects[i - 1]);
	case_free(&it, objects, 500);
	case_end(&it);
}

static void a_full_sheaf_hands_half_to_the_barn(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct slab_class *c = &it.s->class[it.class];
	unsigned keeps = 31; /* of a new sheaf */

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, keeps + keeps / 2);
	sheaves_drain(it.s, 0);
	case_free(&it, objects, keeps);
	assert_int_equal(c->barn.nr, 0);
	quire_cache_free(it.cache, objects[keeps]);
	assert_in_range(c->barn.nr, 1, SHEAF_MOVE_MAX);
	case_free(&it, objects + keeps + 1, keeps / 2 - 1);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

/* It is found empty after it was full: as many were wanted again. */
static void a_sheaf_that_was_too_small_keeps_twice_as_many(void **state)
{
	struct cache_case it = case_begin_still(4096);
	struct slab_class *c = &it.s->class[it.class];
	unsigned n = 4u * c->sheaf_first;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	for (unsigned i = 0; i < 12; i++) {
		case_alloc(&it, objects, n);
		case_free(&it, objects, n);
	}
	assert_in_range(case_stat(&it).cached, n, 8 * n);
	assert_in_range(it.s->cpu[lean_slot(it.s->lean)].keeps_units, 1, CAP_UNITS);
	case_end(&it);
}

static const struct sheaf *this_sheaf(const struct cache_case *it)
{
	return &it->s->cpu[lean_slot(it->s->lean)].sheaf[it->class];
}

static void a_sheaf_of_a_cpu_that_only_allocates_grows(void **state)
{
	struct cache_case it = case_begin_still(4096);
	unsigned first = it.s->class[it.class].sheaf_first, n = 16 * first;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, n);
	assert_in_range(this_sheaf(&it)->keeps, first, 2 * first);
	case_free(&it, objects, n);
	case_end(&it);
}

/* A refill that follows no spill makes it no larger. */
static void a_sheaf_that_was_full_once_grows_once(void **state)
{
	struct cache_case it = case_begin_still(4096);
	unsigned n = 16u * it.s->class[it.class].sheaf_first, keeps;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, n);
	keeps = this_sheaf(&it)->keeps;
	case_free(&it, objects, n / 2);
	assert_u64_eq(this_sheaf(&it)->keeps, keeps);
	case_alloc(&it, objects, n / 2);
	assert_u64_eq(this_sheaf(&it)->keeps, 2 * keeps);
	case_free(&it, objects, n);
	case_end(&it);
}

static void a_sheaf_of_a_cpu_that_only_frees_grows(void **state)
{
	struct cache_case it = case_begin_still(4096);
	unsigned first = it.s->class[it.class].sheaf_first, n = 16 * first;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	sheaves_close(it.s); /* so that no sheaf is refilled */
	case_alloc(&it, objects, n);
	sheaves_open(it.s);
	assert_u64_eq(this_sheaf(&it)->keeps, 0);
	case_free(&it, objects, n);
	assert_in_range(this_sheaf(&it)->keeps, first, 2 * first);
	case_end(&it);
}

/* Each doubling takes as many times as there are 4 KiB that the CPU's sheaves keep. */
static void a_sheaf_beside_many_others_grows_slowly(void **state)
{
	struct cache_case it = case_begin_still(1024);
	struct slab_class *c = &it.s->class[it.class];
	unsigned n = c->sheaf_first + 1u, slot = 0, keeps;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, 1);
	while (it.s->cpu[slot].sheaf[it.class].keeps == 0)
		slot++;
	it.s->cpu[slot].keeps_units += (1u << 20) / 16; /* as if others kept 1 MiB */
	keeps = it.s->cpu[slot].sheaf[it.class].keeps;
	for (unsigned i = 0; i < 40; i++) {
		case_alloc(&it, objects + 1, n);
		case_free(&it, objects + 1, n);
	}
	assert_in_range(it.s->cpu[slot].sheaf[it.class].keeps, keeps, n);
	it.s->cpu[slot].keeps_units -= (1u << 20) / 16;
	for (unsigned i = 0; i < 400; i++) {
		case_alloc(&it, objects + 1, 4 * n);
		case_free(&it, objects + 1, 4 * n);
	}
	assert_in_range(it.s->cpu[slot].sheaf[it.class].keeps, 2 * n, CAP_UNITS);
	case_free(&it, objects, 1);
	case_end(&it);
}

/* 8 MiB of objects, whatever their sizes. */
static void all_sheaves_of_a_cpu_keep_what_the_cap_allows(void **state)
{
	struct cache_case it = case_begin_still(16);
	uint64_t weight = 0;

	(void)state;
	for (unsigned size = 1024; size <= QUIRE_OBJECT_MAX; size += 512) {
		struct quire_cache *cache = cache_make(it.q, size, 0);

		for (unsigned round = 0; round < 6; round++) {
			for (unsigned i = 0; i < 300; i++)
				assert_non_null(objects[i] = quire_cache_alloc(cache, 0));
			quire_cache_free_bulk(cache, 300, objects);
		}
	}
	for (unsigned slot = 0; slot < it.s->lean->slots_open; slot++) {
		assert_true(it.s->cpu[slot].keeps_units <= CAP_UNITS);
		weight += it.s->cpu[slot].keeps_units;
	}
	assert_true(weight != 0 || !case_has_sheaves(&it));
	case_end(&it);
}

static void put(struct cache_case *it, void **from, unsigned n)
{
	for (unsigned i = 0; i < n; i += 64)
		assert_int_equal(barn_put(it->s, it->class, from + i, 64, 0), 64);
}

static void take(struct cache_case *it, void **to, unsigned n)
{
	for (unsigned i = 0; i < n; i += 64)
		assert_int_equal(barn_take(it->s, it->class, to + i, 64, 0), 64);
}

/* 512 stay at the bottom while others come and go: they return to their slabs.  A stock that is used up stays. */
static void a_barn_gives_back_what_nobody_wants(void **state)
{
	struct cache_case it = case_begin_still(256);
	struct slab_class *c = &it.s->class[it.class];
	void *all[1024];

	(void)state;
	for (unsigned slab = 0; slab < 1024 / c->per_slab; slab++)
		assert_int_equal(objects_grow(it.s, it.class, 0), 0);
	assert_int_equal(objects_take(it.s, it.class, all, 1024, 0), 1024);
	for (unsigned round = 0; round < 8; round++) {
		put(&it, all, 1024);
		assert_int_equal(c->barn.nr, 1024);
		take(&it, all, 1024);
	}
	put(&it, all, 1024);
	for (unsigned round = 0; round < 32; round++) {
		take(&it, all, 256);
		put(&it, all, 256);
	}
	assert_in_range(c->barn.nr, 256, 256 + 128);
	assert_int_equal(sheaves_verify(it.s), 0);
	sheaves_drain(it.s, 0);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

static void without_sequences_the_barn_serves(void **state)
{
	struct cache_case it =
		case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64),
								     .rseq = QUIRE_OFF),
			   64);

	(void)state;
	case_alloc(&it, objects, 100);
	case_free(&it, objects, 100);
	assert_int_equal(it.s->class[it.class].barn.nr, 100);
	assert_ptr_equal(quire_cache_alloc(it.cache, 0), objects[99]);
	quire_cache_free(it.cache, objects[99]);
	case_end(&it);
}

/* A closed sheaf refuses both ways; whoever closed it has its door. */
static void a_taken_door_sends_both_ways_past_it(void **state)
{
	struct cache_case it = case_begin_still(64);
	lock_token token;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	case_alloc(&it, objects, 2);
	for (unsigned slot = 0; slot < it.s->lean->slots_open; slot++)
		it.s->cpu[slot].kept = lock_acquire_ordered(&it.s->cpu[slot].lock);
	/* This thread holds a lock, so its calls may only try others. */
	quire_cache_free(it.cache, objects[0]);
	objects[0] = quire_cache_alloc(it.cache, 0);
	assert_non_null(objects[0]);
	token = lock_acquire(&it.s->class[it.class].barn.lock);
	sheaf_free_slow(it.s, objects[0], it.class);
	lock_release(&it.s->class[it.class].barn.lock, token);
	for (unsigned slot = it.s->lean->slots_open; slot-- != 0;)
		lock_release(&it.s->cpu[slot].lock, it.s->cpu[slot].kept);
	quire_cache_free(it.cache, objects[1]);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

/* Not even the class's lock: the object waits in the deferred map, untouched. */
static void a_free_that_gets_no_lock_is_deferred(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct slab_class *c = &it.s->class[it.class];
	lock_token barn, class;

	(void)state;
	case_alloc(&it, objects, 3);
	memset(objects[0], 0x77, 64);
	if (case_has_sheaves(&it))
		it.s->cpu[lean_slot(it.s->lean)].kept =
			lock_acquire(&it.s->cpu[lean_slot(it.s->lean)].lock);
	barn = lock_acquire(&c->barn.lock);
	class = lock_acquire(&c->lock);
	sheaf_free_slow(it.s, objects[0], it.class);
	sheaf_free_slow(it.s, objects[1], it.class);
	assert_u64_eq(it.s->deferred_total, 2);
	lock_release(&c->lock, class);
	lock_release(&c->barn.lock, barn);
	if (case_has_sheaves(&it))
		lock_release(&it.s->cpu[lean_slot(it.s->lean)].lock, 0);
	for (unsigned i = 0; i < 64; i++)
		assert_int_equal(((unsigned char *)objects[0])[i], 0x77);
	assert_u64_eq(case_stat(&it).used, 1);
	quire_cache_free(it.cache, objects[2]);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

/* A sheaf is in its small place until it was too small; 16 classes share a page of those. */
static void a_sheaf_moves_when_it_was_too_small(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct slab_cpu *cpu;

	(void)state;
	if (!case_has_sheaves(&it))
		skip_because("no per-CPU sequences here");
	pin_to_cpu((unsigned)allowed_cpu_next(0));
	cpu = &it.s->cpu[lean_slot(it.s->lean)];
	case_alloc(&it, objects, 20);
	case_free(&it, objects, 20);
	assert_true(lean_header(it.s->lean, cpu->slot, it.class)->top <
		    LEAN_CLASSES_NR + 32u * CLASSES_MAX);
	for (unsigned i = 0; i < 3; i++) {
		case_alloc(&it, objects, MANY);
		case_free(&it, objects, MANY);
	}
	assert_true(lean_header(it.s->lean, cpu->slot, it.class)->top >
		    LEAN_CLASSES_NR + 32u * CLASSES_MAX);
	assert_in_range(sheaf_held(it.s, cpu, it.class), 200, SHEAF_ROOM_MAX);
	assert_int_equal(quire_verify(it.q), 0);
	case_end(&it);
}

static void a_drain_leaves_nothing_and_cold_sheaves(void **state)
{
	struct cache_case it = case_begin_still(64);

	(void)state;
	case_alloc(&it, objects, MANY);
	assert_u64_eq(case_stat(&it).used, MANY);
	case_free(&it, objects, MANY);
	assert_u64_eq(case_stat(&it).used, 0);
	assert_true(case_stat(&it).cached != 0);
	assert_true(sheaves_drain(it.s, 0) != 0);
	assert_u64_eq(case_stat(&it).cached, 0);
	assert_int_equal(quire_verify(it.q), 0);
	for (unsigned slot = 0; slot < it.s->lean->slots_open; slot++)
		assert_false(it.s->cpu[slot].warm);
	assert_int_equal(sheaves_drain(it.s, 0), 0);
	case_end(&it);
}

/* An object that is freed on another CPU goes to that CPU's sheaf, or by its barn back to the first. */
static void alloc_or_free(unsigned index, void *arg)
{
	struct cache_case *it = arg;

	pin_to_cpu((unsigned)allowed_cpu_next(index));
	for (unsigned i = index; i < MANY; i += 2)
		quire_cache_free(it->cache, objects[i]);
}

static void any_cpu_frees_what_another_allocated(void **state)
{
	struct cache_case it = case_begin_still(64);

	(void)state;
	case_alloc(&it, objects, MANY);
	team_run(2, alloc_or_free, &it);
	assert_u64_eq(case_stat(&it).used, 0);
	case_end(&it);
}

/* A shrink marks those slabs that are nearly empty. */
static void an_object_of_a_slab_that_is_to_become_empty_goes_there(void **state)
{
	struct cache_case it = case_begin_still(64);
	unsigned kept = 0, marked = 0;

	(void)state;
	case_alloc(&it, objects, MANY);
	for (unsigned i = 0; i < MANY; i++) {
		if (i % 32 == 0)
			objects[kept++] = objects[i];
		else
			quire_cache_free(it.cache, objects[i]);
	}
	quire_cache_shrink(it.cache);
	for (unsigned i = 0; i < kept; i++) {
		uint64_t cached = case_stat(&it).cached;

		if ((slab_byte(it.s, objects[i]) & BYTE_EMPTYING) == 0)
			continue;
		quire_cache_free(it.cache, objects[i]);
		assert_u64_eq(case_stat(&it).cached, cached);
		marked++;
	}
	assert_in_range(marked, 32, kept);
	case_end(&it);
}

/* What sheaf_verify.c is for. */
static void an_object_that_is_there_twice_is_found(void **state)
{
	struct cache_case it = case_begin_still(64);
	struct barn *barn = &it.s->class[it.class].barn;

	(void)state;
	case_alloc(&it, objects, 1);
	barn->object[0] = barn->object[1] = objects[0];
	barn->nr = 1;
	assert_int_equal(quire_verify(it.q), 0);
	barn->nr = 2;
	assert_int_equal(quire_verify(it.q), 408);
	barn->object[1] = (char *)barn->object[1] + 16;
	assert_int_equal(quire_verify(it.q), 408);
	barn->nr = 1;
	sheaves_drain(it.s, 0);
	quire_destroy(it.q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_object_is_handed_out_again_at_once),
		cmocka_unit_test(refills_double),
		cmocka_unit_test(objects_of_a_refill_have_rising_addresses),
		cmocka_unit_test(a_full_sheaf_hands_half_to_the_barn),
		cmocka_unit_test(a_sheaf_that_was_too_small_keeps_twice_as_many),
		cmocka_unit_test(all_sheaves_of_a_cpu_keep_what_the_cap_allows),
		cmocka_unit_test(a_sheaf_of_a_cpu_that_only_allocates_grows),
		cmocka_unit_test(a_sheaf_of_a_cpu_that_only_frees_grows),
		cmocka_unit_test(a_sheaf_that_was_full_once_grows_once),
		cmocka_unit_test(a_sheaf_beside_many_others_grows_slowly),
		cmocka_unit_test(a_barn_gives_back_what_nobody_wants),
		cmocka_unit_test(without_sequences_the_barn_serves),
		cmocka_unit_test(a_taken_door_sends_both_ways_past_it),
		cmocka_unit_test(a_free_that_gets_no_lock_is_deferred),
		cmocka_unit_test(a_sheaf_moves_when_it_was_too_small),
		cmocka_unit_test(a_drain_leaves_nothing_and_cold_sheaves),
		cmocka_unit_test(any_cpu_frees_what_another_allocated),
		cmocka_unit_test(an_object_of_a_slab_that_is_to_become_empty_goes_there),
		cmocka_unit_test(an_object_that_is_there_twice_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
