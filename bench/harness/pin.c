/* SPDX-License-Identifier: MIT */
/* pin.c - see pin.h; the set of CPUs is read once, before any thread narrows its own affinity */
#include <sched.h>
#include "harness/pin.h"

static cpu_set_t allowed;
static bool allowed_known;

int pin_cpu(unsigned n)
{
	if (!allowed_known && sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		return -1;
	allowed_known = true;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, &allowed) && n-- == 0)
			return cpu;
	return -1;
}

bool pin_self(int cpu)
{
	cpu_set_t set;

	if (cpu < 0)
		return false;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) == 0;
}
