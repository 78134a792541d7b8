/* SPDX-License-Identifier: MIT */
/* draw_latency.c - how long Quire's calls took: percentiles, as lines and as a table */
#include <math.h>

#include "common/page.h"
#include "replay/report_text.h"
#include "report/draw.h"

/* The shares are as far apart as their number of nines. */
static const struct {
	double share;
	const char *name;
} shares[] = { { 0.5, "50 %" },	    { 0.9, "90 %" },	   { 0.99, "99 %" },
	       { 0.999, "99.9 %" }, { 0.9999, "99.99 %" }, { 1, "all" } };
#define SHARES_NR (sizeof(shares) / sizeof(shares[0]))

#define POINT_WIDTH 100u

struct lines {
	const struct report *report;
	double low, high; /* powers of ten of nanoseconds */
};

typedef void line_visit(FILE *file, struct lines *lines, const struct source *source,
			const struct module *module, const char *call, const struct spread *spread);

static void visit_lines(FILE *file, struct lines *lines, line_visit *visit)
{
	for (unsigned i = 0; i < lines->report->sources_nr; i++)
		for (unsigned j = 0; j < lines->report->sources[i].modules_nr; j++) {
			const struct source *source = &lines->report->sources[i];
			const struct module *module = &source->modules[j];

			if (module->alloc_ns.nr > 0)
				visit(file, lines, source, module, "alloc", &module->alloc_ns);
			if (module->free_ns.nr > 0)
				visit(file, lines, source, module, "free", &module->free_ns);
		}
}

static double power_of(uint64_t ns)
{
	return ns > 1 ? log10((double)ns) : 0;
}

static void measure(FILE *file, struct lines *lines, const struct source *source,
		    const struct module *module, const char *call, const struct spread *spread)
{
	double low = floor(power_of(spread_at(spread, shares[0].share)));
	double high = ceil(power_of(spread->max));

	(void)file, (void)source, (void)module, (void)call;
	if (low < lines->low)
		lines->low = low;
	if (high > lines->high)
		lines->high = high;
}

static void put_line(FILE *file, struct lines *lines, const struct source *source,
		     const struct module *module, const char *call, const struct spread *spread)
{
	(void)module;
	fprintf(file, "<path class=\"line call-%s s%u\" d=\"", call,
		draw_colours(lines->report, source));
	for (size_t i = 0; i < SHARES_NR; i++)
		fprintf(file, "%c%zu %.0f", i == 0 ? 'M' : 'L', i * POINT_WIDTH + POINT_WIDTH / 2,
			PLOT_HEIGHT *
				(1 - (power_of(spread_at(spread, shares[i].share)) - lines->low) /
					     (lines->high - lines->low)));
	fprintf(file, "\"/>\n");
}

static void put_row(FILE *file, struct lines *lines, const struct source *source,
		    const struct module *module, const char *call, const struct spread *spread)
{
	fprintf(file, "<tr><td><i class=\"line call-%s s%u\"></i>", call,
		draw_colours(lines->report, source));
	draw_who(file, lines->report, source);
	fprintf(file, "%s %s</td><td class=\"n\" data-v=\"%llu\">%s</td>", module->name, call,
		(unsigned long long)spread->nr, number_grouped(spread->nr).text);
	for (size_t i = 0; i < SHARES_NR; i++) {
		uint64_t ns = spread_at(spread, shares[i].share);

		fprintf(file, "<td class=\"n\" data-v=\"%llu\">%s</td>", (unsigned long long)ns,
			text_of_seconds((double)ns / 1e9).text);
	}
	fprintf(file, "</tr>\n");
}

static void put_table(FILE *file, struct lines *lines)
{
	fprintf(file, "<div class=\"wide\"><table class=\"sort\" "
		      "id=\"table-latency\"><thead><tr><th>call</th>"
		      "<th class=\"n\">calls</th>");
	for (size_t i = 0; i < SHARES_NR; i++)
		fprintf(file, "<th class=\"n\">%s</th>", shares[i].name);
	fprintf(file, "</tr></thead><tbody>\n");
	visit_lines(file, lines, put_row);
	fprintf(file, "</tbody></table></div>\n");
}

static void put_frame(FILE *file, struct lines *lines)
{
	fprintf(file, "<div class=\"frame\"><div class=\"ys\">");
	for (double power = lines->low; power <= lines->high; power++)
		fprintf(file, "<span style=\"--y:%.4f\">%s</span>",
			(power - lines->low) / (lines->high - lines->low),
			text_of_seconds(pow(10, power - 9)).text);
	fprintf(file,
		"</div><div class=\"area\"><svg viewBox=\"0 0 %zu %d\" "
		"preserveAspectRatio=\"none\">\n<path class=\"grid\" d=\"",
		SHARES_NR * POINT_WIDTH, PLOT_HEIGHT);
	for (double power = lines->low; power <= lines->high; power++)
		fprintf(file, "M 0 %.0fH%zu",
			PLOT_HEIGHT * (1 - (power - lines->low) / (lines->high - lines->low)),
			SHARES_NR * POINT_WIDTH);
	fprintf(file, "\"/>\n");
	visit_lines(file, lines, put_line);
	fprintf(file, "</svg></div><div class=\"xs fixed\">");
	for (size_t i = 0; i < SHARES_NR; i++)
		fprintf(file, "<span style=\"--x:%.4f\">%s</span>", ((double)i + 0.5) / SHARES_NR,
			shares[i].name);
	fprintf(file, "</div></div>");
}

void draw_latencies(FILE *file, const struct report *report)
{
	struct lines lines = { .report = report, .low = 18, .high = 0 };

	visit_lines(file, &lines, measure);
	if (lines.low >= lines.high)
		return;
	fprintf(file, "<h2>Latency of Quire's calls</h2>\n<figure id=\"latency\"><figcaption>Share "
		      "of calls that took at most so long</figcaption>\n");
	put_frame(file, &lines);
	fprintf(file, "</figure>\n");
	put_table(file, &lines);
}
