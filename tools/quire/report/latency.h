/* SPDX-License-Identifier: MIT */
/*
 * latency.h - targets of a replay that measure every call
 *
 * What reading the clock takes by itself is taken off.  One replay at a time.
 */
#ifndef QUIRE_TOOL_REPORT_LATENCY_H
#define QUIRE_TOOL_REPORT_LATENCY_H

#include "replay/object_target.h"
#include "replay/target.h"
#include "report/spread.h"

/* The calls of the targets below are counted in these from now on. */
void latency_begin(struct spread *alloc_ns, struct spread *free_ns);
/* Nanoseconds that a reading of the clock takes. */
uint64_t latency_clock_ns(void);

/* As target_by_number.  Pages of a batch take equal parts of its time. */
struct target latency_target(void);
/* As @target. */
struct object_target latency_object_target(const struct object_target *target);

#endif
