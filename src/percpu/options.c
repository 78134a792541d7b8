/* SPDX-License-Identifier: MIT */
/* percpu/options.c - the options of per-CPU memory */
#include "instance/options.h"
#include "percpu/kind.h"
#include "percpu/percpu.h"

static const char *const placement_words[] = { "packed", "linux", NULL };
static const char *const rule_words[] = { "none", "apart", "gaps",   "slivers",
					  "time", "holes", "across", NULL };
static const uint32_t rule_numbers[] = {
	QUIRE_RULE_NONE, QUIRE_RULE_APART, QUIRE_RULE_GAPS,   QUIRE_RULE_SLIVERS,
	QUIRE_RULE_TIME, QUIRE_RULE_HOLES, QUIRE_RULE_ACROSS,
};

_Static_assert(QUIRE_PLACEMENT_LINUX == 2, "placement_words is in this order");

static const struct option_key keys[] = {
	{ .name = "units",
	  .kind = OPTION_NUMBER,
	  .offset = OPTION_FIELD(units),
	  .min = 1,
	  .max = OPTIONS_CPUS_MAX,
	  .takes = "1..8192",
	  .by_default = "all possible",
	  .does = "number of CPUs that have units of per-CPU memory" },
	{ .name = "depopulate",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(depopulate),
	  .words = option_switch_words,
	  .takes = "on or off",
	  .by_default = "on",
	  .does = "return emptied pages of per-CPU chunks" },
	{ .name = "placement",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(placement),
	  .words = placement_words,
	  .takes = "packed or linux",
	  .by_default = "packed",
	  .does = "placement of per-CPU objects: lets pages become empty, or first fit as in "
		  "Linux" },
	{ .name = "placement_without",
	  .kind = OPTION_WORD,
	  .offset = OPTION_FIELD(placement_without),
	  .words = rule_words,
	  .numbers = rule_numbers,
	  .takes = "none, apart, gaps, slivers, time, holes or across",
	  .by_default = "none",
	  .does = "a rule of packed placement to leave out, for comparison" },
};

static void used(const struct quire *q, struct options_used *used)
{
	const struct quire_options *given = &q->options;
	struct quire_options *options = &used->options;

	options->units = percpu_units(q);
	options->depopulate = option_switch(given->depopulate, QUIRE_ON);
	options->placement = given->placement != QUIRE_PLACEMENT_DEFAULT ? given->placement
									 : QUIRE_PLACEMENT_PACKED;
	options->placement_without = given->placement_without;
}

static const struct option_table table = {
	.keys = keys,
	.keys_nr = sizeof(keys) / sizeof(keys[0]),
	.used = used,
};

const struct module_kind percpu_kind = { .options = &table };
