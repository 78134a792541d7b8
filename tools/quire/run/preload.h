/* SPDX-License-Identifier: MIT */
/* preload.h - the libraries, and the environment that brings them into a program */
#ifndef QUIRE_TOOL_RUN_PRELOAD_H
#define QUIRE_TOOL_RUN_PRELOAD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "malloc/report.h"

struct preload {
	char library[PATH_MAX];
	char again[PATH_MAX]; /* what has the program's exec load both again: run_again.h */
	bool is_recorded;     /* that is libquire-record, which sees calls on instances, too */
	const char *conf;     /* QUIRE_CONF, or NULL: as it is */
	bool children;
	bool is_counted;	      /* the library counts for the figures of `quire run` */
	unsigned profile_shift;	      /* of the program's profile; 0: none */
	int fd;			      /* of the shared memory; -1: none */
	struct report_header *header; /* and the parts behind it; NULL: none */
};

/* Finds libquire-malloc: beside this program, or where it is installed.  False: *@error is one line. */
bool preload_find_library(char library[PATH_MAX], char *error, size_t error_bytes);
/* And what has the program's exec load it again. */
bool preload_find(struct preload *preload, char *error, size_t error_bytes);
/* Makes the shared memory.  0 or -errno. */
int preload_share(struct preload *preload);
/* Sets this process's environment, and has it inherit the shared memory; exec follows.  0 or -errno. */
int preload_prepare(const struct preload *preload);
/* Puts @library before what this process's LD_PRELOAD has.  0 or -errno. */
int preload_first(const char *library);

/* Where the program's profile is. */
static inline char *preload_profile(const struct preload *preload)
{
	return (char *)preload->header + report_part_offset(preload->header->parts_nr);
}

static inline struct report_part *preload_part(const struct preload *preload, unsigned idx)
{
	return (struct report_part *)(void *)((char *)preload->header + report_part_offset(idx));
}

#endif
