/* SPDX-License-Identifier: MIT */
/* A counter that nobody initialised is added to. */
#include <quire/percpu_counter.h>

static struct quire_percpu_counter counter;

int main(void)
{
	quire_percpu_counter_add(&counter, 1);
	return 0;
}
