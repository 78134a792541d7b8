/* SPDX-License-Identifier: MIT */
/*
 * host.h - memory that a hypervisor took back
 *
 * If a guest reports its free pages to the hypervisor, touching them later costs a fault in the host: 2 to
 * 7 ms for 2 MiB were seen, compared with 0.11 ms for clearing it, from two seconds after the memory became
 * free.  The first subject to touch the memory pays, which has nothing to do with the allocator under test.
 */
#ifndef QUIRE_BENCH_HOST_H
#define QUIRE_BENCH_HOST_H

#include <stddef.h>

/* Touches @bytes of memory, or as much as is safely available, and frees it again. */
void host_touch(size_t bytes);

#endif
