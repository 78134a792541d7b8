/* SPDX-License-Identifier: MIT */
/* program_calls.h - calls of a program on instances of its own: from their events to records */
#ifndef QUIRE_TOOL_RECORD_PROGRAM_CALLS_H
#define QUIRE_TOOL_RECORD_PROGRAM_CALLS_H

#include "record/program_live.h"
#include "record/spool_reader.h"

/* @cpus_nr: as many copies as an object of per-CPU memory has. */
void program_take_call(struct program_live *live, const struct spool_event *event,
		       uint32_t cpus_nr);

#endif
