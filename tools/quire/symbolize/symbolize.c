/* SPDX-License-Identifier: MIT */
/* symbolize.c - quire symbolize: functions and lines for the addresses of a profile */
#include "symbolize/symbolize.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "common/arguments.h"

enum {
	OPTION_OUTPUT,
};

static const struct option_row rows[] = {
	[OPTION_OUTPUT] = { "o", "OUT", "where to write it; without it, FILE is replaced" },
	{ .name = NULL },
};

struct options {
	const char *file, *out;
};

static bool take_option(void *context, unsigned option, const char *value)
{
	struct options *options = context;

	(void)option;
	options->out = value;
	return true;
}

static bool parse(struct options *options, int argc, char **argv, enum exit_status *status)
{
	if (!arguments_take(&command_symbolize, argc, argv, take_option, options, status))
		return false;
	*status = EXIT_USAGE;
	if (argc - optind != 1) {
		fprintf(stderr,
			"quire symbolize: name a profile; `quire symbolize --help` says more\n");
		return false;
	}
	options->file = argv[optind];
	if (options->out == NULL)
		options->out = options->file;
	if (strcmp(options->out, "-") != 0)
		return true;
	fprintf(stderr, "quire symbolize: name a file with -o\n");
	return false;
}

/* False: it is not what was mapped, or cannot be read, which was said. */
static bool add_module(struct debug_info *info, const struct profile *profile,
		       struct profile_mapping *mapping)
{
	char *path = profile_string(profile, mapping->path);
	char *build_id = profile_string(profile, mapping->build_id);
	const char *wrong = "has no name in the profile";

	if (path != NULL && build_id != NULL)
		wrong = debug_info_add(info, path, build_id, mapping);
	if (wrong != NULL)
		fprintf(stderr, "quire symbolize: %s %s: its addresses stay\n",
			path != NULL ? path : "a module", wrong);
	mapping->has_symbols = wrong == NULL;
	free(path);
	free(build_id);
	return wrong == NULL;
}

static bool is_used(const struct profile *profile, const struct profile_mapping *mapping)
{
	for (size_t i = 0; i < profile->locations_nr; i++)
		if (profile->locations[i].mapping == mapping->id &&
		    !profile->locations[i].has_lines)
			return true;
	return false;
}

static struct profile_mapping *mapping_of(const struct profile *profile, uint64_t id)
{
	for (size_t i = 0; i < profile->mappings_nr; i++)
		if (profile->mappings[i].id == id)
			return &profile->mappings[i];
	return NULL;
}

/* A file that is right and tells nothing, as one without symbols. */
static void say_silent(const struct profile *profile, const struct profile_mapping *mapping)
{
	char *path = profile_string(profile, mapping->path);

	fprintf(stderr, "quire symbolize: %s has no symbols for its addresses: they stay\n",
		path != NULL ? path : "a module");
	free(path);
}

static void add_line(void *arg, const struct function_line *line)
{
	writer_add_line(arg, line);
}

/* All that are needed.  False: some were left out, which was said. */
static bool add_modules(struct debug_info *info, const struct profile *profile)
{
	bool is_all = true;

	for (size_t i = 0; i < profile->mappings_nr; i++) {
		struct profile_mapping *mapping = &profile->mappings[i];

		if (mapping->has_symbols || !is_used(profile, mapping))
			continue;
		mapping->is_silent = add_module(info, profile, mapping);
		is_all = is_all && mapping->is_silent;
	}
	return is_all;
}

static void name_locations(struct debug_info *info, const struct profile *profile,
			   struct writer *writer)
{
	for (size_t i = 0; i < profile->locations_nr; i++) {
		const struct profile_location *location = &profile->locations[i];
		struct profile_mapping *mapping = mapping_of(profile, location->mapping);

		if (!location->has_lines &&
		    debug_info_find(info, location->address, add_line, writer) && mapping != NULL)
			mapping->is_silent = false;
		writer_end_location(writer, location);
	}
}

static enum exit_status symbolize(const struct options *options, struct profile *profile)
{
	struct debug_info *info = debug_info_open();
	struct writer *writer = info != NULL ? writer_begin(profile) : NULL;
	enum exit_status status = EXIT_OK;
	int error;

	if (info == NULL)
		return EXIT_FOUND;
	if (!add_modules(info, profile))
		status = EXIT_FOUND;
	if (writer != NULL)
		name_locations(info, profile, writer);
	for (size_t i = 0; i < profile->mappings_nr; i++)
		if (profile->mappings[i].is_silent)
			say_silent(profile, &profile->mappings[i]);
	error = writer != NULL ? writer_end(writer, options->out) : -ENOMEM;
	debug_info_close(info);
	if (error == 0)
		return status;
	fprintf(stderr, "quire symbolize: %s: %s\n", options->out, strerror(-error));
	return EXIT_UNWRITTEN;
}

static enum exit_status run(int argc, char **argv)
{
	struct options options = { .out = NULL };
	struct profile profile;
	enum exit_status status;
	int error;

	if (!parse(&options, argc, argv, &status))
		return status;
	error = profile_read(&profile, options.file);
	if (error == 0)
		status = symbolize(&options, &profile);
	else
		status = error == -ENOMEM ? EXIT_FOUND : EXIT_USAGE;
	profile_fini(&profile);
	return status;
}

const struct command command_symbolize = {
	.name = "symbolize",
	.summary = "functions and lines for the addresses of a profile",
	.synopsis = "quire symbolize [-o OUT] FILE",
	.about =
		"Finds the function, file and line of each address in a profile of the heap, from\n"
		"quire run --profile or QUIRE_PROFILE, inlined functions included, in the files\n"
		"that were mapped and their debug information in /usr/lib/debug.  A file that is\n"
		"another build than the one that ran is left out.",
	.options = rows,
	.exit_statuses =
		"Exit status: 0; 1 some files were left out, there was no memory, or this build\n"
		"has no libdw; 2 wrong arguments, or a file that is no profile; 3 the output\n"
		"could not be written.",
	.run = run,
};
