/* SPDX-License-Identifier: MIT */
/*
 * light_child.c - quire-bench-light and quire-bench-empty: what light.c starts afresh for each sample
 *
 *     quire-bench-light   nothing   loads the library, and ends
 *     quire-bench-light   use       makes the default instance, and writes to 30 pages of three types
 *     quire-bench-light   memory    the same, and prints by how much resident memory grew, in KiB
 *     quire-bench-light   calls     the same between two calls of calls_mark()
 *     quire-bench-empty   nothing   loads an empty library, and ends
 *     quire-bench-empty   use       the same, and writes to 30 pages of a mapping of its own
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "harness/proc.h"

#define PAGES_A_TYPE 10u

#ifdef BENCH_EMPTY

#include <sys/mman.h>

int bench_empty_library(void);

#define PAGE_BYTES  4096u
#define BLOCK_BYTES ((size_t)2 << 20)

/* Where Quire's are: in three blocks of 2 MiB. */
static bool use_little(void)
{
	size_t bytes = 4 * BLOCK_BYTES;
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		return false;
	for (unsigned i = 0; i < 3 * PAGES_A_TYPE; i++)
		map[i / PAGES_A_TYPE * BLOCK_BYTES + i % PAGES_A_TYPE * PAGE_BYTES] = 1;
	return true;
}

/* So that the library is needed. */
static void calls_mark(void)
{
	bench_empty_library();
}

#else

#include <quire/page.h>

#include "calls.h"

static bool use_little(void)
{
	static const unsigned types[] = { 0, QUIRE_MOVABLE, QUIRE_RECLAIMABLE };
	struct quire *q = quire_default();

	for (unsigned i = 0; i < 3 * PAGES_A_TYPE; i++) {
		char *page = q ? quire_alloc_pages(q, 0, types[i / PAGES_A_TYPE]) : NULL;

		if (!page)
			return false;
		*page = 1;
	}
	return true;
}

#endif

static bool print_memory(void)
{
	uint64_t before;

	proc_rss_kib(); /* touches what it needs itself */
	before = proc_rss_kib();
	return use_little() && printf("ok %llu\n", (unsigned long long)(proc_rss_kib() - before));
}

static bool count_calls(void)
{
	bool used;

	calls_mark();
	used = use_little();
	calls_mark();
	return used;
}

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";

	if (strcmp(what, "nothing") == 0)
		return 0;
	if (strcmp(what, "use") == 0)
		return use_little() ? 0 : 1;
	if (strcmp(what, "memory") == 0)
		return print_memory() ? 0 : 1;
	if (strcmp(what, "calls") == 0)
		return count_calls() ? 0 : 1;
	return fprintf(stderr, "%s: started by quire-bench\n", argv[0]), 2;
}
