/* SPDX-License-Identifier: MIT */
/*
 * malloc/linux/array.c - reallocarray()
 *
 * Another malloc that is loaded in front of this one may have no such function (jemalloc 5.3.0 has none).  Then the
 * program's other calls are that one's, and its blocks come here.  So realloc() is called by its name, as in libc: it is
 * the only call of the family that the linker leaves to the loader (interposed.list), and the compiler, which sees
 * no realloc() in this file.  Unlike the others this function needs the library to be relocated.
 */
#include "malloc/linux/family.h"

#include <errno.h>

/* NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): libc's header has names of its own. */
__attribute__((visibility("default"))) void *reallocarray(void *block, size_t count, size_t each)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, each, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, bytes);
}
