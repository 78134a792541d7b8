/* SPDX-License-Identifier: MIT */
/* draw_memory.c - memory over time: a figure a module, all sources on the same axes */
#include "common/page.h"
#include "replay/report_text.h"
#include "report/draw.h"

/* What was recorded is the same of the same file. */
static bool is_told_before(const struct report *report, unsigned source_idx, enum curve_key key)
{
	return (key == CURVE_ASKED || key == CURVE_LINUX) &&
	       draw_is_repeated(report, &report->sources[source_idx]);
}

typedef void curve_visit(void *arg, const struct source *source, const struct module *module,
			 enum curve_key key);

/* Every curve of a module's figure, in the order in which they are drawn. */
static void visit_curves(const struct report *report, const char *name, curve_visit *visit,
			 void *arg)
{
	for (unsigned key = 0; key < CURVE_KEYS_NR; key++)
		for (unsigned i = 0; i < report->sources_nr; i++) {
			const struct module *module = source_module(&report->sources[i], name);

			if (module != NULL && module_has(module, (enum curve_key)key) &&
			    !is_told_before(report, i, (enum curve_key)key))
				visit(arg, &report->sources[i], module, (enum curve_key)key);
		}
}

struct drawing {
	FILE *file;
	const struct report *report;
	double max;
};

static void find_max(void *arg, const struct source *source, const struct module *module,
		     enum curve_key key)
{
	struct drawing *drawing = arg;

	(void)source;
	if (module->curves[key]->peak > drawing->max)
		drawing->max = module->curves[key]->peak;
}

static void put_legend(void *arg, const struct source *source, const struct module *module,
		       enum curve_key key)
{
	struct drawing *drawing = arg;
	const struct curve *curve = module->curves[key];

	fprintf(drawing->file, "<li><i class=\"");
	draw_class(drawing->file, drawing->report, source, curve_name(key));
	fprintf(drawing->file, "\"></i>");
	if (!is_told_before(drawing->report, drawing->report->sources_nr - 1, key))
		draw_who(drawing->file, drawing->report, source);
	page_text(drawing->file, curve_words(module, key));
	fprintf(drawing->file, " <span class=\"dim\">at most %s, at the end %s</span></li>\n",
		number_bytes((uint64_t)curve->peak).text, number_bytes((uint64_t)curve->last).text);
}

static void put_line(void *arg, const struct source *source, const struct module *module,
		     enum curve_key key)
{
	struct drawing *drawing = arg;

	draw_curve(drawing->file, drawing->report, source, module->curves[key], curve_name(key),
		   drawing->max);
}

static void put_marks(FILE *file, const struct report *report, const struct source *source)
{
	if (source->marks_nr == 0)
		return;
	fprintf(file, "<path class=\"mark\" d=\"");
	for (unsigned i = 0; i < source->marks_nr; i++)
		fprintf(file, "M%.0f 0V%d",
			source->marks[i].seconds / report->seconds * CURVE_BUCKETS, PLOT_HEIGHT);
	fprintf(file, "\"/>\n");
}

/* From a CPU's last record before it lost some to the next one. */
static void put_losses(FILE *file, const struct report *report, const struct source *source)
{
	double width = CURVE_BUCKETS / report->seconds;

	if (source->losses_nr == 0)
		return;
	fprintf(file, "<path class=\"loss\" d=\"");
	for (unsigned i = 0; i < source->losses_nr; i++)
		fprintf(file, "M%.0f 0V%dH%.0fV0z", source->losses[i].begin * width, PLOT_HEIGHT,
			source->losses[i].end * width);
	fprintf(file, "\"/>\n");
}

static void draw_module(FILE *file, const struct report *report, const char *name)
{
	struct drawing drawing = { .file = file, .report = report };
	struct scale scale;

	visit_curves(report, name, find_max, &drawing);
	if (drawing.max <= 0)
		return;
	scale = scale_of_bytes(drawing.max);
	drawing.max = scale.max;
	fprintf(file, "<figure id=\"memory-%s\"><figcaption>%s</figcaption>\n<ul class=\"legend\">",
		name, name);
	visit_curves(report, name, put_legend, &drawing);
	fprintf(file, "</ul>\n");
	frame_begin(file, &scale, CURVE_BUCKETS, PLOT_HEIGHT);
	put_losses(file, report, &report->sources[0]);
	put_marks(file, report, &report->sources[0]);
	visit_curves(report, name, put_line, &drawing);
	frame_end(file, report, &report->sources[0]);
	fprintf(file, "</figure>\n");
}

static void put_mark_names(FILE *file, const struct report *report, const struct source *source)
{
	if (source->marks_nr == 0)
		return;
	fprintf(file, "<p class=\"dim\">Marks");
	if (report->sources_nr > 1)
		fprintf(file, " of %c", source->letter);
	fprintf(file, ": ");
	for (unsigned i = 0; i < source->marks_nr; i++) {
		fprintf(file, "%s%u ", i == 0 ? "" : ", ", i + 1);
		page_text(file, source->marks[i].name);
		fprintf(file, " (%s)", text_of_seconds(source->marks[i].seconds).text);
	}
	if (source->marks_left_out > 0)
		fprintf(file, "; %u more are not shown", source->marks_left_out);
	fprintf(file, "</p>\n");
}

void draw_memory(FILE *file, const struct report *report)
{
	struct module_names modules = draw_modules(report);

	fprintf(file, "<h2>Memory over time</h2>\n");
	put_mark_names(file, report, &report->sources[0]);
	for (unsigned i = 0; i < modules.nr; i++)
		draw_module(file, report, modules.name[i]);
}
