/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/pprof.h - a profile of the heap as a file that pprof reads: pprof.c
 *
 * The format is profile.proto of github.com/google/pprof in gzip's container (gzip.h).  It names addresses and the files that are mapped there, with their build ids; `quire symbolize` and pprof find the
 * functions.  Nothing is allocated: the caller lends all memory.
 */
#ifndef MALLOC_LINUX_PPROF_H
#define MALLOC_LINUX_PPROF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "malloc/linux/gzip.h"

struct traces;

/* Code of a file, as a line of /proc/PID/maps has it. */
struct pprof_module {
	uint64_t start, end, offset;
	uint64_t base; /* where the file's first byte is mapped; 0: nowhere */
	const char *path;
	size_t path_bytes;
};

struct pprof {
	const struct traces *traces;
	unsigned mean_shift;
	uint64_t time_ns, duration_ns; /* since 1970; of what is in it */
	const char *maps;	       /* text of /proc/PID/maps, with a NUL */
	const char *program;	       /* its path, for the first module */
	/* Bytes [@offset, @offset + @bytes) of a module's file into @to.  False: it has none such. */
	bool (*read)(void *arg, const struct pprof_module *module, uint64_t offset, void *to,
		     size_t bytes);
	gzip_write_fn write;
	void *arg;
	void *scratch; /* pprof_scratch_bytes(), aligned as words are */
	size_t scratch_bytes;
};

/* For what is there now; traces that come later are left out. */
size_t pprof_scratch_bytes(const struct traces *traces);
/* 0, or what write() said. */
int pprof_write(const struct pprof *pprof);

#endif
