/* SPDX-License-Identifier: MIT */
/* Each rule of slabs is broken on purpose, and objects_verify() names it. */
#include "unit/slab/slab_case.h"

static struct slab_case it;
static unsigned class;
static struct slab_class *c;
static void *objects[100];

/* Two slabs of 64 objects: the first full, of the second 36 in use. */
static int begin(void **state)
{
	(void)state;
	it = case_begin(&(struct quire_options)QUIRE_OPTIONS_INIT(.limit_bytes = MIB(64),
								  .worker = QUIRE_WORKER_OFF));
	class = case_class(&it, 1024);
	c = &it.s->class[class];
	case_take(&it, class, objects, 100);
	case_verify(&it, class);
	return 0;
}

static int end(void **state)
{
	(void)state;
	case_end(&it);
	return 0;
}

static struct slab *slab_of(unsigned i)
{
	return slab_at(it.s, record_of(it.s, objects[i]));
}

#define full	(slab_of(0))
#define partial (slab_of(99))

static void check(int label)
{
	assert_int_equal(objects_verify(it.s, class), label == 0 ? 0 : 400 + label);
}

static void map_that_counts_otherwise(void **state)
{
	uint64_t *map = slab_map(it.s, &it.s->class[class], record_of(it.s, objects[99]));

	(void)state;
	map[0] &= map[0] - 1;
	check(1);
}

static void bit_beyond_the_last_object(void **state)
{
	unsigned odd = case_class(&it, 48);
	void *object;
	struct slab *slab;

	(void)state;
	case_take(&it, odd, &object, 1);
	slab = slab_at(it.s, record_of(it.s, object));
	slab_map(it.s, &it.s->class[odd],
		 record_of(it.s, object))[it.s->class[odd].per_slab / 64] |= (uint64_t)1 << 63;
	slab->free_nr++;
	assert_int_equal(objects_verify(it.s, odd), 401);
}

static void free_object_below_the_lowest_word(void **state)
{
	(void)state;
	partial->low = 1;
	check(2);
}

static void slab_on_another_bin(void **state)
{
	(void)state;
	partial->list--;
	check(3);
}

static void full_slab_on_a_bin(void **state)
{
	(void)state;
	full->list = 3;
	check(3);
}

static void empty_slab_with_a_mark(void **state)
{
	struct slab *slab = full;
	uint32_t record = record_of(it.s, objects[0]);

	(void)state;
	assert_int_equal(objects_give(it.s, class, objects, 64, 0), 64);
	check(0);
	slab->flags |= SLAB_EMPTYING;
	slab_set_bytes(it.s, c, record, class | BYTE_EMPTYING);
	check(3);
}

static void bin_without_its_bit(void **state)
{
	(void)state;
	c->lists_used = 0;
	check(4);
}

static void list_with_a_slab_left_out(void **state)
{
	(void)state;
	c->head[partial->list] = SLAB_NONE;
	c->lists_used = 0;
	check(4);
}

static void list_that_does_not_end(void **state)
{
	(void)state;
	partial->next = record_of(it.s, objects[99]);
	check(4);
}

static void list_with_a_slab_of_another_class(void **state)
{
	unsigned list = partial->list, other = case_class(&it, 512);

	(void)state;
	case_take(&it, other, objects, 72);
	assert_int_equal(slab_of(0)->list, list);
	c->head[list] = record_of(it.s, objects[0]);
	check(4);
}

static void byte_of_another_class(void **state)
{
	size_t frame = (size_t)((char *)objects[99] - it.s->base) >> it.s->page_shift;

	(void)state;
	it.s->byte[frame] ^= 3;
	check(5);
}

static void emptying_slab_without_its_mark(void **state)
{
	size_t frame = (size_t)((char *)objects[99] - it.s->base) >> it.s->page_shift;

	(void)state;
	lock_token token = lock_acquire(&c->lock);
	slab_mark_locked(it.s, c, record_of(it.s, objects[99]), true);
	lock_release(&c->lock, token);
	check(0);
	it.s->byte[frame] &= (uint8_t)~BYTE_EMPTYING;
	check(5);
}

static void frame_of_no_slab_with_a_class(void **state)
{
	(void)state;
	it.s->byte[4095] = (uint8_t) class;
	check(5);
}

static void counts_that_disagree(void **state)
{
	(void)state;
	c->free_nr++;
	check(6);
	c->free_nr--;
	c->slabs_nr++;
	check(6);
	c->slabs_nr--;
	c->empty_nr++;
	check(6);
	c->empty_nr--;
	c->held_nr++;
	check(6);
	c->held_nr--;
	c->emptying_nr++;
	check(6);
	c->emptying_nr--;
	c->emptying_free_nr++;
	check(6);
	c->emptying_free_nr--;
	check(0);
}

static void object_in_use_on_a_page_without_memory(void **state)
{
	(void)state;
	full->unbacked = 4;
	check(7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(map_that_counts_otherwise, begin, end),
		cmocka_unit_test_setup_teardown(bit_beyond_the_last_object, begin, end),
		cmocka_unit_test_setup_teardown(free_object_below_the_lowest_word, begin, end),
		cmocka_unit_test_setup_teardown(slab_on_another_bin, begin, end),
		cmocka_unit_test_setup_teardown(full_slab_on_a_bin, begin, end),
		cmocka_unit_test_setup_teardown(empty_slab_with_a_mark, begin, end),
		cmocka_unit_test_setup_teardown(bin_without_its_bit, begin, end),
		cmocka_unit_test_setup_teardown(list_with_a_slab_left_out, begin, end),
		cmocka_unit_test_setup_teardown(list_that_does_not_end, begin, end),
		cmocka_unit_test_setup_teardown(list_with_a_slab_of_another_class, begin, end),
		cmocka_unit_test_setup_teardown(byte_of_another_class, begin, end),
		cmocka_unit_test_setup_teardown(emptying_slab_without_its_mark, begin, end),
		cmocka_unit_test_setup_teardown(frame_of_no_slab_with_a_class, begin, end),
		cmocka_unit_test_setup_teardown(counts_that_disagree, begin, end),
		cmocka_unit_test_setup_teardown(object_in_use_on_a_page_without_memory, begin, end),
	};

	return cmocka_run_group_tests_name("slab_verify", tests, NULL, NULL);
}
