/* SPDX-License-Identifier: MIT */
/* draw_spread.c - how large blocks are and how long they live: a bar for each power of two */
#include "replay/report_text.h"
#include "report/draw.h"

#define POWERS_NR  64u
#define BAR_WIDTH  100u /* with the room between two */
#define LABELS_MAX 8u

struct bars {
	const struct report *report;
	const char *module;
	bool of_sizes;
	unsigned files_nr;   /* of all sources */
	unsigned drawn_nr;   /* sources */
	unsigned first, end; /* powers that have a bar */
	double max;	     /* share of the highest */
};

/* The values of a source; NULL if it has none, or they were drawn before. */
static const struct spread *spread_of(const struct bars *bars, const struct source *source)
{
	const struct module *module = source_module(source, bars->module);
	const struct spread *spread;

	if (module == NULL || draw_is_repeated(bars->report, source))
		return NULL;
	spread = bars->of_sizes ? &module->sizes : &module->lifetimes;
	return spread->nr > 0 ? spread : NULL;
}

static void measure(struct bars *bars)
{
	bars->first = POWERS_NR;
	for (unsigned i = 0; i < bars->report->sources_nr; i++) {
		const struct spread *spread = spread_of(bars, &bars->report->sources[i]);

		bars->files_nr += !draw_is_repeated(bars->report, &bars->report->sources[i]);
		bars->drawn_nr += spread != NULL;
		for (unsigned power = 0; spread != NULL && power < POWERS_NR; power++) {
			uint64_t nr = spread_of_power(spread, power);

			if (nr == 0)
				continue;
			if (power < bars->first)
				bars->first = power;
			if (power + 1 > bars->end)
				bars->end = power + 1;
			if ((double)nr / (double)spread->nr > bars->max)
				bars->max = (double)nr / (double)spread->nr;
		}
	}
}

/* @place: among the bars of one power. */
static void put_bars(FILE *file, const struct bars *bars, const struct scale *scale,
		     const struct source *source, unsigned place)
{
	const struct spread *spread = spread_of(bars, source);
	unsigned width = (BAR_WIDTH - 20) / bars->drawn_nr;

	fprintf(file, "<path class=\"bar s%u\" d=\"", draw_colours(bars->report, source));
	for (unsigned power = bars->first; power < bars->end; power++) {
		double share = 100.0 * (double)spread_of_power(spread, power) / (double)spread->nr;
		double height = share / scale->max * PLOT_HEIGHT;

		/* What there is shows, however little. */
		if (share > 0)
			fprintf(file, "M%u %dh%uv-%.0fh-%uz",
				(power - bars->first) * BAR_WIDTH + 10 + place * width, PLOT_HEIGHT,
				width, height < 4 ? 4 : height, width);
	}
	fprintf(file, "\"/>\n");
}

/* At the lower end of a bar's values. */
static void put_labels(FILE *file, const struct bars *bars)
{
	unsigned bars_nr = bars->end - bars->first;
	unsigned step = (bars_nr + LABELS_MAX - 1) / LABELS_MAX;

	fprintf(file, "<div class=\"xs fixed\">");
	for (unsigned i = 0; i < bars_nr; i += step) {
		uint64_t value = (uint64_t)1 << (bars->first + i);

		fprintf(file, "<span style=\"--x:%.4f\">%s</span>", (i + 0.5) / bars_nr,
			bars->of_sizes ? number_bytes(value).text
				       : text_of_seconds((double)value / 1e9).text);
	}
	fprintf(file, "</div>");
}

static void put_legend(FILE *file, const struct bars *bars)
{
	fprintf(file, "<ul class=\"legend\">");
	for (unsigned i = 0; i < bars->report->sources_nr; i++) {
		const struct source *source = &bars->report->sources[i];
		const struct spread *spread = spread_of(bars, source);

		if (spread == NULL)
			continue;
		fprintf(file, "<li><i class=\"bar s%u\"></i>", draw_colours(bars->report, source));
		if (bars->files_nr > 1)
			draw_who(file, bars->report, source);
		for (unsigned k = 0; k < 3; k++) {
			static const double shares[] = { 0.5, 0.9, 0.99 };
			uint64_t value = spread_at(spread, shares[k]);

			fprintf(file, "%s%g %% up to %s", k == 0 ? "" : ", ", shares[k] * 100,
				bars->of_sizes ? number_bytes(value).text
					       : text_of_seconds((double)value / 1e9).text);
		}
		fprintf(file, "</li>");
	}
	fprintf(file, "</ul>\n");
}

static void draw_bars(FILE *file, const struct report *report, const char *module, bool of_sizes)
{
	struct bars bars = { .report = report, .module = module, .of_sizes = of_sizes };
	struct scale scale;

	measure(&bars);
	if (bars.end == 0)
		return;
	scale = scale_of_numbers(bars.max * 100);
	fprintf(file, "<figure id=\"%s-%s\"><figcaption>%s: %s</figcaption>\n",
		of_sizes ? "sizes" : "lifetimes", module, module,
		of_sizes ? "sizes" : "lifetimes of what was freed");
	put_legend(file, &bars);
	fprintf(file, "<div class=\"frame\"><div class=\"ys\">");
	for (double at = 0; at <= scale.max * 1.0001; at += scale.step)
		fprintf(file, "<span style=\"--y:%.4f\">%g %%</span>", at / scale.max, at);
	fprintf(file,
		"</div><div class=\"area\"><svg viewBox=\"0 0 %u %d\" "
		"preserveAspectRatio=\"none\">\n",
		(bars.end - bars.first) * BAR_WIDTH, PLOT_HEIGHT);
	for (unsigned i = 0, place = 0; i < report->sources_nr; i++)
		if (spread_of(&bars, &report->sources[i]) != NULL)
			put_bars(file, &bars, &scale, &report->sources[i], place++);
	fprintf(file, "</svg></div>");
	put_labels(file, &bars);
	fprintf(file, "</div></figure>\n");
}

void draw_spreads(FILE *file, const struct report *report)
{
	struct module_names modules = draw_modules(report);
	uint64_t sizes_nr = 0;

	for (unsigned i = 0; i < report->sources_nr; i++)
		for (unsigned j = 0; j < report->sources[i].modules_nr; j++)
			sizes_nr += report->sources[i].modules[j].sizes.nr;
	if (sizes_nr == 0)
		return;
	fprintf(file, "<h2>Sizes and lifetimes</h2>\n<div class=\"pair\">\n");
	for (unsigned i = 0; i < modules.nr; i++) {
		draw_bars(file, report, modules.name[i], true);
		draw_bars(file, report, modules.name[i], false);
	}
	fprintf(file, "</div>\n");
}
