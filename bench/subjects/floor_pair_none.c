/* SPDX-License-Identifier: MIT */
/* floor_pair_none.c - no floor: its sequences are written for x86-64 only */
#include <stddef.h>
#include "subjects/floor_pair.h"

const char *floor_setup(void)
{
	return "written for x86-64 only";
}

void *floor_alloc(void)
{
	return NULL;
}

void floor_free(void *page)
{
	(void)page;
}
