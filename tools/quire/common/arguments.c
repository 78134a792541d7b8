/* SPDX-License-Identifier: MIT */
#include "common/arguments.h"

#include <getopt.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/command.h"

void arguments_begin(void)
{
	optind = 0; /* glibc's word for it */
	opterr = 0;
}

void argument_refuse(const char *command, const char *argument, const char *const *names)
{
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(argument, "="), argument);
	fprintf(stderr, "quire %s: wrong use of '%s'; the nearest option is '%s'\n", command,
		argument, command_nearest(name, names));
}

uint32_t argument_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value <= INT32_MAX
		       ? (uint32_t)value
		       : 0;
}

bool argument_pid(const char *command, char *const *words, uint32_t *pid)
{
	if (words[0] == NULL)
		return true;
	*pid = argument_number(words[0]);
	if (*pid == 0)
		fprintf(stderr, "quire %s: '%s' is no process number\n", command, words[0]);
	else if (words[1] != NULL)
		fprintf(stderr, "quire %s: one process at a time, so not '%s'\n", command,
			words[1]);
	return *pid != 0 && words[1] == NULL;
}
