/* SPDX-License-Identifier: MIT */
/* large_table.c - see large_table.h; samples are processes of their own, as in rows.c */
#include <regex.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness/cgroup.h"
#include "harness/host.h"
#include "vmap/large_table.h"

#define STOLEN_MAX 0.02
#define TRIES_MAX  3u

static const struct contender guarded = { .name = "guard:on" };

const struct large_contender large_contenders[LARGE_NR] = {
	[LARGE_QUIRE] = { .as = &contenders[CONTENDER_QUIRE],
			  .options = "guard:off",
			  .options_cache_off = "guard:off,cache:off" },
	[LARGE_GUARDED] = { .as = &guarded,
			    .options = "guard:on",
			    .options_cache_off = "guard:on,cache:off" },
	[LARGE_FLOOR] = { .as = &contenders[CONTENDER_FLOOR] },
	{ .as = &contenders[CONTENDER_PEERS] },
	{ .as = &contenders[CONTENDER_PEERS + 1] },
	{ .as = &contenders[CONTENDER_PEERS + 2] },
	{ .as = &contenders[CONTENDER_PEERS + 3] },
	{ .as = &contenders[CONTENDER_PEERS + 4] },
};

_Static_assert(LARGE_FLOOR + 1 + CONTENDERS_NR - CONTENDER_PEERS == LARGE_NR, "a peer is left out");

/* Fills all but the command; returns where that begins. */
static unsigned order_begin(unsigned who, struct child_order *order)
{
	const struct large_contender *contender = &large_contenders[who];
	unsigned at = contender_order(contender->as, order);

	if (contender->options) {
		order->argv[0] = "large";
		order->argv[at++] = contender->options;
	}
	return at;
}

void large_probe(bool *there)
{
	for (unsigned who = 0; who < LARGE_NR; who++)
		there[who] = contender_probe(large_contenders[who].as);
}

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

static void order_fill(const struct large_ask *ask, unsigned who, struct child_order *order)
{
	unsigned at = order_begin(who, order);

	if (!large_contenders[who].options)
		order->argv[at++] = "large";
	else if (ask->cache_off)
		order->argv[at - 1] = large_contenders[who].options_cache_off;
	for (unsigned i = 0; i < sizeof(ask->argv) / sizeof(ask->argv[0]) && ask->argv[i]; i++)
		order->argv[at++] = ask->argv[i];
}

/* Keeps the sample, or notes why not.  True if it is worth asking again. */
static bool sample_keep(const struct options *options, const struct large_ask *ask, unsigned who,
			unsigned rep, const char *reply, struct large_table *table)
{
	double *kept = table->values[who][rep], values[LARGE_VALUES];
	char *refused = table->refused[who];
	bool again = false;

	if (!values_parse(reply, ask->values_nr, values)) {
		snprintf(refused, sizeof(table->refused[who]), "%.95s",
			 strncmp(reply, "refused ", 8) == 0 ? reply + 8 : "the process died");
	} else if (values[ask->stolen_at] > STOLEN_MAX && !options->keep && !ask->keep) {
		snprintf(refused, sizeof(table->refused[who]),
			 "%.1f %% of the time was taken by others", 100 * values[ask->stolen_at]);
		again = true;
	} else {
		memcpy(kept, values, ask->values_nr * sizeof(values[0]));
		refused[0] = '\0';
	}
	report_csv(options, "large,%s %s,%s,%u,%s,%s\n", ask->argv[0], ask->argv[1],
		   large_contenders[who].as->name, rep, reply, refused[0] ? refused : "kept");
	return again;
}

static void measure_in_turn(const struct options *options, const struct large_ask *ask,
			    const bool *takes_part, unsigned rep, struct large_table *table)
{
	for (unsigned turn = 0; turn < LARGE_NR; turn++) {
		unsigned who = (turn + rep) % LARGE_NR;
		bool again = takes_part[who];

		for (unsigned i = 0; i < TRIES_MAX && again; i++) {
			struct child_order order;
			char reply[256] = "";

			order_fill(ask, who, &order);
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

static void measure_together(const struct options *options, const struct large_ask *ask,
			     const bool *takes_part, unsigned rep, struct large_table *table)
{
	static struct side sides[LARGE_NR];
	char lock[PATH_MAX];
	ssize_t lock_length = readlink("/proc/self/exe", lock, sizeof(lock) - 1);

	lock[lock_length > 0 ? lock_length : 0] = '\0';
	for (unsigned who = 0; who < LARGE_NR; who++) {
		struct side *side = &sides[who];
		struct child_order order;
		unsigned at = 0;

		side->started = false;
		if (!takes_part[who])
			continue;
		order_fill(ask, who, &order);
		while (order.argv[at])
			at++;
		side->has_group = cgroup_make(&side->group, who);
		table->has_group &= side->has_group;
		order.argv[at++] = lock;
		order.argv[at++] = side->has_group ? side->group.usage : "-";
		order.cgroup = side->has_group ? side->group.procs : NULL;
		side->started = child_start(&order, &side->child);
	}
	for (unsigned who = 0; who < LARGE_NR; who++) {
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

void large_measure(const struct options *options, const struct large_ask *ask, const bool *there,
		   struct large_table *table)
{
	bool takes_part[LARGE_NR];

	memset(table, 0, sizeof(*table));
	table->has_group = true;
	table->reps = ask->reps && ask->reps < options->reps ? ask->reps : options->reps;
	for (unsigned who = 0; who < LARGE_NR; who++) {
		takes_part[who] = there[who] && !(who == LARGE_FLOOR && ask->no_floor);
		for (unsigned rep = 0; rep < REPS_MAX; rep++)
			for (unsigned i = 0; i < LARGE_VALUES; i++)
				table->values[who][rep][i] = -1;
	}
	for (unsigned rep = 0; rep < table->reps; rep++) {
		if (ask->together)
			measure_together(options, ask, takes_part, rep, table);
		else
			measure_in_turn(options, ask, takes_part, rep, table);
		/* Who was refused something will be again; who lost time may have more luck. */
		for (unsigned who = 0; who < LARGE_NR; who++)
			takes_part[who] &= !table->refused[who][0] ||
					   strstr(table->refused[who], "by others") != NULL;
	}
	for (unsigned who = 1; who < LARGE_NR; who++)
		if (table->refused[who][0])
			fprintf(stderr, "quire-bench: %s %s: %s: %s\n", ask->argv[0], ask->argv[1],
				large_contenders[who].as->name, table->refused[who]);
}

bool large_chosen(const struct options *options, const char *name)
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

const char *large_size_text(size_t bytes, char *text, size_t text_bytes)
{
	size_t mib = (size_t)1 << 20;

	if (bytes >= mib)
		snprintf(text, text_bytes, "%zu MiB", bytes / mib);
	else
		snprintf(text, text_bytes, "%zu KiB", bytes / 1024);
	return text;
}
