/* SPDX-License-Identifier: MIT */
/*
 * engine_passes.c - running the steps of a plan by one thread, or by one thread per recorded CPU
 *
 * With threads, each runs its CPU's steps in order, and a free waits for its allocation.  This
 * cannot deadlock: the trace orders all steps, and every wait is for an earlier step, so the
 * earliest step that is not done yet never waits.  A mark is a barrier; a batch never spans one.
 */
#include "replay/engine.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Steps between two looks at the clock and at `stopped`. */
#define STEPS_BETWEEN_LOOKS 4096

void engine_add_actor(struct engine *engine, const struct actor *actor)
{
	engine->result->blocks_checked += actor->blocks_checked;
	engine->result->bytes_checked += actor->bytes_checked;
}

/* ---- one thread ------------------------------------------------------------------------------ */

/* Not part of the pass's time. */
static void measure(struct engine *engine, uint32_t mark_index)
{
	uint64_t begin_ns = progress_now_ns();

	engine->kind->measure(engine, mark_index);
	engine->measured_ns += progress_now_ns() - begin_ns;
}

static void do_steps_in_order(struct engine *engine, struct actor *actors)
{
	const struct plan *plan = engine->plan;
	size_t next = 0;

	while (next < plan->steps_nr && !atomic_load(&engine->stopped)) {
		size_t end = plan->steps_nr - next > STEPS_BETWEEN_LOOKS
				     ? next + STEPS_BETWEEN_LOOKS
				     : plan->steps_nr;

		progress_add(engine->progress, end - next, true);
		for (; next < end; next++) {
			const struct plan_step *step = &plan->steps[next];

			if (step->op == PLAN_MARK)
				measure(engine, step->id);
			else
				engine->kind->step(&actors[step->cpu], step);
			if (engine->checks &&
			    atomic_load_explicit(&engine->stopped, memory_order_relaxed))
				return;
		}
	}
}

void engine_run_one_thread(struct engine *engine)
{
	unsigned cpus_nr = engine->plan->cpus_nr;
	struct actor *actors = calloc(cpus_nr, sizeof(actors[0]));
	uint64_t begin_ns;

	if (actors == NULL) {
		engine_fail(engine, "%s", strerror(ENOMEM));
		return;
	}
	for (unsigned cpu = 0; cpu < cpus_nr; cpu++)
		actors[cpu] = (struct actor){ .engine = engine, .cpu = cpu };
	engine->measured_ns = 0;
	begin_ns = progress_now_ns();
	do_steps_in_order(engine, actors);
	engine->result->busy_ns = progress_now_ns() - begin_ns - engine->measured_ns;
	engine->kind->finish(engine, &actors[0]);
	for (unsigned cpu = 0; cpu < cpus_nr; cpu++)
		engine_add_actor(engine, &actors[cpu]);
	free(actors);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum gate {
	GATE_CLOSED,
	GATE_OPEN,
	GATE_GIVEN_UP, /* not all threads could be made */
};

struct crew {
	struct engine *engine;
	pthread_mutex_t lock; /* gate */
	pthread_cond_t gate_moved;
	enum gate gate;
	pthread_barrier_t barrier; /* all members; marks, the beginning */
	struct member *members;
	unsigned members_nr; /* CPUs that have steps */
	unsigned started_nr;
};

struct member {
	struct actor actor;
	struct crew *crew;
	pthread_t thread;
	struct plan_step *steps; /* this CPU's, and all marks */
	size_t steps_nr;
	uint64_t busy_ns;
	bool shows_progress;
};

static bool is_gate_open(struct crew *crew)
{
	enum gate gate;

	pthread_mutex_lock(&crew->lock);
	while (crew->gate == GATE_CLOSED)
		pthread_cond_wait(&crew->gate_moved, &crew->lock);
	gate = crew->gate;
	pthread_mutex_unlock(&crew->lock);
	return gate == GATE_OPEN;
}

static void move_gate(struct crew *crew, enum gate gate)
{
	pthread_mutex_lock(&crew->lock);
	crew->gate = gate;
	pthread_cond_broadcast(&crew->gate_moved);
	pthread_mutex_unlock(&crew->lock);
}

/* Here the clock is the system's: to see what the allocator does in N idle seconds takes N
 * seconds. */
static void wait_as_recorded(const struct engine *engine, const struct plan_mark *mark)
{
	struct timespec wait = { .tv_sec = (time_t)mark->wait_seconds };

	if (engine->checks && engine->plan->kind != KATR_PAGE && !atomic_load(&engine->stopped))
		(void)nanosleep(&wait, NULL);
}

/* The last to arrive measures while the others stand still. */
static void meet_at_mark(struct member *member, uint32_t mark_index)
{
	struct crew *crew = member->crew;
	uint64_t begin_ns = progress_now_ns();

	if (pthread_barrier_wait(&crew->barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
		wait_as_recorded(crew->engine, &crew->engine->plan->marks[mark_index]);
		crew->engine->kind->measure(crew->engine, mark_index);
	}
	pthread_barrier_wait(&crew->barrier);
	member->actor.waited_ns += progress_now_ns() - begin_ns;
}

/* When the replay is stopped a member does no more steps but still comes to all marks. */
static void do_own_steps(struct member *member)
{
	struct engine *engine = member->crew->engine;

	for (size_t i = 0; i < member->steps_nr; i++) {
		const struct plan_step *step = &member->steps[i];

		if (step->op == PLAN_MARK)
			meet_at_mark(member, step->id);
		else if (!atomic_load_explicit(&engine->stopped, memory_order_relaxed))
			engine->kind->step(&member->actor, step);
		if (i % STEPS_BETWEEN_LOOKS == 0)
			progress_add(engine->progress, STEPS_BETWEEN_LOOKS, member->shows_progress);
	}
}

static void *member_main(void *arg)
{
	struct member *member = arg;
	uint64_t begin_ns;

	if (!is_gate_open(member->crew))
		return NULL;
	pthread_barrier_wait(&member->crew->barrier);
	begin_ns = progress_now_ns();
	do_own_steps(member);
	member->busy_ns = progress_now_ns() - begin_ns - member->actor.waited_ns;
	return NULL;
}

/* The @index-th CPU that this process may run on, counted round if there are fewer. */
static int allowed_cpu(unsigned index)
{
	cpu_set_t allowed;
	int allowed_nr;

	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -1;
	allowed_nr = CPU_COUNT(&allowed);
	index %= allowed_nr > 0 ? (unsigned)allowed_nr : 1;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && index-- == 0)
			return (int)cpu;
	return -1;
}

static int start_member(struct member *member)
{
	int cpu = allowed_cpu(member->actor.cpu);
	pthread_attr_t attributes;
	cpu_set_t cpus;
	int result;

	CPU_ZERO(&cpus);
	pthread_attr_init(&attributes);
	if (cpu >= 0) {
		CPU_SET((size_t)cpu, &cpus);
		pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus);
	}
	result = pthread_create(&member->thread, &attributes, member_main, member);
	pthread_attr_destroy(&attributes);
	return result;
}

/* Gives each member its CPU's steps: 0, or -ENOMEM. */
static int deal_steps(struct member *member, const struct plan *plan)
{
	size_t nr = 0;

	for (size_t i = 0; i < plan->steps_nr; i++)
		nr += plan->steps[i].op == PLAN_MARK || plan->steps[i].cpu == member->actor.cpu;
	member->steps = malloc((nr + 1) * sizeof(member->steps[0]));
	if (member->steps == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < plan->steps_nr; i++)
		if (plan->steps[i].op == PLAN_MARK || plan->steps[i].cpu == member->actor.cpu)
			member->steps[member->steps_nr++] = plan->steps[i];
	return 0;
}

/* A member for each CPU that has something to do: 0, or -ENOMEM. */
static int make_members(struct crew *crew)
{
	const struct plan *plan = crew->engine->plan;
	bool *has_steps = calloc(plan->cpus_nr, sizeof(has_steps[0]));
	int result = 0;

	crew->members = calloc(plan->cpus_nr, sizeof(crew->members[0]));
	if (crew->members == NULL || has_steps == NULL)
		result = -ENOMEM;
	for (size_t i = 0; result == 0 && i < plan->steps_nr; i++)
		has_steps[plan->steps[i].cpu] |= plan_is_operation(&plan->steps[i]);
	for (unsigned cpu = 0; result == 0 && cpu < plan->cpus_nr; cpu++) {
		struct member *member = &crew->members[crew->members_nr];

		if (!has_steps[cpu])
			continue;
		crew->members_nr++;
		*member =
			(struct member){ .crew = crew, .shows_progress = member == crew->members };
		member->actor = (struct actor){ .engine = crew->engine, .cpu = cpu };
		result = deal_steps(member, plan);
	}
	free(has_steps);
	return result;
}

/* All members, or none of them, come through the gate: a barrier with one missing never opens. */
static void run_members(struct crew *crew)
{
	int result = 0;

	pthread_barrier_init(&crew->barrier, NULL, crew->members_nr);
	while (result == 0 && crew->started_nr < crew->members_nr) {
		result = start_member(&crew->members[crew->started_nr]);
		if (result == 0)
			crew->started_nr++;
	}
	move_gate(crew, result == 0 ? GATE_OPEN : GATE_GIVEN_UP);
	for (unsigned i = 0; i < crew->started_nr; i++)
		pthread_join(crew->members[i].thread, NULL);
	pthread_barrier_destroy(&crew->barrier);
	if (result != 0)
		engine_fail(crew->engine, "cannot make a thread: %s", strerror(result));
}

void engine_run_threads(struct engine *engine)
{
	struct crew crew = { .engine = engine, .gate = GATE_CLOSED };

	pthread_mutex_init(&crew.lock, NULL);
	pthread_cond_init(&crew.gate_moved, NULL);
	if (make_members(&crew) != 0)
		engine_fail(engine, "%s", strerror(ENOMEM));
	else
		run_members(&crew);
	if (crew.started_nr > 0)
		engine->kind->finish(engine, &crew.members[0].actor);
	for (unsigned i = 0; i < crew.members_nr; i++) {
		engine_add_actor(engine, &crew.members[i].actor);
		engine->result->busy_ns += crew.members[i].busy_ns;
		free(crew.members[i].steps);
	}
	free(crew.members);
	pthread_cond_destroy(&crew.gate_moved);
	pthread_mutex_destroy(&crew.lock);
}
