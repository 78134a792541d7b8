/* SPDX-License-Identifier: MIT */
/*
 * picture.c - memory over time as SVG
 *
 * Each line is named at its end, with its last figure.  Colours suit a white and a dark page; the background
 * is the page's.
 */
#include <string.h>

#include "common/page.h"
#include "run/history.h"

#define WIDTH  820
#define HEIGHT 400
#define LEFT   52
#define RIGHT  220
#define TOP    58
#define BOTTOM 36
#define MIB    ((double)(1u << 20))

/* Names of two lines that end closer than this many pixels would overlap. */
#define NAME_PIXELS 17

static const char style[] =
	"text { font: 13px system-ui, -apple-system, \"Segoe UI\", \"DejaVu Sans\", sans-serif; "
	"fill: #57606a }\n"
	".title { font-size: 15px; font-weight: 600; fill: #24292f }\n"
	".grid { stroke: #8c959f; stroke-opacity: 0.28; stroke-width: 1 }\n"
	".axis { stroke: #8c959f; stroke-width: 1 }\n"
	".line { fill: none; stroke-width: 2.5; stroke-linejoin: round }\n"
	".name { font-weight: 600 }\n"
	"path.s0 { stroke: #cf4f1c } text.s0 { fill: #cf4f1c }\n"
	"path.s1 { stroke: #1f7ae0 } text.s1 { fill: #1f7ae0 }\n"
	"path.s2 { stroke: #2c8a3d } text.s2 { fill: #2c8a3d }\n"
	"path.s3 { stroke: #8f55d6 } text.s3 { fill: #8f55d6 }\n"
	"path.s4 { stroke: #a07a00 } text.s4 { fill: #a07a00 }\n"
	"path.s5 { stroke: #c2358f } text.s5 { fill: #c2358f }\n"
	"@media (prefers-color-scheme: dark) {\n"
	"  text { fill: #9198a1 } .title { fill: #e6edf3 }\n"
	"  path.s0 { stroke: #f0793f } text.s0 { fill: #f0793f }\n"
	"  path.s1 { stroke: #4f9cff } text.s1 { fill: #4f9cff }\n"
	"  path.s2 { stroke: #56b868 } text.s2 { fill: #56b868 }\n"
	"  path.s3 { stroke: #b48cf0 } text.s3 { fill: #b48cf0 }\n"
	"  path.s4 { stroke: #d4a72c } text.s4 { fill: #d4a72c }\n"
	"  path.s5 { stroke: #f080c0 } text.s5 { fill: #f080c0 }\n"
	"}\n";

struct frame {
	double seconds_max, mib_max;
};

static double x_of(const struct frame *frame, double seconds)
{
	return LEFT + (WIDTH - LEFT - RIGHT) * seconds / frame->seconds_max;
}

static double y_of(const struct frame *frame, double mib)
{
	return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * mib / frame->mib_max;
}

static void rule(FILE *file, double x0, double y0, double x1, double y1, const char *class)
{
	fprintf(file, "<path class=\"%s\" d=\"M%.1f %.1fL%.1f %.1f\"/>\n", class, x0, y0, x1, y1);
}

static void put_axes(FILE *file, const struct frame *frame, double mib_step)
{
	double seconds_step = axis_step(frame->seconds_max, 8);
	double right = x_of(frame, frame->seconds_max);

	fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">MiB</text>\n", LEFT - 8,
		TOP - 16);
	for (unsigned i = 0; i * mib_step <= frame->mib_max * 1.0001; i++) {
		double y = y_of(frame, i * mib_step);

		rule(file, LEFT, y, right, y, i == 0 ? "axis" : "grid");
		fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n", LEFT - 8,
			y + 4.5, i * mib_step);
	}
	for (unsigned i = 0; i * seconds_step <= frame->seconds_max; i++) {
		double x = x_of(frame, i * seconds_step);

		rule(file, x, y_of(frame, 0), x, y_of(frame, 0) + 4, "axis");
		fprintf(file, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%g s</text>\n", x,
			y_of(frame, 0) + 19, i * seconds_step);
	}
}

/* Points that change the line by less than a quarter of a pixel in both directions are left out. */
static void put_line(FILE *file, const struct frame *frame, const struct history *history,
		     unsigned idx)
{
	double before_x = -1, before_y = -1;

	fprintf(file, "<path class=\"line s%u\" d=\"", idx);
	for (size_t i = 0; i < history->nr; i++) {
		double x = x_of(frame, (double)history->points[i].ns / 1e9);
		double y = y_of(frame, (double)history->points[i].bytes / MIB);

		if (i > 0 && i + 1 < history->nr && x - before_x < 0.25 && y - before_y < 0.25 &&
		    before_y - y < 0.25)
			continue;
		fprintf(file, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x, y);
		before_x = x;
		before_y = y;
	}
	fprintf(file, "\"/>\n");
}

static double end_y(const struct frame *frame, const struct history *history)
{
	return y_of(frame, (double)history_end_bytes(history) / MIB) + 4.5;
}

/* Each name beside its line's end, from the bottom up; moved up if the name below it would be there. */
static void put_names(FILE *file, const struct frame *frame, const struct history *histories,
		      unsigned nr)
{
	bool is_put[HISTORIES_MAX] = { false };
	double below_y = HEIGHT;

	for (unsigned n = 0; n < nr; n++) {
		unsigned lowest = nr;
		double y;

		for (unsigned i = 0; i < nr; i++)
			if (!is_put[i] &&
			    (lowest == nr ||
			     end_y(frame, &histories[i]) > end_y(frame, &histories[lowest])))
				lowest = i;
		is_put[lowest] = true;
		y = end_y(frame, &histories[lowest]);
		if (y > below_y - NAME_PIXELS)
			y = below_y - NAME_PIXELS;
		below_y = y;
		fprintf(file,
			"<text x=\"%.1f\" y=\"%.1f\" class=\"name s%u\">%s: %.0f MiB</text>\n",
			x_of(frame, frame->seconds_max) + 10, y, lowest, histories[lowest].name,
			(double)history_end_bytes(&histories[lowest]) / MIB);
	}
}

void picture_print(FILE *file, const char *program, const struct history *histories, unsigned nr)
{
	struct frame frame = { .seconds_max = 1e-3 };
	double mib_step, peak = 1;

	for (unsigned i = 0; i < nr; i++) {
		if ((double)histories[i].peak_bytes / MIB > peak)
			peak = (double)histories[i].peak_bytes / MIB;
		if (histories[i].seconds > frame.seconds_max)
			frame.seconds_max = histories[i].seconds;
	}
	mib_step = axis_step(peak, 8);
	for (frame.mib_max = mib_step; frame.mib_max < peak;)
		frame.mib_max += mib_step;
	fprintf(file,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
		"height=\"%d\" role=\"img\">\n<title>Resident memory of ",
		WIDTH, HEIGHT, WIDTH, HEIGHT);
	page_text(file, program);
	fprintf(file,
		"</title>\n<style>\n%s</style>\n<text x=\"%d\" y=\"20\" class=\"title\">Resident "
		"memory of ",
		style, LEFT - 36);
	page_text(file, program);
	fprintf(file, "</text>\n");
	put_axes(file, &frame, mib_step);
	for (unsigned i = 0; i < nr; i++)
		put_line(file, &frame, &histories[i], i);
	put_names(file, &frame, histories, nr);
	fprintf(file, "</svg>\n");
}
