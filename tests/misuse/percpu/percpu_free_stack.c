/* SPDX-License-Identifier: MIT */
/* A local variable is freed. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	int local = 0;

	quire_alloc_percpu(q, 64, 0, 0);
	quire_free_percpu(q, &local);
	return 0;
}
