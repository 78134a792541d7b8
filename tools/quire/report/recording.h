/* SPDX-License-Identifier: MIT */
/* recording.h - state while a recording is read, shared by the files that turn it into figures */
#ifndef QUIRE_TOOL_REPORT_RECORDING_H
#define QUIRE_TOOL_REPORT_RECORDING_H

#include "report/source.h"
#include "trace/katr.h"

struct life;

struct reading {
	struct source *source;
	struct katr_reader reader;
	unsigned module_of_kind[KATR_KINDS_NR];
	uint32_t *holder_of_class;
	struct life *lives; /* by id */
	size_t lives_room;
	double tick_seconds;
	double seconds;		    /* of the record being read */
	double *cpu_seconds;	    /* of each CPU's last one */
	uint64_t unit_bytes;	    /* of a chunk of per-CPU memory */
	double vmalloc_kB, slab_kB; /* at the first sample; 0: none yet */
	bool out_of_memory;
};

/* recording_samples.c: the kernel's own figures. */
void recording_add_sample(struct reading *reading, const struct katr_record *sample);

#endif
