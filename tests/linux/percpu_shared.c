// SPDX-License-Identifier: MIT
/* percpu_shared.c - the file that does not define the variable */
#include "percpu_shared.h"

static DEFINE_PER_CPU(int, counter); /* of the same name as one in percpu_variables.c */

void add_in_another_file(unsigned amount)
{
	this_cpu_inc(counter);
	this_cpu_add(of_two_files, amount);
}

unsigned *where_another_file_finds_it(unsigned cpu)
{
	return per_cpu_ptr(&of_two_files, cpu);
}
