/* SPDX-License-Identifier: MIT */
/*
 * contenders.c - Quire's malloc and its peers, each preloaded into a process of quire-bench-malloc
 *
 * Quire's library is the one of the build that this program belongs to, or the file that
 * QUIRE_MALLOC names.  "linked" is a program that has quire-malloc.o in it, with a null allocator of its
 * own: a call within a program costs less than one across libraries.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "harness/bench.h"

#define PROGRAM	      "quire-bench-malloc"
#define LINKED	      "quire-bench-malloc-linked"
#define QUIRE_LIBRARY "/../libquire-malloc.so.0"

static char quire_library[PATH_MAX];

static struct contender malloc_table[CONTENDERS_NR] = {
	[CONTENDER_QUIRE] = { .name = "quire", .match = "quire-malloc", .library = quire_library },
	[CONTENDER_LINKED] = { .name = "linked", .match = LINKED, .program = LINKED },
	[CONTENDER_LINKED_FLOOR] = { .name = "linked null", .match = LINKED, .program = LINKED },
	[CONTENDER_FLOOR] = { .name = "null", .match = "libc.so" },
	{ .name = "tcmalloc",
	  .library = "libtcmalloc_minimal.so.4",
	  .match = "tcmalloc",
	  .is_peer = true },
	{ .name = "jemalloc", .library = "libjemalloc.so.2", .match = "jemalloc", .is_peer = true },
	[CONTENDER_MIMALLOC] = { .name = "mimalloc",
				 .library = "libmimalloc.so.2",
				 .match = "mimalloc",
				 .is_peer = true },
	[CONTENDER_GLIBC] = { .name = "glibc", .match = "libc.so", .is_peer = true },
};

/* The library above the directory of this program. */
static void library_find(void)
{
	const char *named = getenv("QUIRE_MALLOC");
	char here[PATH_MAX - sizeof(QUIRE_LIBRARY)];
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 1);
	char *slash;

	here[n > 0 ? n : 0] = '\0';
	slash = strrchr(here, '/');
	if (slash)
		*slash = '\0';
	if (named)
		snprintf(quire_library, sizeof(quire_library), "%s", named);
	else
		snprintf(quire_library, sizeof(quire_library), "%s" QUIRE_LIBRARY, here);
}

void malloc_contenders(void)
{
	library_find();
	for (unsigned who = 0; who < CONTENDERS_NR; who++) {
		bool is_null = who == CONTENDER_FLOOR || who == CONTENDER_LINKED_FLOOR;

		if (!malloc_table[who].program)
			malloc_table[who].program = PROGRAM;
		malloc_table[who].subject = is_null ? "null" : "malloc";
	}
	contenders = malloc_table;
}
