/* SPDX-License-Identifier: MIT */
/*
 * scatter_child.c - survivors scattered over the pages of a large heap
 *
 * 240,000 objects of 16 to 8,191 bytes, 300 MiB, are allocated and written; a random 90 % are freed, and
 * the library is asked to give memory back.  Then random survivors are replaced by objects of new
 * sizes, and the library is asked again.  Prints ns a replacement, and in KiB resident memory over that of the
 * beginning: at the peak, after the first request, after the second; and the bytes that are live at the
 * end, and the pages that held a survivor at the first request.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/proc.h"
#include "malloc/command.h"
#include "malloc/sizes.h"

#define OBJECTS_NR 240000u
#define DOUBLINGS  9u
#define KEPT_ONE   10u /* in so many */
#define PAGE_SHIFT 12u
#define PAGES_MAX  (3u * OBJECTS_NR / 4) /* of the survivors: three each, and some more survive */

static char *objects[OBJECTS_NR];
static uint16_t sizes[OBJECTS_NR];
static uintptr_t pages[PAGES_MAX];

static bool object_take(uint64_t *random, unsigned at)
{
	size_t bytes = size_random(random, DOUBLINGS);

	objects[at] = malloc(bytes);
	if (!objects[at])
		return false;
	object_touch(objects[at], bytes);
	sizes[at] = (uint16_t)bytes;
	return true;
}

/* Frees all but a few, which move to the front.  Returns their number. */
static unsigned objects_thin(uint64_t *random)
{
	unsigned kept_nr = 0;

	for (unsigned i = 0; i < OBJECTS_NR; i++) {
		if (random_below(random, KEPT_ONE) != 0) {
			free(objects[i]);
			continue;
		}
		objects[kept_nr] = objects[i];
		sizes[kept_nr++] = sizes[i];
	}
	return kept_nr;
}

static int page_compare(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return (x > y) - (x < y);
}

/* qsort() may allocate: called after the measurement. */
static uint64_t pages_distinct(unsigned nr)
{
	uint64_t distinct = 0;

	qsort(pages, nr, sizeof(pages[0]), page_compare);
	for (unsigned i = 0; i < nr; i++)
		distinct += i == 0 || pages[i] != pages[i - 1];
	return distinct;
}

static unsigned pages_note(unsigned kept_nr)
{
	unsigned nr = 0;

	for (unsigned i = 0; i < kept_nr; i++) {
		uintptr_t at = (uintptr_t)objects[i] >> PAGE_SHIFT;
		uintptr_t last = ((uintptr_t)objects[i] + sizes[i] - 1) >> PAGE_SHIFT;

		for (; at <= last && nr < PAGES_MAX; at++)
			pages[nr++] = at;
	}
	return nr;
}

static bool survivors_replace(uint64_t *random, unsigned kept_nr, unsigned nr)
{
	for (unsigned i = 0; i < nr; i++) {
		unsigned victim = random_below(random, kept_nr);

		free(objects[victim]);
		if (!object_take(random, victim))
			return false;
	}
	return true;
}

static unsigned long long over(uint64_t kib, uint64_t begin)
{
	return kib > begin ? kib - begin : 0;
}

int malloc_scatter(const struct subject *subject, char **arguments)
{
	unsigned replace_nr = (unsigned)atoi(arguments[0]), kept_nr, pages_nr;
	uint64_t random = 1, begin, peak, thinned, churned, ns, live = 0;

	memset(objects, 1, sizeof(objects));
	memset(sizes, 1, sizeof(sizes));
	memset(pages, 1, sizeof(pages));
	begin = proc_rss_kib();
	for (unsigned i = 0; i < OBJECTS_NR; i++)
		if (!object_take(&random, i))
			return puts("refused an allocation was refused"), 0;
	peak = proc_rss_kib();
	kept_nr = objects_thin(&random);
	subject->release();
	thinned = proc_rss_kib();
	pages_nr = pages_note(kept_nr);
	ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (!survivors_replace(&random, kept_nr, replace_nr))
		return puts("refused an allocation was refused"), 0;
	ns = proc_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - ns;
	subject->release();
	churned = proc_rss_kib();
	for (unsigned i = 0; i < kept_nr; i++)
		live += sizes[i];
	printf("ok %.3f %llu %llu %llu %llu %llu\n", (double)ns / replace_nr, over(peak, begin),
	       over(thinned, begin), over(churned, begin), (unsigned long long)live / 1024,
	       (unsigned long long)pages_distinct(pages_nr) * 4);
	return 0;
}
