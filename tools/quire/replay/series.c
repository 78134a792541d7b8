/* SPDX-License-Identifier: MIT */
/*
 * series.c - quire replay --series: per-CPU memory over time, the recorded kernel's and Quire's
 *
 * Prints one line for each time at which the recording states how much the kernel had populated.  Of
 * consecutive lines with the same figures, only the first and the last are printed.
 * docs/memory.csv holds such a series; scripts/picture draws it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/output.h"
#include "replay/engine.h"
#include "replay/outcome.h"
#include "replay/replay.h"

struct point {
	uint64_t live_kB, linux_kB, quire_kB;
};

static struct point point_at(const struct plan *plan, const struct engine_result *result,
			     uint32_t index)
{
	const struct plan_sample *sample = &plan->samples[index];

	return (struct point){
		.live_kB = sample->live_bytes * plan->cpus_nr / 1024,
		.linux_kB = sample->populated_kB,
		.quire_kB = result->populated_kB[index],
	};
}

static bool is_same(struct point a, struct point b)
{
	return a.live_kB == b.live_kB && a.linux_kB == b.linux_kB && a.quire_kB == b.quire_kB;
}

static bool says_nothing_new(const struct plan *plan, const struct engine_result *result,
			     uint32_t index)
{
	struct point point = point_at(plan, result, index);

	return index > 0 && index + 1 < plan->samples_nr &&
	       is_same(point, point_at(plan, result, index - 1)) &&
	       is_same(point, point_at(plan, result, index + 1));
}

static void print_points(const struct plan *plan, const struct engine_result *result)
{
	printf("seconds,live_kB,linux_kB,quire_kB\n");
	for (uint32_t i = 0; i < plan->samples_nr; i++) {
		struct point point = point_at(plan, result, i);

		if (says_nothing_new(plan, result, i))
			continue;
		printf("%.2f,%" PRIu64 ",%" PRIu64 ",%" PRIu64 "\n", plan->samples[i].seconds,
		       point.live_kB, point.linux_kB, point.quire_kB);
	}
	(void)output_flush("quire replay"); /* the status is main()'s */
}

enum exit_status series_print(const struct replay_request *request, const struct plan *plan)
{
	struct progress progress = { .name = NULL };
	struct engine engine = {
		.plan = plan,
		.target = &target_by_number,
		.object_target = &object_target_percpu,
		.conf = request->conf[0] != '\0' ? request->conf : NULL,
		.checks = true,
		.progress = &progress,
	};
	struct engine_result result;
	int failed;

	progress_begin(&progress, plan->path, plan->steps_nr);
	failed = engine_run(&engine, &result);
	progress_end(&progress);
	if (failed)
		fprintf(stderr, "quire replay: %s: %s\n", plan->path, result.error);
	else
		print_points(plan, &result);
	engine_result_fini(&result);
	return failed ? EXIT_FOUND : EXIT_OK;
}
