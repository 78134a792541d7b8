/* SPDX-License-Identifier: MIT */
/*
 * rows.c - what does a pair cost, beside the peers and the floor?
 *
 * Method  Each sample is a process of its own (runner.h).  Subjects take turns, one sample each a
 *         round, beginning with another one each round; a row is its rounds' medians.  Ratios are
 *         the median of the rounds' ratios, for on a shared machine two samples of one round have
 *         more in common than two medians.
 * Read    ns per pair and thread.  `*`: the quartiles lie more than 15 % of the median apart.
 * Refused A sample is thrown away and taken again if it measured something else: an allocation
 *         was refused, a thread was missing or left its CPU, or more than 2 % of its time was
 *         taken away by others.
 * Not     Refaulting, giving memory back, fragmentation: one file each.
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness/bench.h"

#define STOLEN_MAX   0.02
#define TRIES_MAX    3u
#define SPREAD_LARGE 0.15

struct sample {
	bool taken;
	double ns;
	double cpu_ns;
	double stolen;
	unsigned long long switches_nr;
	unsigned long long pairs_nr;
	unsigned threads_nr;
	char refused[96]; /* empty, or why it does not count */
};

struct outcome {
	struct spread ns[CONTENDERS_NR];
	struct spread of_floor;
	struct spread of_peer;
	unsigned peer; /* the best, or CONTENDER_QUIRE if there is none */
	char refused[CONTENDERS_NR][96];
};

/* Did the sample measure what the row asks?  The reason, or an empty text. */
static void sample_reject(const struct options *options, const struct row *row,
			  struct sample *sample)
{
	if (sample->threads_nr != row->run.threads_nr)
		snprintf(sample->refused, sizeof(sample->refused), "%u threads ran",
			 sample->threads_nr);
	else if (sample->stolen > STOLEN_MAX && !options->keep)
		snprintf(sample->refused, sizeof(sample->refused),
			 "%.1f %% of the time was taken by others", 100 * sample->stolen);
}

static void sample_parse(const char *reply, struct sample *sample)
{
	int got = sscanf(reply, "ok %lf %lf %lf %llu %llu %u", &sample->ns, &sample->cpu_ns,
			 &sample->stolen, &sample->switches_nr, &sample->pairs_nr,
			 &sample->threads_nr);

	sample->taken = got == 6;
	if (!sample->taken)
		snprintf(sample->refused, sizeof(sample->refused), "%.95s",
			 strncmp(reply, "refused ", 8) == 0 ? reply + 8 : "the process died");
}

static struct sample sample_once(const struct options *options, const struct row *row,
				 const struct contender *contender)
{
	struct sample sample = { .taken = false };
	struct child_order order;
	unsigned at = contender_order(contender, &order);
	char number[4][16], reply[256] = "";

	snprintf(number[0], sizeof(number[0]), "%u", row->run.order);
	snprintf(number[1], sizeof(number[1]), "%u", row->run.threads_nr);
	snprintf(number[2], sizeof(number[2]), "%u", row->run.touch);
	snprintf(number[3], sizeof(number[3]), "%u", options->measure_ms);
	order.argv[at++] = "run";
	order.argv[at++] = pattern_names[row->run.pattern];
	for (unsigned i = 0; i < 4; i++)
		order.argv[at++] = number[i];
	if (!child_run(&order, reply, sizeof(reply)))
		reply[0] = '\0';
	sample_parse(reply, &sample);
	if (sample.taken)
		sample_reject(options, row, &sample);
	return sample;
}

static void sample_csv(const struct options *options, const struct row *row, unsigned who,
		       unsigned rep, const struct sample *sample)
{
	char name[64];

	row_name(row, name, sizeof(name));
	report_csv(options, "sample,%s,%s,%u,%.4f,%.4f,%.5f,%llu,%llu,%s\n", name,
		   contenders[who].name, rep, sample->ns, sample->cpu_ns, sample->stolen,
		   sample->switches_nr, sample->pairs_nr,
		   sample->refused[0] ? sample->refused : "kept");
}

/* One sample that counts, or the last refused one. */
static struct sample sample_take(const struct options *options, const struct row *row, unsigned who,
				 unsigned rep)
{
	struct sample sample = { .taken = false };

	for (unsigned i = 0; i < TRIES_MAX; i++) {
		sample = sample_once(options, row, &contenders[who]);
		sample_csv(options, row, who, rep, &sample);
		if (!sample.refused[0] || !sample.taken)
			break;
	}
	return sample;
}

/* Median of the ratios of Quire's samples to another's, round by round. */
static struct spread ratio_of(double ns[CONTENDERS_NR][REPS_MAX], unsigned reps, unsigned other)
{
	double ratios[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < reps; rep++)
		if (ns[CONTENDER_QUIRE][rep] > 0 && ns[other][rep] > 0)
			ratios[nr++] = ns[CONTENDER_QUIRE][rep] / ns[other][rep];
	return spread_of(ratios, nr);
}

static struct spread ns_of(const double *ns, unsigned reps)
{
	double kept[REPS_MAX];
	unsigned nr = 0;

	for (unsigned rep = 0; rep < reps; rep++)
		if (ns[rep] > 0)
			kept[nr++] = ns[rep];
	return spread_of(kept, nr);
}

static unsigned best_peer(const struct outcome *outcome)
{
	unsigned best = CONTENDER_QUIRE;

	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		if (contenders[who].is_peer && outcome->ns[who].nr > 0 &&
		    (best == CONTENDER_QUIRE || outcome->ns[who].median < outcome->ns[best].median))
			best = who;
	return best;
}

static void row_measure(const struct options *options, const struct row *row, const bool *there,
			struct outcome *outcome)
{
	static double ns[CONTENDERS_NR][REPS_MAX]; /* 0: no sample that counts */
	bool gone[CONTENDERS_NR] = { false }; /* it ran but measured nothing: not asked again */

	memset(ns, 0, sizeof(ns));
	memset(outcome, 0, sizeof(*outcome));
	for (unsigned rep = 0; rep < options->reps; rep++) {
		for (unsigned turn = 0; turn < CONTENDERS_NR; turn++) {
			unsigned who = (turn + rep) % CONTENDERS_NR;
			struct sample sample;

			if (!there[who] || gone[who] ||
			    (who == CONTENDER_FLOOR && row->run.order > 0))
				continue;
			sample = sample_take(options, row, who, rep);
			gone[who] = !sample.taken;
			if (sample.refused[0])
				memcpy(outcome->refused[who], sample.refused,
				       sizeof(outcome->refused[who]));
			else
				ns[who][rep] = sample.ns;
		}
	}
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		outcome->ns[who] = ns_of(ns[who], options->reps);
	outcome->peer = best_peer(outcome);
	outcome->of_floor = ratio_of(ns, options->reps, CONTENDER_FLOOR);
	if (outcome->peer != CONTENDER_QUIRE)
		outcome->of_peer = ratio_of(ns, options->reps, outcome->peer);
}

static void cell_print(const struct spread *spread)
{
	char number[32];

	if (spread->nr == 0)
		printf(" - |");
	else
		printf(" %s%s |", report_number(spread->median, number, sizeof(number)),
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
static bool limit_holds(const struct spread *value, double limit, const char *unit, char *text,
			size_t bytes)
{
	size_t used = strlen(text);
	char number[32];

	if (limit <= 0 || (value->nr > 0 && value->median <= limit))
		return true;
	if (value->nr == 0)
		snprintf(text + used, bytes - used, "%sno %s", used ? ", " : "", unit);
	else
		snprintf(text + used, bytes - used, "%s%s > %g %s", used ? ", " : "",
			 report_number(value->median, number, sizeof(number)), limit, unit);
	return false;
}

static void verdict_print(const struct options *options, const struct row *row,
			  const struct outcome *outcome)
{
	char text[160] = "", name[64];
	bool met = outcome->ns[CONTENDER_QUIRE].nr > 0;

	met &= limit_holds(&outcome->ns[CONTENDER_QUIRE], row->ns_max, "ns", text, sizeof(text));
	met &= limit_holds(&outcome->of_floor, row->floor_max, "of floor", text, sizeof(text));
	met &= limit_holds(&outcome->of_peer, row->peer_max, "of best peer", text, sizeof(text));
	if (outcome->ns[CONTENDER_QUIRE].nr == 0)
		snprintf(text, sizeof(text), "refused: %s", outcome->refused[CONTENDER_QUIRE]);
	printf(" %s | %s%s |\n", row->wanted, met ? "met" : "missed: ", met ? "" : text);
	report_tally(met);
	row_name(row, name, sizeof(name));
	report_csv(options, "verdict,%s,quire,,%.4f,%.4f,%.4f,%s,,%s\n", name,
		   outcome->ns[CONTENDER_QUIRE].median, outcome->of_floor.median,
		   outcome->of_peer.median, contenders[outcome->peer].name, met ? "met" : text);
}

static void row_print(const struct options *options, const struct row *row,
		      const struct outcome *outcome)
{
	printf("| %s, %u thread%s |", row->what, row->run.threads_nr,
	       row->run.threads_nr == 1 ? "" : "s");
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		cell_print(&outcome->ns[who]);
	ratio_print(&outcome->of_floor);
	ratio_print(&outcome->of_peer);
	verdict_print(options, row, outcome);
	fflush(stdout);
	for (unsigned who = 1; who < CONTENDERS_NR; who++)
		if (outcome->ns[who].nr == 0 && outcome->refused[who][0])
			fprintf(stderr, "quire-bench: %s: %s\n", contenders[who].name,
				outcome->refused[who]);
}

static void table_head(void)
{
	printf("\n| ns a pair |");
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		printf(" %s |", contenders[who].name);
	printf(" of floor | of best peer | wanted | verdict |\n|---|");
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		printf("---|");
	printf("---|---|---|---|\n");
}

void bench_rows(const struct options *options)
{
	bool there[CONTENDERS_NR];
	regex_t chosen;
	struct outcome outcome;

	if (options->rows && regcomp(&chosen, options->rows, REG_EXTENDED | REG_NOSUB) != 0) {
		fprintf(stderr, "quire-bench: --rows: not a regular expression\n");
		exit(2);
	}
	contenders_probe(there);
	report_csv(options, "kind,row,subject,rep,ns,cpu_ns,stolen,switches,pairs,note\n");
	table_head();
	for (unsigned i = 0; i < rows_nr; i++) {
		char name[64];

		row_name(&rows[i], name, sizeof(name));
		if (options->rows && regexec(&chosen, name, 0, NULL, 0) != 0)
			continue;
		if (isatty(STDERR_FILENO))
			fprintf(stderr, "\r%-40s\r", name);
		row_measure(options, &rows[i], there, &outcome);
		row_print(options, &rows[i], &outcome);
	}
	if (options->rows)
		regfree(&chosen);
}
