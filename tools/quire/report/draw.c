/* SPDX-License-Identifier: MIT */
#include "report/draw.h"

#include <string.h>

#include "run/history.h"

#define STEPS_MAX 5u
#define TICKS_MAX 8u

/* ---- scales ---- */

struct scale scale_of_numbers(double max)
{
	struct scale scale = { .unit = 1, .name = "" };

	scale.step = axis_step(max > 0 ? max : 1, STEPS_MAX);
	if (scale.step < 1)
		scale.step = 1;
	for (scale.max = scale.step; scale.max < max;)
		scale.max += scale.step;
	return scale;
}

struct scale scale_of_bytes(double max)
{
	static const char *const names[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double unit = 1;
	unsigned idx = 0;
	struct scale scale;

	for (; max / unit >= 1024 && idx < 4; idx++)
		unit *= 1024;
	scale = scale_of_numbers(max / unit);
	if (max / unit < STEPS_MAX && idx > 0) { /* whole numbers would be too few */
		scale.step = axis_step(max / unit, STEPS_MAX);
		for (scale.max = scale.step; scale.max < max / unit;)
			scale.max += scale.step;
	}
	scale.max *= unit;
	scale.step *= unit;
	scale.unit = unit;
	scale.name = names[idx];
	return scale;
}

struct text32 text_of_seconds(double seconds)
{
	static const struct {
		double unit;
		const char *name;
	} units[] = { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 1e-9, "ns" } };
	struct text32 text;
	unsigned i = 0;

	while (i < 3 && seconds < units[i].unit)
		i++;
	snprintf(text.text, sizeof(text.text),
		 seconds / units[i].unit < 10 && i < 3 ? "%.1f %s" : "%.0f %s",
		 seconds / units[i].unit, units[i].name);
	return text;
}

bool draw_is_repeated(const struct report *report, const struct source *source)
{
	for (const struct source *other = report->sources; other < source; other++)
		if (strcmp(other->path, source->path) == 0)
			return true;
	return false;
}

static void add_name(struct module_names *names, const char *name)
{
	for (unsigned i = 0; i < names->nr; i++)
		if (strcmp(names->name[i], name) == 0)
			return;
	if (names->nr < sizeof(names->name) / sizeof(names->name[0]))
		names->name[names->nr++] = name;
}

struct module_names draw_modules(const struct report *report)
{
	struct module_names names = { .nr = 0 };

	for (unsigned i = 0; i < report->sources_nr; i++)
		for (unsigned j = 0; j < report->sources[i].modules_nr; j++)
			add_name(&names, report->sources[i].modules[j].name);
	return names;
}

void draw_who(FILE *file, const struct report *report, const struct source *source)
{
	if (report->sources_nr > 1)
		fprintf(file, "%c: ", source->letter);
}

unsigned draw_colours(const struct report *report, const struct source *source)
{
	return (unsigned)(source - report->sources) % 4;
}

void draw_class(FILE *file, const struct report *report, const struct source *source,
		const char *name)
{
	fprintf(file, "c-%s s%u", name, draw_colours(report, source));
}

/* ---- frames ---- */

static void put_grid(FILE *file, const struct scale *scale, unsigned width, unsigned height)
{
	fprintf(file, "<path class=\"grid\" d=\"");
	for (double at = 0; scale != NULL && at <= scale->max * 1.0001; at += scale->step)
		fprintf(file, "M 0 %.0fH%u", (1 - at / scale->max) * height, width);
	fprintf(file, "M 0 %uH%u\"/>\n", height, width);
}

void frame_begin(FILE *file, const struct scale *scale, unsigned width, unsigned height)
{
	fprintf(file, "<div class=\"frame\"><div class=\"ys\">");
	for (double at = 0; scale != NULL && at <= scale->max * 1.0001; at += scale->step)
		fprintf(file, "<span style=\"--y:%.4f\">%g%s%s</span>", at / scale->max,
			at / scale->unit, at + scale->step > scale->max * 1.0001 ? " " : "",
			at + scale->step > scale->max * 1.0001 ? scale->name : "");
	fprintf(file,
		"</div><div class=\"area\"><svg class=\"time\" viewBox=\"0 0 %u %u\" "
		"preserveAspectRatio=\"none\" data-w=\"%u\" data-h=\"%u\">\n",
		width, height, width, height);
	put_grid(file, scale, width, height);
}

/* As many ticks in what a level shows, whichever it is. */
static void put_ticks(FILE *file, const struct report *report, unsigned level)
{
	double shown = report->seconds / (1u << 2 * level);
	double step = axis_step(shown, TICKS_MAX);
	bool is_indexed = report->sources_nr > 0 && report->sources[0].is_indexed;

	if (is_indexed && step < 1)
		step = 1;
	for (unsigned i = 0; i * step <= report->seconds * 1.0001; i++)
		fprintf(file, "<span class=\"l%u\" style=\"--x:%.5f\">%g%s</span>", level,
			i * step / report->seconds, i * step, is_indexed ? "" : " s");
}

/* Marks this close, a share of the time, have one name: their numbers would overlap. */
#define NAME_SHARE 0.03

/* The numbers of marks above their lines; at the edges beside them. */
static void put_names(FILE *file, const struct report *report, const struct source *source)
{
	fprintf(file, "<div class=\"names\">");
	for (unsigned first = 0, end; first < source->marks_nr; first = end) {
		double x = source->marks[first].seconds / report->seconds;

		for (end = first + 1; end < source->marks_nr; end++)
			if (source->marks[end].seconds / report->seconds - x > NAME_SHARE)
				break;
		fprintf(file, "<span style=\"--x:%.5f\"%s>%u", x,
			x < NAME_SHARE	     ? " class=\"left\""
			: x > 1 - NAME_SHARE ? " class=\"right\""
					     : "",
			first + 1);
		if (end > first + 1)
			fprintf(file, "-%u", end);
		fprintf(file, "</span>");
	}
	fprintf(file, "</div>");
}

void frame_end(FILE *file, const struct report *report, const struct source *marks)
{
	fprintf(file, "</svg>");
	if (marks != NULL && marks->marks_nr > 0)
		put_names(file, report, marks);
	fprintf(file, "</div><div class=\"xs\">");
	for (unsigned level = 0; level < report->levels_nr; level++)
		put_ticks(file, report, level);
	fprintf(file, "</div></div>\n");
}

/* ---- curves ---- */

/* Where the pen is, so that moves are short. */
struct pen {
	int x, y;
};

static int y_of(double value, double max)
{
	double y = PLOT_HEIGHT - value / max * PLOT_HEIGHT;

	return y < 0 ? 0 : y > PLOT_HEIGHT ? PLOT_HEIGHT : (int)(y + 0.5);
}

static void pen_right(FILE *file, struct pen *pen, int x)
{
	if (x != pen->x)
		fprintf(file, "h%d", x - pen->x);
	pen->x = x;
}

static void pen_down(FILE *file, struct pen *pen, int y)
{
	if (y != pen->y)
		fprintf(file, "v%d", y - pen->y);
	pen->y = y;
}

static int distance(int a, int b)
{
	return a < b ? b - a : a - b;
}

/* From the nearer end of the range to the other: what is drawn over is the same, and the pen goes less far. */
static void pen_range(FILE *file, struct pen *pen, int low, int high)
{
	bool low_first = distance(pen->y, low) <= distance(pen->y, high);

	pen_down(file, pen, low_first ? low : high);
	pen_down(file, pen, low_first ? high : low);
}

/* @nr: buckets to a pixel. */
static void put_level(FILE *file, const struct curve *curve, double max, double share,
		      unsigned level, unsigned nr)
{
	struct pen pen = { .x = -1 };
	float least, most;

	fprintf(file, "<path class=\"l%u\" d=\"", level);
	for (unsigned i = curve->first / nr * nr; i <= curve->at; i += nr) {
		int x = (int)(i * share);

		curve_range(curve, i, nr, &least, &most);
		if (pen.x < 0) {
			pen = (struct pen){ .x = x, .y = y_of(least, max) };
			fprintf(file, "M%d %d", pen.x, pen.y);
		} else if (pen.y != y_of(least, max) || least != most) {
			pen_right(file, &pen, x);
		}
		pen_range(file, &pen, y_of(least, max), y_of(most, max));
	}
	pen_right(file, &pen, (int)((curve->at + 1) * share));
	fprintf(file, "\"/>");
}

void draw_curve(FILE *file, const struct report *report, const struct source *source,
		const struct curve *curve, const char *name, double max)
{
	double share = report->seconds > 0 ? curve->seconds / report->seconds : 1;

	fprintf(file, "<g class=\"line ");
	draw_class(file, report, source, name);
	fprintf(file, "\">");
	for (unsigned level = 0; level < report->levels_nr; level++)
		put_level(file, curve, max, share, level,
			  (CURVE_BUCKETS / 1024 >> 2 * level) << report->coarse);
	fprintf(file, "</g>\n");
}
