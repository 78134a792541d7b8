/* SPDX-License-Identifier: MIT */
/*
 * malloc_main.c - quire-bench-malloc, the process in which one library's malloc() is measured
 *
 *     quire-bench-malloc SUBJECT LIBRARY - COMMAND...
 *
 * SUBJECT is malloc, or null for the harness alone.  LIBRARY and "-" are as in
 * harness/peer_main.c, and so is the command "probe".
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "malloc/command.h"

static const struct command commands[] = {
	{ "pairs", "PATTERN BYTES THREADS TOUCH MS", 5, malloc_pairs },
	{ "threads", "", 0, malloc_threads },
	{ "scatter", "REPLACEMENTS", 1, malloc_scatter },
	{ "large", "realloc|calloc", 1, malloc_large },
	{ "handler", "MS", 1, malloc_handler },
	{ "stress", "SHAPE", 1, malloc_stress },
	{ "launch", "DIRECTORY STARTS COMMAND LIBRARY", 4, malloc_launch },
	{ "script", "FILE HOW LIBRARY", 3, malloc_script },
	{ "release", "objects ask|idle LOCK USAGE", 4, release_child },
};

static const char *free_library(void)
{
	Dl_info info = { .dli_fname = NULL };
	void (*function)(void *) = free;
	void *address;

	memcpy(&address, &function, sizeof(address));
	return dladdr(address, &info) && info.dli_fname ? info.dli_fname : "nowhere";
}

int main(int argc, char **argv)
{
	const struct subject *subject;

	if (argc < 5)
		return fprintf(stderr, "quire-bench-malloc: started by quire-bench\n"), 2;
	if (strcmp(argv[2], "-") != 0 && !strstr(free_library(), argv[2]))
		return puts("refused the library is not there"), 0;
	if (strcmp(argv[4], "probe") == 0)
		return printf("ok %s\n", free_library()), 0;
	subject = strcmp(argv[1], subject_null.name) == 0 ? &subject_null : &subject_malloc;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[4], commands[i].name) == 0 &&
		    (unsigned)argc - 5 == commands[i].arguments_nr)
			return commands[i].run(subject, argv + 5);
	return fprintf(stderr, "quire-bench-malloc: no command %s\n", argv[4]), 2;
}
