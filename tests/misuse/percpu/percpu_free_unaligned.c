/* SPDX-License-Identifier: MIT */
/* A pointer is freed that no object can begin at. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	char *object = quire_alloc_percpu(q, 64, 0, 0);

	quire_free_percpu(q, object + 1);
	return 0;
}
