/* SPDX-License-Identifier: MIT */
#include "record/record.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/arguments.h"

#define OUTPUT_DEFAULT "quire.katr.zst"

enum {
	OPTION_OUTPUT,
	OPTION_BUFFER,
	OPTION_SECONDS,
	OPTION_EVENTS,
	OPTION_MARK,
	OPTION_CHILDREN,
	OPTION_RECOVER,
};

const struct option_row record_rows[] = {
	[OPTION_OUTPUT] = { "o", "FILE", "the recording; " OUTPUT_DEFAULT " without it" },
	[OPTION_BUFFER] = { "buffer", "N", "room for events not yet written, of each CPU: 64m" },
	[OPTION_SECONDS] = { "seconds", "N", "stops after so long" },
	[OPTION_EVENTS] = { "events", "LIST",
			    "what is recorded: page,percpu,vmap,slab; without it\n"
			    "all but slab" },
	[OPTION_MARK] = { "mark", "NAME",
			  "sets a mark in the recording that runs, from another terminal" },
	[OPTION_CHILDREN] = { "children", NULL, "the program's children are recorded, too" },
	[OPTION_RECOVER] = { "recover", "SPOOL",
			     "makes the recording of a spool that a killed command left" },
	{ .name = NULL },
};

/* "64m": a whole number, and k, m or g; 0 if it is none. */
static uint64_t parse_bytes(const char *text)
{
	static const char units[] = "kmg";
	size_t digits_nr = strspn(text, "0123456789");
	const char *unit = strchr(units, text[digits_nr] | 0x20);
	char digits[12];

	if (digits_nr == 0 || digits_nr >= sizeof(digits))
		return 0;
	memcpy(digits, text, digits_nr);
	digits[digits_nr] = '\0';
	if (text[digits_nr] == '\0')
		return argument_number(digits);
	if (unit == NULL || *unit == '\0' || text[digits_nr + 1] != '\0')
		return 0;
	return (uint64_t)argument_number(digits) << (10 * (unit - units + 1));
}

/* 1 MiB -> 64, 64 MiB -> 256, 1 GiB -> 2048. */
uint64_t record_roomier_mib(uint64_t bytes)
{
	uint64_t mib = bytes * 4 >> 20;

	if (bytes >= RECORD_BUFFER_BYTES_MAX)
		return 0;
	if (mib > RECORD_BUFFER_BYTES_MAX >> 20)
		mib = RECORD_BUFFER_BYTES_MAX >> 20;
	return mib > 64 ? mib : 64;
}

static bool take_number(struct record_request *request, unsigned option, const char *value)
{
	if (option == OPTION_SECONDS) {
		request->seconds = argument_number(value);
		if (request->seconds == 0)
			fprintf(stderr, "quire record: '%s' is no number of seconds: 1, 2, ...\n",
				value);
		return request->seconds != 0;
	}
	request->buffer_bytes = parse_bytes(value);
	if (request->buffer_bytes < 4096 || request->buffer_bytes > RECORD_BUFFER_BYTES_MAX) {
		fprintf(stderr,
			"quire record: '%s' is no size of a buffer: 4k to 2g, such as 64m\n",
			value);
		return false;
	}
	return true;
}

/* What cannot be written at the end is refused at the beginning. */
static bool take_output(struct record_request *request, const char *path)
{
	struct stat status;

	request->output = path;
	if (strcmp(path, "-") != 0 && (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)))
		return true;
	fprintf(stderr, "quire record: '%s': a recording is a file: -o FILE\n", path);
	return false;
}

static bool take_option(void *context, unsigned option, const char *value)
{
	struct record_request *request = context;

	switch (option) {
	case OPTION_OUTPUT:
		return take_output(request, value);
	case OPTION_EVENTS:
		request->events = value;
		return true;
	case OPTION_MARK:
		request->mark = value;
		return true;
	case OPTION_CHILDREN:
		request->children = true;
		return true;
	case OPTION_RECOVER:
		request->recover = value;
		return true;
	default:
		return take_number(request, option, value);
	}
}

/* An option that only the kernel's recording has; NULL: there is none. */
static const char *of_kernel(const struct record_request *request)
{
	if (request->mark != NULL)
		return "--mark";
	if (request->events != NULL)
		return "--events";
	return request->seconds != 0 ? "--seconds" : NULL;
}

/* What the options and words ask for together; false, said, if that makes no sense. */
static bool is_whole(const struct record_request *request, char *const *words, bool has_dashes)
{
	if (words[0] != NULL && !has_dashes) {
		fprintf(stderr,
			"quire record: '%s' is no option; a program stands after `--`: quire "
			"record -- %s\n",
			words[0], words[0]);
		return false;
	}
	if (has_dashes && words[0] == NULL) {
		fprintf(stderr, "quire record: a program has to follow `--`\n");
		return false;
	}
	if ((request->program != NULL || request->recover != NULL) && of_kernel(request) != NULL) {
		fprintf(stderr, "quire record: %s is for the kernel, not for a program\n",
			of_kernel(request));
		return false;
	}
	if (request->children && request->program == NULL) {
		fprintf(stderr, "quire record: --children goes with a program\n");
		return false;
	}
	if (request->recover != NULL && request->program != NULL) {
		fprintf(stderr, "quire record: --recover goes without a program: it has ended\n");
		return false;
	}
	return true;
}

bool record_parse(struct record_request *request, int argc, char **argv, enum exit_status *status)
{
	bool has_dashes;

	*request = (struct record_request){ .output = OUTPUT_DEFAULT };
	if (!arguments_take(&command_record, argc, argv, take_option, request, status))
		return false;
	has_dashes = strcmp(argv[optind - 1], "--") == 0;
	if (has_dashes && argv[optind] != NULL)
		request->program = argv + optind;
	return is_whole(request, argv + optind, has_dashes);
}
