/* SPDX-License-Identifier: MIT */
/*
 * vmas.c - how many mappings do 20,000 guarded areas cost?
 *
 * Method  Lines of /proc/self/maps after 20,000 areas of two pages were allocated with guard:on and
 *         written, less the lines before.  Beside them, the same for one mapping of as many pages with a
 *         page of PROT_NONE after each area.
 * Read    Lines.  A process may have 65,530 by default.
 * Refused An area whose guard page can be read by the system.
 * Not     What installing a guard costs: the columns guard:on of the other questions.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <quire/vmap.h>
#include "harness/bench.h"
#include "harness/proc.h"
#include "vmap/areas.h"

#define AREAS	   20000u
#define AREA_BYTES (2 * AREA_PAGE)

/* True if the system, asked to read one byte at @address, finds that it cannot. */
static bool is_guarded(const char *address, int pipe_fd)
{
	return write(pipe_fd, address, 1) < 0 && errno == EFAULT;
}

/* NULL, or why not. */
static const char *areas_lines(const char **areas, unsigned *lines)
{
	const struct quire_options options = QUIRE_OPTIONS_INIT(.guard = QUIRE_GUARD_ON);
	struct quire *q;
	int ends[2];

	if (pipe(ends) != 0 || quire_create(&options, &q) != 0)
		return "quire_create() was refused";
	*lines = proc_mappings();
	for (unsigned i = 0; i < AREAS; i++) {
		char *area = quire_vmalloc(q, AREA_BYTES, 0);

		if (!area)
			return "an allocation was refused";
		memset(area, 1, AREA_BYTES);
		areas[i] = area;
	}
	*lines = proc_mappings() - *lines;
	for (unsigned i = 0; i < AREAS; i++)
		if (!is_guarded(areas[i] + AREA_BYTES, ends[1]))
			return "an area has no guard";
	quire_destroy(q);
	close(ends[0]);
	close(ends[1]);
	return NULL;
}

static bool mprotect_lines(unsigned *lines)
{
	const size_t step = AREA_BYTES + AREA_PAGE;
	char *mapping;
	bool done = true;

	*lines = proc_mappings();
	mapping = mmap(NULL, AREAS * step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	if (mapping == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < AREAS; i++)
		done &= mprotect(mapping + i * step + AREA_BYTES, AREA_PAGE, PROT_NONE) == 0;
	*lines = proc_mappings() - *lines;
	munmap(mapping, AREAS * step);
	return done;
}

void bench_vmas(const struct options *options)
{
	static const char what[] = "quire_vmalloc(), guard:on";
	static const char *areas[AREAS];
	unsigned lines = 0;
	const char *refused = areas_lines(areas, &lines);

	report_figures_begin("mappings that 20,000 guarded areas add");
	if (refused)
		report_refused(options, what, refused);
	else
		report_figure(options,
			      &(struct figure){ .what = what, .value = lines, .unit = "mappings" },
			      &target_vmas);
	if (mprotect_lines(&lines))
		report_figure(options,
			      &(struct figure){ .what = "mmap() and mprotect()",
						.value = lines,
						.unit = "mappings" },
			      &target_none);
}
