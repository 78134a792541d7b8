/* SPDX-License-Identifier: MIT */
/*
 * report.c - a failing run as columns, one for each task
 *
 * The report shows events that can matter: accesses to locations that several tasks touched and
 * at least one wrote (plain ones only near a switch), locks, steps of sequences, gathers, and the
 * scheduler's actions.  Other events are only counted.
 */
#include "machine/sim/explore.h"

#include <stdio.h>
#include <string.h>

#define SYMBOLS_MAX 4096
#define COLUMN	    52
#define NEAR	    16	/* accesses on either side of a switch */
#define SHOWN_MAX   300 /* events; a schedule that shrinks has fewer */

struct symbol {
	uintptr_t pc;
	bool known;
	char text[72]; /* function:line */
};

static struct symbol symbols[SYMBOLS_MAX];
static unsigned symbols_nr;

static struct symbol *find_symbol(uintptr_t pc)
{
	for (unsigned i = 0; i < symbols_nr; i++)
		if (symbols[i].pc == pc)
			return &symbols[i];
	return NULL;
}

static void want_symbol(uintptr_t pc)
{
	if (pc == 0 || symbols_nr == SYMBOLS_MAX || find_symbol(pc) != NULL)
		return;
	symbols[symbols_nr].pc = pc;
	symbols[symbols_nr].known = false;
	snprintf(symbols[symbols_nr++].text, sizeof(symbols[0].text), "0x%zx", (size_t)pc);
}

static const char *symbol_text(uintptr_t pc)
{
	struct symbol *symbol = find_symbol(pc);

	return symbol != NULL ? symbol->text : "?";
}

/* The innermost frame is the place. */
static void read_symbol(const struct source_frame *frame)
{
	struct symbol *symbol = find_symbol(frame->pc);

	if (symbol == NULL || symbol->known)
		return;
	symbol->known = true;
	snprintf(symbol->text, sizeof(symbol->text), "%.40s:%.8s", frame->function,
		 strrchr(frame->where, ':') + 1);
}

static void symbolise(void)
{
	static uintptr_t pcs[SYMBOLS_MAX];

	for (unsigned i = 0; i < symbols_nr; i++)
		pcs[i] = symbols[i].pc;
	source_ask(pcs, symbols_nr, read_symbol);
}

/* ---- what to show ---- */

static bool writes(const struct event *event)
{
	return event->kind == POINT_WRITE || event->kind == POINT_STORE ||
	       event->kind == POINT_RMW || event->kind == POINT_SEQ_COMMIT;
}

static bool touches(const struct event *a, const struct event *b)
{
	const char *a_start = a->addr, *b_start = b->addr;

	return a_start < b_start + b->bytes && b_start < a_start + a->bytes;
}

/* Does another task or handler touch the same place, with a write on one side? */
static bool conflicts(unsigned index)
{
	const struct event *event = &trace_events[index];

	for (unsigned i = 0; i < trace_nr; i++) {
		const struct event *other = &trace_events[i];

		if (other->kind < POINT_FENCE || other->kind == POINT_SEQ_READ ||
		    other->kind == POINT_SEQ_COMMIT)
			if ((other->task != event->task || other->irq_depth != event->irq_depth) &&
			    (writes(event) || writes(other)) && touches(event, other))
				return true;
	}
	return false;
}

/* Shortly before or after another task ran, or at the end: there plain accesses matter. */
static bool near_switch(unsigned index)
{
	unsigned from = index > NEAR ? index - NEAR : 1;
	unsigned to = index + NEAR < trace_nr ? index + NEAR : trace_nr - 1;

	if (index + NEAR >= trace_nr)
		return true;
	for (unsigned i = from; i <= to; i++)
		if (trace_events[i].task != trace_events[i - 1].task ||
		    trace_events[i].irq_depth != trace_events[i - 1].irq_depth)
			return true;
	return false;
}

static bool worth_showing(unsigned index)
{
	const struct event *event = &trace_events[index];

	if (index + 1 == trace_nr && event->kind != POINT_NOTE)
		return true;
	switch (event->kind) {
	case POINT_READ:
	case POINT_WRITE:
		return near_switch(index) && conflicts(index);
	case POINT_LOAD:
	case POINT_STORE:
	case POINT_RMW:
		return conflicts(index);
	case POINT_NOTE:
		return event->note != NULL;
	default:
		return true;
	}
}

static const char *const verbs[POINT_KINDS_NR] = {
	[POINT_READ] = "reads",
	[POINT_WRITE] = "writes",
	[POINT_LOAD] = "loads",
	[POINT_STORE] = "stores",
	[POINT_RMW] = "changes",
	[POINT_FENCE] = "fence",
	[POINT_LOCK] = "locks",
	[POINT_TRY] = "tries",
	[POINT_UNLOCK] = "unlocks",
	[POINT_SEQ_READ] = "sequence reads",
	[POINT_SEQ_COMMIT] = "commits",
	[POINT_CPU_FENCE] = "CPU fence",
	[POINT_GATHER] = "memory",
	[POINT_WORK] = "work",
	[POINT_NOTE] = "",
};

static void event_text(const struct event *event, char *text, size_t bytes)
{
	char where[64] = "";

	if (event->note != NULL) {
		snprintf(text, bytes, event->value != 0 ? "-- %s %llu" : "-- %s", event->note,
			 (unsigned long long)event->value);
		return;
	}
	if (event->addr != NULL)
		memory_describe(event->addr, where, sizeof(where));
	if (event->kind <= POINT_RMW || event->kind == POINT_SEQ_READ ||
	    event->kind == POINT_SEQ_COMMIT)
		snprintf(text, bytes, "%s %s = 0x%llx", verbs[event->kind], where,
			 (unsigned long long)event->value);
	else
		snprintf(text, bytes, "%s %s", verbs[event->kind], where);
}

/* ---- columns ---- */

static void column_start(FILE *out, unsigned column)
{
	for (unsigned i = 0; i < column; i++)
		fprintf(out, "%-*s| ", COLUMN, "");
}

static void show_event(FILE *out, const struct event *event, unsigned column)
{
	char text[128], line[224];

	event_text(event, text, sizeof(text));
	column_start(out, column);
	if (event->note != NULL)
		snprintf(line, sizeof(line), "%s%s", event->irq_depth ? "  " : "", text);
	else
		snprintf(line, sizeof(line), "%s%s", event->irq_depth ? "  " : "",
			 symbol_text(event->pc));
	fprintf(out, "%s\n", line);
	if (event->note != NULL)
		return;
	column_start(out, column);
	fprintf(out, "%s    %s\n", event->irq_depth ? "  " : "", text);
}

static unsigned columns_of(uint8_t *column)
{
	unsigned columns_nr = 0;

	for (unsigned i = 0; i < sim_run_.tasks_nr; i++) {
		column[i] = 0;
		for (unsigned j = 0; j < trace_nr; j++)
			if (trace_events[j].task == i) {
				column[i] = (uint8_t)columns_nr++;
				break;
			}
	}
	return columns_nr;
}

static void show_heads(FILE *out, const uint8_t *column)
{
	unsigned shown = 0;

	for (unsigned i = 0; i < trace_nr; i++) {
		const struct task *task = &sim_run_.tasks[trace_events[i].task];
		char head[64];

		if (column[trace_events[i].task] != shown)
			continue;
		snprintf(head, sizeof(head), "CPU %u  %s", task->cpu,
			 symbol_text((uintptr_t)task->body + 1));
		fprintf(out, "%s%-*s", shown ? "| " : "", COLUMN, head);
		shown++;
		i = (unsigned)-1;
		if (shown == 4)
			break;
	}
	fprintf(out, "\n");
}

static unsigned first_shown(void)
{
	unsigned shown = 0, i = trace_nr;

	while (i != 0 && shown < SHOWN_MAX)
		shown += worth_showing(--i);
	return i;
}

static void show_events(FILE *out)
{
	uint8_t column[TASKS_MAX] = { 0 };
	unsigned columns_nr = columns_of(column), hidden = 0, first = first_shown();

	if (columns_nr <= 4)
		show_heads(out, column);
	if (first != 0)
		fprintf(out, "  (the last %u events)\n", SHOWN_MAX);
	for (unsigned i = first; i < trace_nr; i++) {
		const struct event *event = &trace_events[i];

		if (i != 0 && event->task != trace_events[i - 1].task && hidden != 0) {
			column_start(out, column[trace_events[i - 1].task]);
			fprintf(out, "  (%u more)\n", hidden);
			hidden = 0;
		}
		if (!worth_showing(i)) {
			hidden++;
			continue;
		}
		show_event(out, event, column[event->task]);
	}
}

/* The last event at @pc, which has recorded the callers. */
static const struct event *last_event_at(uintptr_t pc)
{
	for (unsigned i = trace_nr; pc != 0 && i-- != 0;)
		if (trace_events[i].pc == pc)
			return &trace_events[i];
	return NULL;
}

static void want_stack(uintptr_t pc)
{
	const struct event *event = last_event_at(pc);

	want_symbol(pc);
	for (unsigned i = 0; event != NULL && i < 2; i++)
		want_symbol(event->callers[i]);
}

/* The three innermost frames. */
static void show_stack(FILE *out, const char *what, uintptr_t pc)
{
	const struct event *event = last_event_at(pc);

	if (pc == 0)
		return;
	fprintf(out, "  %s %s", what, symbol_text(pc));
	for (unsigned i = 0; event != NULL && i < 2 && event->callers[i] != 0; i++)
		fprintf(out, " < %s", symbol_text(event->callers[i]));
	fprintf(out, "\n");
}

static void collect_symbols(const struct explore_result *result)
{
	symbols_nr = 0;
	want_stack(result->failure.pc);
	want_stack(result->failure.other_pc);
	for (unsigned i = 0; i < sim_run_.tasks_nr; i++)
		want_symbol((uintptr_t)sim_run_.tasks[i].body + 1);
	for (unsigned i = 0; i < trace_nr; i++)
		if (worth_showing(i))
			want_symbol(trace_events[i].pc);
	symbolise();
}

static void show_failure(FILE *out, const struct explore_result *result)
{
	fprintf(out, "  broken: %s\n  %s\n", result->failure.rule, result->failure.text);
	show_stack(out, "at", result->failure.pc);
	show_stack(out, "against", result->failure.other_pc);
	fprintf(out, "  %u switches, %u choices (before shrinking: %u, %u)\n\n", result->switches,
		result->deviations_nr, result->switches_before, result->deviations_before);
}

static void escape(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '<')
			fputs("&lt;", out);
		else if (*text == '>')
			fputs("&gt;", out);
		else if (*text == '&')
			fputs("&amp;", out);
		else if (*text == '"')
			fputs("&quot;", out);
		else
			fputc(*text, out);
	}
}

static void html_row(FILE *out, const struct event *event, unsigned column, unsigned columns_nr)
{
	char text[128];

	event_text(event, text, sizeof(text));
	fprintf(out, "<tr>");
	for (unsigned i = 0; i < columns_nr; i++) {
		fprintf(out, i == column ? "<td class=on>" : "<td>");
		if (i == column) {
			if (event->note == NULL) {
				fprintf(out, "<b>");
				escape(out, symbol_text(event->pc));
				fprintf(out, "</b><br>");
			}
			escape(out, text);
		}
		fprintf(out, "</td>");
	}
	fprintf(out, "</tr>\n");
}

static void write_html(const struct explore_result *result, FILE *out, const char *title)
{
	uint8_t column[TASKS_MAX] = { 0 };
	unsigned columns_nr = columns_of(column);

	fprintf(out, "<!doctype html><meta charset=utf-8><title>");
	escape(out, title);
	fprintf(out, "</title><style>body{font:14px monospace;margin:2em}td{padding:2px 1em;"
		     "vertical-align:top;border-left:1px solid "
		     "#ccc}.on{background:#eef3f8}</style><h1>");
	escape(out, title);
	fprintf(out, "</h1><p>");
	escape(out, result->failure.rule);
	fprintf(out, ": ");
	escape(out, result->failure.text);
	fprintf(out, "</p><table>\n");
	for (unsigned i = 0; i < trace_nr; i++)
		if (worth_showing(i))
			html_row(out, &trace_events[i], column[trace_events[i].task], columns_nr);
	fprintf(out, "</table>\n");
}

void report_columns(const struct explore_result *result, FILE *html, const char *title)
{
	collect_symbols(result);
	show_failure(stdout, result);
	show_events(stdout);
	if (html != NULL)
		write_html(result, html, title);
}
