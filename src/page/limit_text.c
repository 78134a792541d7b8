/* SPDX-License-Identifier: MIT */
/* page/limit_text.c - the limits in effect, as text */
#include <quire/quire.h>

#include "base/check.h"
#include "base/text.h"
#include "instance/worker.h"
#include "machine/atomic.h"
#include "machine/mem.h"
#include "machine/process.h"
#include "machine/work.h"
#include "page/limit.h"

static const char *const limit_sources[] = {
	[MEM_LIMIT_GIVEN] = "the option",
	[MEM_LIMIT_MACHINE] = "the machine's memory",
	[MEM_LIMIT_MAX] = "memory.max of the cgroup",
	[MEM_LIMIT_HIGH] = "memory.high of the cgroup",
	[MEM_LIMIT_ADDRESSES] = "half of RLIMIT_AS",
};

static const char *const cpus_sources[] = {
	[CPUS_POSSIBLE] = "the possible CPUs",
	[CPUS_ALLOWED] = "the CPUs allowed",
	[CPUS_QUOTA] = "cpu.max of the cgroup",
};

static const char *const pressure_sources[] = {
	[WORK_PRESSURE_UNWATCHED] = "not watched",
	[WORK_PRESSURE_REFUSED] = "refused by the system",
	[WORK_PRESSURE_GROUP] = "memory.pressure of the cgroup",
	[WORK_PRESSURE_SYSTEM] = "/proc/pressure/memory",
};

static void put_line(struct text *text, const char *what, uint64_t value, const char *source)
{
	text_put_width(text, what, 10);
	text_put_u64_width(text, value, 16);
	text_put(text, "  ");
	text_put(text, source);
	text_put(text, "\n");
}

/* Where more is in use, or less was reserved, the limit is not what the source said. */
static const char *limit_source(const struct pages *p, uint64_t limit_pages)
{
	uint64_t told_pages = load_relaxed(&p->limit_told_pages); /* a hint */

	if (limit_pages > told_pages)
		return "what is in use, above the system's limit";
	if (limit_pages < told_pages)
		return "the addresses that were reserved";
	return limit_sources[load_relaxed(&p->limit_source)]; /* a hint */
}

size_t quire_text_limits(const struct quire *q, char *buffer, size_t bytes)
{
	enum work_pressure pressure = work_pressure(&q->work);
	uint64_t limit_pages;
	struct text text;

	if (!q->dead) {
		struct quire *learning = worker_exclude_begin(q);

		limit_learn(pages_of(learning));
		limit_count_cpus(pages_of(learning));
		worker_exclude_end(learning);
	}
	limit_pages = load_relaxed(&q->limit_pages); /* a hint */
	text_init(&text, buffer, bytes);
	put_line(&text, "limit", limit_pages << q->page_shift,
		 limit_source(pages_of_const(q), limit_pages));
	put_line(&text, "reserved", q->most_pages << q->page_shift, "the most that it can be");
	/* Hints. */
	put_line(&text, "cpus", load_relaxed(&q->cpus_bound),
		 cpus_sources[load_relaxed(&q->cpus_source)]);
	put_line(&text, "pressure", pressure >= WORK_PRESSURE_GROUP, pressure_sources[pressure]);
	return text.bytes;
}
