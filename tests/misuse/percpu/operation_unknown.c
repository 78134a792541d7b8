/* SPDX-License-Identifier: MIT */
/* An operation of a later version. */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>

int main(void)
{
	void *object = quire_alloc_percpu(quire_default(), 8, 0, 0);

	(void)quire_this_cpu_do((15u << 4) | 8, object, 0, 0);
	return 0;
}
