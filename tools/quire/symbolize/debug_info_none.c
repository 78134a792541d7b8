/* SPDX-License-Identifier: MIT */
/* debug_info_none.c - a build without libdw */
#include "symbolize/symbolize.h"

struct debug_info *debug_info_open(void)
{
	fprintf(stderr, "quire symbolize: built without libdw: install libdw-dev and build anew\n");
	return NULL;
}

const char *debug_info_add(struct debug_info *info, const char *path, const char *build_id,
			   const struct profile_mapping *mapping)
{
	(void)info;
	(void)path;
	(void)build_id;
	(void)mapping;
	return "there is no libdw";
}

bool debug_info_find(struct debug_info *info, uint64_t address,
		     void (*line)(void *arg, const struct function_line *line), void *arg)
{
	(void)info;
	(void)address;
	(void)line;
	(void)arg;
	return false;
}

void debug_info_close(struct debug_info *info)
{
	(void)info;
}
