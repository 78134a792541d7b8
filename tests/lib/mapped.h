/* SPDX-License-Identifier: MIT */
/*
 * mapped.h - what the system says of this process's memory, and guard pages that it refuses
 *
 * No function here uses cmocka.
 */
#ifndef TESTS_MAPPED_H
#define TESTS_MAPPED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Asked without a fault: the kernel refuses to read from the page on our behalf. */
bool is_accessible(const void *addr);

/* Does the line VmFlags of the mapping that holds @addr have @flag, as "hg"?  There must be one. */
bool mapping_has_flag(const void *addr, const char *flag);

/* The sum of a line of smaps, as "AnonHugePages", over all mappings that lie in a range. */
uint64_t mapped_bytes(const void *addr, size_t bytes, const char *line);

/* What /proc/self/pagemap says of a range, in bytes. */
struct mapped_pages {
	uint64_t present; /* without the page of zeroes */
	uint64_t huge;	  /* of those, in huge pages mapped as one */
};
/* False where the kernel cannot tell (before Linux 6.7). */
bool mapped_pages_read(const void *addr, size_t bytes, struct mapped_pages *pages);

/* Does the kernel know advice about huge pages?  Does it follow the advice (madvise or always, not never)? */
bool kernel_knows_huge_pages(void);
bool kernel_gives_huge_pages(void);

/* Does the kernel have guard markers that the library may use?  It is asked, not the code under test. */
bool kernel_has_guards(void);
/* From here on it has none: for children, as all of confine.h. */
void deny_guards(void);

#endif
