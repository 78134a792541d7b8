/* SPDX-License-Identifier: MIT */
/*
 * sides.c - quire replay -a -b: two configurations on the same traces, side by side
 *
 * Each side gets a checked pass, which gives all figures but the time.  The passes for the time take turns, so
 * that what else the system does falls on both.
 */
#include "replay/sides.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <quire/quire.h>

#include "common/output.h"
#include "replay/json_text.h"
#include "replay/passes.h"
#include "replay/replay.h"
#include "replay/report_text.h"

enum {
	SIDE_A,
	SIDE_B,
	SIDES_NR
};

static const char side_names[SIDES_NR] = { 'A', 'B' };

/* The options that both have, and a side's own over them. */
struct side_conf {
	char text[sizeof(((struct replay_request *)NULL)->conf) * 2 + 1];
};

static struct side_conf conf_of(const struct replay_request *request, unsigned side)
{
	const char *own = request->side_confs[side];
	struct side_conf conf;

	snprintf(conf.text, sizeof(conf.text), "%s%s%s", request->conf,
		 request->conf[0] != '\0' && own[0] != '\0' ? "," : "", own);
	return conf;
}

/* ---- running ---------------------------------------------------------------------------------- */

/* The outcomes of both: 0, or -1 after saying what went wrong. */
static int run_sides(const struct replay_request *request, const struct plan *plan,
		     struct outcome outcomes[SIDES_NR])
{
	struct side_conf confs[SIDES_NR] = { conf_of(request, SIDE_A), conf_of(request, SIDE_B) };
	struct progress progress = { .name = NULL };
	struct engine engines[SIDES_NR];
	char error[sizeof(outcomes[0].checked.error)];
	int result = 0;

	for (unsigned side = 0; side < SIDES_NR && result == 0; side++) {
		engines[side] = passes_engine(request, plan, confs[side].text, &progress);
		outcomes[side] = (struct outcome){ .plan = plan, .threads = request->threads };
		progress_begin(&progress, plan->path, plan->steps_nr);
		result = engine_run(&engines[side], &outcomes[side].checked);
		progress_end(&progress);
		if (result != 0)
			fprintf(stderr, "quire replay: %s: %c: %s\n", plan->path, side_names[side],
				outcomes[side].checked.error);
	}
	if (result != 0)
		return result;
	result = passes_time(engines, outcomes, SIDES_NR, error, sizeof(error));
	if (result != 0)
		fprintf(stderr, "quire replay: %s: %s\n", plan->path, error);
	return result;
}

/* ---- for people ------------------------------------------------------------------------------- */

static struct number number_of(double value)
{
	struct number number = number_grouped((uint64_t)value);

	if (value != (double)(uint64_t)value)
		snprintf(number.text, sizeof(number.text), "%.2f", value);
	return number;
}

static void print_row(const char *name, double a, double b)
{
	char ratio[24] = "-";

	if (a > 0)
		snprintf(ratio, sizeof(ratio), "%.2f", b / a);
	printf("    %-42.42s%16s%16s%10s\n", name, number_of(a).text, number_of(b).text, ratio);
}

static void print_sides(const struct replay_request *request,
			const struct outcome outcomes[SIDES_NR])
{
	const struct plan *plan = outcomes[0].plan;

	report_heading(&outcomes[0], stdout);
	for (unsigned side = 0; side < SIDES_NR; side++) {
		struct side_conf conf = conf_of(request, side);

		printf("  %c         %s\n", side_names[side],
		       conf.text[0] != '\0' ? conf.text : "as built in");
	}
	printf("\n  %-8s%s%-28s%16s%16s%10s\n", katr_kind_name(plan->kind), "  ", "", "A", "B",
	       "B / A");
	for (const struct side_figure *figure = side_figures(plan->kind); figure->name != NULL;
	     figure++)
		print_row(figure->name, figure->of(&outcomes[0]), figure->of(&outcomes[1]));
	for (uint32_t mark = 0; mark < plan->marks_nr; mark++) {
		printf("    at %s:\n", plan->marks[mark].name);
		for (const struct side_mark_figure *figure = side_mark_figures(plan->kind);
		     figure->name != NULL; figure++)
			print_row(figure->name, figure->of(&outcomes[0], mark),
				  figure->of(&outcomes[1], mark));
	}
	printf("    (time: median of %u passes each, in turns; the replay's own loop is taken "
	       "off)\n",
	       outcomes[0].timing_passes);
}

/* ---- for machines ----------------------------------------------------------------------------- */

static void put_figure(FILE *file, const char *before, const char *mark, const char *name,
		       const double values[SIDES_NR])
{
	fprintf(file, "%s        {", before);
	if (mark != NULL) {
		json_put_string(file, "mark", mark);
		fprintf(file, ", ");
	}
	json_put_string(file, "figure", name);
	fprintf(file, ", \"a\": %.4f, \"b\": %.4f, \"ratio\": ", values[0], values[1]);
	if (values[0] > 0)
		fprintf(file, "%.4f}", values[1] / values[0]);
	else
		fprintf(file, "null}");
}

static void put_figures(FILE *file, const struct outcome outcomes[SIDES_NR])
{
	const struct plan *plan = outcomes[0].plan;
	const char *before = "\n";

	for (const struct side_figure *figure = side_figures(plan->kind); figure->name != NULL;
	     figure++) {
		double values[SIDES_NR] = { figure->of(&outcomes[0]), figure->of(&outcomes[1]) };

		put_figure(file, before, NULL, figure->name, values);
		before = ",\n";
	}
	for (uint32_t mark = 0; mark < plan->marks_nr; mark++) {
		for (const struct side_mark_figure *figure = side_mark_figures(plan->kind);
		     figure->name != NULL; figure++) {
			double values[SIDES_NR] = { figure->of(&outcomes[0], mark),
						    figure->of(&outcomes[1], mark) };

			put_figure(file, before, plan->marks[mark].name, figure->name, values);
		}
	}
}

static void put_plan(FILE *file, const struct outcome outcomes[SIDES_NR])
{
	const struct plan *plan = outcomes[0].plan;

	fprintf(file, "    {\n      ");
	json_put_string(file, "file", plan->path);
	fprintf(file, ",\n      ");
	json_put_string(file, "name", plan->name);
	fprintf(file, ",\n      ");
	json_put_string(file, "kind", katr_kind_name(plan->kind));
	fprintf(file, ",\n      \"lost_events\": %llu,\n      \"figures\": [",
		(unsigned long long)plan->lost_nr);
	put_figures(file, outcomes);
	fprintf(file, "\n      ]\n    }");
}

static void put_file(FILE *file, const struct replay_request *request,
		     const struct outcome *outcomes, unsigned plans_nr)
{
	fprintf(file, "{\n  \"version\": 1,\n  \"quire\": \"%d.%d\",\n  \"mode\": \"%s\",\n  ",
		QUIRE_VERSION_MAJOR, QUIRE_VERSION_MINOR,
		request->threads ? "threads" : "one-thread");
	json_put_string(file, "a", conf_of(request, SIDE_A).text);
	fprintf(file, ",\n  ");
	json_put_string(file, "b", conf_of(request, SIDE_B).text);
	fprintf(file, ",\n  \"traces\": [\n");
	for (unsigned i = 0; i < plans_nr; i++) {
		put_plan(file, &outcomes[(size_t)i * SIDES_NR]);
		fprintf(file, "%s\n", i + 1 < plans_nr ? "," : "");
	}
	fprintf(file, "  ]\n}\n");
}

static enum exit_status write_json(const struct replay_request *request,
				   const struct outcome *outcomes, unsigned plans_nr)
{
	struct output output;
	int error = -ENOMEM;

	if (output_begin(&output) != NULL) {
		put_file(output.file, request, outcomes, plans_nr);
		error = output_end(&output, request->json);
	}
	if (error == 0)
		return EXIT_OK;
	fprintf(stderr, "quire replay: %s: %s\n", request->json, strerror(-error));
	return EXIT_UNWRITTEN;
}

/* ---- the command ------------------------------------------------------------------------------ */

enum exit_status sides_print(const struct replay_request *request, const struct plan *plans,
			     unsigned plans_nr)
{
	struct outcome *outcomes = calloc((size_t)plans_nr * SIDES_NR, sizeof(outcomes[0]));
	enum exit_status status = EXIT_OK;

	if (outcomes == NULL)
		return command_no_memory("replay");
	for (unsigned i = 0; i < plans_nr && status == EXIT_OK; i++) {
		struct outcome *sides = &outcomes[(size_t)i * SIDES_NR];

		if (run_sides(request, &plans[i], sides) != 0)
			status = EXIT_FOUND;
		else
			print_sides(request, sides);
		if (status == EXIT_OK && i + 1 < plans_nr)
			printf("\n");
	}
	if (status == EXIT_OK && request->json != NULL)
		status = write_json(request, outcomes, plans_nr);
	for (size_t i = 0; i < (size_t)plans_nr * SIDES_NR; i++)
		outcome_fini(&outcomes[i]);
	free(outcomes);
	return status;
}
