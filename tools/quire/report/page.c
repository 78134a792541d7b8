/* SPDX-License-Identifier: MIT */
/* page.c - a report as a page: what happened, the figures, the tables, how it was made */
#include <inttypes.h>

#include "common/page.h"
#include "replay/report_text.h"
#include "report/draw.h"

extern const char *const report_style[];  /* page.css */
extern const char *const report_script[]; /* page.js */

/* Before anything else: what the figures cannot show. */
static void put_troubles(FILE *file, const struct report *report)
{
	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		if (source->lost_nr > 0) {
			fprintf(file, "<div class=\"broken\"><p><strong>");
			draw_who(file, report, source);
			fprintf(file,
				"%s events were lost.</strong> All figures of this recording are "
				"too small, by nobody knows how much: record it again with larger "
				"buffers.</p></div>\n",
				number_grouped(source->lost_nr).text);
		}
		if (source->trouble[0] != '\0') {
			fprintf(file, "<div class=\"broken\"><p><strong>");
			draw_who(file, report, source);
			fprintf(file, "Quire's side is missing.</strong> ");
			page_text(file, source->trouble);
			fprintf(file, "</p></div>\n");
		}
	}
}

static void put_sentences(FILE *file, const struct report *report)
{
	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		if (report->sources_nr > 1) {
			fprintf(file, "<h2>%c: ", source->letter);
			page_text(file, source->name);
			if (source->conf != NULL) {
				fprintf(file, " on Quire with ");
				page_text(file, source->conf);
			}
			fprintf(file, "</h2>\n");
		}
		fprintf(file, "<ol class=\"said\">\n");
		for (unsigned k = 0; k < SENTENCES_NR; k++)
			page_element(file, "li", NULL, source->sentences[k]);
		fprintf(file, "</ol>\n");
	}
}

static void put_zoom_bar(FILE *file)
{
	fprintf(file,
		"<div class=\"bar-zoom\" role=\"toolbar\" aria-label=\"time shown\" "
		"hidden=\"hidden\"><button type=\"button\" data-act=\"all\">whole</button>"
		"<button type=\"button\" data-act=\"left\" "
		"aria-label=\"earlier\">&#8592;</button>"
		"<button type=\"button\" data-act=\"right\" "
		"aria-label=\"later\">&#8594;</button>"
		"<button type=\"button\" data-act=\"out\" aria-label=\"less detail\">&#8722;"
		"</button><button type=\"button\" data-act=\"in\" aria-label=\"more detail\">+"
		"</button><output></output><span class=\"dim\">click a figure to look closer, with "
		"Shift to go back</span></div>\n");
}

static void make_title(const struct report *report, char *title, size_t title_bytes)
{
	int used = 0;

	for (unsigned i = 0; i < report->sources_nr && used < (int)title_bytes; i++)
		used += snprintf(title + used, title_bytes - (size_t)used, "%s%s",
				 i == 0 ? "" : " against ", report->sources[i].name);
}

void report_write_page(FILE *file, const struct report *report)
{
	char title[256] = "";

	make_title(report, title, sizeof(title));
	page_begin(file, title, report_style);
	fprintf(file, "<h1>");
	page_text(file, title);
	fprintf(file, "</h1>\n");
	put_troubles(file, report);
	put_sentences(file, report);
	put_zoom_bar(file);
	draw_memory(file, report);
	draw_orders(file, report);
	draw_maps(file, report);
	draw_spreads(file, report);
	draw_latencies(file, report);
	draw_marks(file, report);
	draw_holders(file, report);
	draw_made(file, report);
	fprintf(file,
		"<script>//<![CDATA[\n"
		"document.documentElement.dataset.levels=\"%u\";"
		"document.documentElement.dataset.seconds=\"%.9g\";"
		"document.documentElement.dataset.unit=\"%s\";\n",
		report->levels_nr, report->seconds, report->sources[0].is_indexed ? "looks" : "s");
	page_lines(file, report_script);
	fprintf(file, "//]]></script>\n");
	page_end(file);
}
