/* SPDX-License-Identifier: MIT */
/* group.c - where control groups have their files: see group.h */
#include "machine/linux/group.h"

#include <string.h>

#include "base/text.h"
#include "machine/linux/system.h"

const char *group_path(char *line)
{
	struct system_lines lines;
	long got = system_lines_open(&lines, "/proc/self/cgroup", line, GROUP_BYTES);

	while (got > 0 && strncmp(line, "0::", 3) != 0)
		got = system_lines_next(&lines);
	system_lines_close(&lines);
	return got > 0 ? line + 3 : NULL;
}

static size_t without_slash(const char *path, size_t bytes)
{
	while (bytes != 0 && path[bytes - 1] == '/')
		bytes--;
	return bytes;
}

size_t group_of(const char *path)
{
	return without_slash(path, strlen(path));
}

size_t group_above(const char *path, size_t bytes)
{
	while (bytes != 0 && path[bytes - 1] != '/')
		bytes--;
	return without_slash(path, bytes);
}

bool group_file(char *file, const char *mount, const char *path, size_t bytes, const char *name)
{
	struct text text;

	text_init(&text, file, GROUP_BYTES);
	text_put(&text, mount);
	text_put_bytes(&text, path, bytes);
	text_put(&text, "/");
	text_put(&text, name);
	return text.bytes < GROUP_BYTES;
}

uint64_t group_number(const char **at)
{
	uint64_t number = 0;

	for (; **at >= '0' && **at <= '9'; ++*at) {
		uint64_t digit = (uint64_t)(**at - '0');

		number = number > (UINT64_MAX - digit) / 10 ? UINT64_MAX : number * 10 + digit;
	}
	return number;
}
