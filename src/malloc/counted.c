/* SPDX-License-Identifier: MIT */
/* malloc/counted.c - what cold paths tell a process's part of the report */
#include "malloc/counted.h"

#include "machine/process.h"
#include "malloc/profile.h"
#include "malloc/profile_file.h"
#include "malloc/report.h"
#include "malloc/run_environment.h"

/* Written before the heap is ready, and while a child of fork has one thread. */
static struct report_part *part;

bool malloc_counted_wanted(void)
{
	struct run_request request;

	return report_is_wanted(&request);
}

void malloc_counted_begin(void)
{
	part = report_begin(part);
}

void malloc_counted_profile(unsigned *shift)
{
	struct report_profile profile = report_profile();

	if (profile.memory == NULL)
		return;
	profile_share(profile.memory, REPORT_STACKS_BYTES);
	profile_file_tell_maps(profile.memory + REPORT_STACKS_BYTES, REPORT_MAPS_BYTES);
	*shift = profile.shift;
}

bool malloc_is_counted(void)
{
	return part != NULL;
}

static unsigned row_of(unsigned class, size_t bytes)
{
	return class == 0 ? report_large_row(bytes) : class;
}

void malloc_counted_alloc(unsigned class, size_t bytes, bool slow)
{
	unsigned cpu = process_cpu();

	report_call(part, cpu, slow);
	report_hold(part, cpu, row_of(class, bytes), bytes);
}

void malloc_counted_free(unsigned class, size_t bytes, bool slow)
{
	unsigned cpu = process_cpu();

	report_call(part, cpu, slow);
	report_drop(part, cpu, row_of(class, bytes), bytes);
}
