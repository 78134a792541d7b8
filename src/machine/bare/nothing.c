/* SPDX-License-Identifier: MIT */
/* nothing.c - what this machine does not have: tools that watch memory, and files for others to read */
#include "base/errno.h"
#include "machine/annotate.h"
#include "machine/observed.h"

bool annotate_wanted(void)
{
	return false;
}

void annotate_alloc(void *addr, size_t bytes, bool is_defined)
{
	(void)addr;
	(void)bytes;
	(void)is_defined;
}

void annotate_free(void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
}

void annotate_resize(void *addr, size_t old_bytes, size_t bytes)
{
	(void)addr;
	(void)old_bytes;
	(void)bytes;
}

void annotate_split(void *addr, size_t bytes, size_t piece_bytes)
{
	(void)addr;
	(void)bytes;
	(void)piece_bytes;
}

void annotate_copies_alloc(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr)
{
	(void)first;
	(void)bytes;
	(void)stride_bytes;
	(void)copies_nr;
}

void annotate_copies_free(void *first, size_t bytes, size_t stride_bytes, unsigned copies_nr)
{
	(void)first;
	(void)bytes;
	(void)stride_bytes;
	(void)copies_nr;
}

int observed_create(struct observed_file *file, size_t bytes)
{
	*file = (struct observed_file){ .bytes = bytes };
	return -ENOTSUP;
}

void observed_close(struct observed_file *file)
{
	file->addr = NULL;
}

void observed_remove(struct observed_file *file)
{
	file->addr = NULL;
}
