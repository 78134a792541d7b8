/* SPDX-License-Identifier: MIT */
/*
 * litmus_sim.c - what each memory model of the simulator allows and forbids
 *
 * Each test is one of the classic shapes.  Where a model allows the weak outcome, a test expects
 * the explorer to find it ("weak outcome"); where it forbids it, all schedules are run.
 */
#include "machine/atomic.h"
#include "machine/sim/sim.h"

struct litmus {
	uint32_t x, y;
	uint32_t r[4];
};

#define WEAK	     "weak outcome"
#define ABOUT(which) .model = (which), .keep_model = true

static void x_then_read_y(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	l->r[0] = load_relaxed(&l->y);
}

static void y_then_read_x(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->y, 1);
	l->r[1] = load_relaxed(&l->x);
}

static void x_fence_read_y(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	fence_seq_cst();
	l->r[0] = load_relaxed(&l->y);
}

static void y_fence_read_x(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->y, 1);
	fence_seq_cst();
	l->r[1] = load_relaxed(&l->x);
}

static void store_buffering(struct sim *sim, void (*left)(void *), void (*right)(void *))
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, left, l);
	sim_cpu(sim, 1, right, l);
	sim_run(sim);
	if (l->r[0] == 0 && l->r[1] == 0)
		sim_fail(WEAK, "both CPUs read 0");
}

SIM_TEST(litmus_sb_forbidden_under_sc, ABOUT(SIM_SC), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	store_buffering(sim, x_then_read_y, y_then_read_x);
}

SIM_TEST(litmus_sb_allowed_under_tso, ABOUT(SIM_TSO), .expect = WEAK)
{
	store_buffering(sim, x_then_read_y, y_then_read_x);
}

SIM_TEST(litmus_sb_with_fences_forbidden_under_tso, ABOUT(SIM_TSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	store_buffering(sim, x_fence_read_y, y_fence_read_x);
}

SIM_TEST(litmus_sb_with_fences_forbidden_under_pso, ABOUT(SIM_PSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	store_buffering(sim, x_fence_read_y, y_fence_read_x);
}

static void send(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	store_relaxed(&l->y, 1);
}

static void send_release(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	store_release(&l->y, 1);
}

static void receive(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_acquire(&l->y);
	l->r[1] = load_relaxed(&l->x);
}

static void message_passing(struct sim *sim, void (*sender)(void *), void (*receiver)(void *))
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, sender, l);
	sim_cpu(sim, 1, receiver, l);
	sim_run(sim);
	if (l->r[0] == 1 && l->r[1] == 0)
		sim_fail(WEAK, "the flag was seen before the data");
}

SIM_TEST(litmus_mp_forbidden_under_tso, ABOUT(SIM_TSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	message_passing(sim, send, receive);
}

SIM_TEST(litmus_mp_allowed_under_pso, ABOUT(SIM_PSO), .expect = WEAK)
{
	message_passing(sim, send, receive);
}

SIM_TEST(litmus_mp_with_release_forbidden_under_pso, ABOUT(SIM_PSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	message_passing(sim, send_release, receive);
}

static void read_y_then_x(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_relaxed(&l->y);
	store_relaxed(&l->x, 1);
}

static void read_x_then_y(void *arg)
{
	struct litmus *l = arg;

	l->r[1] = load_relaxed(&l->x);
	store_relaxed(&l->y, 1);
}

static void load_buffering(struct sim *sim)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, read_y_then_x, l);
	sim_cpu(sim, 1, read_x_then_y, l);
	sim_run(sim);
	if (l->r[0] == 1 && l->r[1] == 1)
		sim_fail(WEAK, "both loads saw a later store");
}

SIM_TEST(litmus_lb_forbidden_under_pso, ABOUT(SIM_PSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	load_buffering(sim);
}

static void write_x(void *arg)
{
	store_relaxed(&((struct litmus *)arg)->x, 1);
}

static void write_y(void *arg)
{
	store_relaxed(&((struct litmus *)arg)->y, 1);
}

static void see_x_y(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_acquire(&l->x);
	l->r[1] = load_acquire(&l->y);
}

static void see_y_x(void *arg)
{
	struct litmus *l = arg;

	l->r[2] = load_acquire(&l->y);
	l->r[3] = load_acquire(&l->x);
}

static void independent_reads(struct sim *sim, void (*x_first)(void *), void (*y_first)(void *))
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, write_x, l);
	sim_cpu(sim, 1, write_y, l);
	sim_cpu(sim, 2, x_first, l);
	sim_cpu(sim, 3, y_first, l);
	sim_run(sim);
	if (l->r[0] == 1 && l->r[1] == 0 && l->r[2] == 1 && l->r[3] == 0)
		sim_fail(WEAK, "readers disagree on the order of two stores");
}

/* One memory, so all readers agree on the order of independent writes under sc, tso and pso. */
SIM_TEST(litmus_iriw_forbidden_under_pso, .cpus_nr = 4, ABOUT(SIM_PSO),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	independent_reads(sim, see_x_y, see_y_x);
}

static void store_twice_read_back(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	store_relaxed(&l->x, 2);
	l->r[0] = load_relaxed(&l->x);
}

/* A CPU sees its own stores at once, and others see two stores to one place in order. */
SIM_TEST(litmus_forwarding_and_coherence_under_pso, ABOUT(SIM_PSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, store_twice_read_back, l);
	sim_cpu(sim, 1, write_x, l);
	sim_run(sim);
	SIM_CHECK(l->r[0] == 2 || l->r[0] == 1);
	SIM_CHECK(l->x == 2 || l->x == 1);
}

/* ---- loads that get earlier values ---- */

static void receive_relaxed(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_relaxed(&l->y);
	l->r[1] = load_relaxed(&l->x);
}

static void receive_fence(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_relaxed(&l->y);
	fence_seq_cst();
	l->r[1] = load_relaxed(&l->x);
}

/* The acquire is on the wrong load. */
static void receive_late_acquire(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_relaxed(&l->y);
	l->r[1] = load_acquire(&l->x);
}

static void send_fence(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	fence_seq_cst();
	store_relaxed(&l->y, 1);
}

SIM_TEST(litmus_mp_without_acquire_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_release, receive_relaxed);
}

SIM_TEST(litmus_mp_acquire_of_the_data_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_release, receive_late_acquire);
}

SIM_TEST(litmus_mp_without_release_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send, receive);
}

SIM_TEST(litmus_mp_forbidden_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	message_passing(sim, send_release, receive);
}

SIM_TEST(litmus_mp_with_fences_forbidden_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	message_passing(sim, send_fence, receive_fence);
}

SIM_TEST(litmus_sb_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	store_buffering(sim, x_then_read_y, y_then_read_x);
}

SIM_TEST(litmus_sb_with_fences_forbidden_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	store_buffering(sim, x_fence_read_y, y_fence_read_x);
}

/* Allowed by the architecture: a store does not become visible before a load that precedes it (late.c). */
SIM_TEST(litmus_lb_not_seen_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	load_buffering(sim);
}

static void see_x_y_relaxed(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_relaxed(&l->x);
	l->r[1] = load_relaxed(&l->y);
}

static void see_y_x_relaxed(void *arg)
{
	struct litmus *l = arg;

	l->r[2] = load_relaxed(&l->y);
	l->r[3] = load_relaxed(&l->x);
}

SIM_TEST(litmus_iriw_allowed_under_arm, .cpus_nr = 4, ABOUT(SIM_ARM), .expect = WEAK)
{
	independent_reads(sim, see_x_y_relaxed, see_y_x_relaxed);
}

/* A store is visible to all other CPUs at once. */
SIM_TEST(litmus_iriw_with_acquires_forbidden_under_arm, .cpus_nr = 4, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	independent_reads(sim, see_x_y, see_y_x);
}

static void see_x_twice(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_relaxed(&l->x);
	l->r[1] = load_relaxed(&l->x);
}

static void x_is_1_then_2(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	store_relaxed(&l->x, 2);
}

SIM_TEST(litmus_corr_forbidden_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, x_is_1_then_2, l);
	sim_cpu(sim, 1, see_x_twice, l);
	sim_run(sim);
	SIM_CHECK(l->r[0] <= l->r[1]);
}

static void see_y_then_x_by_cpu_1(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = load_acquire(&l->x);
	store_release(&l->y, l->r[0]);
}

/* Causality: what a CPU saw before its release, whoever acquires that sees as well. */
SIM_TEST(litmus_wrc_forbidden_under_arm, .cpus_nr = 3, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 4)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, write_x, l);
	sim_cpu(sim, 1, see_y_then_x_by_cpu_1, l);
	sim_cpu(sim, 2, see_y_x, l);
	sim_run(sim);
	if (l->r[2] == 1 && l->r[3] == 0)
		sim_fail(WEAK, "the cause was not seen");
}

static void add_to_x_then_read_y(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->x, 1);
	l->r[0] = load_relaxed(&l->y);
}

static void add_to_y_then_read_x(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->y, 1);
	l->r[1] = load_relaxed(&l->x);
}

/* A locked operation is no fence. */
SIM_TEST(litmus_sb_with_relaxed_rmw_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	store_buffering(sim, add_to_x_then_read_y, add_to_y_then_read_x);
}

SIM_TEST(litmus_sb_with_rmw_forbidden_under_tso, ABOUT(SIM_TSO), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	store_buffering(sim, add_to_x_then_read_y, add_to_y_then_read_x);
}

static void exchange_x_then_read_y(void *arg)
{
	struct litmus *l = arg;

	(void)exchange_acq_rel(&l->x, 1);
	l->r[0] = load_acquire(&l->y);
}

static void exchange_y_then_read_x(void *arg)
{
	struct litmus *l = arg;

	(void)exchange_acq_rel(&l->y, 1);
	l->r[1] = load_acquire(&l->x);
}

static void add_to_x_fence_read_y(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->x, 1);
	fence_seq_cst();
	l->r[0] = load_relaxed(&l->y);
}

static void add_to_y_fence_read_x(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->y, 1);
	fence_seq_cst();
	l->r[1] = load_relaxed(&l->x);
}

static void x_exchange_read_y(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	(void)exchange_acq_rel(&l->r[2], 1);
	l->r[0] = load_relaxed(&l->y);
}

static void y_exchange_read_x(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->y, 1);
	(void)exchange_acq_rel(&l->r[3], 1);
	l->r[1] = load_relaxed(&l->x);
}

SIM_TEST(litmus_sb_with_rmw_acq_rel_as_store_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	store_buffering(sim, exchange_x_then_read_y, exchange_y_then_read_x);
}

SIM_TEST(litmus_sb_with_rmw_and_fences_forbidden_under_arm, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	store_buffering(sim, add_to_x_fence_read_y, add_to_y_fence_read_x);
}

/* Allowed by the architecture: an operation that is a release waits here for all stores before it (hooks.c). */
SIM_TEST(litmus_sb_with_rmw_between_not_seen_under_arm, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	store_buffering(sim, x_exchange_read_y, y_exchange_read_x);
}

/* ---- message passing, the flag set by a locked operation ---- */

static void send_add_relaxed(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	(void)fetch_add_relaxed(&l->y, 1);
}

static void send_exchange_acquire(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	(void)exchange_acquire(&l->y, 1);
}

static void send_exchange_release(void *arg)
{
	struct litmus *l = arg;

	store_relaxed(&l->x, 1);
	(void)exchange_release(&l->y, 1);
}

SIM_TEST(litmus_mp_flag_by_relaxed_rmw_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_add_relaxed, receive);
}

SIM_TEST(litmus_mp_flag_by_rmw_acquire_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_exchange_acquire, receive);
}

SIM_TEST(litmus_mp_flag_by_rmw_release_forbidden_under_arm, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	message_passing(sim, send_exchange_release, receive);
}

/* ---- the data stored by a locked operation, which orders nothing after its store ---- */

static void send_data_acq_rel(void *arg)
{
	struct litmus *l = arg;

	(void)exchange_acq_rel(&l->x, 1);
	store_relaxed(&l->y, 1);
	for (unsigned i = 0; i < 8; i++) /* points at which the flag may become visible */
		l->r[2] += load_relaxed(&l->y);
}

static void send_both_by_rmw(void *arg)
{
	struct litmus *l = arg;

	(void)exchange_acq_rel(&l->x, 1);
	(void)fetch_add_relaxed(&l->y, 1);
}

static void send_both_flag_release(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->x, 1);
	(void)exchange_release(&l->y, 1);
}

static void send_data_by_rmw(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->x, 1);
	store_release(&l->y, 1);
}

SIM_TEST(litmus_mp_data_by_rmw_acq_rel_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_data_acq_rel, receive);
}

SIM_TEST(litmus_mp_data_by_rmw_acq_rel_forbidden_under_tso, ABOUT(SIM_TSO),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	message_passing(sim, send_data_acq_rel, receive);
}

SIM_TEST(litmus_mp_both_by_rmw_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_both_by_rmw, receive);
}

SIM_TEST(litmus_mp_both_by_rmw_flag_release_forbidden_under_arm, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	message_passing(sim, send_both_flag_release, receive);
}

SIM_TEST(litmus_mp_data_by_rmw_flag_release_forbidden_under_arm, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	message_passing(sim, send_data_by_rmw, receive);
}

/* ---- the flag read by a locked operation ---- */

static void receive_add_relaxed(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = fetch_add_relaxed(&l->y, 2);
	l->r[1] = load_relaxed(&l->x);
}

static void receive_exchange_release(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = exchange_release(&l->y, 2);
	l->r[1] = load_relaxed(&l->x);
}

static void receive_exchange_acquire(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = exchange_acquire(&l->y, 2);
	l->r[1] = load_relaxed(&l->x);
}

SIM_TEST(litmus_mp_flag_read_by_relaxed_rmw_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_release, receive_add_relaxed);
}

SIM_TEST(litmus_mp_flag_read_by_rmw_release_allowed_under_arm, ABOUT(SIM_ARM), .expect = WEAK)
{
	message_passing(sim, send_release, receive_exchange_release);
}

SIM_TEST(litmus_mp_flag_read_by_rmw_acquire_forbidden_under_arm, ABOUT(SIM_ARM),
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 8)
{
	message_passing(sim, send_release, receive_exchange_acquire);
}

/* ---- a locked operation is one step of its word, whenever its store becomes visible ---- */

static void add_twice(void *arg)
{
	struct litmus *l = arg;

	(void)fetch_add_relaxed(&l->x, 1);
	(void)fetch_add_acq_rel(&l->x, 1);
}

SIM_TEST(litmus_rmw_of_two_is_atomic_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, add_twice, l);
	sim_cpu(sim, 1, add_twice, l);
	sim_run(sim);
	SIM_CHECK(l->x == 4);
}

static void exchange_x(void *arg)
{
	struct litmus *l = arg;

	l->r[0] = exchange_acq_rel(&l->x, 1);
	store_relaxed(&l->y, 1);
}

static void store_2_to_x(void *arg)
{
	store_relaxed(&((struct litmus *)arg)->x, 2);
}

static void take_x_if_0(void *arg)
{
	struct litmus *l = arg;
	uint32_t none = 0;

	l->r[1] = cas_relaxed(&l->x, &none, 3);
}

SIM_TEST(litmus_rmw_and_store_are_atomic_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, exchange_x, l);
	sim_cpu(sim, 1, store_2_to_x, l);
	sim_run(sim);
	SIM_CHECK((l->r[0] == 0 && l->x == 2) || (l->r[0] == 2 && l->x == 1));
}

SIM_TEST(litmus_rmw_and_cas_are_atomic_under_arm, ABOUT(SIM_ARM), .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 8)
{
	struct litmus *l = sim_zalloc(sim, sizeof(*l));

	sim_cpu(sim, 0, exchange_x, l);
	sim_cpu(sim, 1, take_x_if_0, l);
	sim_run(sim);
	SIM_CHECK(l->x == 1);
	SIM_CHECK(l->r[0] == (l->r[1] ? 3u : 0u));
}
