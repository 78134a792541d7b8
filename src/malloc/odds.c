/* SPDX-License-Identifier: MIT */
/* malloc/odds.c - the odds of a sample by bytes, without a library of mathematics */
#include "malloc/odds.h"

#define LN_2 0.69314718055994530942

/* ln(x) of x in [1, 2): 2 atanh(z) with z = (x - 1) / (x + 1), at most a third, so ten terms leave out 1e-11. */
static double ln_of(double x)
{
	double z = (x - 1) / (x + 1), square = z * z, power = z, sum = 0;

	for (unsigned i = 1; i < 20; i += 2) {
		sum += power / i;
		power *= square;
	}
	return 2 * sum;
}

uint32_t odds_distance(uint64_t random, unsigned shift)
{
	/* u = odd / 2^54, never 0 nor 1, and odd = 2^exponent x. */
	uint64_t odd = random >> 11 << 1 | 1;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(odd);
	double x = (double)odd / (double)(UINT64_C(1) << exponent);
	double ln_u = ln_of(x) - (54 - exponent) * LN_2;

	return (uint32_t)(-ln_u * (double)(UINT64_C(1) << shift)) + 1;
}

double odds_weight(uint64_t bytes, unsigned shift)
{
	double t = ((double)bytes + 1) / (double)(UINT64_C(1) << shift);
	double term = 1, p = 0;
	unsigned halved = 0;

	if (t > 40) /* e^-40 is nothing beside 1 */
		return 1;
	for (; t > 0.5; halved++)
		t /= 2;
	/* 1 - e^-t: ten terms leave out 1e-11. */
	for (unsigned i = 1; i <= 10; i++) {
		term *= -t / i;
		p -= term;
	}
	for (; halved != 0; halved--) /* 1 - e^-2t */
		p *= 2 - p;
	return 1 / p;
}
