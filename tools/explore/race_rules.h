/* SPDX-License-Identifier: MIT */
/* race_rules.h - the races of docs/races.md, as scripts/race-rules makes a table of them */
#ifndef QUIRE_EXPLORE_RACE_RULES_H
#define QUIRE_EXPLORE_RACE_RULES_H

/* A race of docs/races.md.  The last one has no label. */
struct race_rule {
	const char *label; /* "R12" */
	const char *title;
	const char *anchor; /* of its paragraph */
	const char *rule;
	const char *scenarios, *mutants; /* " NAME NAME " */
};

extern const struct race_rule race_rules[];

#endif
