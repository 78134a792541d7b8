/* SPDX-License-Identifier: MIT */
/* own_malloc.c - a program that exports a malloc, or one with a function that only jemalloc has */
#include <stddef.h>

#ifndef OWN
#define OWN malloc
#endif

void *OWN(size_t bytes);

void *OWN(size_t bytes)
{
	(void)bytes;
	return NULL;
}

int main(void)
{
	return OWN(1) != NULL;
}
