/* SPDX-License-Identifier: MIT */
/* counterexample.c - a finding on a terminal: what is broken, then the steps that explain it, a line each */
#include "counterexample.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX   40u
#define LINES_ELSE  5u /* the scenario's line before, the command after */
#define WIDTH	    100u
#define PLACE_WIDTH 23u
#define CODE_WIDTH  39u
#define LEFT	    2u
#define EFFECT	    4u /* how far it is to the right of its code, if it is not beside it */
#define PARAGRAPH   4u /* lines of a rule's words */

/* ---- paragraphs ----------------------------------------------------------------------------- */

static unsigned lines_printed;

/* Prints words in lines that fit, the first after @head, the others as far to the right; at most @most lines. */
static void paragraph(const char *head, const char *text, unsigned most)
{
	unsigned indent = (unsigned)strlen(head), line = 1;
	unsigned column = (unsigned)printf("%s", head);

	while (*text != '\0') {
		unsigned bytes = (unsigned)strcspn(text, " ");
		bool last = line == most;

		if (column > indent && column + 1 + bytes > WIDTH - (last ? 4 : 0)) {
			if (last) {
				printf(" ...");
				break;
			}
			column = (unsigned)printf("\n%*s", (int)indent, "") - 1;
			line++;
		}
		if (bytes > WIDTH - indent)
			bytes = WIDTH - indent;
		column += (unsigned)printf("%s%.*s", column > indent ? " " : "", (int)bytes, text);
		text += bytes;
		text += strspn(text, " ");
	}
	printf("\n");
	lines_printed += line;
}

static void line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void line(const char *format, ...)
{
	char text[512];
	va_list list;

	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	printf("%.*s\n", (int)WIDTH, text);
	lines_printed++;
}

/* A comment behind it goes first. */
static size_t code_bytes(const char *text, unsigned width)
{
	const char *comment = strstr(text, " /*");

	if (strlen(text) <= width)
		return strlen(text);
	if (comment != NULL && comment - text <= (long)width)
		return (size_t)(comment - text);
	return width - 2;
}

/* ---- what is broken ------------------------------------------------------------------------- */

static void show_end(const char *head, uintptr_t pc)
{
	struct place place;
	char text[WIDTH];
	int bytes;

	if (pc == 0)
		return;
	place = steps_place(pc);
	bytes = snprintf(text, sizeof(text), "  %s %.40s:%u, %.40s(): ", head, place.file,
			 place.line, place.function);
	line("%s%.*s", text, (int)code_bytes(place.text, WIDTH - (unsigned)bytes), place.text);
}

static void show_broken(const struct counterexample *c)
{
	const struct explore_result *result = c->result;
	char head[24];

	line("  broken: %s", result->failure.rule);
	if (c->claim[0] != '\0')
		paragraph("  claim:  ", c->claim, PARAGRAPH - 1);
	paragraph("  ", result->failure.text, 4);
	if (c->invariant != NULL) {
		snprintf(head, sizeof(head), "  %s: ", c->invariant_label);
		paragraph(head, c->invariant, PARAGRAPH);
	} else if (c->meaning != NULL) {
		paragraph("  ", c->meaning, PARAGRAPH);
	}
	if (c->race != NULL) {
		snprintf(head, sizeof(head), "  %s: ", c->race->label);
		paragraph(head, c->race->title, 1);
		paragraph("       Rule: ", c->race->rule, PARAGRAPH);
		line("       docs/races.md#%s", c->race->anchor);
	}
	if (result->failure.addr != NULL && c->steps.broken_name[0] != '\0')
		line("  on %s", c->steps.broken_name);
	show_end("at", result->failure.pc);
	show_end("against", result->failure.other_pc);
}

/* ---- steps ---------------------------------------------------------------------------------- */

/* A step's columns begin here. */
static unsigned lanes_width(const struct counterexample *c)
{
	return LEFT + 3 * c->lanes_nr;
}

static unsigned what_width(const struct counterexample *c)
{
	return WIDTH - lanes_width(c) - PLACE_WIDTH - CODE_WIDTH - 2;
}

static void put_lane(const struct counterexample *c, const struct event *event)
{
	unsigned lane = c->lane[event->task];
	char cpu[8];

	snprintf(cpu, sizeof(cpu), "%u", event->cpu % 1000u);
	printf("%*s%-*s", (int)(LEFT + 3 * lane), "", (int)(3 * (c->lanes_nr - lane)), cpu);
}

/* Is the line of code the one above it? */
static bool same_code(const struct step *before, const struct step *step)
{
	return !steps_new_turn(before, step) && before->place.line == step->place.line &&
	       strcmp(before->place.file, step->place.file) == 0;
}

/* Do the code and its effect fit into one line? */
static bool fits(const struct counterexample *c, const struct step *step)
{
	return strlen(step->place.text) <= CODE_WIDTH && strlen(step->what) <= what_width(c);
}

static unsigned lines_of(const struct counterexample *c)
{
	const struct step *before = NULL;
	unsigned nr = 0;

	for (unsigned i = 0; i < c->steps.nr; i++) {
		struct step *step = &c->steps.step[i];

		if (!step->is_shown)
			continue;
		nr++;
		if (step->event->note != NULL)
			continue;
		if (step->what[0] == '\0')
			steps_describe(step);
		nr += steps_new_turn(before, step);
		nr += !same_code(before, step) && !fits(c, step);
		before = step;
	}
	return nr;
}

/* Cuts a path on the left, and a line of code on the right. */
static void put_code(const struct step *step, unsigned width)
{
	const struct place *place = &step->place;
	char where[256];
	size_t bytes;

	snprintf(where, sizeof(where), "%.200s:%u", place->file, place->line);
	bytes = strlen(where);
	if (bytes > PLACE_WIDTH)
		printf("..%s ", where + bytes - PLACE_WIDTH + 2);
	else
		printf("%-*s ", (int)PLACE_WIDTH, where);
	bytes = code_bytes(place->text, width);
	printf("%.*s%s", (int)bytes, place->text,
	       bytes == width - 2 && bytes < strlen(place->text) ? ".." : "");
}

/* The variable, then locals if there is room. */
static void put_effect(const struct step *step, unsigned width)
{
	size_t bytes = strlen(step->what), more = strlen(step->locals);

	if (more != 0 && bytes + more + 3 <= width)
		printf("%s (%s)\n", step->what, step->locals);
	else
		printf("%.*s\n", (int)width, step->what);
}

static void show_step(const struct counterexample *c, struct step *step, const struct step *before)
{
	unsigned left = lanes_width(c), rest = WIDTH - left;
	char callers[WIDTH];

	if (step->event->note != NULL) {
		steps_describe(step);
		put_lane(c, step->event);
		printf("-- %.*s\n", (int)rest - 3, step->what);
		return;
	}
	if (steps_new_turn(before, step)) {
		steps_callers(step->event, callers, rest - 9);
		put_lane(c, step->event);
		printf("%s%s\n", step->event->irq_depth ? "handler: " : "in ", callers);
	}
	put_lane(c, step->event);
	if (same_code(before, step)) {
		printf("%*s", (int)PLACE_WIDTH + 1 + (int)EFFECT, "");
	} else if (fits(c, step)) {
		put_code(step, CODE_WIDTH);
		printf("%*s", (int)(CODE_WIDTH - strlen(step->place.text)) + 1, "");
		put_effect(step, what_width(c));
		return;
	} else {
		put_code(step, rest - PLACE_WIDTH - 1);
		printf("\n%*s", (int)(left + PLACE_WIDTH + 1 + EFFECT), "");
	}
	put_effect(step, rest - PLACE_WIDTH - 1 - EFFECT);
}

static void show_heads(const struct counterexample *c)
{
	char text[512] = "";
	size_t used = 0;

	for (unsigned i = 0; i < c->lanes_nr && used < sizeof(text); i++) {
		const struct task *task = &sim_run_.tasks[c->task_of[i]];
		struct place body = steps_place((uintptr_t)task->body + 1);

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%sCPU %u: %s()",
					 i ? ",  " : "", task->cpu, body.function);
	}
	line("  %s", text);
}

/* As many steps as there is room for. */
static void choose_steps(struct counterexample *c, unsigned room)
{
	unsigned nr = room;

	do
		steps_show(&c->steps, nr, false);
	while (lines_of(c) > room && --nr != 0);
	names_renumber();
	for (unsigned i = 0; i < c->steps.nr; i++)
		if (c->steps.step[i].is_shown)
			steps_describe(&c->steps.step[i]);
}

static void show_steps(struct counterexample *c)
{
	const struct step *before = NULL;

	show_heads(c);
	printf("\n");
	lines_printed++;
	choose_steps(c, LINES_MAX - LINES_ELSE - lines_printed);
	for (unsigned i = 0; i < c->steps.nr; i++) {
		struct step *step = &c->steps.step[i];

		if (!step->is_shown)
			continue;
		show_step(c, step, before);
		before = step->event->note == NULL ? step : before;
	}
}

static unsigned shown_nr(const struct steps *steps)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < steps->nr; i++)
		nr += steps->step[i].is_shown;
	return nr;
}

static void show_counts(const struct counterexample *c)
{
	const struct explore_result *result = c->result;

	line("  %u switches, %u choices (before shrinking: %u, %u)", result->switches,
	     result->deviations_nr, result->switches_before, result->deviations_before);
}

/* ---- the report ----------------------------------------------------------------------------- */

static bool takes_part(const struct counterexample *c, unsigned task)
{
	for (unsigned i = 0; i < c->steps.nr; i++)
		if (c->steps.step[i].event->task == task)
			return true;
	return false;
}

/* By CPU. */
static void set_lanes(struct counterexample *c)
{
	for (unsigned cpu = 0; cpu < 64; cpu++)
		for (unsigned task = 0; task < sim_run_.tasks_nr; task++) {
			if (sim_run_.tasks[task].cpu != cpu || !takes_part(c, task))
				continue;
			if (c->lanes_nr < LANES_MAX)
				c->task_of[c->lanes_nr++] = (uint8_t)task;
			c->lane[task] = (uint8_t)(c->lanes_nr - 1);
		}
}

void counterexample_report(const struct explore_result *result, const struct sim_test *test,
			   const char *option, FILE *html)
{
	static struct counterexample c;
	const char *why = debug_open();

	c = (struct counterexample){ .result = result, .scenario = test->name };
	c.race = broken_race(test->name, option);
	c.meaning = broken_meaning(&result->failure);
	c.invariant = broken_invariant(&result->failure, c.invariant_label);
	if (why != NULL) {
		printf("  (no source lines and variables: %s)\n", why);
		report_columns(result, html, test->name);
		return;
	}
	debug_comment(test->file, test->line, c.claim, sizeof(c.claim));
	names_learn();
	if (!steps_find(&c.steps, result))
		return;
	set_lanes(&c);
	names_renumber();
	lines_printed = 0;
	show_broken(&c);
	show_counts(&c);
	if (c.steps.nr != 0)
		show_steps(&c);
	if (shown_nr(&c.steps) < c.steps.nr && html == NULL)
		printf("\n  %u of %u steps; --html FILE shows more, and the history of what "
		       "broke\n",
		       shown_nr(&c.steps), c.steps.nr);
	if (html != NULL)
		page_write(&c, html);
	steps_free(&c.steps);
}
