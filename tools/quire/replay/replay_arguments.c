/* SPDX-License-Identifier: MIT */
#include "replay/replay.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "common/arguments.h"
#include "trace/katr.h"

enum {
	OPTION_THREADS,
	OPTION_JSON,
	OPTION_CONF,
	OPTION_KIND,
	OPTION_PLACEMENT,
	OPTION_DEPOPULATE,
	OPTION_ABLATE,
	OPTION_SERIES,
	OPTION_A,
	OPTION_B,
	OPTION_UNFILLED,
};

const struct option_row replay_rows[] = {
	[OPTION_THREADS] = { "threads", NULL,
			     "one pinned thread a recorded CPU; without it one thread\n"
			     "acts for all, and the figures are the same each time" },
	[OPTION_JSON] = { "json", "FILE", "the same for machines; written only when all is done" },
	[OPTION_CONF] = { "conf", "STRING", "options, as in QUIRE_CONF: \"limit:2g,zones:2\"" },
	[OPTION_KIND] = { "kind", "KIND", "only these: page, vmap, percpu or slab" },
	[OPTION_PLACEMENT] = { "placement", "HOW", "linux or packed: rules for per-CPU objects" },
	[OPTION_DEPOPULATE] = { "depopulate", "on|off", "whether per-CPU memory shrinks" },
	[OPTION_ABLATE] = { "ablate", NULL, "per-CPU memory without each rule of placement" },
	[OPTION_SERIES] = { "series", NULL,
			    "per-CPU memory over time, the kernel's and ours, as CSV" },
	[OPTION_A] = { "a", "STRING", "A against B, in turns: options of A, over --conf" },
	[OPTION_B] = { "b", "STRING", "options of B" },
	[OPTION_UNFILLED] = { "unfilled", NULL, "neither fill blocks nor compare them: faster" },
	{ .name = NULL },
};

#define CONF_BYTES sizeof(((struct replay_request *)NULL)->conf)

/* The kinds that can be replayed. */
static const enum katr_kind kinds[] = { KATR_PAGE, KATR_VMAP, KATR_PERCPU, KATR_SLAB };
#define KINDS_NR (sizeof(kinds) / sizeof(kinds[0]))

static unsigned all_kinds(void)
{
	unsigned all = 0;

	for (size_t i = 0; i < KINDS_NR; i++)
		all |= 1u << kinds[i];
	return all;
}

void replay_describe_kinds(unsigned wanted, const char *word, char *text, size_t text_bytes)
{
	unsigned left = (unsigned)__builtin_popcount(wanted);
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < KINDS_NR && used < text_bytes; i++) {
		if ((wanted >> kinds[i] & 1) == 0)
			continue;
		left--;
		used += (size_t)snprintf(text + used, text_bytes - used, "%s%s%s%s",
					 katr_kind_name(kinds[i]), left > 1 ? ", " : "",
					 left == 1 ? " " : "", left == 1 ? word : "");
		if (left == 1 && used < text_bytes)
			used += (size_t)snprintf(text + used, text_bytes - used, " ");
	}
}

static bool add_kind(struct replay_request *request, const char *name)
{
	char text[64];

	for (size_t i = 0; i < KINDS_NR; i++) {
		if (strcmp(name, katr_kind_name(kinds[i])) == 0) {
			request->kinds |= 1u << kinds[i];
			return true;
		}
	}
	replay_describe_kinds(all_kinds(), "and", text, sizeof(text));
	fprintf(stderr, "quire replay: kind '%s' cannot be replayed; %s can\n", name, text);
	return false;
}

/* Options of the instance are gathered as one string, later ones over earlier ones. */
static bool add_conf(struct replay_request *request, char conf[CONF_BYTES], const char *option,
		     const char *value)
{
	struct quire_options parsed = QUIRE_OPTIONS_INIT();
	/* --placement packed is --conf placement:packed. */
	bool is_key = conf == request->conf && strcmp(option, "--conf") != 0;
	size_t used = strlen(conf);
	int bytes;

	bytes = snprintf(conf + used, CONF_BYTES - used, "%s%s%s%s", used > 0 ? "," : "",
			 is_key ? option + 2 : "", is_key ? ":" : "", value);
	if (bytes >= (int)(CONF_BYTES - used)) {
		fprintf(stderr, "quire replay: %s: too long\n", option);
		return false;
	}
	if (!argument_conf("replay", option, conf + used + (used > 0), &parsed))
		return false;
	if (parsed.depopulate != QUIRE_DEFAULT)
		request->depopulates = parsed.depopulate == QUIRE_ON;
	return true;
}

/* False: the option's value is wrong. */
static bool take_option(void *context, unsigned option, const char *value)
{
	struct replay_request *request = context;

	switch (option) {
	case OPTION_THREADS:
		request->threads = true;
		return true;
	case OPTION_ABLATE:
		request->ablates = true;
		return true;
	case OPTION_SERIES:
		request->is_series = true;
		return true;
	case OPTION_JSON:
		request->json = value;
		return true;
	case OPTION_CONF:
		return add_conf(request, request->conf, "--conf", value);
	case OPTION_PLACEMENT:
		return add_conf(request, request->conf, "--placement", value);
	case OPTION_DEPOPULATE:
		return add_conf(request, request->conf, "--depopulate", value);
	case OPTION_A:
		request->has_sides = true;
		return add_conf(request, request->side_confs[0], "-a", value);
	case OPTION_B:
		request->has_sides = true;
		return add_conf(request, request->side_confs[1], "-b", value);
	case OPTION_UNFILLED:
		request->is_unfilled = true;
		return true;
	default:
		return add_kind(request, value);
	}
}

/* Refuses options that exclude each other, and missing ones. */
static bool is_whole(struct replay_request *request)
{
	const char *alone = request->ablates ? "--ablate" : request->is_series ? "--series" : NULL;

	if (alone != NULL && (request->json != NULL || request->threads)) {
		fprintf(stderr, "quire replay: %s goes with neither --json nor --threads\n", alone);
		return false;
	}
	if (alone != NULL && request->has_sides) {
		fprintf(stderr, "quire replay: %s goes with neither -a nor -b\n", alone);
		return false;
	}
	if (request->ablates && request->is_series) {
		fprintf(stderr, "quire replay: --ablate and --series do not go together\n");
		return false;
	}
	if (request->is_series && request->paths_nr > 1) {
		fprintf(stderr, "quire replay: --series takes one trace\n");
		return false;
	}
	if (alone != NULL)
		request->kinds = 1u << KATR_PERCPU;
	else if (request->kinds == 0)
		request->kinds = all_kinds();
	if (request->paths_nr > 0)
		return true;
	fprintf(stderr, "quire replay: name at least one trace; `quire replay --help` says more\n");
	return false;
}

bool replay_parse(struct replay_request *request, int argc, char **argv, enum exit_status *status)
{
	request->depopulates = true;
	if (!arguments_take(&command_replay, argc, argv, take_option, request, status))
		return false;
	request->paths = argv + optind;
	request->paths_nr = (unsigned)(argc - optind);
	return is_whole(request);
}
