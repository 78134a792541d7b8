/* SPDX-License-Identifier: MIT */
/*
 * mutant.h - rules broken on purpose, so that the checkers can be checked
 *
 * `if (MUTANT(name))` guards at most three lines that break one rule.  It is the constant 0 but in
 * the simulator's build, where `quire explore --mutant NAME` switches one on.  All names are in
 * machine/sim/mutants.def.
 */
#ifndef BASE_MUTANT_H
#define BASE_MUTANT_H

#ifdef QUIRE_SIM

enum mutant {
	MUTANT_NONE,
#define MUTANT_DEF(name, scenario, broken) MUTANT_##name,
#include "mutants.def"
#undef MUTANT_DEF
	MUTANTS_END,
};

extern enum mutant sim_mutant;
#define MUTANT(name) (sim_mutant == MUTANT_##name)

#else

#define MUTANT(name) 0

#endif
#endif
