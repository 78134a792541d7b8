/* SPDX-License-Identifier: MIT */
/*
 * page.c - a finding as a page: one file, no script, nothing loaded
 *
 * The tasks are columns, time runs downwards.  Steps that the terminal shows, too, are marked.  Below is the
 * history of the object that broke: every access to it.
 */
#include "counterexample.h"

#include <stdlib.h>
#include <string.h>

#define STEPS_MAX   400u
#define HISTORY_MAX 600u
#define OBJECT_MAX  256u /* bytes; of something larger the history is that of the field */

static const char style[] =
	":root{color-scheme:light dark;--ink:#1c2024;--dim:#5c6670;--paper:#fff;--line:#d8dde3;"
	"--cell:#f3f6f9;--key:#fff3cf;--broken:#c0262d}\n"
	"@media (prefers-color-scheme:dark){:root{--ink:#e4e7ea;--dim:#98a2ad;--paper:#14171a;"
	"--line:#353c44;--cell:#1e2328;--key:#3d3413;--broken:#ff8a80}}\n"
	"body{margin:2rem auto;padding:0 1rem;max-width:110rem;background:var(--paper);"
	"color:var(--ink);font:15px/1.45 system-ui,sans-serif}\n"
	"h1{font-size:1.4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;margin:2rem 0 .5rem}\n"
	".broken{border-left:4px solid var(--broken);padding:.1rem 1rem;margin:1rem 0}\n"
	".broken strong{color:var(--broken)}p{max-width:60rem}.dim{color:var(--dim)}\n"
	"table{border-collapse:collapse;width:100%;table-layout:fixed}\n"
	"th,td{border:1px solid var(--line);padding:.3rem .5rem;text-align:left;"
	"vertical-align:top;overflow-wrap:anywhere}\n"
	"thead th{position:sticky;top:0;background:var(--paper)}\n"
	".n{width:3rem;text-align:right;color:var(--dim);font-weight:normal}\n"
	".on{background:var(--cell)}.key .on{background:var(--key)}\n"
	".turn th,.turn td{border-top:2px solid var(--dim)}\n"
	"code{font:13px/1.4 ui-monospace,monospace;white-space:pre-wrap}\n"
	".at{color:var(--dim);font-size:.85em}.what{font-weight:600}\n"
	".hit{color:var(--broken)}.locals{color:var(--dim)}\n"
	"@media print{body{margin:0;max-width:none;font-size:9pt}thead{display:table-header-group}"
	"thead th{position:static}tr{break-inside:avoid}code{font-size:8pt}"
	"*{print-color-adjust:exact}}\n";

static void element(FILE *out, const char *tag, const char *class, const char *text)
{
	if (text[0] == '\0')
		return;
	fprintf(out, class != NULL ? "<%s class=\"%s\">" : "<%s>", tag, class);
	report_escape(out, text);
	fprintf(out, "</%s>\n", tag);
}

/* ---- tables --------------------------------------------------------------------------------- */

static void heads(const struct counterexample *c, FILE *out)
{
	fprintf(out, "<thead><tr><th class=\"n\">step</th>");
	for (unsigned i = 0; i < c->lanes_nr; i++) {
		const struct task *task = &sim_run_.tasks[c->task_of[i]];

		fprintf(out, "<th>CPU %u: ", task->cpu);
		report_escape(out, steps_place((uintptr_t)task->body + 1).function);
		fprintf(out, "()</th>");
	}
	fprintf(out, "</tr></thead>\n<tbody>\n");
}

static void content(const struct step *step, bool is_new, FILE *out)
{
	const struct place *place = &step->place;
	char text[512];

	if (step->event->note != NULL) {
		element(out, "em", NULL, step->what);
		return;
	}
	if (is_new) {
		steps_callers(step->event, text, sizeof(text));
		element(out, "div", "at", text);
	}
	snprintf(text, sizeof(text), "%s:%u %s()%s", place->file, place->line, place->function,
		 step->event->irq_depth ? ", in a handler" : "");
	element(out, "div", "at", text);
	element(out, "code", NULL, place->text);
	element(out, "div", step->is_broken ? "what hit" : "what", step->what);
	element(out, "div", "locals", step->locals);
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
	report_escape(out, place.file);
	fprintf(out, ":%u, ", place.line);
	report_escape(out, place.function);
	fprintf(out, "(): <code>");
	report_escape(out, place.text);
	fprintf(out, "</code></p>\n");
}

static void broken(const struct counterexample *c, FILE *out)
{
	const struct failure *failure = &c->result->failure;

	fprintf(out, "<div class=\"broken\">\n<p><strong>Broken: ");
	report_escape(out, failure->rule);
	fprintf(out, "</strong></p>\n");
	element(out, "p", NULL, failure->text);
	if (c->invariant != NULL) {
		fprintf(out, "<p><strong>%s</strong> ", c->invariant_label);
		report_escape(out, c->invariant);
		fprintf(out, " <span class=\"dim\">(docs/invariants.md)</span></p>\n");
	} else if (c->meaning != NULL) {
		element(out, "p", NULL, c->meaning);
	}
	if (c->race != NULL) {
		fprintf(out, "<p><strong>%s.</strong> ", c->race->label);
		report_escape(out, c->race->title);
		fprintf(out, ". Rule: ");
		report_escape(out, c->race->rule);
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
		report_escape(out, name);
		fprintf(out,
			"</code></h2>\n<p class=\"dim\">Every access to it, in order%s. "
			"Red: ",
			nr == HISTORY_MAX ? " (the last ones)" : "");
		report_escape(out, steps.broken_name);
		fprintf(out, ".</p>\n");
		table(c, wanted, key, out);
	}
	free(wanted);
}

void page_write(struct counterexample *c, FILE *out)
{
	bool *key = calloc(c->steps.nr + 1, sizeof(*key));
	bool *wanted = calloc(c->steps.nr + 1, sizeof(*wanted));

	fprintf(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
		     "<meta name=\"viewport\" content=\"width=device-width\"/>\n<title>");
	report_escape(out, c->scenario);
	fprintf(out, "</title>\n<style>\n%s</style></head>\n<body>\n", style);
	element(out, "h1", NULL, c->scenario);
	element(out, "p", NULL, c->claim);
	broken(c, out);
	for (unsigned i = 0; key != NULL && i < c->steps.nr; i++)
		key[i] = c->steps.step[i].is_shown;
	steps_show(&c->steps, STEPS_MAX, true);
	for (unsigned i = 0; wanted != NULL && i < c->steps.nr; i++)
		wanted[i] = c->steps.step[i].is_shown;
	if (key != NULL && wanted != NULL && c->steps.nr != 0) {
		fprintf(out, "<h2>Steps</h2>\n<p class=\"dim\">Each CPU is a column; time runs "
			     "downwards. Marked: the steps that explain most. Red: ");
		report_escape(out, c->steps.broken_name);
		fprintf(out, ".</p>\n");
		table(c, wanted, key, out);
		history(c, key, out);
	}
	fprintf(out, "</body></html>\n");
	free(wanted);
	free(key);
}
