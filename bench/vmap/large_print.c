/* SPDX-License-Identifier: MIT */
/* large_print.c - a line of a table of large_table.h: the values, their ratios, the verdict */
#include <string.h>
#include "vmap/large_table.h"

#define SPREAD_LARGE 0.15

struct spread large_spread(const struct large_table *table, unsigned who, unsigned value)
{
	double kept[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < table->reps; rep++)
		if (table->values[who][rep][value] >= 0)
			kept[nr++] = table->values[who][rep][value];
	return spread_of(kept, nr);
}

/* Of Quire's values and another's, round by round: the difference, or the ratio. */
static struct spread pairwise(const struct large_table *table, unsigned other, unsigned value,
			      bool ratio)
{
	double kept[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < table->reps; rep++) {
		double ours = table->values[LARGE_QUIRE][rep][value];
		double theirs = table->values[other][rep][value];

		if (ours < 0 || theirs < 0 || (ratio && theirs <= 0))
			continue;
		kept[nr++] = ratio ? ours / theirs : ours - theirs;
	}
	return spread_of(kept, nr);
}

static unsigned best_peer(const struct large_table *table, unsigned value)
{
	unsigned best = LARGE_QUIRE;
	double median = 0;

	for (unsigned who = 0; who < LARGE_NR; who++) {
		struct spread spread = large_spread(table, who, value);

		if (!large_contenders[who].as->is_peer || spread.nr == 0 ||
		    (best != LARGE_QUIRE && spread.median >= median))
			continue;
		best = who;
		median = spread.median;
	}
	return best;
}

static void cell_print(const struct spread *spread, double scale)
{
	char number[32];

	if (spread->nr == 0)
		printf(" - |");
	else
		printf(" %s%s |", report_number(spread->median * scale, number, sizeof(number)),
		       spread_relative(spread) > SPREAD_LARGE ? "*" : "");
}

/* One comparison of a verdict; adds its words to @text if it is missed. */
static bool holds(bool measured, double value, double max, const char *unit, char *text,
		  size_t bytes)
{
	size_t used = strlen(text);
	char number[32];

	if (max <= 0 || (measured && value <= max))
		return true;
	if (!measured)
		snprintf(text + used, bytes - used, "%sno %s", used ? ", " : "", unit);
	else
		snprintf(text + used, bytes - used, "%s%s > %g %s", used ? ", " : "",
			 report_number(value, number, sizeof(number)), max, unit);
	return false;
}

struct judged {
	struct spread own;
	struct spread net;
	struct spread of_peer;
	unsigned peer;
};

static void verdict_print(const struct options *options, const struct large_line *line,
			  const struct large_table *table, const struct judged *judged)
{
	double scale = line->scale > 0 ? line->scale : 1;
	double net = judged->net.median;
	double flat = line->flat_base > 0 ? net / line->flat_base : 0;
	bool asked = line->max > 0 || line->net_max > 0 || line->peer_max > 0 || line->flat_max > 0;
	char text[160] = "";
	bool met;

	holds(judged->own.nr > 0, judged->own.median * scale, line->max, "", text, sizeof(text));
	holds(judged->net.nr > 0, net, line->net_max, "net", text, sizeof(text));
	holds(judged->of_peer.nr > 0, judged->of_peer.median, line->peer_max, "of best peer", text,
	      sizeof(text));
	holds(line->flat_base > 0, flat, line->flat_max, "of one thread's", text, sizeof(text));
	if (judged->own.nr == 0)
		snprintf(text, sizeof(text), "refused: %s", table->refused[LARGE_QUIRE]);
	if (line->note)
		snprintf(text, sizeof(text), "refused: %s", line->note);
	met = text[0] == '\0';
	printf(" %s | %s%s |\n", line->wanted ? line->wanted : "-",
	       !met && (judged->own.nr == 0 || line->note) ? ""
	       : !asked					   ? "-"
	       : met					   ? "met"
							   : "missed: ",
	       text);
	if (asked)
		report_tally(met);
	report_csv(options, "verdict,%s,quire,,%.4f,%.4f,%.4f,%s,,%s\n", line->name,
		   judged->own.median * scale, net, judged->of_peer.median,
		   large_contenders[judged->peer].as->name,
		   !asked ? "-"
		   : met  ? "met"
			  : text);
}

double large_print(const struct options *options, const struct large_line *line,
		   const struct large_table *table)
{
	double scale = line->scale > 0 ? line->scale : 1;
	struct judged judged = { .peer = best_peer(table, line->value) };

	judged.own = large_spread(table, LARGE_QUIRE, line->value);
	judged.net = pairwise(table, LARGE_FLOOR, line->value, false);
	if (judged.peer != LARGE_QUIRE)
		judged.of_peer = pairwise(table, judged.peer, line->value, true);
	printf("| %s |", line->what);
	for (unsigned who = 0; who < LARGE_NR; who++) {
		struct spread spread = large_spread(table, who, line->value);

		cell_print(&spread, scale);
	}
	cell_print(line->net_max > 0 ? &judged.net : &(struct spread){ .nr = 0 }, scale);
	if (judged.of_peer.nr == 0)
		printf(" - |");
	else
		printf(" %.2f |", judged.of_peer.median);
	verdict_print(options, line, table, &judged);
	fflush(stdout);
	return judged.net.nr > 0 ? judged.net.median : 0;
}

void large_head(const char *title)
{
	printf("\n| %s |", title);
	for (unsigned who = 0; who < LARGE_NR; who++)
		printf(" %s |", large_contenders[who].as->name);
	printf(" net of floor | of best peer | wanted | verdict |\n|---|");
	for (unsigned who = 0; who < LARGE_NR; who++)
		printf("---|");
	printf("---|---|---|---|\n");
}
