/* SPDX-License-Identifier: MIT */
/*
 * sparse_child.c - a process that replaces large blocks of which it writes one page, or all
 *
 * BYTES FIRST REPLACEMENTS WRITTEN.  Prints the share of time that others took, ns of CPU time per
 * replacement from the fill on, of the first FIRST and of all, all threads together, and the peak of resident
 * memory beyond the beginning, in KiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include "harness/pin.h"
#include "harness/proc.h"
#include "harness/random.h"
#include "harness/span.h"
#include "vmap/areas.h"

struct live {
	char *block[AREAS_LIVE];
	size_t bytes[AREAS_LIVE];
	uint64_t random;
};

static bool renew(const struct subject *subject, struct live *live, unsigned slot, unsigned written)
{
	size_t bytes = area_sizes[random_below(&live->random, AREA_SIZES)];

	live->bytes[slot] = bytes;
	live->block[slot] = subject->alloc(bytes);
	if (live->block[slot])
		area_touch(live->block[slot], bytes, written);
	return live->block[slot] != NULL;
}

static bool replace(const struct subject *subject, struct live *live, unsigned nr, unsigned written)
{
	for (unsigned i = 0; i < nr; i++) {
		unsigned slot = random_below(&live->random, AREAS_LIVE);

		subject->free(live->block[slot], live->bytes[slot]);
		if (!renew(subject, live, slot, written))
			return false;
	}
	return true;
}

int area_sparse(const struct subject *subject, char **arguments)
{
	unsigned first_nr = (unsigned)atoi(arguments[1]), nr = (unsigned)atoi(arguments[2]);
	unsigned written = (unsigned)atoi(arguments[3]);
	struct live live = { .random = 7 };
	uint64_t before_kib, begin_ns, first_ns, all_ns;
	bool served = true;
	struct span span;

	if (!pin_self(pin_cpu(0)))
		return puts("refused a thread cannot be pinned"), 0;
	if (nr <= first_nr || first_nr == 0)
		return puts("refused a number of replacements"), 0;
	area_sizes_make(strtoull(arguments[0], NULL, 10));
	proc_peak_rss_kib(); /* touches what it needs itself */
	before_kib = proc_rss_kib();
	for (unsigned i = 0; i < AREAS_LIVE && served; i++)
		served = renew(subject, &live, i, written);
	span_begin(&span, -1);
	begin_ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	served = served && replace(subject, &live, first_nr, written);
	first_ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
	served = served && replace(subject, &live, nr - first_nr, written);
	all_ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin_ns;
	span_end(&span, -1);
	if (!served)
		return puts("refused an allocation was refused"), 0;
	printf("ok %.5f %.1f %.1f %.0f\n", span_stolen(&span), (double)first_ns / first_nr,
	       (double)all_ns / nr, (double)proc_peak_rss_kib() - (double)before_kib);
	return 0;
}
