/* SPDX-License-Identifier: MIT */
#include "common/beside.h"

#include <string.h>
#include <unistd.h>

bool beside_path(char *path, size_t bytes, const char *program)
{
	ssize_t length = readlink("/proc/self/exe", path, bytes - 1);
	char *name;

	if (length <= 0)
		return false;
	path[length] = '\0';
	name = strrchr(path, '/') + 1;
	if ((size_t)(name - path) + strlen(program) >= bytes)
		return false;
	strcpy(name, program);
	return true;
}
