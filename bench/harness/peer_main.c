/* SPDX-License-Identifier: MIT */
/*
 * peer_main.c - quire-bench-peer, the runner for everything that is not Quire
 *
 *     quire-bench-peer SUBJECT LIBRARY - COMMAND...
 *
 * SUBJECT is floor, libc or mmap.  LIBRARY is part of the name of the file that must provide
 * free(); "-" accepts any.  Without this check, if the loader ignored a preload, glibc would be
 * measured under another name.  COMMAND is "probe", which prints the file that provides free(), or
 * a command of subject.c.  "-" takes the place of options, which only Quire has.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "harness/subject.h"

static const struct subject *const subjects[] = { &subject_floor, &subject_libc, &subject_mmap };

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
	if (argc < 5)
		return fprintf(stderr, "quire-bench-peer: started by quire-bench\n"), 2;
	if (strcmp(argv[2], "-") != 0 && !strstr(free_library(), argv[2]))
		return puts("refused the library is not there"), 0;
	if (strcmp(argv[4], "probe") == 0)
		return printf("ok %s\n", free_library()), 0;
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (strcmp(argv[1], subjects[i]->name) == 0)
			return subject_main(subjects[i], argc - 3, argv + 3);
	return fprintf(stderr, "quire-bench-peer: no subject %s\n", argv[1]), 2;
}
