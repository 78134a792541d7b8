/* SPDX-License-Identifier: MIT */
/* order_use.c - a constructor and a destructor that use a variable of another file: ends_test.c */
#include <quire/percpu.h>
#include <quire/percpu_ops.h>

#include <stdlib.h>
#include <unistd.h>

QUIRE_DECLARE_PER_CPU(long, objects);

__attribute__((constructor)) static void construct(void)
{
	quire_this_cpu_inc(objects);
}

__attribute__((destructor)) static void destroy(void)
{
	quire_this_cpu_dec(objects);
	if (quire_per_cpu_sum(objects) != 0)
		_exit(2);
}

int main(void)
{
	return quire_per_cpu_sum(objects) == 1 ? EXIT_SUCCESS : EXIT_FAILURE;
}
