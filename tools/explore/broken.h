/* SPDX-License-Identifier: MIT */
/* broken.h - what a finding has broken, in words */
#ifndef QUIRE_EXPLORE_BROKEN_H
#define QUIRE_EXPLORE_BROKEN_H

#include "machine/sim/explore.h"
#include "race_rules.h"

/* The race that a scenario is about, that of the mutant if one is explored (@option is what changed the core, "--mutant
 * NAME" or "--patch FILE", or NULL); NULL: none. */
const struct race_rule *broken_race(const char *scenario, const char *option);
/* What the detector of a failure's rule found, in a sentence; NULL: the failure's text says it. */
const char *broken_meaning(const struct failure *failure);
/* The invariant whose label a failed check names: "B5"; NULL: none. */
const char *broken_invariant(const struct failure *failure, char label[8]);

#endif
