/* SPDX-License-Identifier: MIT */
/* malloced.c - a program that is linked with libquire-malloc: it fails if another malloc() serves it */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
	Dl_info of;

	if (dladdr((void *)malloc, &of) == 0 || strstr(of.dli_fname, "libquire-malloc") == NULL) {
		fprintf(stderr, "malloc() is of %s\n", of.dli_fname);
		return 1;
	}
	free(malloc(100));
	return 0;
}
