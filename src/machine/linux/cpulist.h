/* SPDX-License-Identifier: MIT */
/* cpulist.h - lists of CPU numbers as the kernel writes them: "0-3,8-11\n" */
#ifndef MACHINE_LINUX_CPULIST_H
#define MACHINE_LINUX_CPULIST_H

#include <stdbool.h>

/* One more than the largest number; 0 if the text is no list.
 * "0-3" -> 4, "0,2,9-11" -> 12, "" -> 0. */
unsigned cpulist_end(const char *text);
/* "0-3,8" has 2 and 8, and not 4. */
bool cpulist_has(const char *text, unsigned cpu);

#endif
