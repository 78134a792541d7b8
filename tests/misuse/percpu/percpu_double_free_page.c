/* SPDX-License-Identifier: MIT */
/* A page that a CPU's stack holds is freed again. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	void *object;

	for (int i = 0; i < 40; i++) /* until pages of this size go to the stack */
		quire_free_percpu(q, quire_alloc_percpu(q, 4096, 4096, 0));
	object = quire_alloc_percpu(q, 4096, 4096, 0);
	quire_free_percpu(q, object);
	quire_free_percpu(q, object);
	return 0;
}
