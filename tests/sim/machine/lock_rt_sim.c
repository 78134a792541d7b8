/* SPDX-License-Identifier: MIT */
/* lock_rt_sim.c - spin locks on RT: holders are preempted, waiters have priorities (R10) */
#include "machine/lock.h"
#include "machine/sim/sim.h"

struct shared {
	struct lock lock;
	uint32_t value;
};

static struct shared *shared_make(struct sim *sim)
{
	struct shared *shared = sim_zalloc(sim, sizeof(*shared));

	lock_init(&shared->lock, RANK_PCP);
	return shared;
}

static void counts(void *arg)
{
	struct shared *shared = arg;
	lock_token token = lock_acquire(&shared->lock);

	shared->value++;
	lock_release(&shared->lock, token);
}

/* The thread that preempts the holder wants the lock itself: it has to leave the CPU to it. */
SIM_TEST(lock_fifo_spinner_on_the_holders_cpu, .cpus_nr = 1, .config = SIM_UP_RT,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 2)
{
	struct shared *shared = shared_make(sim);

	sim_cpu(sim, 0, counts, shared);
	sim_irq(sim, 0, counts, shared, 1);
	sim_run(sim);
	SIM_CHECK(shared->value == 1 || shared->value == 2); /* it need not come */
}

/* The same with a second CPU whose task waits too, and tasks that move. */
SIM_TEST(lock_fifo_spinner_among_two_cpus, .config = SIM_SMP_RT, .events = SIM_MIGRATE)
{
	struct shared *shared = shared_make(sim);

	sim_cpu(sim, 0, counts, shared);
	sim_cpu(sim, 1, counts, shared);
	sim_irq(sim, 0, counts, shared, 2);
	sim_run(sim);
	SIM_CHECK(shared->value >= 2 && shared->value <= 4);
}

static void tries(void *arg)
{
	struct shared *shared = arg;
	lock_token token;

	if (!lock_try(&shared->lock, &token))
		return;
	shared->value++;
	lock_release(&shared->lock, token);
}

/* Another task of the holder's CPU runs while the lock is held: it waits, or its try is refused. */
SIM_TEST(lock_holder_is_preempted_on_rt, .cpus_nr = 1, .config = SIM_UP_RT,
	 .explore = SIM_ALL_SCHEDULES, .preempt_max = 3)
{
	struct shared *shared = shared_make(sim);

	sim_cpu(sim, 0, counts, shared);
	sim_cpu(sim, 0, counts, shared);
	sim_cpu(sim, 0, tries, shared);
	sim_run(sim);
	SIM_CHECK(shared->value == 2 || shared->value == 3);
}

static void irqs_off_then_lock(void *arg)
{
	sim_irqs_off();
	counts(arg);
	sim_irqs_on();
}

/* R10's first version: fine where a spin lock spins, wrong where it sleeps. */
SIM_TEST(checker_sees_irqs_off_then_lock, .cpus_nr = 1, .config = SIM_UP_RT,
	 .expect = "lock with interrupts off")
{
	struct shared *shared = shared_make(sim);

	sim_cpu(sim, 0, irqs_off_then_lock, shared);
	sim_run(sim);
}

SIM_TEST(irqs_off_then_lock_is_fine_without_rt, .cpus_nr = 1, .explore = SIM_ALL_SCHEDULES,
	 .preempt_max = 2)
{
	struct shared *shared = shared_make(sim);

	sim_cpu(sim, 0, irqs_off_then_lock, shared);
	sim_irq(sim, 0, tries, shared, 1);
	sim_run(sim);
	SIM_CHECK(shared->value == 1 || shared->value == 2);
}

static void takes_mutex(void *arg)
{
	struct mutex *mutex = arg;

	sim_forbid_wait(true);
	mutex_acquire(mutex);
	mutex_release(mutex);
}

SIM_TEST(checker_sees_a_wait_that_is_forbidden, .expect = "waiting is forbidden")
{
	struct mutex *mutex = sim_zalloc(sim, sizeof(*mutex));

	mutex_init(mutex, RANK_GROW);
	sim_cpu(sim, 0, takes_mutex, mutex);
	sim_run(sim);
}
