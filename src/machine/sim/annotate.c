/* SPDX-License-Identifier: MIT */
/* annotate.c - empty: the simulator itself watches its memory */
#include "machine/annotate.h"

#include "base/check.h"

bool annotate_wanted(void)
{
	return false;
}

void annotate_alloc(void *addr, size_t bytes, bool is_defined)
{
	CHECK_VALUES(false, (uintptr_t)addr + bytes, is_defined);
}

void annotate_free(void *addr, size_t bytes)
{
	CHECK_VALUES(false, (uintptr_t)addr, bytes);
}

void annotate_resize(void *addr, size_t old_bytes, size_t bytes)
{
	CHECK_VALUES(false, (uintptr_t)addr + old_bytes, bytes);
}

void annotate_split(void *addr, size_t bytes, size_t piece_bytes)
{
	CHECK_VALUES(false, (uintptr_t)addr + bytes, piece_bytes);
}

void annotate_copies_alloc(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr)
{
	CHECK_VALUES(false, (uintptr_t)first + bytes, stride_bytes * copies_nr);
}

void annotate_copies_free(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr)
{
	CHECK_VALUES(false, (uintptr_t)first + bytes, stride_bytes * copies_nr);
}
