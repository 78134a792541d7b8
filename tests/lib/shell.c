/* SPDX-License-Identifier: MIT */
#include "shell.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "quire_test.h"

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void read_text(FILE *file, char *text, size_t bytes)
{
	text[fread(text, 1, bytes - 1, file)] = '\0';
}

int shell_status(const char *line)
{
	return exit_status(system(line));
}

int shell_answer(const char *line, char *text, size_t bytes)
{
	FILE *pipe = popen(line, "r");

	assert_non_null(pipe);
	read_text(pipe, text, bytes);
	return exit_status(pclose(pipe));
}

void shell_read(const char *path, char *text, size_t bytes)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	read_text(file, text, bytes);
	fclose(file);
}

int shell_remove(const char *folder)
{
	char line[512];

	assert_in_range(snprintf(line, sizeof(line), "rm -rf '%s'", folder), 1, sizeof(line) - 1);
	return shell_status(line);
}
