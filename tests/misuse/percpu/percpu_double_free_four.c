/* SPDX-License-Identifier: MIT */
/* The same for an object of 4 bytes, between two others. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	char *object = quire_alloc_percpu(q, 4, 0, 0);

	quire_alloc_percpu(q, 4, 0, 0);
	quire_free_percpu(q, object);
	quire_free_percpu(q, object);
	return 0;
}
