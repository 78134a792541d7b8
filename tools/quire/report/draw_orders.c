/* SPDX-License-Identifier: MIT */
/* draw_orders.c - free blocks by order: a line an order, each on a scale of its own */
#include "replay/report_text.h"
#include "report/draw.h"

static void draw_order(FILE *file, const struct report *report, const struct source *source,
		       const struct curve *curve, unsigned order, const char *name)
{
	fprintf(file,
		"<div class=\"row\"><span>%u</span><svg class=\"time\" viewBox=\"0 0 %u %d\" "
		"preserveAspectRatio=\"none\" data-w=\"%u\" data-h=\"%d\">",
		order, CURVE_BUCKETS, PLOT_HEIGHT, CURVE_BUCKETS, PLOT_HEIGHT);
	/* A little more than the most, so that a line there is whole. */
	draw_curve(file, report, source, curve, name, curve->peak > 0 ? curve->peak * 1.08 : 1);
	fprintf(file, "</svg><span>%s</span><span>%s</span></div>\n",
		number_grouped((uint64_t)curve->peak).text,
		number_grouped((uint64_t)curve->last).text);
}

static void draw_side(FILE *file, const struct report *report, const struct source *source,
		      struct curve *const *orders, const char *name, const char *title)
{
	unsigned nr = 0;

	for (unsigned order = 0; order < ORDERS_NR; order++)
		nr += orders[order] != NULL && orders[order]->has_begun;
	if (nr == 0)
		return;
	fprintf(file, "<figure id=\"orders-%s-%c\" class=\"orders\"><figcaption>", name,
		source->letter);
	draw_who(file, report, source);
	fprintf(file,
		"%s</figcaption>\n<div class=\"row dim\"><span>order</span><span></span>"
		"<span>most</span><span>at the end</span></div>\n",
		title);
	for (unsigned order = 0; order < ORDERS_NR; order++)
		if (orders[order] != NULL && orders[order]->has_begun)
			draw_order(file, report, source, orders[order], order, name);
	fprintf(file, "</figure>\n");
}

void draw_orders(FILE *file, const struct report *report)
{
	bool has_head = false;

	for (unsigned i = 0; i < report->sources_nr; i++) {
		const struct source *source = &report->sources[i];

		if (source->linux_orders[0] == NULL && source->quire_orders[0] == NULL)
			continue;
		if (!has_head)
			fprintf(file, "<h2>Free blocks by order</h2>\n<p class=\"dim\">A block of "
				      "order n is 2<sup>n</sup> pages. Each line has its own "
				      "scale, from none to its most.</p>\n<div class=\"pair\">\n");
		has_head = true;
		if (!draw_is_repeated(report, source))
			draw_side(file, report, source, source->linux_orders, "linux",
				  "Linux, all zones");
		draw_side(file, report, source, source->quire_orders, "quire", "Quire");
	}
	if (has_head)
		fprintf(file, "</div>\n");
}
