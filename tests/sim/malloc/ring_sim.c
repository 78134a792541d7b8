/* SPDX-License-Identifier: MIT */
/*
 * ring_sim.c - the ring of events (malloc/ring.h): writers of which none waits, and a reader
 *
 * Each event's address and bytes follow from its time, and each time is put once.
 */
#include "malloc/ring.h"

#include "base/mem.h"
#include "machine/atomic.h"
#include "sim.h"

#define SLOTS_NR   8u
#define SEGMENT_NR 2u
#define EVENTS_MAX 16u

struct ring_scene {
	struct ring ring;
	struct ring_event event[SLOTS_NR];
	struct ring_slots slots;
	uint64_t times;		   /* atomic: given out */
	uint64_t put_nr;	   /* atomic: events that found room */
	uint32_t seen[EVENTS_MAX]; /* the reader's: how often it had the event of this time */
	uint32_t read_nr, holes_nr;
};

static struct ring_scene *scene_make(struct sim *sim)
{
	struct ring_scene *scene = sim_zalloc(sim, sizeof(*scene));

	scene->slots = (struct ring_slots){ .event = scene->event, .nr = SLOTS_NR };
	sim_name(&scene->ring, sizeof(scene->ring), "ring");
	sim_name(scene->event, sizeof(scene->event), "slots");
	return scene;
}

static void put_one(void *arg)
{
	struct ring_scene *scene = arg;
	uint64_t time = fetch_add_relaxed(&scene->times, 1) + 1; /* only distinct */
	struct ring_event event = { .time_ns = time, .address = 16 * time, .bytes = 100 + time };

	if (ring_put(&scene->ring, scene->slots, &event, RING_MALLOC, 7))
		fetch_add_relaxed(&scene->put_nr, 1);
}

static void put_two(void *arg)
{
	put_one(arg);
	put_one(arg);
}

/* @waits: not if there are holes, and room. */
static void take(struct ring_scene *scene, uint64_t nr, bool waits)
{
	struct ring_event events[SLOTS_NR];
	uint64_t whole_nr = ring_copy(&scene->ring, scene->slots, nr, events);

	if (waits && whole_nr < nr && !ring_is_short(&scene->ring, scene->slots, nr))
		return;
	ring_give_back(&scene->ring, nr);
	scene->holes_nr += (uint32_t)(nr - whole_nr);
	for (uint64_t i = 0; i < whole_nr; i++) {
		uint64_t time = events[i].time_ns;

		SIM_CHECK(time != 0 && time < EVENTS_MAX);
		check_u64_eq(events[i].address, 16 * time);
		check_u64_eq(events[i].bytes, 100 + time);
		check_u64_eq(ring_event_thread(&events[i]), 7);
		check_u64_eq(scene->seen[time]++, 0);
		scene->read_nr++;
	}
}

static void read_twice(void *arg)
{
	struct ring_scene *scene = arg;

	for (unsigned i = 0; i < 2; i++)
		if (ring_filled(&scene->ring) >= SEGMENT_NR)
			take(scene, SEGMENT_NR, true);
}

/* All that was put is read once, and the rest is counted as lost.  @holes_max: events that may be lost because their writers
 * were late. */
static void scene_check(struct ring_scene *scene, uint32_t holes_max)
{
	take(scene, ring_filled(&scene->ring), false);
	check_u64_eq(ring_filled(&scene->ring), 0);
	check_u64_eq(scene->put_nr + scene->ring.lost_nr, scene->times);
	check_u64_eq(scene->read_nr + scene->holes_nr, scene->put_nr);
	SIM_CHECK(scene->holes_nr <= holes_max);
	SIM_CHECK((scene->ring.lost_nr == 0) == (scene->ring.lost_first_ns == 0));
}

/* Threads of two CPUs that write to one ring: one of them has been moved since it looked where it is.  There is room for all
 * events, so none is lost. */
SIM_TEST(ring_of_two_writers_and_a_reader, .cpus_nr = 3, .events = SIM_MIGRATE,
	 .enters = { "ring_put", "ring_copy" })
{
	struct ring_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, put_two, scene);
	sim_cpu(sim, 1, put_two, scene);
	sim_cpu(sim, 2, read_twice, scene);
	sim_run(sim);
	check_u64_eq(scene->ring.lost_nr, 0);
	scene_check(scene, 0);
}

/* Handlers interrupt a writer at any step, and one another. */
SIM_TEST(ring_of_a_writer_and_handlers, .enters = { "ring_put", "ring_copy" })
{
	struct ring_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, put_two, scene);
	sim_irq(sim, 0, put_one, scene, 2);
	sim_cpu(sim, 1, read_twice, scene);
	sim_run(sim);
	check_u64_eq(scene->ring.lost_nr, 0);
	scene_check(scene, 0);
}

/* While the reader has not asked, the first time stays that of the first loss, and the last one follows. */
static void check_lost_again(struct ring_scene *scene)
{
	uint64_t first_ns = scene->ring.lost_first_ns;

	put_one(scene);
	check_u64_eq(scene->ring.lost_first_ns, first_ns);
	check_u64_eq(scene->ring.lost_last_ns, scene->times);
}

/* Nobody reads: the first events stay, and all others are counted as lost. */
SIM_TEST(ring_that_nobody_reads, .enters = { "ring_put", "ring.c:lose" })
{
	struct ring_scene *scene = scene_make(sim);

	for (unsigned i = 0; i < SLOTS_NR - 1; i++)
		put_one(scene);
	sim_cpu(sim, 0, put_one, scene);
	sim_irq(sim, 0, put_one, scene, 1);
	sim_cpu(sim, 1, put_one, scene);
	sim_run(sim);
	check_u64_eq(scene->put_nr, SLOTS_NR);
	check_lost_again(scene);
	scene_check(scene, 0);
}

/* As tools/quire/record/drain.c does. */
static void asks_what_is_lost(void *arg)
{
	struct ring *ring = &((struct ring_scene *)arg)->ring;

	if (exchange_acq_rel(&ring->lost_nr, 0) != 0)
		SIM_CHECK(load_relaxed(&ring->lost_last_ns) != 0);
}

/* Who finds that something was lost finds when. */
SIM_TEST(ring_loss_has_a_time, .model = SIM_ARM, .enters = { "ring_put", "ring.c:lose" })
{
	struct ring_scene *scene = scene_make(sim);

	for (unsigned i = 0; i < SLOTS_NR; i++)
		put_one(scene);
	sim_cpu(sim, 0, put_one, scene);
	sim_cpu(sim, 1, asks_what_is_lost, scene);
	sim_run(sim);
	check_u64_eq(scene->put_nr, SLOTS_NR);
}

/* More than there is room for: what is lost is counted, and what is late does no harm. */
SIM_TEST(ring_that_is_full, .cpus_nr = 3, .enters = { "ring_put", "ring.c:lose" })
{
	struct ring_scene *scene = scene_make(sim);

	for (unsigned i = 0; i < SLOTS_NR - 1; i++)
		put_one(scene);
	sim_cpu(sim, 0, put_two, scene);
	sim_irq(sim, 0, put_one, scene, 1);
	sim_cpu(sim, 1, put_two, scene);
	sim_cpu(sim, 2, read_twice, scene);
	sim_run(sim);
	scene_check(scene, SLOTS_NR);
}

static void put_one_in_a_child(void *arg)
{
	struct ring_scene *scene = arg;

	sim_fork_child();
	put_one(scene);
	take(scene, ring_filled(&scene->ring), false);
}

/* A writer that was killed leaves a hole, which has an event of the lap before, and the others' events are read. */
SIM_TEST(ring_of_a_killed_writer, .enters = { "ring_put", "ring_copy" })
{
	struct ring_scene *scene = scene_make(sim);

	for (unsigned i = 0; i < SLOTS_NR; i++)
		put_one(scene);
	take(scene, SLOTS_NR, false);
	sim_cpu(sim, 0, put_two, scene);
	sim_cpu(sim, 1, put_one_in_a_child, scene);
	sim_run(sim);
	SIM_CHECK(scene->holes_nr <= 1);
	SIM_CHECK(scene->read_nr > SLOTS_NR || scene->times < SLOTS_NR + 2);
}

/* A lap of its own: fills the ring, has all of it taken as it is, and puts another event. */
static void laps(void *arg)
{
	struct ring_scene *scene = arg;

	for (unsigned i = 0; i < SLOTS_NR - 1; i++)
		put_one(scene);
	take(scene, ring_filled(&scene->ring), false);
	put_one(scene);
}

/* A writer is still at its slot when the reader has given up waiting, and another one has the place a lap later: what the two
 * of them leave there is one event as it was put, or none. */
SIM_TEST(ring_of_a_late_writer, .enters = { "ring_put", "ring_copy" })
{
	struct ring_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, put_one, scene);
	sim_cpu(sim, 1, laps, scene);
	sim_run(sim);
	/* It may learn of the new number before it learns what was taken: a load that is late loses its event. */
	SIM_CHECK(scene->ring.lost_nr <= 1);
	scene_check(scene, 2);
}

static void spoils_what_was_put(void *arg)
{
	struct ring_scene *scene = arg;
	struct ring_event event;

	put_one(scene);
	SIM_CHECK(ring_read(scene->slots, 0, &event));
	store_relaxed(&scene->event[0].bytes, scene->event[0].bytes + 1);
	SIM_CHECK(!ring_read(scene->slots, 0, &event));
}

/* What a late writer of the same lap number, 256 laps before, leaves in another's slot is no event. */
SIM_TEST(ring_slot_that_two_wrote_is_no_event, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 1, .enters = { "ring_read" })
{
	struct ring_scene *scene = scene_make(sim);

	sim_cpu(sim, 0, spoils_what_was_put, scene);
	sim_run(sim);
}
