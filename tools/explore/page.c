/* SPDX-License-Identifier: MIT */
/*
 * page.c - a finding as a page: one file, no script, nothing loaded
 *
 * The tasks are columns, time runs downwards.  Steps that the terminal shows, too, are marked.  Below is the
 * history of the object that broke: every access to it.
 */
#include "counterexample.h"

#include <stdlib.h>

#include "common/page.h"

#define STEPS_MAX   400u
#define HISTORY_MAX 600u
#define OBJECT_MAX  256u /* bytes; of something larger the history is that of the field */

extern const char *const finding_style[]; /* page.css */

/* ---- tables --------------------------------------------------------------------------------- */

static void heads(const struct counterexample *c, FILE *out)
{
	fprintf(out, "<thead><tr><th class=\"n\">step</th>");
	for (unsigned i = 0; i < c->lanes_nr; i++) {
		const struct task *task = &sim_run_.tasks[c->task_of[i]];

		fprintf(out, "<th>CPU %u: ", task->cpu);
		page_text(out, steps_place((uintptr_t)task->body + 1).function);
		fprintf(out, "()</th>");
	}
	fprintf(out, "</tr></thead>\n<tbody>\n");
}

static void content(const struct step *step, bool is_new, FILE *out)
{
	const struct place *place = &step->place;
	char text[512];

	if (step->event->note != NULL) {
		page_element(out, "em", NULL, step->what);
		return;
	}
	if (is_new) {
		steps_callers(step->event, text, sizeof(text));
		page_element(out, "div", "at", text);
	}
	snprintf(text, sizeof(text), "%s:%u %s()%s", place->file, place->line, place->function,
		 step->event->irq_depth ? ", in a handler" : "");
	page_element(out, "div", "at", text);
	page_element(out, "code", NULL, place->text);
	page_element(out, "div", step->is_broken ? "what hit" : "what", step->what);
	page_element(out, "div", "locals", step->locals);
}

static void row(const struct counterexample *c, const struct step *step, bool is_new, bool is_key,
		FILE *out)
{
	unsigned lane = c->lane[step->event->task];

	fprintf(out, "<tr class=\"%s%s\"><th class=\"n\">%u</th>", is_key ? "key" : "step",
		is_new ? " turn" : "", (unsigned)(step - c->steps.step) + 1);
	for (unsigned i = 0; i < c->lanes_nr; i++) {
		fprintf(out, i == lane ? "<td class=\"on\">" : "<td>");
		if (i == lane)
			content(step, is_new, out);
		fprintf(out, "</td>");
	}
	fprintf(out, "</tr>\n");
}

static void table(const struct counterexample *c, const bool *wanted, const bool *key, FILE *out)
{
	const struct step *before = NULL;

	fprintf(out, "<table>\n");
	heads(c, out);
	for (unsigned i = 0; i < c->steps.nr; i++) {
		struct step *step = &c->steps.step[i];

		if (!wanted[i])
			continue;
		steps_describe(step);
		row(c, step, steps_new_turn(before, step), key[i], out);
		before = step;
	}
	fprintf(out, "</tbody></table>\n");
}

/* ---- the parts ------------------------------------------------------------------------------ */

static void end_of(const char *head, uintptr_t pc, FILE *out)
{
	struct place place;

	if (pc == 0)
		return;
	place = steps_place(pc);
	fprintf(out, "<p>%s ", head);
	page_text(out, place.file);
	fprintf(out, ":%u, ", place.line);
	page_text(out, place.function);
	fprintf(out, "(): <code>");
	page_text(out, place.text);
	fprintf(out, "</code></p>\n");
}

static void broken(const struct counterexample *c, FILE *out)
{
	const struct failure *failure = &c->result->failure;

	fprintf(out, "<div class=\"broken\">\n<p><strong>Broken: ");
	page_text(out, failure->rule);
	fprintf(out, "</strong></p>\n");
	page_element(out, "p", NULL, failure->text);
	if (c->invariant != NULL) {
		fprintf(out, "<p><strong>%s</strong> ", c->invariant_label);
		page_text(out, c->invariant);
		fprintf(out, " <span class=\"dim\">(docs/invariants.md)</span></p>\n");
	} else if (c->meaning != NULL) {
		page_element(out, "p", NULL, c->meaning);
	}
	if (c->race != NULL) {
		fprintf(out, "<p><strong>%s.</strong> ", c->race->label);
		page_text(out, c->race->title);
		fprintf(out, ". Rule: ");
		page_text(out, c->race->rule);
		fprintf(out, " <span class=\"dim\">(docs/races.md#%s)</span></p>\n",
			c->race->anchor);
	}
	end_of("At", failure->pc, out);
	end_of("Against", failure->other_pc, out);
	fprintf(out, "</div>\n");
}

static void history(const struct counterexample *c, const bool *key, FILE *out)
{
	struct steps steps = c->steps;
	char name[NAME_MAX_BYTES];
	const void *start = steps.broken;
	size_t bytes = names_object(steps.broken, OBJECT_MAX, &start, name, sizeof(name));
	bool *wanted = calloc(steps.nr + 1, sizeof(*wanted));
	unsigned nr = 0;

	if (bytes == 0) {
		snprintf(name, sizeof(name), "%s", steps.broken_name);
		bytes = steps.broken_bytes;
	}
	for (unsigned i = steps.nr; wanted != NULL && i-- != 0 && nr < HISTORY_MAX;) {
		const struct event *event = steps.step[i].event;

		wanted[i] = event->note == NULL && steps_touches(event, start, bytes);
		nr += wanted[i];
	}
	if (wanted != NULL && nr != 0) {
		fprintf(out, "<h2>History of <code>");
		page_text(out, name);
		fprintf(out,
			"</code></h2>\n<p class=\"dim\">Every access to it, in order%s. "
			"Red: ",
			nr == HISTORY_MAX ? " (the last ones)" : "");
		page_text(out, steps.broken_name);
		fprintf(out, ".</p>\n");
		table(c, wanted, key, out);
	}
	free(wanted);
}

void page_write(struct counterexample *c, FILE *out)
{
	bool *key = calloc(c->steps.nr + 1, sizeof(*key));
	bool *wanted = calloc(c->steps.nr + 1, sizeof(*wanted));

	page_begin(out, c->scenario, finding_style);
	page_element(out, "h1", NULL, c->scenario);
	page_element(out, "p", NULL, c->claim);
	broken(c, out);
	for (unsigned i = 0; key != NULL && i < c->steps.nr; i++)
		key[i] = c->steps.step[i].is_shown;
	steps_show(&c->steps, STEPS_MAX, true);
	for (unsigned i = 0; wanted != NULL && i < c->steps.nr; i++)
		wanted[i] = c->steps.step[i].is_shown;
	if (key != NULL && wanted != NULL && c->steps.nr != 0) {
		fprintf(out, "<h2>Steps</h2>\n<p class=\"dim\">Each CPU is a column; time runs "
			     "downwards. Marked: the steps that explain most. Red: ");
		page_text(out, c->steps.broken_name);
		fprintf(out, ".</p>\n");
		table(c, wanted, key, out);
		history(c, key, out);
	}
	page_end(out);
	free(wanted);
	free(key);
}
