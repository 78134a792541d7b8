/* SPDX-License-Identifier: MIT */
/*
 * release.c - how much memory stays with a program that has freed everything and sleeps?
 *
 * Method  release_child.c, in a process and a memory cgroup of its own for each subject: once
 *         asked to give memory back, once left alone.  The latter run side by side, since sleeping
 *         disturbs nobody.
 * Read    MiB charged to the cgroup, beside it the resident memory: with huge pages the second can
 *         fall while the first does not.  Both contain the program itself, about 2 MiB.
 * Refused A run whose peak was not 300 MiB above its beginning.  Without a cgroup (not root) the
 *         resident memory is judged, and the note says so.
 * Not     How fast the memory is faulted in again.
 */
#include <string.h>
#include "harness/bench.h"
#include "harness/cgroup.h"

#define PEAK_KIB_MIN (300u * 1024u * 97u / 100u)

struct release_run {
	bool started;
	bool has_group;
	struct cgroup group;
	struct child child;
};

/* KiB at the beginning, at the peak, and what is left. */
struct release_result {
	unsigned long long usage[3];
	unsigned long long rss[3];
};

static bool can_be_asked(const struct contender *contender)
{
	return !contender->subject || strcmp(contender->subject, "libc") == 0;
}

static void release_start(unsigned who, bool ask, struct release_run *run)
{
	struct child_order order;
	unsigned at = contender_order(&contenders[who], &order);

	run->has_group = cgroup_make(&run->group, who * 2 + ask);
	order.argv[at++] = "release";
	order.argv[at++] = ask ? "ask" : "idle";
	order.argv[at++] = run->has_group ? run->group.usage : "-";
	order.cgroup = run->has_group ? run->group.procs : NULL;
	run->started = child_start(&order, &run->child);
}

/* NULL, or why the run does not count. */
static const char *release_reject(const struct release_result *result, bool has_group)
{
	const unsigned long long *kib = has_group ? result->usage : result->rss;

	return kib[1] < kib[0] + PEAK_KIB_MIN ? "the peak was below 300 MiB" : NULL;
}

/* Fills @result; or says why the run does not count, in @reason. */
static bool release_finish(struct release_run *run, struct release_result *result, char *reason,
			   size_t bytes)
{
	char reply[256] = "";
	bool finished = run->started && child_finish(&run->child, reply, sizeof(reply));
	const char *rejected = "the process died";

	if (run->has_group)
		cgroup_remove(&run->group);
	if (finished && strncmp(reply, "refused ", 8) == 0)
		rejected = reply + 8;
	else if (finished && sscanf(reply, "ok %llu %llu %llu %llu %llu %llu", &result->usage[0],
				    &result->usage[1], &result->usage[2], &result->rss[0],
				    &result->rss[1], &result->rss[2]) == 6)
		rejected = release_reject(result, run->has_group);
	snprintf(reason, bytes, "%s", rejected ? rejected : "");
	return !rejected;
}

static void release_report(const struct options *options, unsigned who, bool ask,
			   struct release_run *run)
{
	const struct target *target = ask ? &target_release_asked_mib : &target_release_idle_mib;
	struct release_result result;
	char what[96], note[96], refused[256];
	bool counts = release_finish(run, &result, refused, sizeof(refused));

	snprintf(what, sizeof(what), "%s, %s", contenders[who].name,
		 ask ? "1 s after it was asked" : "after 10 s of nothing at all");
	if (!counts) {
		if (who == CONTENDER_QUIRE)
			report_refused(options, what, refused);
		else
			fprintf(stderr, "quire-bench: %s: %s\n", what, refused);
		return;
	}
	snprintf(note, sizeof(note),
		 run->has_group ? "RSS %.1f, at the beginning %.1f"
				: "RSS %.1f, at the beginning %.1f; no cgroup",
		 (double)result.rss[2] / 1024,
		 (double)(run->has_group ? result.usage[0] : result.rss[0]) / 1024);
	report_figure(
		options,
		&(struct figure){
			.what = what,
			.value = (double)(run->has_group ? result.usage[2] : result.rss[2]) / 1024,
			.unit = "MiB",
			.note = note },
		who == CONTENDER_QUIRE ? target : &target_none);
}

void bench_release(const struct options *options)
{
	static struct release_run runs[CONTENDERS_NR];
	bool there[CONTENDERS_NR];

	contenders_probe(there);
	report_figures_begin("16 threads took 300 MiB in blocks of order 0..3 and freed all");
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		if (!there[who] || !can_be_asked(&contenders[who]))
			continue;
		release_start(who, true, &runs[who]);
		release_report(options, who, true, &runs[who]);
	}
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		if (there[who] && can_be_asked(&contenders[who]))
			release_start(who, false, &runs[who]);
	for (unsigned who = 0; who < CONTENDERS_NR; who++)
		if (there[who] && can_be_asked(&contenders[who]))
			release_report(options, who, false, &runs[who]);
}
