/* SPDX-License-Identifier: MIT */
/* Another CPU'\''s copy is freed. */
#include <quire/percpu.h>

int main(void)
{
	struct quire *q = quire_default();
	char *object = quire_alloc_percpu(q, 64, 0, 0);

	if (quire_percpu_units(q) < 2)
		quire_free_percpu(q, object + 1);
	quire_free_percpu(q, quire_per_cpu_ptr(object, 1));
	return 0;
}
