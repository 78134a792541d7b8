/* SPDX-License-Identifier: MIT */
/* record.h - quire record: what is to be recorded, the kernel or a program, and to where */
#ifndef QUIRE_TOOL_RECORD_H
#define QUIRE_TOOL_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "common/command.h"

/* Linux's ring buffers have at most this much for each CPU. */
#define RECORD_BUFFER_BYTES_MAX (UINT64_C(2) << 30)

struct record_request {
	const char *output;    /* a path */
	const char *events;    /* as given: names with commas; NULL: the recorder's own choice */
	const char *mark;      /* --mark: only set this mark in the recording that runs */
	uint64_t buffer_bytes; /* of each CPU; 0: the recorder's own choice */
	const char *recover;   /* --recover: a spool that is to become a recording */
	bool children;	       /* --children: of the program, too */
	uint32_t seconds;      /* 0: until it is stopped, or the program ends */
	char **program;	       /* with its arguments and a NULL at the end; NULL: the kernel */
};

extern const struct option_row record_rows[];
/* The request, or false with the exit status when nothing is left to do. */
bool record_parse(struct record_request *request, int argc, char **argv, enum exit_status *status);
/* The --buffer that would lose less than one of @bytes, in MiB; 0: there may be no larger one. */
uint64_t record_roomier_mib(uint64_t bytes);

enum exit_status record_kernel(const struct record_request *request);
/* program.c */
enum exit_status record_program(const struct record_request *request);
enum exit_status record_recover(const struct record_request *request);

#endif
