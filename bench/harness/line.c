/* SPDX-License-Identifier: MIT */
/* line.c - one line of a table (measure.h): values, ratios, verdict */
#include <string.h>
#include "harness/measure.h"

#define SPREAD_LARGE 0.15

/* The columns of the table that was begun last. */
static unsigned columns_left_out;
static enum floor_column column_floor;

struct spread table_spread(const struct table *table, unsigned who, unsigned value)
{
	double kept[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < table->reps; rep++)
		if (table->values[who][rep][value] >= 0)
			kept[nr++] = table->values[who][rep][value];
	return spread_of(kept, nr);
}

/* The spread of the ratios of Quire's values and another's by round, each less the floor's. */
static struct spread ratios_net(const struct table *table, unsigned other, unsigned value)
{
	double kept[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < table->reps; rep++) {
		double floor = table->values[CONTENDER_FLOOR][rep][value];
		double ours = table->values[CONTENDER_QUIRE][rep][value];
		double theirs = table->values[other][rep][value];

		if (floor < 0 || ours < 0 || theirs <= floor)
			continue;
		kept[nr++] = (ours - floor) / (theirs - floor);
	}
	return spread_of(kept, nr);
}

/* The spread of the differences, or of the ratios, of Quire's values and another's by round. */
static struct spread pairwise(const struct table *table, unsigned other, unsigned value, bool ratio)
{
	double kept[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < table->reps; rep++) {
		double ours = table->values[CONTENDER_QUIRE][rep][value];
		double theirs = table->values[other][rep][value];

		if (ours < 0 || theirs < 0 || (ratio && theirs <= 0))
			continue;
		kept[nr++] = ratio ? ours / theirs : ours - theirs;
	}
	return spread_of(kept, nr);
}

static unsigned best_peer(const struct table *table, unsigned value)
{
	unsigned best = CONTENDER_QUIRE;
	double median = 0;

	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		struct spread spread = table_spread(table, who, value);

		if (!contenders[who].is_peer || spread.nr == 0 ||
		    (best != CONTENDER_QUIRE && spread.median >= median))
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

static void ratio_print(const struct spread *ratio)
{
	if (ratio->nr == 0)
		printf(" - |");
	else
		printf(" %.2f |", ratio->median);
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
	struct spread of_floor;
	struct spread of_peer;
	unsigned peer;
};

static void verdict_print(const struct options *options, const struct line *line,
			  const struct table *table, const struct judged *judged)
{
	double scale = line->scale > 0 ? line->scale : 1;
	double net = judged->net.median;
	double flat = line->flat_base > 0 ? net / line->flat_base : 0;
	bool asked = line->max > 0 || line->net_max > 0 || line->floor_max > 0 ||
		     line->peer_max > 0 || line->flat_max > 0;
	char text[160] = "";
	bool met;

	holds(judged->own.nr > 0, judged->own.median * scale, line->max,
	      line->unit ? line->unit : "", text, sizeof(text));
	holds(judged->net.nr > 0, net, line->net_max, "net", text, sizeof(text));
	holds(judged->of_floor.nr > 0, judged->of_floor.median, line->floor_max, "of floor", text,
	      sizeof(text));
	holds(judged->of_peer.nr > 0, judged->of_peer.median, line->peer_max, "of best peer", text,
	      sizeof(text));
	holds(line->flat_base > 0, flat, line->flat_max, "of one thread's", text, sizeof(text));
	if (judged->own.nr == 0)
		snprintf(text, sizeof(text), "refused: %s", table->refused[CONTENDER_QUIRE]);
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
	report_csv(options, "verdict,%s,quire,,%.4f %.4f %.4f %.4f %s,%s\n", line->name,
		   judged->own.median * scale, net, judged->of_floor.median, judged->of_peer.median,
		   contenders[judged->peer].name,
		   !asked ? "-"
		   : met  ? "met"
			  : text);
}

double line_print(const struct options *options, const struct line *line, const struct table *table)
{
	double scale = line->scale > 0 ? line->scale : 1;
	struct judged judged = { .peer = best_peer(table, line->value) };

	judged.own = table_spread(table, CONTENDER_QUIRE, line->value);
	judged.net = pairwise(table, CONTENDER_FLOOR, line->value, false);
	judged.of_floor = pairwise(table, CONTENDER_FLOOR, line->value, true);
	if (judged.peer != CONTENDER_QUIRE)
		judged.of_peer = line->is_net ? ratios_net(table, judged.peer, line->value)
					      : pairwise(table, judged.peer, line->value, true);
	printf("| %s |", line->what);
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		struct spread spread = table_spread(table, who, line->value);

		if (!(columns_left_out & BIT(who)))
			cell_print(&spread, scale);
	}
	if (column_floor == FLOOR_NET)
		cell_print(line->net_max > 0 ? &judged.net : &(struct spread){ .nr = 0 }, scale);
	else if (column_floor == FLOOR_RATIO)
		ratio_print(&judged.of_floor);
	ratio_print(&judged.of_peer);
	verdict_print(options, line, table, &judged);
	fflush(stdout);
	return judged.net.nr > 0 ? judged.net.median : 0;
}

void table_head(const char *title, unsigned left_out, enum floor_column floor)
{
	static const char *const words[] = {
		[FLOOR_NONE] = "",
		[FLOOR_NET] = " net of floor |",
		[FLOOR_RATIO] = " of floor |",
	};

	columns_left_out = left_out;
	column_floor = floor;
	printf("\n| %s |", title);
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		if (!(left_out & BIT(who)))
			printf(" %s |", contenders[who].name);
	printf("%s of best peer | wanted | verdict |\n|---|", words[floor]);
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		if (!(left_out & BIT(who)))
			printf("---|");
	printf("%s---|---|---|\n", floor == FLOOR_NONE ? "" : "---|");
}
