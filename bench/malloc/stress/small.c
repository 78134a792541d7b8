/* SPDX-License-Identifier: MIT */
/* small.c - arithmetic with long numbers: small objects that die young, a few of which stay */
#include <string.h>
#include "malloc/stress/shape.h"

#define STEPS_NR  12000000u
#define RECENT_NR 64u
#define KEPT_NR	  262144u
#define KEEP_ONE  20u /* in so many */

struct number {
	uint32_t digits_nr;
	uint32_t digits[];
};

static struct number *number_make(uint32_t digits_nr, uint32_t value)
{
	struct number *number = shape_alloc(sizeof(*number) + digits_nr * sizeof(uint32_t));

	number->digits_nr = digits_nr;
	for (uint32_t i = 0; i < digits_nr; i++)
		number->digits[i] = value + i;
	return number;
}

static struct number *number_add(const struct number *a, const struct number *b)
{
	uint32_t nr = a->digits_nr < b->digits_nr ? a->digits_nr : b->digits_nr;
	struct number *sum = number_make(nr, 0);

	for (uint32_t i = 0; i < nr; i++)
		sum->digits[i] = a->digits[i] + b->digits[i];
	return sum;
}

static void number_check(const struct number *number)
{
	if (number->digits_nr < 1 || number->digits_nr > 12)
		shape_refuse("a number is not what was written");
}

void shape_small(void)
{
	static struct number *recent[RECENT_NR], *kept[KEPT_NR];
	uint64_t random = 1;

	for (unsigned i = 0; i < RECENT_NR; i++)
		recent[i] = number_make(1 + i % 12, i);
	for (unsigned step = 0; step < STEPS_NR; step++) {
		unsigned at = random_below(&random, RECENT_NR);
		const struct number *other = recent[random_below(&random, RECENT_NR)];
		struct number *sum = number_add(recent[at], other);
		struct number *next = number_make(1 + random_below(&random, 12), sum->digits[0]);

		number_check(recent[at]);
		free(recent[at]);
		recent[at] = next;
		if (step % KEEP_ONE != 0) {
			free(sum);
			continue;
		}
		at = random_below(&random, KEPT_NR);
		free(kept[at]);
		kept[at] = sum;
	}
}
