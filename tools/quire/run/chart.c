/* SPDX-License-Identifier: MIT */
/* chart.c - memory over time in plain text: "o", "#" and so on, and "*" where several are */
#include <string.h>

#include "run/history.h"

#define ROWS	  16
#define COLUMNS	  68 /* with 11 for the scale and a margin: 79 */
#define STEPS_MAX 5
#define MIB	  ((double)(1u << 20))

static const char marks[HISTORIES_MAX] = { 'o', '#', '+', 'x', '~', '=' };

struct chart {
	double seconds_max, mib_max, mib_step;
	char cell[ROWS][COLUMNS + 1];
};

static int row_of(const struct chart *chart, uint64_t bytes)
{
	double share = (double)bytes / MIB / chart->mib_max;
	int row = ROWS - 1 - (int)(share * (ROWS - 1) + 0.5);

	return row < 0 ? 0 : row;
}

static void put(struct chart *chart, int row, int column, char mark)
{
	char *cell = &chart->cell[row][column];

	*cell = *cell == ' ' || *cell == mark ? mark : '*';
}

/* A mark in each column to the program's end, and in the rows between it and the one before. */
static void draw(struct chart *chart, const struct history *history, char mark)
{
	int before = -1;
	size_t at = 0;

	for (int column = 0; column < COLUMNS && history->nr > 0; column++) {
		double seconds = chart->seconds_max * (column + 0.5) / COLUMNS;
		int row;

		if (seconds - chart->seconds_max / COLUMNS > history->seconds)
			return;
		while (at + 1 < history->nr && (double)history->points[at + 1].ns / 1e9 <= seconds)
			at++;
		row = row_of(chart, history->points[at].bytes);
		put(chart, row, column, mark);
		for (int between = before; before >= 0 && between != row;
		     between += row > before ? 1 : -1)
			if (between != before)
				put(chart, between, column, mark);
		before = row;
	}
}

static void scale(struct chart *chart, const struct history *histories, unsigned nr)
{
	double peak = 1;

	for (unsigned i = 0; i < nr; i++) {
		if ((double)histories[i].peak_bytes / MIB > peak)
			peak = (double)histories[i].peak_bytes / MIB;
		if (histories[i].seconds > chart->seconds_max)
			chart->seconds_max = histories[i].seconds;
	}
	chart->mib_step = axis_step(peak, STEPS_MAX);
	chart->mib_max = peak;
}

/* The step of the scale whose row this is, or -1. */
static double step_at(const struct chart *chart, int row)
{
	for (unsigned i = 0; i <= STEPS_MAX; i++) {
		double mib = i * chart->mib_step;

		if (mib <= chart->mib_max && row_of(chart, (uint64_t)(mib * MIB)) == row)
			return mib;
	}
	return -1;
}

static void print_rows(FILE *file, const struct chart *chart)
{
	for (int row = 0; row < ROWS; row++) {
		double mib = step_at(chart, row);
		int end = COLUMNS;

		while (end > 0 && chart->cell[row][end - 1] == ' ')
			end--;
		if (mib >= 0)
			fprintf(file, "%5.0f MiB |%.*s\n", mib, end, chart->cell[row]);
		else
			fprintf(file, "          |%.*s\n", end, chart->cell[row]);
	}
}

static void print_seconds(FILE *file, const struct chart *chart)
{
	char line[COLUMNS + 16];
	double step = axis_step(chart->seconds_max, 8);

	memset(line, ' ', sizeof(line));
	for (unsigned i = 0; i * step <= chart->seconds_max; i++) {
		char text[16];
		int column = (int)(i * step / chart->seconds_max * (COLUMNS - 1));
		int bytes = snprintf(text, sizeof(text), "%g s", i * step);

		if (column + bytes < (int)sizeof(line))
			memcpy(line + column, text, (size_t)bytes);
	}
	line[COLUMNS] = '\0';
	fprintf(file, "           ");
	for (int column = 0; column < COLUMNS; column++)
		fputc('-', file);
	for (int end = COLUMNS; end > 0 && line[end - 1] == ' '; end--)
		line[end - 1] = '\0';
	fprintf(file, "\n           %s\n", line);
}

/* Which mark is whose: in two lines if they do not fit into one. */
static void print_marks(FILE *file, const struct history *histories, unsigned nr)
{
	int columns = fprintf(file, "          ");

	for (unsigned i = 0; i < nr && i < HISTORIES_MAX; i++) {
		int more = (int)strlen(histories[i].name) + 5;
		bool fits = columns + more <= COLUMNS;

		columns = (fits ? columns : 10) + more;
		fprintf(file, "%s%c %s", fits ? (i == 0 ? " " : "   ") : "\n           ", marks[i],
			histories[i].name);
	}
	fprintf(file, "   * %s\n", nr > 2 ? "several" : "both");
}

void chart_print(FILE *file, const struct history *histories, unsigned nr)
{
	struct chart chart = { .seconds_max = 1e-3 };

	for (int row = 0; row < ROWS; row++)
		memset(chart.cell[row], ' ', COLUMNS);
	scale(&chart, histories, nr);
	for (unsigned i = 0; i < nr && i < HISTORIES_MAX; i++)
		draw(&chart, &histories[i], marks[i]);
	print_rows(file, &chart);
	print_seconds(file, &chart);
	print_marks(file, histories, nr);
}
