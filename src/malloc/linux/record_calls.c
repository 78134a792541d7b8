/* SPDX-License-Identifier: MIT */
/* malloc/linux/record_calls.c - what libquire-record.so puts its events with (tools/quire/record/calls.c) */
#include "malloc/record_calls.h"

#include "malloc/heap.h"
#include "malloc/recording.h"

uint64_t quire_record_now(void)
{
	return malloc_begin() && recording_is_on() ? recording_now() : 0;
}

void quire_record_put(unsigned op, uint64_t time, uint64_t address, uint64_t bytes)
{
	recording_put((enum ring_op)op, time, (const void *)(uintptr_t)address, bytes);
}
