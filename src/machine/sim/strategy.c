/* SPDX-License-Identifier: MIT */
/*
 * strategy.c - which schedules are run
 *
 * Random: at points drawn with a gap that differs from run to run (so that both storms and single
 * preemptions occur), an action drawn evenly.
 *
 * PCT (Burckhardt et al., 2010): tasks get random priorities and the highest runs; at depth - 1
 * random steps the running one falls to the bottom.  A bug that needs depth ordering constraints is
 * found by one run with probability at least 1 / (n * k^(depth - 1)), n tasks, k steps.
 *
 * Mix, the default: random and PCT of depth 2 to 4 in turns.  Either finds what the other does not.
 *
 * All: depth first, by the numbers of the choices.  Only actions at points where the task could
 * have continued count against the bound; choosing the next task where it could not is free.
 *
 * Replay: the deviations of a list where they fit; the default elsewhere.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "machine/sim/internal.h"

#define DECISIONS_MAX 65536
#define PCT_DEPTH_MAX 8
#define GAP_BITS      9 /* the largest gap is 2 to 512 points; 512 is longer than most runs */

struct decision {
	uint16_t choice, nr;
	uint16_t used; /* deviations counted before it */
	bool forced;
};

struct deviation strategy_taken[DEVIATIONS_MAX];
unsigned strategy_taken_nr;

static enum strategy wanted, strategy; /* strategy: of this run */
static unsigned strategy_depth;
static const struct deviation *replay;
static unsigned replay_nr;

static struct decision decisions[DECISIONS_MAX];
static unsigned decisions_nr, prefix_nr, deviations_used;
static uint32_t gap_mask;

static uint32_t change_steps[PCT_DEPTH_MAX];
static uint32_t pct_steps = 64; /* of the default schedule */
static uint32_t pct_low;

uint64_t strategy_random(void)
{
	uint64_t z = sim_run_.rng += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t draw(uint32_t below)
{
	return (uint32_t)((strategy_random() >> 32) * below >> 32);
}

void strategy_set(enum strategy which, unsigned depth)
{
	wanted = strategy = which;
	strategy_depth = depth;
	decisions_nr = 0;
	prefix_nr = 0;
	pct_steps = 64;
}

void strategy_set_replay(const struct deviation *list, unsigned nr)
{
	wanted = strategy = STRATEGY_REPLAY;
	replay = list;
	replay_nr = nr;
}

double strategy_pct_bound(void)
{
	unsigned tasks = sim_run_.tasks_nr > 1 ? sim_run_.tasks_nr - 1u : 1;

	return 1.0 / (tasks * pow(pct_steps, strategy_depth - 1));
}

/* What happens to one access: nothing, most of the time. */
static unsigned draw_rare(unsigned nr)
{
	if (draw(8) != 0)
		return 0;
	return nr == 2 ? 1 : 1 + draw(nr - 1);
}

/* ---- replay ---- */

static void replay_find_next(struct task *task)
{
	unsigned index = (unsigned)(task - sim_run_.tasks);

	task->next_deviation = STEP_NEVER;
	for (unsigned i = 0; i < replay_nr; i++)
		if (replay[i].task == index && replay[i].step > task->steps &&
		    replay[i].step < task->next_deviation)
			task->next_deviation = replay[i].step;
}

static unsigned replay_choose(struct task *task, const struct action *actions, unsigned nr)
{
	unsigned choice = 0;

	for (unsigned i = 0; i < replay_nr; i++) {
		if (replay[i].task != sim_run_.current || replay[i].step != task->steps)
			continue;
		for (unsigned j = 0; j < nr; j++)
			if (actions[j].kind == replay[i].action.kind &&
			    actions[j].arg == replay[i].action.arg)
				choice = j;
	}
	replay_find_next(task);
	return choice;
}

/* ---- all schedules ---- */

static unsigned all_choose(unsigned nr, bool forced)
{
	struct decision *decision = &decisions[decisions_nr];
	unsigned choice = 0;

	if (decisions_nr == DECISIONS_MAX)
		sim_fail("livelock", "more decisions than can be enumerated");
	if (decisions_nr < prefix_nr)
		choice = decision->choice;
	else
		*decision = (struct decision){ .used = (uint16_t)deviations_used };
	decision->forced = forced;
	decision->nr = (uint16_t)(forced || deviations_used < strategy_depth ? nr : 1);
	if (choice >= decision->nr)
		choice = 0;
	if (choice != 0 && !forced)
		deviations_used++;
	decisions_nr++;
	return choice;
}

bool strategy_next_run(void)
{
	if (strategy != STRATEGY_ALL)
		return true;
	while (decisions_nr != 0) {
		struct decision *last = &decisions[decisions_nr - 1];

		if (last->choice + 1u < last->nr) {
			last->choice++;
			prefix_nr = decisions_nr;
			return true;
		}
		decisions_nr--;
	}
	return false;
}

/* ---- PCT ---- */

static void pct_begin(void)
{
	pct_low = strategy_depth;
	for (unsigned i = 0; i + 1 < strategy_depth; i++)
		change_steps[i] = 1 + draw(pct_steps);
}

static uint32_t priority_of(const struct action *action)
{
	if (action->kind != ACT_SWITCH)
		return 0;
	return sim_run_.tasks[action->arg].priority;
}

/* Chooses an action other than a switch now and then; the theorem covers switches only. */
static unsigned pct_event(const struct action *actions, unsigned nr)
{
	unsigned choice = draw(nr);

	return actions[choice].kind != ACT_SWITCH && draw(2) == 0 ? choice : 0;
}

static unsigned pct_choose(struct task *task, const struct action *actions, unsigned nr,
			   bool forced)
{
	uint32_t best = forced ? 0 : task->priority;
	unsigned choice = 0;

	for (unsigned i = 0; i + 1 < strategy_depth; i++) {
		if (change_steps[i] != 0 && change_steps[i] <= sim_run_.steps) {
			change_steps[i] = 0;
			task->priority = --pct_low;
			if (!forced) {
				best = task->priority;
				choice = pct_event(actions, nr);
			}
		}
	}
	if (choice != 0)
		return choice;
	for (unsigned i = 0; i < nr; i++) {
		uint32_t priority = priority_of(&actions[i]);

		if (priority > best) {
			best = priority;
			choice = i;
		}
	}
	return choice;
}

static uint32_t pct_next(uint32_t steps)
{
	uint32_t next = STEP_NEVER;

	for (unsigned i = 0; i + 1 < strategy_depth; i++)
		if (change_steps[i] > steps && change_steps[i] < next)
			next = change_steps[i];
	return next;
}

/* A task of higher priority may have become runnable: choose again at the next point. */
void strategy_woken(void)
{
	if (strategy != STRATEGY_PCT || !(sim_mode & MODE_RUN))
		return;
	sim_run_.strategy_step = sim_run_.steps + 1;
	sched_set_next_step();
}

void strategy_task_started(struct task *task)
{
	if (strategy == STRATEGY_PCT)
		task->priority = strategy_depth + 1 + draw(UINT32_C(1) << 20);
	if (strategy == STRATEGY_REPLAY)
		replay_find_next(task);
	else
		task->next_deviation = STEP_NEVER;
}

/* ---- all of them ---- */

void strategy_begin_run(uint64_t seed)
{
	sim_run_.rng = seed * UINT64_C(0xd1342543de82ef95) + 1;
	strategy_taken_nr = 0;
	decisions_nr = 0;
	deviations_used = 0;
	gap_mask = (UINT32_C(2) << draw(GAP_BITS)) - 1;
	if (wanted == STRATEGY_MIX) {
		strategy = seed & 1 ? STRATEGY_PCT : STRATEGY_RANDOM;
		strategy_depth = 2 + (unsigned)(seed >> 1) % 3;
	}
	if (strategy == STRATEGY_PCT)
		pct_begin();
}

void strategy_set_length(uint32_t steps)
{
	pct_steps = steps < 8 ? 8 : steps;
}

uint32_t strategy_next_step(uint32_t steps)
{
	switch (strategy) {
	case STRATEGY_RANDOM:
		return steps + 1 + ((uint32_t)strategy_random() & gap_mask);
	case STRATEGY_PCT:
		return pct_next(steps);
	case STRATEGY_ALL:
		return decisions_nr < prefix_nr || deviations_used < strategy_depth ? steps + 1
										    : STEP_NEVER;
	default:
		return STEP_NEVER;
	}
}

static unsigned random_choose(const struct action *actions, unsigned nr, bool forced)
{
	if (forced)
		return draw(nr);
	if (nr >= 2 && actions[1].kind >= ACT_TRYFAIL)
		return draw_rare(nr);
	return nr == 1 ? 0 : 1 + draw(nr - 1);
}

static void record(const struct task *task, struct action action)
{
	if (strategy_taken_nr == DEVIATIONS_MAX)
		return;
	strategy_taken[strategy_taken_nr++] = (struct deviation){
		.task = sim_run_.current,
		.step = task->steps,
		.action = action,
	};
}

unsigned strategy_choose(const struct action *actions, unsigned nr, bool forced)
{
	struct task *task = current_task();
	unsigned choice = 0;

	switch (strategy) {
	case STRATEGY_MIX: /* one of the next two, by the run */
	case STRATEGY_RANDOM:
		choice = random_choose(actions, nr, forced);
		break;
	case STRATEGY_PCT:
		if (nr >= 2 && actions[1].kind >= ACT_TRYFAIL)
			choice = draw_rare(nr);
		else
			choice = pct_choose(task, actions, nr, forced);
		break;
	case STRATEGY_ALL:
		choice = all_choose(nr, forced);
		break;
	case STRATEGY_REPLAY:
		choice = replay_choose(task, actions, nr);
		break;
	}
	if (choice != 0)
		record(task, actions[choice]);
	return choice;
}
