/* SPDX-License-Identifier: MIT */
/* segment.h - the seal of a segment of the spool (malloc/recording.h) */
#ifndef QUIRE_TOOL_RECORD_SEGMENT_H
#define QUIRE_TOOL_RECORD_SEGMENT_H

#include <stdbool.h>

#include "malloc/recording.h"

/* Fills in what follows from the rest: magic, times, checksum. */
void segment_seal(struct recording_segment *head, const struct ring_event *events);
/* False: not all of it is as it was written. */
bool segment_is_whole(const struct recording_segment *head, const struct ring_event *events);

#endif
