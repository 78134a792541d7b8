/* SPDX-License-Identifier: MIT */
/* written.h - the two ways to query written pages, for tests */
#ifndef QUIRE_MACHINE_LINUX_WRITTEN_H
#define QUIRE_MACHINE_LINUX_WRITTEN_H

#include <stdint.h>

struct mem_stretches;

enum written_way {
	WRITTEN_ANY_WAY,
	WRITTEN_BY_SCAN, /* Linux 6.7 */
	WRITTEN_BY_PAGE, /* older kernels */
};

/* As mem_find_written(). */
int written_ask(const struct mem_stretches *stretches, enum written_way way, uint64_t *masks);

#endif
