/* SPDX-License-Identifier: MIT */
/* A pointer into a per-CPU object is freed. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	char *object = quire_alloc_percpu(q, 64, 0, 0);

	quire_free_percpu(q, object + 8);
	return 0;
}
