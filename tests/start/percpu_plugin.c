/* SPDX-License-Identifier: MIT */
/* percpu_plugin.c - a library that inlines sequences: opened and closed by percpu_start_test.c */
#include <quire/percpu_ops.h>

uint64_t plugin_add(uint64_t *ptr, unsigned rounds);

uint64_t plugin_add(uint64_t *ptr, unsigned rounds)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < rounds; i++) {
		quire_this_cpu_inc(ptr);
		last = quire_this_cpu_add_return(ptr, 1);
	}
	return last;
}
