/* SPDX-License-Identifier: MIT */
/* Pages of slabs that hold nothing but free objects give their memory back, and nothing else does. */
#include "unit/slab/slab_case.h"

#include "machine/linux/written.h"

static struct slab_case it;
static void *objects[8192];

static int begin_with(const struct quire_options *options)
{
	it = case_begin(options);
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_with(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256),
								    .worker = QUIRE_WORKER_OFF));
}

static int begin_huge(void **state)
{
	(void)state;
	return begin_with(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(256),
								    .worker = QUIRE_WORKER_OFF,
								    .thp = QUIRE_ON));
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

/* Pages of the slab that have memory. */
static uint64_t written(uint32_t record)
{
	struct mem_stretches stretches = { .addr = slab_addr(it.s, record),
					   .stride_bytes = KIB(64),
					   .page_bytes = KIB(4),
					   .nr = 1,
					   .pages = 16 };
	uint64_t mask = 0;

	if (mem_find_written(&stretches, &mask) != 0)
		skip_because("the system does not tell which pages have memory");
	return mask;
}

static void fill(unsigned n, uint32_t size)
{
	for (unsigned i = 0; i < n; i++)
		memset(objects[i], 0xa5, size);
}

/* 128 objects of 512 bytes, of which one in page 3 and one in page 15 stay in use. */
static void pages_with_free_objects_only_go(void **state)
{
	unsigned class = case_class(&it, 512);
	uint32_t record;
	unsigned n = 0;

	(void)state;
	case_take(&it, class, objects, 128);
	fill(128, 512);
	record = record_of(it.s, objects[0]);
	assert_u64_eq(written(record), 0xffff);
	for (unsigned i = 0; i < 128; i++)
		if (i != 3 * 8 + 5 && i != 127)
			assert_int_equal(objects_give(it.s, class, &objects[i], 1, 0), 1);
	assert_u64_eq(case_unback(&it, class), KIB(14 * 4));
	assert_u64_eq(written(record), 1u << 3 | 1u << 15);
	assert_int_equal(*(unsigned char *)objects[127], 0xa5);
	case_verify(&it, class);
	assert_u64_eq(case_unback(&it, class), 0); /* they went */
	while (objects_take(it.s, class, &objects[n], 1, 0) == 1) {
		const unsigned char *object = (unsigned char *)objects[n];
		size_t page = (size_t)(object - (unsigned char *)slab_addr(it.s, record)) >> 12;

		assert_int_equal(object[100], page == 3 || page == 15 ? 0xa5 : 0);
		memset(objects[n++], 1, 512);
		case_verify(&it, class);
	}
	assert_int_equal(n, 126);
	assert_u64_eq(written(record), 0xffff);
}

/* Objects of 5,120 bytes lie across pages: in use, one keeps two pages, or three. */
static void an_object_keeps_all_pages_that_it_touches(void **state)
{
	unsigned class = case_class(&it, 5120);
	unsigned per_slab = it.s->class[class].per_slab;

	(void)state;
	assert_int_equal(per_slab, 51);
	for (unsigned kept = 0; kept < per_slab; kept++) {
		uint32_t first = kept * 5120 / 4096, last = (kept * 5120 + 5119) / 4096;
		uint64_t pages = 0;
		struct slab *slab;

		case_take(&it, class, objects, per_slab);
		fill(per_slab, 5120);
		slab = slab_at(it.s, record_of(it.s, objects[0]));
		slab->unbacked = 0;
		for (unsigned i = 0; i < per_slab; i++)
			if (i != kept)
				assert_int_equal(objects_give(it.s, class, &objects[i], 1, 0), 1);
		assert_u64_eq(case_unback(&it, class), KIB(4) * (64 - (last - first + 1)));
		for (uint32_t page = first; page <= last; page++)
			pages |= (uint64_t)1 << page;
		assert_u64_eq(slab->unbacked, ~pages);
		assert_int_equal(*(unsigned char *)objects[kept], 0xa5);
		/* Each object that is taken has memory in all of its pages again. */
		for (unsigned i = 0; i < per_slab - 1; i++) {
			assert_int_equal(objects_take(it.s, class, &objects[i + (i >= kept)], 1, 0),
					 1);
			case_verify(&it, class);
		}
		assert_u64_eq(slab->unbacked, 0);
		assert_int_equal(objects_give(it.s, class, objects, per_slab, 0), per_slab);
		case_verify(&it, class);
	}
}

/* Ten objects of 24 KiB leave 16 KiB at the end of their slab, which never have memory. */
static void what_no_object_touches_is_left_alone(void **state)
{
	unsigned class = case_class(&it, 24576);

	(void)state;
	case_take(&it, class, objects, 10);
	fill(10, 24576);
	assert_int_equal(objects_give(it.s, class, objects, 9, 0), 9);
	assert_u64_eq(case_unback(&it, class), 9 * 24576);
	case_verify(&it, class);
}

/* The whole of one class, nothing of the other. */
static void only_the_class_that_is_named_gives(void **state)
{
	unsigned one = case_class(&it, 1024), other = case_class(&it, 2048);

	(void)state;
	case_take(&it, one, objects, 64);
	case_take(&it, other, objects + 64, 32);
	fill(64, 1024);
	objects_give(it.s, one, objects, 63, 0);
	objects_give(it.s, other, objects + 64, 31, 0);
	assert_u64_eq(case_unback(&it, other), KIB(60));
	assert_u64_eq(objects_unback(it.s, NULL), KIB(60));
	case_verify(&it, one);
	case_verify(&it, other);
}

/* Far more slabs than are held at a time, of which all pages but the first go; and more than a step has. */
static void many_slabs_take_several_gathers(void **state)
{
	unsigned class = case_class(&it, 4096), n = 300 * 16;

	(void)state;
	case_take(&it, class, objects, n);
	fill(n, 4096);
	for (unsigned i = 0; i < n; i++)
		if (i % 16 != 0)
			assert_int_equal(objects_give(it.s, class, &objects[i], 1, 0), 1);
	assert_u64_eq(case_unback(&it, class), KIB(4) * n / 16 * 15);
	for (unsigned i = 0; i < n; i += 16)
		assert_int_equal(*(unsigned char *)objects[i], 0xa5);
	case_verify(&it, class);
}

/* A stretch whose records have no memory is passed by, and no more than it. */
static void slabs_behind_a_stretch_without_any_give_too(void **state)
{
	unsigned class = case_class(&it, 4096), n = 2 * STEP_RECORDS * 16;
	void *others[16];

	(void)state;
	for (unsigned i = 0; i < 16; i++) {
		others[i] = quire_alloc_pages(it.q, 10, 0);
		assert_non_null(others[i]);
	}
	case_take(&it, class, objects, n);
	assert_false(slabs_meta_is_used(it.s, 0));
	fill(n, 4096);
	for (unsigned i = 0; i < n; i++)
		if (i % 16 != 0)
			assert_int_equal(objects_give(it.s, class, &objects[i], 1, 0), 1);
	assert_u64_eq(case_unback(&it, class), KIB(4) * n / 16 * 15);
	case_verify(&it, class);
	for (unsigned i = 0; i < 16; i++)
		quire_free_pages(it.q, others[i], 10);
}

/* Far more ranges than a gather has: every second page of 128 slabs. */
static void many_ranges_take_several_gathers(void **state)
{
	unsigned class = case_class(&it, 4096), n = 128 * 16;

	(void)state;
	case_take(&it, class, objects, n);
	fill(n, 4096);
	for (unsigned i = 0; i < n; i += 2)
		assert_int_equal(objects_give(it.s, class, &objects[i], 1, 0), 1);
	assert_u64_eq(case_unback(&it, class), KIB(4) * n / 2);
	for (unsigned i = 1; i < n; i += 2)
		assert_int_equal(*(unsigned char *)objects[i], 0xa5);
	case_verify(&it, class);
}

/* A cache of its own shares no slabs, and says nothing of what is in free objects. */
static void a_class_of_its_own_gives_too(void **state)
{
	int class;

	(void)state;
	mutex_acquire(&it.s->mutex);
	class = class_get_locked(it.s, 1024, 16, CLASS_OWN, 0);
	mutex_release(&it.s->mutex);
	case_take(&it, (unsigned)class, objects, 64);
	fill(64, 1024);
	objects_give(it.s, (unsigned)class, objects, 63, 0);
	assert_u64_eq(case_unback(&it, (unsigned)class), KIB(60));
	case_verify(&it, (unsigned)class);
}

/* Pages of the records of the first 16 MiB that have memory.  Older systems count pages that were only read. */
static uint64_t written_records(void)
{
	struct mem_stretches stretches = { .addr = it.s->records,
					   .stride_bytes = KIB(64),
					   .page_bytes = KIB(4),
					   .nr = 1,
					   .pages = 4 };
	uint64_t mask = 0;

	if (written_ask(&stretches, WRITTEN_BY_SCAN, &mask) != 0)
		skip_because("the system does not tell which pages have memory of their own");
	return mask;
}

static void records_of_no_slab_go_and_come(void **state)
{
	unsigned class = case_class(&it, 1024);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		case_take(&it, class, objects, 20 * 64);
		assert_u64_eq(written_records(), 1); /* 20 of 64 bytes */
		objects_give(it.s, class, objects, 20 * 64, 0);
		case_unback(&it, class);
		assert_u64_eq(written_records(), 1);
		objects_shrink(it.s, class);
		/* With a page of bytes, and two for each 8 slabs' maps. */
		assert_u64_eq(case_unback(&it, class), KIB(4) * (1 + 4 + 64));
		assert_u64_eq(written_records(), 0);
		assert_u64_eq(case_unback(&it, class), 0);
		assert_int_equal(objects_check(it.s, objects[0], "test"), 0);
		case_verify(&it, class);
	}
}

static enum huge_kind kind_of_block(void)
{
	return huge_kind(&pages_of(it.q)->huge, record_of(it.s, objects[0]) / 32);
}

static void fill_a_huge_block(unsigned class)
{
	case_take(&it, class, objects, 32 * 16);
	fill(32 * 16, 4096);
	if (kind_of_block() != HUGE_ADVISED)
		skip_because("no huge page is advised");
}

/* With huge pages a slab's few free pages stay; once a quarter of the block would go, they go. */
static void a_huge_block_is_left_alone_until_it_is_worth_it(void **state)
{
	unsigned class = case_class(&it, 4096), n = 8 * 16;

	(void)state;
	fill_a_huge_block(class);
	for (unsigned i = 0; i < n - 1; i++)
		assert_int_equal(objects_give(it.s, class, &objects[i + i / 15], 1, 0), 1);
	assert_u64_eq(case_unback(&it, class), 0);
	case_verify(&it, class);
	assert_int_equal(kind_of_block(), HUGE_ADVISED);
	assert_int_equal(objects_give(it.s, class, &objects[200], 1, 0), 1);
	assert_u64_eq(case_unback(&it, class), KIB(4) * n);
	assert_int_equal(kind_of_block(), HUGE_PLAIN);
	case_verify(&it, class);
}

/* They go as well once the instance is idle, and then the block is not huge any more. */
static void free_pages_of_a_huge_block_count(void **state)
{
	unsigned class = case_class(&it, 4096), quarter = 8 * 16;

	(void)state;
	fill_a_huge_block(class);
	assert_int_equal(objects_give(it.s, class, &objects[200], 1, 0), 1);
	objects_give(it.s, class, objects, quarter - 16, 0);
	objects_shrink(it.s, class);
	quire_drain_all(it.q);
	assert_u64_eq(case_unback(&it, class), 0);
	objects_give(it.s, class, objects + quarter - 16, 16, 0);
	objects_shrink(it.s, class);
	quire_drain_all(it.q);
	assert_u64_eq(case_unback(&it, class), KIB(4));
	case_verify(&it, class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(pages_with_free_objects_only_go, begin, end),
		cmocka_unit_test_setup_teardown(an_object_keeps_all_pages_that_it_touches, begin,
						end),
		cmocka_unit_test_setup_teardown(what_no_object_touches_is_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(only_the_class_that_is_named_gives, begin, end),
		cmocka_unit_test_setup_teardown(a_class_of_its_own_gives_too, begin, end),
		cmocka_unit_test_setup_teardown(many_slabs_take_several_gathers, begin, end),
		cmocka_unit_test_setup_teardown(slabs_behind_a_stretch_without_any_give_too, begin,
						end),
		cmocka_unit_test_setup_teardown(many_ranges_take_several_gathers, begin, end),
		cmocka_unit_test_setup_teardown(records_of_no_slab_go_and_come, begin, end),
		cmocka_unit_test_setup_teardown(free_pages_of_a_huge_block_count, begin_huge, end),
		cmocka_unit_test_setup_teardown(a_huge_block_is_left_alone_until_it_is_worth_it,
						begin_huge, end),
	};

	return cmocka_run_group_tests_name("slab_unback", tests, NULL, NULL);
}
