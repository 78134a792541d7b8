/* SPDX-License-Identifier: MIT */
/* ring_test.c - the ring of events (malloc/ring.h), by one thread; ring_sim.c has the others */
#include "quire_test.h"

#include "malloc/ring.h"

#define SLOTS_NR 8u

static struct ring ring;
static struct ring_event places[SLOTS_NR];
static const struct ring_slots slots = { .event = places, .nr = SLOTS_NR };

static int begin(void **state)
{
	(void)state;
	memset(&ring, 0, sizeof(ring));
	memset(places, 0, sizeof(places));
	return 0;
}

static bool put(uint64_t time_ns)
{
	const struct ring_event event = { .time_ns = time_ns,
					  .address = 0x7f0000000010 + time_ns,
					  .bytes = 3 * time_ns };

	return ring_put(&ring, slots, &event, RING_CALLOC, 0xfffffff0u + (uint32_t)time_ns);
}

static void check_event(const struct ring_event *event, uint64_t time_ns)
{
	assert_int_equal(event->time_ns, time_ns);
	assert_int_equal(event->address, 0x7f0000000010 + time_ns);
	assert_int_equal(event->bytes, 3 * time_ns);
	assert_int_equal(ring_event_op(event), RING_CALLOC);
	assert_int_equal(ring_event_thread(event), 0xfffffff0u + (uint32_t)time_ns);
}

/* Over many more laps than their number is kept of. */
static void events_are_read_as_they_were_put_lap_after_lap(void **state)
{
	struct ring_event events[SLOTS_NR];

	(void)state;
	for (uint64_t n = 0; n < 1000 * SLOTS_NR; n += 4) {
		for (uint64_t i = 0; i < 4; i++)
			assert_true(put(1 + n + i));
		assert_int_equal(ring_filled(&ring), 4);
		assert_int_equal(ring_copy(&ring, slots, 4, events), 4);
		for (uint64_t i = 0; i < 4; i++)
			check_event(&events[i], 1 + n + i);
		ring_give_back(&ring, 4);
	}
	assert_int_equal(ring.lost_nr, 0);
}

static void a_full_ring_counts_what_it_loses(void **state)
{
	struct ring_event events[SLOTS_NR];

	(void)state;
	for (uint64_t time_ns = 1; time_ns <= SLOTS_NR; time_ns++)
		assert_true(put(time_ns));
	for (uint64_t time_ns = 100; time_ns < 103; time_ns++)
		assert_false(put(time_ns));
	assert_int_equal(ring.lost_nr, 3);
	assert_int_equal(ring.lost_first_ns, 100);
	assert_int_equal(ring.lost_last_ns, 102);
	assert_int_equal(ring_copy(&ring, slots, SLOTS_NR, events), SLOTS_NR);
	check_event(&events[0], 1);
	ring_give_back(&ring, 1);
	assert_true(put(200));
	assert_false(put(201));
}

/* A slot that was reserved, and whose writer was killed: what it has of the lap before is no event. */
static void a_hole_is_left_out(void **state)
{
	struct ring_event events[SLOTS_NR];

	(void)state;
	for (uint64_t time_ns = 1; time_ns <= SLOTS_NR; time_ns++)
		assert_true(put(time_ns));
	ring_give_back(&ring, SLOTS_NR);
	assert_true(put(11));
	ring.reserved++;
	assert_true(put(13));
	assert_int_equal(ring_copy(&ring, slots, 3, events), 2);
	check_event(&events[0], 11);
	check_event(&events[1], 13);
}

static void the_reader_waits_for_a_hole_while_there_is_room(void **state)
{
	(void)state;
	ring.reserved++;
	for (uint64_t time_ns = 1; time_ns <= 4; time_ns++)
		assert_true(put(time_ns));
	assert_false(ring_is_short(&ring, slots, 2));
	for (uint64_t time_ns = 5; time_ns <= 6; time_ns++)
		assert_true(put(time_ns));
	assert_true(ring_is_short(&ring, slots, 2));
}

static void an_event_with_any_bit_changed_is_none(void **state)
{
	struct ring_event event;

	(void)state;
	assert_true(put(5));
	for (unsigned bit = 0; bit < 8 * sizeof(event); bit++) {
		((unsigned char *)&places[0])[bit / 8] ^= (unsigned char)(1u << bit % 8);
		assert_false(ring_read(slots, 0, &event));
		assert_false(ring_event_is_whole(&event));
		((unsigned char *)&places[0])[bit / 8] ^= (unsigned char)(1u << bit % 8);
	}
	assert_true(ring_read(slots, 0, &event));
	check_event(&event, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(events_are_read_as_they_were_put_lap_after_lap, begin),
		cmocka_unit_test_setup(a_full_ring_counts_what_it_loses, begin),
		cmocka_unit_test_setup(a_hole_is_left_out, begin),
		cmocka_unit_test_setup(the_reader_waits_for_a_hole_while_there_is_room, begin),
		cmocka_unit_test_setup(an_event_with_any_bit_changed_is_none, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
