/* SPDX-License-Identifier: MIT */
/*
 * fake_kernel.h - a directory that stands for tracefs and /proc: formats, raw pages of events, figures
 *
 * Fields lie elsewhere than in any kernel, so that only a reader which goes by their names finds them.
 */
#ifndef FAKE_KERNEL_H
#define FAKE_KERNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "trace_writer.h"

#define FAKE_CPUS_NR 2

struct fake_field {
	const char *type, *name;
	unsigned offset, bytes_nr;
};

struct fake_format {
	const char *system, *name;
	unsigned id;
	struct fake_field fields[12];
};

enum {
	FAKE_PAGE_ALLOC,
	FAKE_PAGE_FREE,
	FAKE_PAGE_FREE_BATCHED,
	FAKE_PERCPU_ALLOC,
	FAKE_PERCPU_FREE,
	FAKE_VMAP_ALLOC,
	FAKE_VMAP_FREE,
	FAKE_TASK_RENAME,
	FAKE_PRINT,
	FAKE_STACK,
	FAKE_CACHE_ALLOC,
	FAKE_CACHE_FREE,
	FAKE_FORMATS_NR,
};

extern const struct fake_format fake_formats[FAKE_FORMATS_NR];

struct fake_kernel {
	char directory[64];
	unsigned without; /* bit by format: the kernel does not have it */
	struct bytes pages[FAKE_CPUS_NR];
	size_t begin[FAKE_CPUS_NR]; /* of the page that is being filled */
	uint64_t ns[FAKE_CPUS_NR];  /* of its last event */
};

struct fake_event {
	unsigned format;
	uint32_t cpu;
	uint64_t ns;
	int32_t pid;
	uint8_t flags;
	uint64_t values[8]; /* by field of the format; texts: addresses of strings */
};

void fake_init(struct fake_kernel *kernel);
void fake_fini(struct fake_kernel *kernel);
/* Times of a CPU rise, by less than 2^27 ns each. */
void fake_event(struct fake_kernel *kernel, struct fake_event event);
/* The CPU's next page says that so many events before it were lost. */
void fake_lose(struct fake_kernel *kernel, uint32_t cpu, uint64_t ns, uint64_t lost_nr);
/* Writes it all; the instance is that of the recorder @pid. */
void fake_write(struct fake_kernel *kernel, pid_t pid);

#endif
