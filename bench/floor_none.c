/* SPDX-License-Identifier: MIT */
/* floor_none.c - the floor's sequences are written for x86-64; elsewhere there is none */
#include <stddef.h>
#include "floor.h"

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
