/* SPDX-License-Identifier: MIT */
/* page.c - a report as a page: what happened, the figures, the tables, how it was made */
#include <string.h>

#include "common/page.h"
#include "replay/report_text.h"
#include "report/draw.h"

extern const char *const report_style[];  /* page.css */
extern const char *const report_script[]; /* page.js */

static void put_losses(FILE *file, const struct source *source)
{
	fprintf(file, "<p>");
	for (unsigned i = 0; i < source->losses_nr; i++) {
		const struct loss *loss = &source->losses[i];

		fprintf(file, "%sCPU %u lost ", i == 0 ? "" : ", ", loss->cpu);
		if (loss->nr != 0)
			fprintf(file, "%s", number_grouped(loss->nr).text);
		else
			fprintf(file, "some");
		fprintf(file, " between %.3f and %.3f s", loss->begin, loss->end);
	}
	if (source->losses_left_out > 0)
		fprintf(file, "; %u more times", source->losses_left_out);
	fprintf(file, ". These times are red in the figures.</p>\n");
}

static void put_loss(FILE *file, const struct report *report, const struct source *source)
{
	fprintf(file, "<div class=\"broken\"><p><strong>");
	draw_who(file, report, source);
	fprintf(file,
		"%s events were lost.</strong> All figures of this recording are wrong, by nobody "
		"knows how much: record it again with larger buffers.</p>\n",
		source->lost_nr > 0 ? number_grouped(source->lost_nr).text : "Some");
	if (source->losses_nr > 0)
		put_losses(file, source);
	fprintf(file, "</div>\n");
}

/* Before anything else: what the figures cannot show. */
static void put_troubles(FILE *file, const struct report *report)
{
	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		if ((source->lost_nr > 0 || source->losses_nr > 0) &&
		    !draw_is_repeated(report, source))
			put_loss(file, report, source);
		if (source->trouble[0] != '\0') {
			fprintf(file, "<div class=\"broken\"><p><strong>");
			draw_who(file, report, source);
			fprintf(file, "Quire's side is not whole.</strong> ");
			page_text(file, source->trouble);
			fprintf(file, "</p></div>\n");
		}
	}
}

/* Of a file that is replayed once more, those that are not the same again. */
static void put_said(FILE *file, const struct report *report, const struct source *source)
{
	const struct source *first = source;

	while (first > report->sources && draw_is_repeated(report, first))
		first--;
	fprintf(file, "<ol class=\"said\">\n");
	for (unsigned i = 0; i < SENTENCES_NR; i++)
		if (first == source || strcmp(first->sentences[i], source->sentences[i]) != 0)
			page_element(file, "li", NULL, source->sentences[i]);
	fprintf(file, "</ol>\n");
}

/* What the instance is made with; empty if the source has no instance of its own. */
static const char *conf_text(const struct source *source)
{
	if (source->conf == NULL)
		return "";
	return source->conf[0] != '\0' ? source->conf : "defaults";
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
				page_text(file, conf_text(source));
			}
			fprintf(file, "</h2>\n");
		}
		put_said(file, report, source);
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

/* "pages against areas"; of one recording with two configurations "pages: cache:on against cache:off". */
static void make_title(const struct report *report, char *title, size_t title_bytes)
{
	int used = 0;

	for (unsigned i = 0; i < report->sources_nr && used < (int)title_bytes; i++) {
		const struct source *source = &report->sources[i];
		bool is_second = source->conf != NULL && i > 0;

		used += snprintf(title + used, title_bytes - (size_t)used, "%s%s%s%s",
				 i == 0 ? "" : " against ", is_second ? "" : source->name,
				 source->conf == NULL || is_second ? "" : ": ", conf_text(source));
	}
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
