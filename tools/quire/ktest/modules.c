/* SPDX-License-Identifier: MIT */
/* modules.c - the modules that are known */
#include "ktest/modules.h"

#include <string.h>

/* Tests of other parts of the kernel need headers that Quire has no reason to have. */
const struct known_module known_modules[] = {
	{ .file = "percpu_test.c" },
	/* All but test 64, align_shift_alloc_test, which is meant to fail. */
	{ .file = "test_vmalloc.c",
	  .parameters = { "nr_threads=2", "test_loop_count=1000", "run_test_mask=0x7fffffbf" } },
	{ .file = "test_free_pages.c" },
	{ .file = "test_meminit.c", .parameters = { "init_on_alloc=1" } },
	{ .file = "slub_kunit.c",
	  .skipped = "breaks and repairs SLUB's own structures (mm/slab.h)" },
	{ .file = NULL },
};

const char *const known_folders[] = { "lib", "lib/tests", "mm", "mm/tests", NULL };

const struct known_module *known_module_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *file = slash != NULL ? slash + 1 : path;

	for (const struct known_module *row = known_modules; row->file != NULL; row++)
		if (strcmp(row->file, file) == 0)
			return row;
	return NULL;
}
