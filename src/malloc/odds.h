/* SPDX-License-Identifier: MIT */
/*
 * malloc/odds.h - the odds of a sample by bytes, whose mean distance is 2^shift: odds.c
 *
 * Each byte is hit with the same probability, whatever came before: so how far it is to the next hit does not depend on
 * where one begins to look, and a count that was lost or undone changes no block's odds.
 */
#ifndef MALLOC_ODDS_H
#define MALLOC_ODDS_H

#include <stdint.h>

/* 16 KiB: a block that is sampled takes a page, so at most a quarter more.  64 MiB: a countdown of 32 bits has 64 times that. */
#define ODDS_SHIFT_MIN 14u
#define ODDS_SHIFT_MAX 26u

/* Bytes to the next hit, that one included: the next whole number from -2^shift ln(u) on, where u is @random as a number from
 * 0 to 1.  UINT64_MAX -> 1. */
uint32_t odds_distance(uint64_t random, unsigned shift);
/* Blocks of @bytes that one stands for that was hit: 1 / (1 - e^-((bytes + 1) / 2^shift)), since a block counts a byte more than
 * it has.  524287, 19 -> 1.58; SIZE_MAX, 19 -> 1. */
double odds_weight(uint64_t bytes, unsigned shift);

#endif
