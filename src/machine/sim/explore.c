/* SPDX-License-Identifier: MIT */
/*
 * explore.c - run, count, and make a failing schedule small
 *
 * Shrinking is delta debugging on the list of deviations: leave out ever smaller parts as long as
 * the same rule breaks.  A schedule is a list of (task, its own count of points, action), so the
 * remaining deviations keep their meaning when others are removed.
 */
#include "machine/sim/explore.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DEFAULT_STEP_LIMIT 60000u

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct sim_options explore_options(const struct sim_test *test)
{
	struct sim_options options = {
		.cpus_nr = test->cpus_nr != 0 ? test->cpus_nr : 2,
		.model = test->model,
		.config = test->config,
		.tlb = test->tlb,
		.events = test->events,
		.page_shift = test->page_shift != 0 ? test->page_shift : 12,
		.batch_max = test->batch_max,
		.step_limit = DEFAULT_STEP_LIMIT,
		.seed = 1,
	};

	return options;
}

static unsigned mode_of(const struct sim_options *options)
{
	return (options->events & SIM_PLAIN ? (unsigned)MODE_PLAIN : 0) |
	       (options->events & SIM_RACE ? (unsigned)MODE_RACE : 0) |
	       (options->events & SIM_MEMORY ? (unsigned)MODE_MEMORY : 0) |
	       (options->model != SIM_SC ? (unsigned)MODE_BUFFER : 0) |
	       (options->model == SIM_ARM ? (unsigned)MODE_LATE : 0);
}

static void set_scene(const struct explore_request *request)
{
	sim_opt = request->options;
	sim_opt.mode = mode_of(&sim_opt);
	if (request->test->enters[0] != NULL && request->strategy != STRATEGY_REPLAY &&
	    !request->brief)
		sim_opt.mode |= MODE_ENTER;
	enter_begin(request->test);
	undo_all();
	arena_reset();
	memory_reset();
	count_reset();
	race_forget();
	trace_forget_names();
	hash_forget();
	sim_failure = (struct failure){ .found = false };
	sched_scene(request->test);
}

/* The schedule is executed again as long as more words turn out to be shared: then all accesses to them are kept. */
static void one_run(uint64_t seed)
{
	do {
		sim_failure.found = false;
		sim_failure.pc = sim_failure.other_pc = 0;
		sim_failure.addr = NULL;
		sched_execute(seed);
	} while (race_has_learnt());
}

/* ---- shrinking ---- */

static bool still_fails(const struct deviation *list, unsigned nr, const char *rule)
{
	strategy_set_replay(list, nr);
	one_run(sim_opt.seed);
	return sim_failure.found && strcmp(sim_failure.rule, rule) == 0;
}

/* The list without [@from, @to). */
static unsigned without(struct deviation *into, const struct deviation *list, unsigned nr,
			unsigned from, unsigned to)
{
	memcpy(into, list, from * sizeof(*list));
	memcpy(into + from, list + to, (nr - to) * sizeof(*list));
	return nr - (to - from);
}

static bool drop_parts(struct deviation *list, unsigned *nr, unsigned part, const char *rule)
{
	static struct deviation shorter[DEVIATIONS_MAX];
	bool dropped = false;
	unsigned from = 0;

	while (from < *nr) {
		unsigned to = from + part < *nr ? from + part : *nr;
		unsigned left = without(shorter, list, *nr, from, to);

		if (still_fails(shorter, left, rule)) {
			memcpy(list, shorter, left * sizeof(*list));
			*nr = left;
			dropped = true;
		} else {
			from = to;
		}
	}
	return dropped;
}

static void shrink(struct explore_result *result)
{
	char rule[sizeof(sim_failure.rule)];
	unsigned part = result->deviations_nr;
	unsigned rounds = 0;

	memcpy(rule, result->failure.rule, sizeof(rule));
	result->switches_before = result->switches;
	result->deviations_before = result->deviations_nr;
	if (!still_fails(result->deviations, result->deviations_nr, rule)) {
		fprintf(stderr, "quire-explore: the schedule does not repeat itself\n");
		return;
	}
	while (part != 0 && rounds++ < 64)
		if (!drop_parts(result->deviations, &result->deviations_nr, part, rule) || part > 1)
			part = part > 1 ? (part + 1) / 2 : 0;
	still_fails(result->deviations, result->deviations_nr, rule);
	result->failure = sim_failure;
	result->switches = sim_run_.switches;
}

/* ---- exploring ---- */

static void keep_failure(struct explore_result *result, uint64_t run, uint64_t seed)
{
	result->failure = sim_failure;
	result->failing_run = run;
	result->failing_seed = seed;
	result->switches = sim_run_.switches;
	result->deviations_nr = strategy_taken_nr;
	memcpy(result->deviations, strategy_taken, strategy_taken_nr * sizeof(strategy_taken[0]));
}

static void mark(struct explore_result *result)
{
	if (result->marks_nr == PLATEAU_MARKS) {
		for (unsigned i = 1; i < PLATEAU_MARKS; i++) {
			result->mark_runs[i - 1] = result->mark_runs[i];
			result->mark_distinct[i - 1] = result->mark_distinct[i];
		}
		result->marks_nr--;
	}
	result->mark_runs[result->marks_nr] = result->runs;
	result->mark_distinct[result->marks_nr++] = hash_distinct();
}

static bool time_is_up(const struct explore_request *request, const struct explore_result *result,
		       double start)
{
	if (request->runs != 0 && result->runs >= request->runs)
		return true;
	return request->seconds > 0 && result->runs % 256 == 0 &&
	       now_seconds() - start >= request->seconds;
}

static void show_progress(const struct explore_result *result, double start, double *last)
{
	double now;

	if (result->runs % 8192 != 0)
		return;
	now = now_seconds();
	if (now - *last < 0.5)
		return;
	*last = now;
	fprintf(stderr, "\r  %llu runs, %.0f a second ", (unsigned long long)result->runs,
		(double)result->runs / (now - start));
}

/* Runs the default schedule, which tells how long a run is.  False if it fails already. */
static bool first_run(struct explore_result *result)
{
	strategy_set_replay(NULL, 0);
	one_run(sim_opt.seed);
	strategy_set_length(sim_run_.steps);
	if (!sim_failure.found)
		return true;
	strategy_taken_nr = 0;
	result->runs = 1;
	keep_failure(result, 1, sim_opt.seed);
	return false;
}

/* Places are looked up now and then, until all that the scenario names has been entered. */
static void look_whats_entered(void)
{
	if (sim_opt.mode & MODE_ENTER && enter_missing() == NULL)
		sim_opt.mode &= ~(unsigned)MODE_ENTER;
}

static void run_many(const struct explore_request *request, struct explore_result *result)
{
	double start = now_seconds(), last = start, cpu_start = cpu_seconds();
	uint64_t next_mark = 1024;

	do {
		uint64_t seed = sim_opt.seed + result->runs;

		one_run(seed);
		if (sim_opt.mode & MODE_MEMO && !sim_failure.found)
			sched_keep_state();
		result->runs++;
		result->steps += sim_run_.steps;
		if (request->count_distinct && !sim_failure.found)
			hash_seen(sim_run_.trace_hash);
		if (sim_failure.found) {
			keep_failure(result, result->runs, seed);
			break;
		}
		if (request->count_distinct && result->runs == next_mark) {
			mark(result);
			next_mark *= 2;
		}
		if (request->progress)
			show_progress(result, start, &last);
		if ((result->runs & (result->runs - 1)) == 0)
			look_whats_entered();
		if (!strategy_next_run()) {
			result->complete = true;
			break;
		}
	} while (!time_is_up(request, result, start));
	result->seconds = now_seconds() - start;
	result->cpu_seconds = cpu_seconds() - cpu_start;
	result->distinct = request->count_distinct ? hash_distinct() : 0;
	if (request->progress && last > start)
		fprintf(stderr, "\r%40s\r", "");
}

/* A finding may be no more than what an earlier run has left: what is found then is that it has. */
static bool is_undone(struct explore_result *result)
{
	uint64_t was = 0;
	const void *word;

	undo_all();
	word = unseen_find(&was);
	if (word == NULL)
		return true;
	sim_failure = (struct failure){ .found = true, .rule = "unseen write", .addr = word };
	snprintf(sim_failure.text, sizeof(sim_failure.text),
		 "%p has %#llx, and in the scene %#llx, after all that hooks have seen is undone",
		 word, (unsigned long long)undo_load(word, 8), (unsigned long long)was);
	strategy_taken_nr = 0;
	keep_failure(result, result->runs, sim_opt.seed);
	return false;
}

void explore(const struct explore_request *request, struct explore_result *result)
{
	memset(result, 0, offsetof(struct explore_result, deviations));
	result->deviations_nr = 0;
	set_scene(request);
	if (sim_failure.found) {
		keep_failure(result, 0, sim_opt.seed);
		return;
	}
	if (!sched_has_scene()) {
		result->complete = true;
		result->runs = 1;
		return;
	}
	if (request->strategy != STRATEGY_REPLAY && first_run(result)) {
		strategy_set(request->strategy, request->depth);
		strategy_set_length(sim_run_.steps);
		if (request->count_distinct)
			sim_opt.mode |= MODE_HASH;
		if (sched_phases() == 1)
			sim_opt.mode |= MODE_MEMO;
		run_many(request, result);
		look_whats_entered();
		if (sim_opt.mode & MODE_ENTER && !sim_failure.found)
			result->not_entered = enter_missing();
		sim_opt.mode &= ~(unsigned)(MODE_HASH | MODE_MEMO | MODE_ENTER);
		result->pct_bound = strategy_pct_bound();
	} else if (request->strategy == STRATEGY_REPLAY) {
		strategy_set_replay(request->replay, request->replay_nr);
		one_run(sim_opt.seed);
		result->runs = 1;
		if (sim_failure.found)
			keep_failure(result, 1, sim_opt.seed);
	}
	if (is_undone(result) && result->failure.found && !request->brief)
		shrink(result);
}

void explore_trace(struct explore_result *result)
{
	trace_reset();
	if (!sched_has_scene())
		return;
	sim_opt.mode |= MODE_TRACE;
	strategy_set_replay(result->deviations, result->deviations_nr);
	one_run(sim_opt.seed);
	sim_opt.mode &= ~(unsigned)MODE_TRACE;
	if (sim_failure.found && strcmp(sim_failure.rule, result->failure.rule) == 0)
		result->failure = sim_failure;
}
