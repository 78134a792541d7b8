/* SPDX-License-Identifier: MIT */
#include "common/buddyinfo.h"

#include <stdlib.h>
#include <string.h>

/* "zone", a name, and a number for each order. */
static const char *sum_zone(const char *text, uint64_t blocks[BUDDYINFO_ORDERS_NR])
{
	text += strlen("zone");
	text += strspn(text, " ");
	text += strcspn(text, " \n");
	for (unsigned order = 0; order < BUDDYINFO_ORDERS_NR; order++) {
		char *end;

		blocks[order] += strtoull(text, &end, 10);
		text = end;
	}
	return text;
}

void buddyinfo_sum(const char *text, uint64_t blocks[BUDDYINFO_ORDERS_NR])
{
	for (unsigned order = 0; order < BUDDYINFO_ORDERS_NR; order++)
		blocks[order] = 0;
	while ((text = strstr(text, "zone")) != NULL)
		text = sum_zone(text, blocks);
}
