/* SPDX-License-Identifier: MIT */
/*
 * steps.c - steps.h says what this is for
 *
 * What explains an interleaving is what passes between tasks: a value that another task has written, and a value
 * that was read and is overwritten before its reader continues.  Both ends of such a pair get points; so do
 * accesses to the place that broke, the ends of turns, what the scheduler did, and whatever is near the end.
 */
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_TOLD  8u
#define BYTES_MAX   (1u << 19)
#define PAIRS_MAX   32u /* of one event */
#define NONE	    UINT32_MAX
#define OBJECT_NEAR 128u /* bytes of an object whose other fields matter, too */
#define STEPS_LEAST 12u	 /* are shown even if they explain little */

/* Points.  Only their order matters; a pair that passes a value outweighs what is merely recent. */
enum {
	POINTS_END = 1000, /* where it failed, and the access that it failed against */
	POINTS_BROKEN = 60,
	POINTS_OBJECT = 15, /* the rest of the object */
	POINTS_EVENT = 55,  /* an action of the scheduler */
	POINTS_FOREIGN = 30,
	POINTS_ORDERED = 10, /* the same after taking a lock */
	POINTS_BEHIND = 10,
	/* Used by one task, written by another, then written by the first one, which has taken no lock since. */
	POINTS_LOST = 60,
	POINTS_STALE = 35, /* the same, but it has taken a lock; it does not look again */
	POINTS_WAIT = 50,
	POINTS_TURN = 20,
	POINTS_RECENT = 25,
	POINTS_LOCK = 8,
	POINTS_TOLD = 70,  /* writes what the failed check names */
	POINTS_CHECK = 60, /* sets what a failed CHECK compares */
	POINTS_ENOUGH =
		45, /* what has fewer is left out of a long list, even where there is room */
	POINTS_ASIDE = -30,
	POINTS_SAME = -40,  /* writes what was there */
	POINTS_LOOP = -25,  /* an effect that the same line takes further later in its turn */
	POINTS_AGAIN = -40, /* the same line with the same effect as before */
};

/* The last accesses to a byte. */
struct byte {
	uintptr_t at; /* 0: unused */
	uint32_t writer;
	uint32_t user[TASKS_TOLD]; /* the last event of each task, reading or writing */
};

static struct byte *bytes_used;

static struct byte *byte_at(uintptr_t at)
{
	size_t slot = (at * UINT64_C(0x9e3779b97f4a7c15)) >> 45;

	for (unsigned i = 0; i < BYTES_MAX; i++, slot = (slot + 1) % BYTES_MAX) {
		struct byte *byte = &bytes_used[slot];

		if (byte->at == at)
			return byte;
		if (byte->at != 0)
			continue;
		byte->at = at;
		byte->writer = NONE;
		for (unsigned t = 0; t < TASKS_TOLD; t++)
			byte->user[t] = NONE;
		return byte;
	}
	return NULL;
}

static bool is_access(const struct event *event)
{
	return event->kind <= POINT_RMW || event->kind == POINT_SEQ_READ ||
	       event->kind == POINT_SEQ_COMMIT;
}

static bool is_lock(const struct event *event)
{
	return event->kind == POINT_LOCK || event->kind == POINT_TRY || event->kind == POINT_UNLOCK;
}

static bool writes(const struct event *event)
{
	return event->kind == POINT_WRITE || event->kind == POINT_STORE ||
	       event->kind == POINT_RMW || event->kind == POINT_SEQ_COMMIT;
}

static bool same_turn(const struct event *a, const struct event *b)
{
	return a->task == b->task && a->irq_depth == b->irq_depth;
}

bool steps_new_turn(const struct step *before, const struct step *step)
{
	return before == NULL || !same_turn(before->event, step->event);
}

bool steps_touches(const struct event *event, const void *addr, size_t bytes)
{
	const char *from = event->addr, *other = addr;

	return from != NULL && other != NULL && from < other + bytes &&
	       other < from + (event->bytes != 0 ? event->bytes : 1);
}

/* ---- what passes between tasks -------------------------------------------------------------- */

/* The pairs of one event, so that each counts once, not once for each byte. */
struct pairs {
	uint32_t with[PAIRS_MAX];
	int points[PAIRS_MAX];
	unsigned nr;
};

static void add_pair(struct step *steps, struct pairs *pairs, unsigned a, unsigned b, int points)
{
	for (unsigned i = 0; i < pairs->nr; i++)
		if (pairs->with[i] == a && pairs->points[i] == points)
			return;
	if (pairs->nr == PAIRS_MAX)
		return;
	pairs->with[pairs->nr] = a;
	pairs->points[pairs->nr++] = points;
	steps[a].score += points;
	steps[b].score += points;
}

static uint32_t
	last_lock[TASKS_TOLD]; /* 1 + the step at which a task has last taken one; 0: none */

static void see_byte(struct step *steps, unsigned index, struct byte *byte, struct pairs *pairs)
{
	const struct event *event = steps[index].event;
	unsigned self = event->task % TASKS_TOLD;
	uint32_t writer = byte->writer, mine = byte->user[self];

	if (writer != NONE && !same_turn(steps[writer].event, event)) {
		bool ordered = last_lock[self] > writer + 1;

		add_pair(steps, pairs, writer, index, ordered ? POINTS_ORDERED : POINTS_FOREIGN);
		if (writes(event) && event->kind != POINT_RMW && mine != NONE && mine < writer) {
			int points = !ordered			 ? POINTS_LOST
				     : writes(steps[mine].event) ? 0
								 : POINTS_STALE;

			add_pair(steps, pairs, writer, index, points);
			add_pair(steps, pairs, mine, index, points);
		}
	}
	for (unsigned t = 0; writes(event) && t < TASKS_TOLD; t++)
		if (byte->user[t] != NONE && !same_turn(steps[byte->user[t]].event, event))
			add_pair(steps, pairs, byte->user[t], index, POINTS_BEHIND);
	if (writes(event))
		byte->writer = index;
	byte->user[self] = index;
}

static void score_pairs(struct step *steps, unsigned nr)
{
	bytes_used = calloc(BYTES_MAX, sizeof(*bytes_used));
	memset(last_lock, 0, sizeof(last_lock));
	for (unsigned i = 0; bytes_used != NULL && i < nr; i++) {
		const struct event *event = steps[i].event;
		struct pairs pairs = { .nr = 0 };
		uintptr_t at = (uintptr_t)event->addr;

		if (event->kind == POINT_LOCK || event->kind == POINT_TRY)
			last_lock[event->task % TASKS_TOLD] = i + 1;
		if (!is_access(event) || at == 0 || in_stacks(event->addr))
			continue;
		for (unsigned k = 0; k < event->bytes; k++) {
			struct byte *byte = byte_at(at + k);

			if (byte != NULL)
				see_byte(steps, i, byte, &pairs);
		}
	}
	free(bytes_used);
}

/* ---- other points --------------------------------------------------------------------------- */

static int points_of_kind(const struct event *event)
{
	switch (event->kind) {
	case POINT_NOTE:
		return event->note != NULL ? POINTS_EVENT : -POINTS_END;
	case POINT_LOCK:
	case POINT_TRY:
		return event->old != 0 && event->old != 1u + event->task ? POINTS_WAIT
									 : POINTS_LOCK;
	case POINT_UNLOCK:
		return POINTS_LOCK / 2;
	case POINT_CPU_FENCE:
	case POINT_GATHER:
		return POINTS_LOCK;
	case POINT_SEQ_COMMIT:
		return POINTS_LOCK;
	case POINT_WRITE:
	case POINT_STORE:
	case POINT_RMW:
		return event->old == event->value ? POINTS_SAME : POINTS_LOCK / 4;
	default:
		return 0;
	}
}

/* The last event at each of the two places of the failure. */
static void score_ends(struct steps *steps, const struct failure *failure)
{
	uintptr_t pcs[] = { failure->pc, failure->other_pc };

	for (unsigned k = 0; k < 2; k++)
		for (unsigned i = steps->nr; pcs[k] != 0 && i-- != 0;)
			if (steps->step[i].event->pc == pcs[k] &&
			    (failure->addr == NULL ||
			     steps_touches(steps->step[i].event, failure->addr, 1) ||
			     steps->step[i].event->bytes == 0)) {
				steps->step[i].score += POINTS_END;
				steps->step[i].is_end = k == 0;
				break;
			}
	/* The body's checks come after the run. */
	for (unsigned i = steps->nr; sim_run_.current != 0 && i-- != 0;)
		if (steps->step[i].event->kind != POINT_NOTE) {
			steps->step[i].score += POINTS_END;
			break;
		}
}

/* What a scenario counts for its own checks, and what the core counts for statistics. */
static int points_of_line(const struct event *event)
{
	struct place place = steps_place(event->pc);

	return strstr(place.file, "_sim.c") != NULL || strstr(place.file, "_scene.c") != NULL ||
			       strstr(place.text, "count_add(") != NULL ||
			       strstr(place.text, " hint") != NULL
		       ? POINTS_ASIDE
		       : 0;
}

static void score_turns(struct step *steps, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		bool first = i == 0 || !same_turn(steps[i - 1].event, steps[i].event);
		bool last = i + 1 == nr || !same_turn(steps[i + 1].event, steps[i].event);

		if ((first || last) && steps[i].event->kind != POINT_NOTE)
			steps[i].score += POINTS_TURN;
		steps[i].score += points_of_kind(steps[i].event);
		if (is_access(steps[i].event))
			steps[i].score += points_of_line(steps[i].event);
		steps[i].score += (int)(POINTS_RECENT * (uint64_t)i / nr);
	}
}

/* The field that a failed check of a scenario names: "scene->refused == 0". */
static void score_told(struct step *steps, unsigned nr, const char *text)
{
	const char *at = strstr(text, "->");
	char word[48];

	if (at == NULL || sscanf(at, "->%47[a-z0-9_]", word) != 1 || strlen(word) < 3)
		return;
	for (unsigned i = 0; i < nr; i++)
		if (writes(steps[i].event) &&
		    names_has_word(steps_place(steps[i].event->pc).text, word))
			steps[i].score += POINTS_TOLD;
}

/* "CHECK(before >= pages): 0x0, 0x8 in lazy_uncount, CPU 1": the last lines there that set one of the variables. */
static void score_check(struct step *steps, unsigned nr, const char *text)
{
	char function[64] = "", condition[128] = "", set[72];
	const char *in = strstr(text, " in "), *check = strstr(text, "CHECK(");
	unsigned left = 8;

	if (in == NULL || check == NULL || sscanf(in, " in %63[a-z0-9_]", function) != 1)
		return;
	snprintf(condition, sizeof(condition), "%.*s", (int)strcspn(check + 6, ":"), check + 6);
	for (unsigned i = nr; i-- != 0 && left != 0;) {
		struct place place = steps_place(steps[i].event->pc);
		const char *equals = strstr(place.text, " = ");

		if (strcmp(place.function, function) != 0)
			continue;
		left--;
		for (const char *at = equals; at != NULL && at > place.text; at--) {
			snprintf(set, sizeof(set), "%.*s", (int)(equals - at + 1), at - 1);
			if (strspn(set, "abcdefghijklmnopqrstuvwxyz_") == strlen(set) &&
			    names_has_word(condition, set)) {
				steps[i].score += POINTS_CHECK;
				break;
			}
		}
	}
}

/* Of two steps alike in one task the later is told, unless it explains more. */
static void score_repeats(struct step *steps, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++)
		for (unsigned k = i + 1; k < nr && k < i + 64; k++) {
			const struct event *a = steps[i].event, *b = steps[k].event;

			if (a->pc != b->pc || a->addr != b->addr || a->task != b->task)
				continue;
			if (a->old == b->old && a->value == b->value)
				steps[steps[i].score > steps[k].score ? k : i].score +=
					POINTS_AGAIN;
			else if (same_turn(a, b))
				steps[i].score += POINTS_LOOP;
			break;
		}
}

/* ---- the place that broke ------------------------------------------------------------------- */

/* The lock that a task waits for in vain. */
static const void *waited_for(void)
{
	for (unsigned i = 1; i < sim_run_.tasks_nr; i++)
		if (sim_run_.tasks[i].state == TASK_BLOCKED && !sim_run_.tasks[i].daemon &&
		    sim_run_.tasks[i].wait_on != NULL)
			return sim_run_.tasks[i].wait_on;
	return NULL;
}

static bool is_touched(const struct steps *steps, const void *addr)
{
	for (unsigned i = 0; i < steps->nr; i++)
		if (steps_touches(steps->step[i].event, addr, 1))
			return true;
	return false;
}

/* The last access that the failing check made, or the one that explains most. */
static const struct event *suspect(const struct steps *steps)
{
	const struct step *best = NULL;

	for (unsigned i = 0; i < steps->nr; i++) {
		const struct step *step = &steps->step[i];

		if (is_access(step->event) && step->event->addr != NULL &&
		    !in_stacks(step->event->addr) && writes(step->event) &&
		    (best == NULL || step->score >= best->score))
			best = step;
	}
	return best != NULL ? best->event : NULL;
}

static void find_broken(struct steps *steps, const struct failure *failure)
{
	const struct event *event;

	steps->broken_bytes = 1;
	steps->broken = failure->addr;
	if (strcmp(failure->rule, "deadlock") == 0)
		steps->broken = waited_for();
	/* What no hook has seen is no step. */
	if (strcmp(failure->rule, "unseen write") == 0 ||
	    (steps->broken != NULL && is_touched(steps, steps->broken)))
		return;
	event = suspect(steps);
	steps->broken = event != NULL ? event->addr : NULL;
	steps->broken_bytes = event != NULL ? event->bytes : 0;
}

static void name_broken(struct steps *steps)
{
	struct named_value place;

	for (unsigned i = steps->nr; steps->broken != NULL && i-- != 0;) {
		const struct event *event = steps->step[i].event;

		if (!steps_touches(event, steps->broken, steps->broken_bytes))
			continue;
		names_place(event, event->addr, event->bytes, &place);
		snprintf(steps->broken_name, sizeof(steps->broken_name), "%s", place.name);
		return;
	}
}

/* ---- finding -------------------------------------------------------------------------------- */

static bool is_step(const struct event *event)
{
	if (event->kind == POINT_NOTE)
		return event->note != NULL;
	if (is_access(event))
		return event->addr != NULL && event->bytes != 0 && !in_stacks(event->addr);
	return true;
}

bool steps_find(struct steps *steps, const struct explore_result *result)
{
	const void *object = NULL;
	char name[NAME_MAX_BYTES];
	size_t bytes;

	*steps = (struct steps){ .nr = 0 };
	steps->step = calloc(trace_nr + 1, sizeof(*steps->step));
	if (steps->step == NULL)
		return false;
	for (unsigned i = 0; i < trace_nr; i++)
		if (is_step(&trace_events[i]))
			steps->step[steps->nr++].event = &trace_events[i];
	if (steps->nr == 0)
		return true;
	score_pairs(steps->step, steps->nr);
	score_turns(steps->step, steps->nr);
	score_repeats(steps->step, steps->nr);
	score_told(steps->step, steps->nr, result->failure.text);
	score_check(steps->step, steps->nr, result->failure.text);
	find_broken(steps, &result->failure);
	name_broken(steps);
	bytes = steps->broken != NULL
			? names_object(steps->broken, OBJECT_NEAR, &object, name, sizeof(name))
			: 0;
	for (unsigned i = 0; i < steps->nr; i++) {
		struct step *step = &steps->step[i];

		step->is_broken = steps_touches(step->event, steps->broken, steps->broken_bytes);
		if (bytes != 0 && steps_touches(step->event, object, bytes))
			step->score += POINTS_OBJECT;
		if (step->is_broken && (writes(step->event) || is_lock(step->event)))
			step->score += POINTS_BROKEN;
		else if (step->is_broken)
			step->score += POINTS_BROKEN / 2;
	}
	score_ends(steps, &result->failure);
	return true;
}

void steps_free(struct steps *steps)
{
	free(steps->step);
}

static int by_score(const void *left, const void *right)
{
	const struct step *a = *(const struct step *const *)left;
	const struct step *b = *(const struct step *const *)right;

	if (a->score != b->score)
		return a->score < b->score ? 1 : -1;
	return (a < b) - (a > b); /* the later */
}

void steps_show(struct steps *steps, unsigned nr, bool all)
{
	int least = all ? 1 : POINTS_ENOUGH;
	struct step **order = malloc((steps->nr + 1) * sizeof(*order));

	for (unsigned i = 0; i < steps->nr; i++)
		steps->step[i].is_shown = false;
	if (order == NULL)
		return;
	for (unsigned i = 0; i < steps->nr; i++)
		order[i] = &steps->step[i];
	qsort(order, steps->nr, sizeof(*order), by_score);
	for (unsigned i = 0; i < nr && i < steps->nr; i++)
		order[i]->is_shown = order[i]->score >= (i < STEPS_LEAST ? 1 : least);
	free(order);
}

/* ---- words ---------------------------------------------------------------------------------- */

static bool is_source(const char *file)
{
	size_t bytes = strlen(file);

	return bytes > 2 && strcmp(file + bytes - 2, ".c") == 0 &&
	       strncmp(file, "machine/", 8) != 0 && strncmp(file, "base/", 5) != 0;
}

struct place steps_place(uintptr_t pc)
{
	struct place places[PLACES_MAX];
	unsigned nr = debug_places(pc, places);

	for (unsigned i = 0; i < nr; i++)
		if (is_source(places[i].file))
			return places[i];
	if (nr != 0)
		return places[0];
	return (struct place){ .file = "?", .function = "?", .text = "" };
}

void steps_callers(const struct event *event, char *text, size_t room)
{
	uintptr_t pcs[] = { event->pc, event->callers[0], event->callers[1] };
	const char *last = "";
	bool begun = false;
	size_t used = 0;

	text[0] = '\0';
	for (unsigned k = 0; k < 3 && pcs[k] != 0; k++) {
		struct place places[PLACES_MAX], first = steps_place(pcs[k]);
		unsigned nr = debug_places(pcs[k], places);

		for (unsigned i = 0; i < nr; i++) {
			const char *name = places[i].function;

			begun = begun || name == first.function;
			if (!begun || strcmp(name, last) == 0 ||
			    (used != 0 && strncmp(places[i].file, "machine/", 8) == 0) ||
			    used + strlen(name) + 4 >= room)
				continue;
			used += (size_t)snprintf(text + used, room - used, "%s%s",
						 used ? " < " : "", name);
			last = name;
		}
	}
}

static unsigned cpu_of_task(uint64_t task)
{
	return task < sim_run_.tasks_nr ? sim_run_.tasks[task].cpu : 0;
}

static void describe_lock(struct step *step, char *name)
{
	const struct event *event = step->event;
	size_t bytes = strlen(name);
	uint64_t holder = event->old;
	bool taken = holder != 0 && holder != 1u + event->task;

	if (bytes > 5 && strcmp(name + bytes - 5, ".word") == 0)
		name[bytes - 5] = '\0';
	if (event->kind == POINT_UNLOCK)
		snprintf(step->what, sizeof(step->what), "releases %s", name);
	else if (event->kind == POINT_TRY && holder != 0)
		snprintf(step->what, sizeof(step->what), "tries %s in vain: CPU %u has it", name,
			 cpu_of_task(holder - 1));
	else if (taken)
		snprintf(step->what, sizeof(step->what), "waits for %s: CPU %u has it", name,
			 cpu_of_task(holder - 1));
	else
		snprintf(step->what, sizeof(step->what), "takes %s", name);
}

struct part {
	const struct event *event;
	uint64_t offset; /* of the access, in the struct */
	char *text;
	size_t room;
	bool unchanged; /* tell the fields that are written and keep their values */
};

/* A field of several that one access reads or writes. */
static void describe_part(const struct member *member, void *arg)
{
	struct part *part = arg;
	struct named_value place = { .type = member->type, .is_whole = true };
	unsigned bytes = (unsigned)debug_type(member->type).bytes;
	uint64_t shift = (member->offset - part->offset) * 8;
	uint64_t mask = bytes < 8 ? (UINT64_C(1) << bytes * 8) - 1 : UINT64_MAX;
	uint64_t old, new;
	char was[48], is[48];
	size_t used = strlen(part->text);

	if (member->offset < part->offset || member->bits != 0 || member->name == NULL ||
	    member->offset + bytes > part->offset + part->event->bytes)
		return;
	old = part->event->old >> shift & mask;
	new = part->event->value >> shift &mask;
	if (writes(part->event) && (old == new) != part->unchanged)
		return;
	names_value(&place, old, bytes, was, sizeof(was));
	names_value(&place, new, bytes, is, sizeof(is));
	if (used >= part->room)
		return;
	snprintf(part->text + used, part->room - used,
		 writes(part->event) ? "%s%s %s -> %s" : "%s%s is %s", used != 0 ? ", " : "",
		 member->name, writes(part->event) ? was : is, is);
}

static bool describe_parts(struct step *step, const struct named_value *place)
{
	char text[128] = "";
	struct part part = {
		.event = step->event, .offset = place->offset, .text = text, .room = sizeof(text)
	};

	if (place->is_whole || debug_type(place->type).kind != TYPE_STRUCT)
		return false;
	debug_members(place->type, describe_part, &part);
	part.unchanged = true;
	if (text[0] == '\0' && writes(step->event))
		debug_members(place->type, describe_part, &part);
	if (text[0] == '\0')
		return false;
	snprintf(step->what, sizeof(step->what), "%s: %s", place->name, text);
	return true;
}

static void describe_access(struct step *step, const struct named_value *place)
{
	const struct event *event = step->event;
	char old[NAME_MAX_BYTES], new[NAME_MAX_BYTES];

	if (debug_type(place->type).kind == TYPE_POINTER && event->bytes < sizeof(void *)) {
		/* The model of a sequence looks at its stacks for where it runs. */
		snprintf(step->what, sizeof(step->what), "runs on CPU %u", event->cpu);
		return;
	}
	if (event->bytes > 8) {
		snprintf(step->what, sizeof(step->what), "%s %s (%u bytes)",
			 writes(event) ? "writes" : "reads", place->name, event->bytes);
		return;
	}
	if (!step->is_end && describe_parts(step, place))
		return;
	names_values(place, event->old, event->value, event->bytes, old, new, sizeof(old));
	if (step->is_end && writes(event) && event->old == event->value)
		snprintf(step->what, sizeof(step->what), "writes %s (which is %.40s)", place->name,
			 old);
	else if (writes(event))
		snprintf(step->what, sizeof(step->what), "%s %.40s -> %.40s", place->name, old,
			 new);
	else if (event->old != event->value)
		snprintf(step->what, sizeof(step->what),
			 "%s is %.40s: a late load, it was %.40s by then", place->name, new, old);
	else
		snprintf(step->what, sizeof(step->what), "%s is %.40s", place->name, new);
}

static void describe_note(struct step *step)
{
	const struct event *event = step->event;
	const void *addr = (const void *)(uintptr_t)event->value;
	struct named_value place;

	if (in_arena(addr)) {
		names_place(event, addr, 1, &place);
		snprintf(step->what, sizeof(step->what), "%s: %s", event->note, place.name);
	} else if (event->value != 0) {
		snprintf(step->what, sizeof(step->what), "%s %llu", event->note,
			 (unsigned long long)event->value);
	} else {
		snprintf(step->what, sizeof(step->what), "%s", event->note);
	}
}

void steps_describe(struct step *step)
{
	const struct event *event = step->event;
	struct named_value place = { .type = 0 };

	if (event->note != NULL) {
		describe_note(step);
		return;
	}
	step->place = steps_place(event->pc);
	names_locals(event, step->place.text, step->locals, sizeof(step->locals));
	if (event->addr != NULL)
		names_place(event, event->addr, event->bytes != 0 ? event->bytes : 1, &place);
	if (is_access(event))
		describe_access(step, &place);
	else if (is_lock(event))
		describe_lock(step, place.name);
	else if (event->kind == POINT_FENCE)
		snprintf(step->what, sizeof(step->what), "memory fence");
	else if (event->kind == POINT_CPU_FENCE)
		snprintf(step->what, sizeof(step->what), "sequences in flight restart");
	else if (event->kind == POINT_WORK)
		snprintf(step->what, sizeof(step->what), "worker");
	else
		snprintf(step->what, sizeof(step->what), "memory call%s%s",
			 place.name[0] != '\0' ? " on " : "", place.name);
}
