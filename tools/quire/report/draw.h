/* SPDX-License-Identifier: MIT */
/*
 * draw.h - the figures of a report's page, one file each
 *
 * A figure is SVG that is stretched to the width there is; its texts are HTML beside it, so that they keep their size
 * on a small screen.  Time is drawn in three levels of detail: the whole, a fourth, a sixteenth of it; page.js shows
 * the level that suits what is looked at.
 */
#ifndef QUIRE_TOOL_REPORT_DRAW_H
#define QUIRE_TOOL_REPORT_DRAW_H

#include <stdint.h>
#include <stdio.h>

#include "report/source.h"

#define LEVELS_MAX  3u
#define PLOT_HEIGHT 1000

struct report {
	struct source *sources;
	unsigned sources_nr;
	double seconds;	    /* the longest of theirs */
	unsigned levels_nr; /* that are drawn: fewer if the page would be too large */
	unsigned coarse; /* each step halves the detail of all levels: if one level is too much */
	char command[512];
};

/* ---- draw.c: what figures are made of ---- */

/* A scale from 0 to a round number. */
struct scale {
	double max, step;
	double unit;	  /* values are divided by it for their text */
	const char *name; /* "MiB" */
};

struct scale scale_of_bytes(double max);
struct scale scale_of_numbers(double max);
/* 12.5 -> "12.5 s", 0.002 -> "2.0 ms". */
struct text32 {
	char text[32];
};
struct text32 text_of_seconds(double seconds);
/* Whether an earlier source is of the same file: what was recorded is the same, whatever it is replayed on. */
bool draw_is_repeated(const struct report *report, const struct source *source);
/* The names of modules, each once, in the order in which the sources have them. */
struct module_names {
	const char *name[2 * MODULES_MAX];
	unsigned nr;
};
struct module_names draw_modules(const struct report *report);
/* "A: ", if there is more than one source. */
void draw_who(FILE *file, const struct report *report, const struct source *source);
/* The colours of a source in page.css: s0 to s3. */
unsigned draw_colours(const struct report *report, const struct source *source);
/* The classes that give a line or a swatch its colour. */
void draw_class(FILE *file, const struct report *report, const struct source *source,
		const char *name);

/* The parts of a figure over time: frame_begin(), lines in SVG, frame_end(). */
void frame_begin(FILE *file, const struct scale *scale, unsigned width, unsigned height);
/* @marks: a source's, or NULL. */
void frame_end(FILE *file, const struct report *report, const struct source *marks);
/* One curve's line, in each level, in the colour of @name and of the source. */
void draw_curve(FILE *file, const struct report *report, const struct source *source,
		const struct curve *curve, const char *name, double max);

/* ---- the figures ---- */
void draw_memory(FILE *file, const struct report *report);  /* draw_memory.c */
void draw_orders(FILE *file, const struct report *report);  /* draw_orders.c */
void draw_maps(FILE *file, const struct report *report);    /* draw_map.c */
void draw_spreads(FILE *file, const struct report *report); /* draw_spread.c: sizes and lifetimes */
void draw_latencies(FILE *file, const struct report *report); /* draw_latency.c */
void draw_marks(FILE *file, const struct report *report);     /* draw_tables.c */
void draw_holders(FILE *file, const struct report *report);
void draw_made(FILE *file, const struct report *report);

/* ---- the outputs ---- */
/* page.c: the page; report_json.c: the same for machines; perfetto.c: a time line in Perfetto's format. */
void report_write_page(FILE *file, const struct report *report);
void report_write_json(FILE *file, const struct report *report);
void report_write_perfetto(FILE *file, const struct report *report);

#endif
