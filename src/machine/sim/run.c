/* SPDX-License-Identifier: MIT */
/*
 * run.c - how a run begins and ends
 *
 * The body runs on task 0's stack up to its first sim_run().  There the scene is saved: the run's
 * own state, and the body's frames.  Each run restores memory (undo.c), then these two, and
 * continues from there.  A run ends when the body returns or a check fails: the harness takes
 * over, and the contents of the fibers' stacks are abandoned.
 */
#include <stdio.h>
#include <string.h>

#include "machine/sim/internal.h"

/* The most aborts and migrations in a run: twice the switches of a shrunk schedule. */
#define UPSETS_MAX 24u
/* The most plain reads in a run, its checks included: a hundred times those of the longest
 * scenario. */
#define READS_MOST 20000000u

struct sim_options sim_opt;
struct run sim_run_;
struct task *sim_task = &sim_run_.tasks[0];
uint32_t sim_run_number;

static struct run scene; /* the run as it is when a scene is set up */
static bool scene_ready, scene_wanted, inside;
static char scene_stack[256 << 10]; /* the body's frames at that time */
static size_t scene_stack_bytes;
static void *harness_context;
static const struct sim_test *scene_test;
static unsigned phases;
static uint64_t state_hash;
static bool state_known;

/* The part of the body's kept frames that the switch itself pushed, which may differ between
 * runs. */
#define BODY_SKIP 64u

bool sched_has_scene(void)
{
	return scene_ready;
}

static void body_entry(void)
{
	scene_test->body(NULL);
	sched_leave_run();
}

/* Returns to the harness for good; the next run sets up all stacks again. */
_Noreturn void sched_leave_run(void)
{
	void *abandoned;

	sim_mode = 0;
	fiber_switch(&abandoned, harness_context);
	__builtin_unreachable();
}

void sched_reset(void)
{
	memset(&sim_run_, 0, sizeof(sim_run_));
	memset(sim_run_.last_on_cpu, NO_TASK, sizeof(sim_run_.last_on_cpu));
	sim_run_.tasks_nr = 1;
	sim_task = &sim_run_.tasks[0];
	sim_run_.tasks[0].name = "body";
	sim_run_.tasks[0].next_deviation = STEP_NEVER;
	sim_run_.next_step = STEP_NEVER;
	sim_run_.now_ns = UINT64_C(1000000000);
	scene_ready = false;
}

/* Copies the tasks in use, and of each the locks it holds: most of a run is room for more of
 * both. */
static void copy_run(struct run *to, const struct run *from)
{
	memcpy(to, from, offsetof(struct run, tasks));
	for (unsigned i = 0; i < from->tasks_nr; i++)
		memcpy(&to->tasks[i], &from->tasks[i],
		       offsetof(struct task, held) +
			       from->tasks[i].held_nr * sizeof(from->tasks[i].held[0]));
}

/* The body has stopped in its first sim_run(): keep the run and the body's frames. */
static void keep_scene(void)
{
	char *sp = sim_run_.tasks[0].context;

	scene_stack_bytes = (size_t)(arena_stack_end(0) - sp);
	CHECK(scene_stack_bytes <= sizeof(scene_stack));
	copy_run(&scene, &sim_run_);
	memcpy(scene_stack, sp, scene_stack_bytes);
	unseen_keep();
	scene_ready = true;
}

static void enter(void *context)
{
	inside = true;
	fiber_switch(&harness_context, context);
	inside = false;
}

bool sched_inside(void)
{
	return inside;
}

void sched_scene(const struct sim_test *test)
{
	scene_test = test;
	sched_reset();
	sim_run_number++;
	sim_run_.refusals_left = test->refusals;
	sim_run_.upsets_left = UPSETS_MAX;
	sim_mode = 0;
	sim_reads_limit = 0;
	scene_wanted = false;
	enter(fiber_make(arena_stack_end(0), body_entry));
	if (scene_wanted)
		keep_scene();
}

/* Undoes the last run, then continues from the saved scene. */
void sched_execute(uint64_t seed)
{
	sim_mode = 0;
	undo_all();
	copy_run(&sim_run_, &scene);
	sim_task = &sim_run_.tasks[sim_run_.current];
	memcpy(arena_stack_end(0) - scene_stack_bytes, scene_stack, scene_stack_bytes);
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++)
		sim_run_.tasks[i].context = fiber_make(arena_stack_end(i), sched_task_entry);
	sim_run_number++;
	phases = 0;
	buffer_unsettled = NULL;
	sim_reads_limit = sim_hooks_seen[POINT_READ] + READS_MOST;
	strategy_begin_run(seed);
	enter(scene.tasks[0].context);
}

static void start_phase(void)
{
	sim_mode = sim_opt.mode | MODE_LOG | MODE_RUN;
	if (sim_mode & MODE_RACE)
		race_reset(sim_run_.tasks_nr);
	if (sim_mode & MODE_LATE)
		late_reset();
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++)
		strategy_task_started(&sim_run_.tasks[i]);
	sim_run_.strategy_step = strategy_next_step(sim_run_.steps);
	sim_run_.fair_step = sim_run_.steps + SCHED_FAIR_STEPS;
	sched_set_next_step();
}

/* Hashes the state that the rest of the body depends on and that the undo log does not cover. */
static uint64_t hash_machine(void)
{
	uint64_t sum = sim_run_.now_ns * 3 + sim_run_.heap_used * 5 +
		       (sim_run_.reserve_used ^ sim_run_.reserved_bytes << 20) * 7 +
		       (uint64_t)(uintptr_t)sim_run_.process_first * 11;
	const char *end = arena_stack_end(0);

	for (unsigned i = 1; i < sim_run_.tasks_nr; i++)
		sum = sum * 31 + sim_run_.tasks[i].state * 64u + sim_run_.tasks[i].cpu;
	for (const char *at = end - scene_stack_bytes + BODY_SKIP; at < end; at += 8)
		sum = (sum ^ undo_load(at, 8)) * UINT64_C(0x100000001b3);
	return sum;
}

/* If another run has passed its checks in this state, ends this run; it is undone already then. */
static void leave_if_checked_before(void)
{
	uint64_t machine = hash_machine();

	state_hash = undo_swap() + machine;
	state_known = hash_state_seen(state_hash);
	if (state_known) {
		undo_forget();
		sched_leave_run();
	}
	undo_redo();
}

_Noreturn void sched_end_well(void)
{
	state_known = true; /* not to be kept: this run has reached no state that is checked */
	sched_leave_run();
}

/* The run's checks have passed: its end need not be checked again. */
void sched_keep_state(void)
{
	if (!state_known)
		hash_state_keep(state_hash);
}

unsigned sched_phases(void)
{
	return phases;
}

/*
 * The first call returns to the harness, which saves the scene; each run continues here.  Later
 * calls in one body are further phases of the same run.
 */
void sched_run_phase(void)
{
	struct task *body = &sim_run_.tasks[0];

	if (!scene_ready) {
		scene_wanted = true;
		fiber_switch(&body->context, harness_context);
	}
	start_phase();
	body->state = TASK_BLOCKED;
	sched_switch_away();
	body->state = TASK_RUNNABLE;
	if (sim_mode & MODE_BUFFER)
		buffer_drain_everybody();
	sim_run_.next_step = STEP_NEVER;
	phases++;
	if (sim_mode & MODE_MEMO)
		leave_if_checked_before();
	sim_mode = MODE_LOG;
}
