/* SPDX-License-Identifier: MIT */
/* string.c - the three functions that the core takes from libc */
#include "base/mem.h"

void *memcpy(void *restrict dest, const void *restrict src, size_t n)
{
	void *at = dest;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(src), "+c"(n) : : "memory");
	return dest;
}

void *memset(void *s, int c, size_t n)
{
	void *at = s;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(n) : "a"(c) : "memory");
	return s;
}

int memcmp(const void *s1, const void *s2, size_t n)
{
	const unsigned char *a = s1, *b = s2;

	for (size_t i = 0; i < n; i++)
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	return 0;
}
