/* SPDX-License-Identifier: MIT */
/* A counter is compared after it was destroyed. */
#include <quire/percpu_counter.h>

static struct quire_percpu_counter counter;

int main(void)
{
	if (quire_percpu_counter_init(quire_default(), &counter, 0, 0) != 0)
		return 1;
	quire_percpu_counter_destroy(&counter);
	(void)quire_percpu_counter_compare(&counter, 1);
	return 0;
}
