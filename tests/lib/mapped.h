/* SPDX-License-Identifier: MIT */
/*
 * mapped.h - what the system says of this process's memory, and guard pages that it refuses
 *
 * No function here uses cmocka.
 */
#ifndef TESTS_MAPPED_H
#define TESTS_MAPPED_H

#include <stdbool.h>

/* Asked without a fault: the kernel refuses to read from the page on our behalf. */
bool is_accessible(const void *addr);

/* Does the line VmFlags of the mapping that holds @addr have @flag, as "hg"?  There must be one. */
bool mapping_has_flag(const void *addr, const char *flag);

/* Does the kernel have guard markers that the library may use?  It is asked, not the code under test. */
bool kernel_has_guards(void);
/* From here on it has none: for children, as all of confine.h. */
void deny_guards(void);

#endif
