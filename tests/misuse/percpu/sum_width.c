/* SPDX-License-Identifier: MIT */
/* Copies of three bytes are summed up. */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>

int main(void)
{
	void *object = quire_alloc_percpu(quire_default(), 8, 0, 0);

	(void)quire_per_cpu_sum_bytes(object, 3);
	return 0;
}
