/* SPDX-License-Identifier: MIT */
/* The same for a size that comes and goes: its offset waits on this CPU's stack. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	void *object = NULL;

	for (int i = 0; i < 100; i++) {
		object = quire_alloc_percpu(q, 64, 0, 0);
		quire_free_percpu(q, object);
	}
	quire_free_percpu(q, object);
	return 0;
}
