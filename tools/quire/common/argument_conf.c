/* SPDX-License-Identifier: MIT */
/* argument_conf.c - options of an instance on a command line; in a file of its own, since the explorer has no instance */
#include <stdio.h>
#include <string.h>

#include <quire/quire.h>

#include "common/arguments.h"

bool argument_conf(const char *command, const char *option, const char *text,
		   struct quire_options *options)
{
	static const char prefix[] = "quire: ";
	char error[256];
	bool is_prefixed;

	if (quire_options_parse(text, options, error, sizeof(error)) == 0)
		return true;
	is_prefixed = strncmp(error, prefix, strlen(prefix)) == 0;
	fprintf(stderr, "quire %s: %s: %s\n", command, option,
		error + (is_prefixed ? strlen(prefix) : 0));
	return false;
}
