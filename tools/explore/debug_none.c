/* SPDX-License-Identifier: MIT */
/* debug_none.c - in place of debug.c where Quire is built without libdw */
#include "debug.h"

const char *debug_open(void)
{
	return "built without libdw (libdw-dev)";
}

unsigned debug_places(uintptr_t pc, struct place places[PLACES_MAX])
{
	(void)pc;
	(void)places;
	return 0;
}

void debug_comment(const char *file, unsigned line, char *text, size_t room)
{
	(void)file;
	(void)line;
	if (room != 0)
		text[0] = '\0';
}

struct type debug_type(type_id id)
{
	(void)id;
	return (struct type){ .name = "" };
}

const char *debug_enumerator(type_id id, uint64_t value)
{
	(void)id;
	(void)value;
	return NULL;
}

void debug_members(type_id id, void (*tell)(const struct member *member, void *arg), void *arg)
{
	(void)id;
	(void)tell;
	(void)arg;
}

unsigned debug_variables(const struct event *event, struct variable *variables, unsigned max)
{
	(void)event;
	(void)variables;
	(void)max;
	return 0;
}

bool debug_global(uintptr_t addr, struct variable *variable)
{
	(void)addr;
	(void)variable;
	return false;
}

bool debug_read(const struct event *event, uint64_t addr, unsigned bytes, uint64_t *value)
{
	(void)event;
	(void)addr;
	(void)bytes;
	(void)value;
	return false;
}
