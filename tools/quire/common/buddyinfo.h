/* SPDX-License-Identifier: MIT */
/* buddyinfo.h - free blocks by order, from a text in the shape of /proc/buddyinfo */
#ifndef QUIRE_TOOL_BUDDYINFO_H
#define QUIRE_TOOL_BUDDYINFO_H

#include <stdint.h>

#define BUDDYINFO_ORDERS_NR 11u

/* Those of all zones, added up.  A number that is missing is 0. */
void buddyinfo_sum(const char *text, uint64_t blocks[BUDDYINFO_ORDERS_NR]);

#endif
