/* SPDX-License-Identifier: MIT */
/*
 * percpu_ref_sim.c - references killed, switched and revived while they are taken and dropped
 *
 * The users of the object detect a release while a reference is held, a second release, or none.
 */
#include <quire/percpu_ref.h>

#include "machine/atomic.h"
#include "machine/sim/sim.h"
#include "sim/page/page_scene.h"

struct ref_scene {
	struct quire_percpu_ref ref;
	uint32_t released;  /* times */
	uint32_t confirmed; /* times */
};

static struct ref_scene *scene_of(struct quire_percpu_ref *ref)
{
	return (struct ref_scene *)(void *)ref;
}

static void release(struct quire_percpu_ref *ref)
{
	fetch_add_relaxed(&scene_of(ref)->released, 1);
}

static void confirm(struct quire_percpu_ref *ref)
{
	store_release(&scene_of(ref)->confirmed, 1);
}

static struct ref_scene *scene_make(struct sim *sim, unsigned flags)
{
	struct ref_scene *scene = sim_zalloc(sim, sizeof(*scene));

	SIM_CHECK(quire_percpu_ref_init(page_scene_make_unused(sim)->q, &scene->ref, release,
					flags) == 0);
	return scene;
}

static void use(struct ref_scene *scene)
{
	SIM_CHECK(load_relaxed(&scene->released) == 0);
}

static void use_if_live(void *arg)
{
	struct ref_scene *scene = arg;
	bool confirmed = load_acquire(&scene->confirmed);

	if (!quire_percpu_ref_tryget_live(&scene->ref))
		return;
	SIM_CHECK(!confirmed);
	use(scene);
	quire_percpu_ref_put(&scene->ref);
}

static void kill(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_kill_and_confirm(&scene->ref, confirm);
}

static void check_end(struct ref_scene *scene)
{
	check_u64_eq(scene->released, 1);
	SIM_CHECK(quire_percpu_ref_is_zero(&scene->ref));
}

/*
 * A reference taken before the kill keeps the object; the object is released once, when the last
 * reference is dropped.  A get that commits to its slot after the sum is lost: release runs too
 * early, or never.
 */
SIM_TEST(percpu_ref_kill_against_get, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_ABORT)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, use_if_live, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

/* The same where references are taken on one CPU and dropped on another. */
SIM_TEST(percpu_ref_kill_against_migration, .cpus_nr = 3,
	 .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, use_if_live, scene);
	sim_cpu(sim, 2, use_if_live, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

static void drop_one(void *arg)
{
	struct ref_scene *scene = arg;

	use(scene);
	quire_percpu_ref_put(&scene->ref);
}

/* References taken on slots are dropped from the word while they are summed: no false zero. */
SIM_TEST(percpu_ref_kill_against_put, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct ref_scene *scene = scene_make(sim, 0);

	quire_percpu_ref_get_many(&scene->ref, 2);
	sim_cpu(sim, 0, drop_one, scene);
	sim_cpu(sim, 2, drop_one, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

static void use_in_handler(void *arg)
{
	struct ref_scene *scene = arg;

	if (quire_percpu_ref_tryget(&scene->ref)) {
		use(scene);
		quire_percpu_ref_put(&scene->ref);
	}
}

static void try_many(void *arg)
{
	struct ref_scene *scene = arg;

	if (quire_percpu_ref_tryget_many(&scene->ref, 3)) {
		use(scene);
		quire_percpu_ref_put_many(&scene->ref, 2);
		use(scene);
		quire_percpu_ref_put(&scene->ref);
	}
}

/* As many are dropped as were taken, wherever each was counted: the object is released once. */
SIM_TEST(percpu_ref_kill_against_tries, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3,
	 .events = SIM_ABORT)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, try_many, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

/* Handlers take and drop references between any two steps, also of the kill. */
SIM_TEST(percpu_ref_kill_against_handlers, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, use_if_live, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_irq(sim, 0, use_in_handler, scene, 1);
	sim_irq(sim, 1, use_in_handler, scene, 1);
	sim_run(sim);
	check_end(scene);
}

/* Atomic from birth, as where there are no sequences: confirm still ends tryget_live(). */
SIM_TEST(percpu_ref_kill_while_atomic, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct ref_scene *scene = scene_make(sim, QUIRE_PERCPU_REF_ATOMIC);

	sim_cpu(sim, 0, use_if_live, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

static void switch_there_and_back(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_switch_to_atomic(&scene->ref);
	use(scene);
	quire_percpu_ref_switch_to_percpu(&scene->ref);
}

static void take_two_drop_two(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_get(&scene->ref);
	quire_percpu_ref_get(&scene->ref);
	use(scene);
	quire_percpu_ref_put(&scene->ref);
	quire_percpu_ref_put(&scene->ref);
}

/* Two CPUs switch a reference at once, each to the word and back to slots: its count stays right. */
SIM_TEST(percpu_ref_switched_by_two, .enters = { "to_atomic_locked", "to_percpu_locked" })
{
	struct ref_scene *scene = scene_make(sim, 0);

	quire_percpu_ref_get(&scene->ref);
	sim_cpu(sim, 0, switch_there_and_back, scene);
	sim_cpu(sim, 1, switch_there_and_back, scene);
	sim_run(sim);
	quire_percpu_ref_put(&scene->ref);
	check_u64_eq(scene->released, 0);
	quire_percpu_ref_kill(&scene->ref);
	check_end(scene);
}

/* Switching counts everything once: killed at the end, it is zero at once. */
SIM_TEST(percpu_ref_switches_lose_nothing, .events = SIM_ABORT | SIM_MIGRATE | SIM_RACE)
{
	struct ref_scene *scene = scene_make(sim, 0);

	quire_percpu_ref_get(&scene->ref);
	sim_cpu(sim, 0, take_two_drop_two, scene);
	sim_cpu(sim, 1, switch_there_and_back, scene);
	sim_run(sim);
	quire_percpu_ref_put(&scene->ref);
	check_u64_eq(scene->released, 0);
	quire_percpu_ref_kill(&scene->ref);
	check_end(scene);
}

static void kill_and_resurrect(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_get(&scene->ref); /* so that it cannot reach zero */
	quire_percpu_ref_kill(&scene->ref);
	use(scene);
	quire_percpu_ref_resurrect(&scene->ref);
	quire_percpu_ref_put(&scene->ref);
}

/* Killed and revived before it was zero: release does not run, and runs after the next kill. */
SIM_TEST(percpu_ref_resurrect_against_get, .events = SIM_ABORT | SIM_MIGRATE)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, use_if_live, scene);
	sim_cpu(sim, 0, use_in_handler, scene);
	sim_cpu(sim, 1, kill_and_resurrect, scene);
	sim_run(sim);
	check_u64_eq(scene->released, 0);
	quire_percpu_ref_kill(&scene->ref);
	check_end(scene);
	quire_percpu_ref_reinit(&scene->ref);
	quire_percpu_ref_kill(&scene->ref);
	check_u64_eq(scene->released, 2);
}

static void use_without_number(void *arg)
{
	sim_without_number(SIM_NO_NUMBER);
	use_if_live(arg);
	sim_without_number(SIM_NUMBER);
}

/* A thread without a CPU number counts in the word in every mode. */
SIM_TEST(percpu_ref_without_number, .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, use_without_number, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

static void takes_here_and_drops_without_number(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_get(&scene->ref);
	sim_without_number(SIM_NO_NUMBER);
	use(scene);
	quire_percpu_ref_put(&scene->ref);
	sim_without_number(SIM_NUMBER);
}

static void switch_to_percpu(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_switch_to_percpu(&scene->ref);
}

/* A reference that is already taken on a slot may be dropped from the word: the owner's must not seem to be the last. */
SIM_TEST(percpu_ref_switch_back_against_put, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "to_percpu_locked" })
{
	struct ref_scene *scene = scene_make(sim, 0);

	quire_percpu_ref_switch_to_atomic(&scene->ref);
	sim_cpu(sim, 0, takes_here_and_drops_without_number, scene);
	sim_cpu(sim, 1, switch_to_percpu, scene);
	sim_run(sim);
	check_u64_eq(scene->released, 0);
	quire_percpu_ref_kill(&scene->ref);
	check_end(scene);
}

static void fork_then_kill(void *arg)
{
	struct ref_scene *scene = arg;

	sim_fork_child();
	if (!quire_percpu_ref_is_dying(&scene->ref))
		quire_percpu_ref_kill(&scene->ref);
	/* Whether the child's copy holds what the vanished task had taken is as it was. */
}

static void switch_to_atomic(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_switch_to_atomic(&scene->ref);
}

/* A child of fork is never left with an unfinished switch. */
SIM_TEST(percpu_ref_fork_during_switch, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, fork_then_kill, scene);
	sim_cpu(sim, 1, switch_to_atomic, scene);
	sim_run(sim);
	check_end(scene);
}

static void use_many(void *arg)
{
	struct ref_scene *scene = arg;

	if (!quire_percpu_ref_tryget_live(&scene->ref))
		return;
	quire_percpu_ref_get_many(&scene->ref, 3);
	use(scene);
	quire_percpu_ref_put_many(&scene->ref, 3);
	use(scene);
	quire_percpu_ref_put(&scene->ref);
}

/* Several at a time, on one side of the switch or across it: the last is the last. */
SIM_TEST(percpu_ref_kill_against_many, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .enters = { "quire_percpu_ref_get_many", "quire_percpu_ref_put_many" })
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, use_many, scene);
	sim_cpu(sim, 1, kill, scene);
	sim_run(sim);
	check_end(scene);
}

/* ---- one thread ---- */

static void switches_twice(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_get_many(&scene->ref, 2);
	quire_percpu_ref_switch_to_percpu(&scene->ref); /* where it counts already */
	quire_percpu_ref_put_many(&scene->ref, 2);
	quire_percpu_ref_kill(&scene->ref);
}

SIM_TEST(percpu_ref_second_switch_loses_nothing, .cpus_nr = 1, .enters = { "to_percpu_locked" })
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, switches_twice, scene);
	sim_run(sim);
	check_end(scene);
	quire_percpu_ref_exit(&scene->ref);
	SIM_CHECK(quire_percpu_ref_is_zero(&scene->ref)); /* may be asked for good */
}

static void revives_a_forced_one(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_switch_to_atomic(&scene->ref);
	quire_percpu_ref_get(&scene->ref);
	quire_percpu_ref_kill(&scene->ref);
	quire_percpu_ref_resurrect(&scene->ref);
	quire_percpu_ref_put(&scene->ref);
	quire_percpu_ref_put(&scene->ref); /* seen at once, as in the atomic mode alone */
}

SIM_TEST(percpu_ref_stays_atomic_when_revived, .cpus_nr = 1, .enters = { "to_percpu_locked" })
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, revives_a_forced_one, scene);
	sim_run(sim);
	check_end(scene);
}

static void switches_after_the_kill(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_get(&scene->ref);
	quire_percpu_ref_kill(&scene->ref);
	quire_percpu_ref_switch_to_percpu(&scene->ref);
	quire_percpu_ref_put(&scene->ref);
}

SIM_TEST(percpu_ref_stays_atomic_when_killed, .cpus_nr = 1, .enters = { "to_percpu_locked" })
{
	struct ref_scene *scene = scene_make(sim, 0);

	sim_cpu(sim, 0, switches_after_the_kill, scene);
	sim_run(sim);
	check_end(scene);
}

static void switches_and_kills(void *arg)
{
	struct ref_scene *scene = arg;

	quire_percpu_ref_switch_to_percpu(&scene->ref);
	quire_percpu_ref_kill(&scene->ref);
}

/* An instance with fewer units than there are CPUs has no slot for some of them. */
SIM_TEST(percpu_ref_without_slots_stays_atomic, .enters = { "to_percpu_locked" })
{
	const struct quire_options options =
		QUIRE_OPTIONS_INIT(.limit_bytes = UINT64_C(8) << 20, .units = 1,
				   .worker = QUIRE_WORKER_OFF);
	struct ref_scene *scene = sim_zalloc(sim, sizeof(*scene));
	struct quire *q;

	check_u64_eq(quire_create(&options, &q), 0);
	check_u64_eq((uint64_t)quire_percpu_ref_init(q, &scene->ref, release, 0), 0);
	sim_cpu(sim, 0, switches_and_kills, scene);
	sim_cpu(sim, 1, use_if_live, scene);
	sim_run(sim);
	check_end(scene);
}

/* ---- what references order -------------------------------------------------------------------- */

/* An object whose users write to it by plain stores. */
struct owned {
	struct quire_percpu_ref ref;
	uint32_t words[2];
	uint32_t sum; /* what the release found */
};

static void sums_up(struct quire_percpu_ref *ref)
{
	struct owned *owned = (struct owned *)(void *)ref;

	owned->sum = owned->words[0] + owned->words[1];
	owned->words[0] = owned->words[1] = 0;
}

static void writes_0_and_drops(void *arg)
{
	struct owned *owned = arg;

	owned->words[0] = 1;
	quire_percpu_ref_put(&owned->ref);
}

static void writes_1_and_drops(void *arg)
{
	struct owned *owned = arg;

	owned->words[1] = 2;
	quire_percpu_ref_put(&owned->ref);
}

static void owned_init(struct sim *sim, struct owned *owned, unsigned flags)
{
	SIM_CHECK(quire_percpu_ref_init(page_scene_make_unused(sim)->q, &owned->ref, sums_up,
					flags) == 0);
}

static void kills_owned(void *arg)
{
	quire_percpu_ref_kill(&((struct owned *)arg)->ref);
}

/* Whoever drops the last reference releases what all users have written. */
SIM_TEST(percpu_ref_release_sees_all_uses, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE)
{
	struct owned *owned = sim_zalloc(sim, sizeof(*owned));

	owned_init(sim, owned, QUIRE_PERCPU_REF_ATOMIC);
	quire_percpu_ref_get_many(&owned->ref, 2);
	quire_percpu_ref_kill(&owned->ref);
	sim_cpu(sim, 0, writes_0_and_drops, owned);
	sim_cpu(sim, 1, writes_1_and_drops, owned);
	sim_run(sim);
	check_u64_eq(owned->sum, 3);
}

/* The same where they were counted on slots, and where the kill is between them. */
SIM_TEST(percpu_ref_release_sees_uses_before_the_kill, .cpus_nr = 3, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2, .events = SIM_RACE)
{
	struct owned *owned = sim_zalloc(sim, sizeof(*owned));

	owned_init(sim, owned, 0);
	quire_percpu_ref_get_many(&owned->ref, 2);
	sim_cpu(sim, 0, writes_0_and_drops, owned);
	sim_cpu(sim, 1, writes_1_and_drops, owned);
	sim_cpu(sim, 2, kills_owned, owned);
	sim_run(sim);
	check_u64_eq(owned->sum, 3);
}

static void writes_if_it_is_zero(void *arg)
{
	struct owned *owned = arg;

	if (quire_percpu_ref_is_zero(&owned->ref))
		owned->words[0] = 5;
}

static void nothing(struct quire_percpu_ref *ref)
{
	(void)ref;
}

/* The object is free for whoever finds that the count is zero. */
SIM_TEST(percpu_ref_zero_ends_all_uses, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE, .enters = { "quire_percpu_ref_is_zero" })
{
	struct owned *owned = sim_zalloc(sim, sizeof(*owned));

	SIM_CHECK(quire_percpu_ref_init(page_scene_make_unused(sim)->q, &owned->ref, nothing,
					QUIRE_PERCPU_REF_ATOMIC) == 0);
	quire_percpu_ref_get(&owned->ref);
	quire_percpu_ref_kill(&owned->ref);
	sim_cpu(sim, 0, writes_0_and_drops, owned);
	sim_cpu(sim, 1, writes_if_it_is_zero, owned);
	sim_run(sim);
	SIM_CHECK(quire_percpu_ref_is_zero(&owned->ref));
}

static void makes_anew(void *arg)
{
	struct owned *owned = arg;

	owned->words[0] = 7;
	quire_percpu_ref_reinit(&owned->ref);
}

static void reads_if_live(void *arg)
{
	struct owned *owned = arg;

	if (!quire_percpu_ref_tryget_live(&owned->ref))
		return;
	check_u64_eq(owned->words[0], 7);
	quire_percpu_ref_put(&owned->ref);
}

/* Who gets a reference to an object that lives again finds it made anew. */
SIM_TEST(percpu_ref_reinit_is_after_what_was_made, .explore = SIM_ALL_SCHEDULES, .preempt_max = 2,
	 .events = SIM_RACE,
	 .enters = { "quire_percpu_ref_reinit", "quire_percpu_ref_tryget_live" })
{
	struct owned *owned = sim_zalloc(sim, sizeof(*owned));

	owned_init(sim, owned, QUIRE_PERCPU_REF_ATOMIC | QUIRE_PERCPU_REF_DEAD);
	sim_cpu(sim, 0, makes_anew, owned);
	sim_cpu(sim, 1, reads_if_live, owned);
	sim_run(sim);
	quire_percpu_ref_kill(&owned->ref);
	check_u64_eq(owned->sum, 7);
}
