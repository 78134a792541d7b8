/* SPDX-License-Identifier: MIT */
/*
 * peer_main.c - quire-bench-peer, the runner for everything that is not Quire
 *
 *     quire-bench-peer SUBJECT LIBRARY COMMAND...
 *
 * SUBJECT is floor, libc or mmap.  LIBRARY is part of the file name that free() must come from
 * ("-": any): a preload that the loader passed over would else measure glibc under another name.
 * COMMAND is "probe", which prints where free() comes from, "large" and a command of
 * large.h, or a runner's command.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmap/large.h"
#include "subjects/subjects.h"

static const struct subject *const subjects[] = { &subject_floor, &subject_libc, &subject_mmap };

static const struct large_subject *const large_subjects[] = { &large_floor, &large_libc,
							      &large_mmap };

static int large_start(const char *name, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(large_subjects) / sizeof(large_subjects[0]); i++)
		if (strcmp(name, large_subjects[i]->name) == 0)
			return large_main(large_subjects[i], argc, argv);
	return fprintf(stderr, "quire-bench-peer: no subject %s\n", name), 2;
}

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
	if (argc < 4)
		return fprintf(stderr, "quire-bench-peer: started by quire-bench\n"), 2;
	if (strcmp(argv[2], "-") != 0 && !strstr(free_library(), argv[2]))
		return puts("refused the library is not there"), 0;
	if (strcmp(argv[3], "probe") == 0)
		return printf("ok %s\n", free_library()), 0;
	if (strcmp(argv[3], "large") == 0)
		return large_start(argv[1], argc - 3, argv + 3);
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		if (strcmp(argv[1], subjects[i]->name) == 0)
			return runner_main(subjects[i], argc - 3, argv + 3);
	return fprintf(stderr, "quire-bench-peer: no subject %s\n", argv[1]), 2;
}
