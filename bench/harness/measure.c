/* SPDX-License-Identifier: MIT */
/* measure.c - see measure.h */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness/cgroup.h"
#include "harness/host.h"
#include "harness/measure.h"

#define STOLEN_MAX 0.02
#define TRIES_MAX  3u
/* The share of the written memory by which a peak must exceed the beginning. */
#define PEAK_SHARE 0.97

/* The numbers after "ok"; true if there are @nr. */
static bool values_parse(const char *reply, unsigned nr, double *values)
{
	const char *at = reply + 2;

	if (strncmp(reply, "ok ", 3) != 0)
		return false;
	for (unsigned i = 0; i < nr; i++) {
		char *end;

		values[i] = strtod(at, &end);
		if (end == at)
			return false;
		at = end;
	}
	return true;
}

/* Fills in the order for a sample; @quire_options is storage.  Returns the place of further
 * arguments. */
static unsigned order_fill(const struct ask *ask, unsigned who, char *quire_options, size_t bytes,
			   struct child_order *order)
{
	unsigned at = contender_order(&contenders[who], order);

	if (contenders[who].options && ask->options) {
		snprintf(quire_options, bytes, "%s,%s", contenders[who].options, ask->options);
		order->argv[at - 1] = quire_options;
	}
	for (unsigned i = 0; i < sizeof(ask->argv) / sizeof(ask->argv[0]) && ask->argv[i]; i++)
		order->argv[at++] = ask->argv[i];
	if (ask->launches) {
		order->argv[at++] = order->preload ? order->preload : "-";
		order->preload = NULL;
		order->argv[1] = "-"; /* free() need not be the library's here */
	}
	return at;
}

/* Keeps the sample, or notes why not.  True if it is worth repeating. */
static bool sample_keep(const struct options *options, const struct ask *ask, unsigned who,
			unsigned rep, const char *reply, struct table *table)
{
	double *kept = table->values[who][rep], values[VALUES_NR];
	char *refused = table->refused[who];
	bool again = false;

	if (!values_parse(reply, ask->values_nr, values)) {
		snprintf(refused, sizeof(table->refused[who]), "%.95s",
			 strncmp(reply, "refused ", 8) == 0 ? reply + 8 : "the process died");
	} else if (ask->has_stolen && values[0] > STOLEN_MAX && !options->keep) {
		snprintf(refused, sizeof(table->refused[who]),
			 "%.1f %% of the time was taken by others", 100 * values[0]);
		again = true;
	} else {
		memcpy(kept, values, ask->values_nr * sizeof(values[0]));
		refused[0] = '\0';
	}
	report_csv(options, "sample,");
	for (unsigned i = 0; i < sizeof(ask->argv) / sizeof(ask->argv[0]) && ask->argv[i]; i++)
		report_csv(options, "%s%s", i == 0 ? "" : " ", ask->argv[i]);
	report_csv(options, ",%s,%u,%s,%s\n", contenders[who].name, rep, reply,
		   refused[0] ? refused : "kept");
	return again;
}

static void measure_in_turn(const struct options *options, const struct ask *ask,
			    const bool *takes_part, unsigned rep, struct table *table)
{
	for (unsigned turn = 0; turn < CONTENDERS_NR; turn++) {
		unsigned who = (turn + rep) % CONTENDERS_NR;
		bool again = takes_part[who];

		for (unsigned i = 0; i < TRIES_MAX && again; i++) {
			struct child_order order;
			char reply[256] = "", quire_options[64];

			order_fill(ask, who, quire_options, sizeof(quire_options), &order);
			host_touch(ask->memory_bytes);
			if (!child_run(&order, reply, sizeof(reply)))
				reply[0] = '\0';
			again = sample_keep(options, ask, who, rep, reply, table);
		}
	}
}

struct side {
	bool started;
	bool has_group;
	struct cgroup group;
	struct child child;
};

static void measure_together(const struct options *options, const struct ask *ask,
			     const bool *takes_part, unsigned rep, struct table *table)
{
	static struct side sides[CONTENDERS_NR];
	char lock[PATH_MAX];
	ssize_t lock_length = readlink("/proc/self/exe", lock, sizeof(lock) - 1);

	lock[lock_length > 0 ? lock_length : 0] = '\0';
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		struct side *side = &sides[who];
		struct child_order order;
		char quire_options[64];
		unsigned at;

		side->started = false;
		if (!takes_part[who])
			continue;
		at = order_fill(ask, who, quire_options, sizeof(quire_options), &order);
		side->has_group = cgroup_make(&side->group, who);
		table->has_group &= side->has_group;
		order.argv[at++] = lock;
		order.argv[at++] = side->has_group ? side->group.usage : "-";
		order.cgroup = side->has_group ? side->group.procs : NULL;
		side->started = child_start(&order, &side->child);
	}
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		struct side *side = &sides[who];
		char reply[256] = "";

		if (!side->started)
			continue;
		if (!child_finish(&side->child, reply, sizeof(reply)))
			reply[0] = '\0';
		if (side->has_group)
			cgroup_remove(&side->group);
		sample_keep(options, ask, who, rep, reply, table);
	}
}

void measure(const struct options *options, const struct ask *ask, const bool *there,
	     struct table *table)
{
	bool takes_part[CONTENDERS_NR];

	memset(table, 0, sizeof(*table));
	table->has_group = true;
	table->reps = ask->reps && ask->reps < options->reps ? ask->reps : options->reps;
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		takes_part[who] = there[who] && !(ask->left_out & BIT(who));
		for (unsigned rep = 0; rep < REPS_MAX; rep++)
			for (unsigned i = 0; i < VALUES_NR; i++)
				table->values[who][rep][i] = -1;
	}
	if (!there[CONTENDER_QUIRE])
		snprintf(table->refused[CONTENDER_QUIRE], sizeof(table->refused[0]),
			 "it is not there");
	for (unsigned rep = 0; rep < table->reps; rep++) {
		if (ask->together)
			measure_together(options, ask, takes_part, rep, table);
		else
			measure_in_turn(options, ask, takes_part, rep, table);
		/* A contender that lost time to other processes may succeed in the next round; any
		 * other refusal would be repeated. */
		for (unsigned who = 0; who < CONTENDERS_NR; who++)
			takes_part[who] &= !table->refused[who][0] ||
					   strstr(table->refused[who], "by others") != NULL;
	}
	for (unsigned who = 1; who < CONTENDERS_NR; who++)
		if (table->refused[who][0])
			fprintf(stderr, "quire-bench: %s %s: %s: %s\n", ask->argv[0], ask->argv[1],
				contenders[who].name, table->refused[who]);
}

void peak_reject(struct table *table, unsigned begin, unsigned peak, double kib)
{
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		for (unsigned rep = 0; rep < table->reps; rep++) {
			double *values = table->values[who][rep];

			if (values[begin] < 0 || values[peak] - values[begin] >= kib * PEAK_SHARE)
				continue;
			for (unsigned i = 0; i < VALUES_NR; i++)
				values[i] = -1;
			snprintf(table->refused[who], sizeof(table->refused[who]),
				 "the peak was not what was written");
			if (who != CONTENDER_QUIRE)
				fprintf(stderr, "quire-bench: %s: %s\n", contenders[who].name,
					table->refused[who]);
		}
}

bool row_chosen(const struct options *options, const char *name)
{
	regex_t chosen;
	bool matches;

	if (!options->rows)
		return true;
	if (regcomp(&chosen, options->rows, REG_EXTENDED | REG_NOSUB) != 0) {
		fprintf(stderr, "quire-bench: --rows: not a regular expression\n");
		exit(2);
	}
	matches = regexec(&chosen, name, 0, NULL, 0) == 0;
	regfree(&chosen);
	return matches;
}

const char *size_text(size_t bytes, char *text, size_t text_bytes)
{
	size_t mib = (size_t)1 << 20;

	if (bytes >= mib)
		snprintf(text, text_bytes, "%zu MiB", bytes / mib);
	else
		snprintf(text, text_bytes, "%zu KiB", bytes / 1024);
	return text;
}
