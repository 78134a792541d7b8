/* SPDX-License-Identifier: MIT */
/* libc_release.c - how each library that replaces malloc() is asked to return free memory */
#include <dlfcn.h>
#include <stdlib.h>
#include "harness/subject.h"

/* POSIX gives dlsym's result as an object pointer. */
static void *libc_symbol(const char *name)
{
	return dlsym(RTLD_DEFAULT, name);
}

/* Each library has its own call for this; a library that is not loaded lacks the symbol. */
void libc_release(void)
{
	int (*mallctl)(const char *, void *, size_t *, void *, size_t);
	void (*tcmalloc)(void);
	void (*mimalloc)(bool);
	int (*glibc)(size_t);

	*(void **)&mallctl = libc_symbol("mallctl");
	*(void **)&tcmalloc = libc_symbol("MallocExtension_ReleaseFreeMemory");
	*(void **)&mimalloc = libc_symbol("mi_collect");
	*(void **)&glibc = libc_symbol("malloc_trim");
	if (mallctl) {
		mallctl("thread.tcache.flush", NULL, NULL, NULL, 0);
		mallctl("arena.4096.purge", NULL, NULL, NULL, 0); /* 4096: all arenas */
	}
	if (tcmalloc)
		tcmalloc();
	if (mimalloc)
		mimalloc(true);
	if (glibc)
		glibc(0);
}
