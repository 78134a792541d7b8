/* SPDX-License-Identifier: MIT */
/*
 * malloc/record_calls.h - the ring for events of instances, which libquire-record.so sees
 *
 * It is in a library of its own, which only `quire record` preloads, so that nobody else's calls pass through anything.  The two
 * are of one version: the command finds both in one place.
 */
#ifndef MALLOC_RECORD_CALLS_H
#define MALLOC_RECORD_CALLS_H

#include <stdint.h>

#pragma GCC visibility push(default)

/* The time, in the spool's unit; 0: the process is not recorded.  Any context. */
uint64_t quire_record_now(void) __attribute__((weak));
/* Only after that was not 0.  @op: enum ring_op. */
void quire_record_put(unsigned op, uint64_t time, uint64_t address, uint64_t bytes)
	__attribute__((weak));

#pragma GCC visibility pop

#endif
