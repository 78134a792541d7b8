/* SPDX-License-Identifier: MIT */
/* draw_tables.c - marks, who asked for memory, and how it was made; page.js sorts them */
#include <stdlib.h>

#include "common/page.h"
#include "replay/report_text.h"
#include "report/draw.h"

#define HOLDERS_SHOWN 100u

static void put_bytes(FILE *file, uint64_t bytes)
{
	fprintf(file, "<td class=\"n\" data-v=\"%llu\">%s</td>", (unsigned long long)bytes,
		number_bytes(bytes).text);
}

/* ---- marks ---- */

static void put_mark(FILE *file, const struct report *report, const struct source *source,
		     unsigned idx, const struct module_names *modules)
{
	const struct mark *mark = &source->marks[idx];

	fprintf(file, "<tr><td data-v=\"%u\">", idx + 1);
	draw_who(file, report, source);
	fprintf(file, "%u</td><td>", idx + 1);
	page_text(file, mark->name);
	fprintf(file, "</td><td class=\"n\" data-v=\"%.6f\">%s</td>", mark->seconds,
		text_of_seconds(mark->seconds).text);
	for (unsigned i = 0; i < modules->nr; i++) {
		const struct module *module = source_module(source, modules->name[i]);

		if (module != NULL)
			put_bytes(file, mark->bytes[module - source->modules]);
		else
			fprintf(file, "<td class=\"n\" data-v=\"-1\"></td>");
	}
	fprintf(file, "</tr>\n");
}

void draw_marks(FILE *file, const struct report *report)
{
	struct module_names modules = draw_modules(report);
	unsigned marks_nr = 0;

	for (unsigned i = 0; i < report->sources_nr; i++)
		marks_nr += report->sources[i].marks_nr;
	if (marks_nr == 0)
		return;
	fprintf(file, "<h2>Marks</h2>\n<div class=\"wide\"><table class=\"sort\" "
		      "id=\"table-marks\"><thead><tr><th>mark</th><th>name</th><th "
		      "class=\"n\">time</th>");
	for (unsigned i = 0; i < modules.nr; i++)
		fprintf(file, "<th class=\"n\">%s, asked for</th>", modules.name[i]);
	fprintf(file, "</tr></thead><tbody>\n");
	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		for (unsigned k = 0; k < source->marks_nr && !draw_is_repeated(report, source); k++)
			put_mark(file, report, source, k, &modules);
	}
	fprintf(file, "</tbody></table></div>\n");
}

/* ---- who asked for it ---- */

static void put_holder(FILE *file, const struct report *report, const struct source *source,
		       const struct holder *holder)
{
	fprintf(file, "<tr><td>");
	draw_who(file, report, source);
	page_text(file, holder->name);
	fprintf(file, "</td><td>%s</td><td class=\"n\" data-v=\"%llu\">%s</td>",
		source->modules[holder->module].name, (unsigned long long)holder->allocs_nr,
		number_grouped(holder->allocs_nr).text);
	put_bytes(file, holder->peak_bytes);
	put_bytes(file, holder->live_bytes);
	fprintf(file, "</tr>\n");
}

/* The holders are in the order of their peaks. */
void draw_holders(FILE *file, const struct report *report)
{
	unsigned left_out = 0, nr = 0;

	for (unsigned i = 0; i < report->sources_nr; i++)
		nr += report->sources[i].holders_nr;
	if (nr == 0)
		return;
	fprintf(file, "<h2>Who asked for it</h2>\n<div class=\"wide\"><table class=\"sort\" "
		      "id=\"table-holders\">"
		      "<thead><tr><th>who</th><th>module</th><th class=\"n\">allocations</th>"
		      "<th class=\"n\">at most</th><th class=\"n\">at the end</th></tr></thead>"
		      "<tbody>\n");
	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		for (unsigned k = 0; k < source->holders_nr && !draw_is_repeated(report, source);
		     k++)
			if (k < HOLDERS_SHOWN)
				put_holder(file, report, source, &source->holders[k]);
			else
				left_out++;
	}
	fprintf(file, "</tbody></table></div>\n");
	if (left_out > 0)
		fprintf(file, "<p class=\"dim\">%u more, each smaller, are not shown.</p>\n",
			left_out);
}

/* ---- how it was made ---- */

void draw_made(FILE *file, const struct report *report)
{
	fprintf(file, "<h2>How this was made</h2>\n<p><code>");
	page_text(file, report->command);
	fprintf(file, "</code></p>\n");
	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		fprintf(file, "<table class=\"made\" id=\"made-%c\"><tbody>\n", source->letter);
		for (unsigned k = 0; k < source->made_nr; k++) {
			fprintf(file, "<tr><th>");
			if (k == 0)
				draw_who(file, report, source);
			page_text(file, source->made[k].key);
			fprintf(file, "</th><td>");
			page_text(file, source->made[k].value);
			fprintf(file, "</td></tr>\n");
		}
		fprintf(file, "</tbody></table>\n");
	}
}
