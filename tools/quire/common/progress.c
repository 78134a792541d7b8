/* SPDX-License-Identifier: MIT */
#include "common/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Ten times a second looks alive and costs nothing. */
#define SHOW_EVERY_NS 100000000u

uint64_t progress_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void progress_begin(struct progress *progress, const char *name, uint64_t total_nr)
{
	progress->name = name;
	progress->total_nr = total_nr;
	progress->is_on = isatty(STDERR_FILENO) == 1;
	progress->begin_ns = progress->shown_ns = progress_now_ns();
	atomic_store_explicit(&progress->done_nr, 0, memory_order_relaxed);
}

/* Columns of the terminal as it is now, one of which stays free: a full line would wrap. */
static size_t columns(void)
{
	struct winsize size = { .ws_col = 0 };

	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1u
									       : 79;
}

void progress_format(char *line, size_t bytes, size_t room, const char *name, uint64_t percent,
		     double million)
{
	if (room >= bytes)
		room = bytes - 1;
	if ((size_t)snprintf(line, bytes, "%s: %3" PRIu64 " %%, %.2f million operations a second",
			     name, percent, million) <= room)
		return;
	if ((size_t)snprintf(line, bytes, "%3" PRIu64 " %%, %.2f M/s", percent, million) > room)
		(void)snprintf(line, room + 1, "%3" PRIu64 " %%", percent);
}

static void show(struct progress *progress, uint64_t done_nr, uint64_t now_ns)
{
	double seconds = (double)(now_ns - progress->begin_ns) / 1e9;
	uint64_t percent = progress->total_nr > 0 ? 100 * done_nr / progress->total_nr : 100;

	char line[256];

	progress_format(line, sizeof(line), columns(), progress->name, percent,
			(double)done_nr / seconds / 1e6);
	fprintf(stderr, "\r%s\033[K", line);
	progress->shown_ns = now_ns;
}

void progress_add(struct progress *progress, uint64_t nr, bool shows)
{
	uint64_t done_nr;
	uint64_t now_ns;

	if (!progress->is_on)
		return;
	done_nr = atomic_fetch_add_explicit(&progress->done_nr, nr, memory_order_relaxed) + nr;
	if (!shows)
		return;
	now_ns = progress_now_ns();
	if (now_ns - progress->shown_ns >= SHOW_EVERY_NS)
		show(progress, done_nr, now_ns);
}

void progress_end(struct progress *progress)
{
	if (progress->is_on)
		fprintf(stderr, "\r\033[K");
	progress->is_on = false;
}
