/* SPDX-License-Identifier: MIT */
/* A counter is to tell after no amount at all. */
#include <quire/percpu_counter.h>

static struct quire_percpu_counter counter;

int main(void)
{
	if (quire_percpu_counter_init(quire_default(), &counter, 0, 0) != 0)
		return 1;
	quire_percpu_counter_add_batch(&counter, 1, 0);
	return 0;
}
