/* SPDX-License-Identifier: MIT */
/* A per-CPU object is freed twice in a row. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	void *object = quire_alloc_percpu(q, 64, 0, 0);

	quire_free_percpu(q, object);
	quire_free_percpu(q, object);
	return 0;
}
